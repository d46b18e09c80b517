import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { identityKey } from '../../clients/typescript/tests/edge.mjs';
import { findBrowser, launch, openWindow } from './browser.mjs';
import { scriptEdge } from './scripted_edge.mjs';
import { assertSealed } from './sealed.mjs';
import { startSignal } from './signal.mjs';

const { path, missing } = findBrowser();
const PERSON = 'user-minh';
const CREATED = 'observation/signal/notification/created';

// Newer than whatever else there is, each than the one before.
let clock = Date.now() + 3_600_000;
const later = () => new Date(clock += 1_000).toISOString();
const notification = (id, createdAt = later()) => ({
  id, eventId: `evt-${id}`, type: 'PAYMENT_SUCCESS', recipientId: PERSON, organizerId: null, merchantId: 'mer-cafe-79',
  title: 'Payment received', content: `125.000 ₫ from order ${id}`, html: `<p>125.000 ₫ from order ${id}</p>`,
  metadata: {}, readAt: null, createdAt, modifiedAt: createdAt,
});

const isOfTheList = (request) => request.url().includes('/notifications?limit=');

describe('the protocols in a browser', { skip: missing ?? false }, () => {
  let signal, browser, windows;

  before(async () => { [signal, browser] = await Promise.all([startSignal(), launch(path)]); });
  after(async () => { await browser?.close(); await signal?.stop(); });
  beforeEach(() => { windows = []; });
  afterEach(async () => { for (const { context } of windows) await context.close(); });

  /** The page in front of the edge itself, or of one that the test speaks for. */
  const open = async (script) => {
    let sockets;
    const window = await openWindow(browser, `${signal.url}/?as=${PERSON}`, async (page) => {
      if (script !== undefined) sockets = await scriptEdge(page, script);
    });
    windows.push(window);
    return { window, sockets };
  };

  test('the edge speaks protocol 2 and proves its identity', async () => {
    const { window } = await open();
    assert.deepEqual(await window.negotiated(), { protocol: 2, proven: true });
    await window.loaded();
    const known = await window.notifications();
    await window.get('pay-submit').click();
    await window.nextAfter(known);
    const { sealed, plain } = await window.inspect('notification/created');
    assertSealed(sealed, 2);
    assert.match(plain, /PAYMENT_SUCCESS/);
    assert.deepEqual(await window.problems(), []);
  });

  test('either protocol can be chosen, and the edge still delivers', async () => {
    const { window } = await open();
    await Promise.all([window.connected(), window.loaded()]);
    for (const spoken of [1, 2]) {
      await window.get(`speak-v${spoken}`).check();
      await window.page.locator(`[data-testid="connection"][data-protocol="${spoken}"]`).waitFor();
      const known = await window.notifications();
      await window.get('pay-submit').click();
      await window.nextAfter(known);
      assertSealed((await window.inspect('notification/created')).sealed, spoken);
    }
    assert.deepEqual(await window.problems(), []);
  });

  test('binary frames are opened in order, sealed in return, and shown for what they are', async () => {
    const { window, sockets: [socket] } = await connectedTo({ identity: identityKey() });
    assert.deepEqual(await window.negotiated(), { protocol: 2, proven: true });
    const known = await window.notifications();
    for (let n = 1; n <= 30; n += 1) socket.push(CREATED, notification(`A-${n}`));
    await window.get('notification').nth(known.length + 29).waitFor();
    const newestFirst = Array.from({ length: 30 }, (_, n) => `evt-A-${30 - n}`);
    assert.deepEqual(await window.notifications(), [...newestFirst, ...known]);
    const { sealed, plain } = await window.inspect('notification/created');
    assertSealed(sealed, 2);
    assert.match(plain, /PAYMENT_SUCCESS/);
    assert.deepEqual(await window.problems(), []);
  });

  test('an edge without an identity is taken as it is, and the page says so', async () => {
    const { window } = await connectedTo({});
    assert.deepEqual(await window.negotiated(), { protocol: 2, proven: false });
    assert.match(await window.get('connection').innerText(), /not proven/);
  });

  test('an edge that is not the pinned one is refused before anything is sent to it', async () => {
    const { window, sockets } = await open({ identity: identityKey(), published: identityKey() });
    await window.page.locator('[data-testid="connection-state"][data-state="waiting"]').waitFor();
    assert.match(await window.get('connection').innerText(), /identity key that is not pinned/);
    assert.equal(await sockets[0].closed, 4006);
    assert.deepEqual(sockets[0].sent.map(({ type }) => type), ['Bearer']);
    assert.equal(await window.get('connection').getAttribute('data-protocol'), '');
  });

  test('a replayed frame ends the connection, the next one is another, and the list is read again', async () => {
    const { window, sockets } = await connectedTo({ identity: identityKey() });
    const known = await window.notifications();
    const frame = sockets[0].side.seal(JSON.stringify({ event: CREATED, data: notification('once') }));
    sockets[0].deliver(frame);
    await window.nextAfter(known);
    const reading = window.page.waitForRequest(isOfTheList);
    sockets[0].deliver(frame);
    assert.equal(await sockets[0].closed, 4006);
    await reading;
    assert.deepEqual([sockets.length, await window.notifications()], [2, ['evt-once', ...known]]);
    assert.deepEqual(await window.negotiated(), { protocol: 2, proven: true });
  });

  test('what was never pushed is there once the edge says that pushes may have been missed', async () => {
    const { window, sockets: [socket] } = await connectedTo({ identity: identityKey() });
    const known = await window.notifications();
    // The service takes the payment, and this window's edge, which the test speaks for, knows nothing of it.
    await window.get('pay-submit').click();
    await listedUnread(known.length + 1);
    assert.deepEqual(await window.notifications(), known);
    socket.push('resync', { reason: 'backplane' });
    await window.nextAfter(known);
    await window.get('pay-arrived').waitFor();
    await window.unreadIs(await listedUnread());
    assert.deepEqual(await window.problems(), []);
  });

  /** How many the server has, all of them unread here; with a number, waits until it is that. */
  async function listedUnread(expected) {
    const { token } = await (await fetch(`${signal.url}/demo/sign-in`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ userId: PERSON }),
    })).json();
    const deadline = Date.now() + 20_000;
    for (;;) {
      const answer = await fetch(`${signal.url}/v1/api/signal/notifications/count?unread=true`, { headers: { authorization: `Bearer ${token}` } });
      const { count } = await answer.json();
      if (expected === undefined || count === expected) return count;
      assert.ok(Date.now() < deadline, `${count} instead of ${expected}`);
      await new Promise((next) => setTimeout(next, 25));
    }
  }

  async function connectedTo(script) {
    const scene = await open(script);
    await Promise.all([scene.window.connected(), scene.window.loaded()]);
    return scene;
  }
});
