// An edge that a test speaks for, in front of a page that cannot tell: frames, keys and identity of its making.

import { EdgeSide } from '../../clients/typescript/tests/edge.mjs';

const wire = (frame) => (typeof frame === 'string' ? frame : Buffer.from(frame));

/** Takes the page's sockets and what it pins; `identity` signs, `published` is what the page is told to pin. */
export async function scriptEdge(page, { speaks = 2, identity, published = identity }) {
  const sockets = [];
  await page.routeWebSocket(/\/stream$/, (socket) => {
    const side = new EdgeSide({ speaks, identity });
    const sent = [];
    const push = (event, data) => socket.send(wire(side.seal(JSON.stringify({ event, data }))));
    const closed = new Promise((resolve) => socket.onClose((code) => { resolve(code); socket.close(); }));
    sockets.push({ sent, closed, push, deliver: (frame) => socket.send(wire(frame)), side });
    socket.onMessage((frame) => {
      if (side.protocol !== undefined) return sent.push(side.open(frame));
      const { data } = JSON.parse(frame);
      sent.push(data);
      socket.send(JSON.stringify(side.accept(data)));
    });
  });
  await page.route('**/identity', (route) => route.fulfill({ json: { keys: published === undefined ? [] : [published.jwk] } }));
  return sockets;
}
