// Compiled by `npm run check`, never run: what the types promise to an application.
import { type Notification, SignalClient, type State } from '../src/index.js';

interface Shop {
  'order/updated': { readonly order: string };
}

const signal = new SignalClient<Shop>({ url: 'wss://edge.test/stream', token: async () => 'token' });

signal.on('observation/signal/notification/created', (data, meta) => {
  const notification: Notification = data;
  const at: number = meta.receivedAt;
  return [notification.title, at];
});
signal.on('observation/signal/notification/read', ({ ids, all, before, readAt }) => {
  [ids ?? [], all === true, before ?? readAt] satisfies [readonly string[], boolean, string];
});
signal.on('observation/signal/notification/unread', ({ unread, version }) => {
  [unread, version] satisfies [number, number];
});
signal.on('order/updated', ({ order }) => order.length);
signal.on('state', (state) => {
  const known: State = state;
  if (known.name === 'connected') {
    known.negotiated.cipher satisfies 'AES-256-GCM';
    known.negotiated.protocol satisfies 1 | 2;
    const { identity } = known.negotiated;
    if (identity.verified) identity.keyId satisfies string;
    // @ts-expect-error: a claim does not pass for a proof
    else return identity.keyId;
  }
  // @ts-expect-error: only a waiting client knows when it tries again
  return known.retryAt;
});
signal.on('an event without a type', (data) => {
  // @ts-expect-error: it has to be looked at first
  return data.anything;
});
// @ts-expect-error: a listener of another shape
signal.on('order/updated', (data: { readonly price: number }) => data.price);
signal.on('refreshed', ({ expiresAt }) => {
  expiresAt satisfies string | number | null;
});
new SignalClient({ url: 'wss://edge.test/stream', token: 'constant', WebSocket: globalThis.WebSocket });
declare const jwk: JsonWebKey;
for (const pin of [jwk, [jwk], { keys: [jwk] }]) new SignalClient({ url: 'wss://edge.test/stream', token: 'constant', pin });
new SignalClient({ url: 'wss://edge.test/stream', token: 'constant', protocol: 1 });
// @ts-expect-error: there is no such protocol
new SignalClient({ url: 'wss://edge.test/stream', token: 'constant', protocol: 3 });
// @ts-expect-error: a token is needed
new SignalClient({ url: 'wss://edge.test/stream' });
