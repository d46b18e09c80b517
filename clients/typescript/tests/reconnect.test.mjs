import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scene, until } from './support.mjs';

/** A connected client whose edge then closes with the code. */
async function closedWith(code, options) {
  const s = scene(options);
  await s.connected();
  s.edge.last.drop(code);
  await until(() => s.signal.state.name !== 'connected');
  return s;
}

for (const code of [1009, 4004, 4006, 4007]) {
  test(`${code} is final`, async () => {
    const s = await closedWith(code);
    assert.equal(s.signal.state.name, 'closed');
    assert.equal(s.signal.state.code, code);
    assert.equal(s.clock.pending, 0);
  });
}

for (const code of [1001, 1006, 1011, 4001, 4002, 4008, 4009]) {
  test(`${code} comes back, and the application is told to read its list again`, async () => {
    const s = await closedWith(code);
    assert.equal(s.signal.state.name, 'waiting');
    assert.equal(s.signal.state.code, code);
    assert.deepEqual(s.told.resyncs, []);
    await s.retried();
    s.edge.last.accept();
    await s.is('connected');
    assert.deepEqual(s.told.resyncs, [{ reason: 'reconnected' }]);
  });
}

test('4003 with the same token stops after asking once more', async () => {
  let asked = 0;
  const s = scene({ token: () => { asked += 1; return 'the same'; } });
  await s.authenticating();
  s.edge.last.drop(4003, 'Authentication failed');
  await s.is('waiting');
  s.clock.advance(60_000);
  await s.is('closed');
  assert.deepEqual([asked, s.edge.sockets.length, s.signal.state.code], [2, 1, 4003]);
});

test('4003 for a token that could not be checked tries the same token again', async () => {
  const s = scene({ token: 'constant' });
  await s.authenticating();
  s.edge.last.say({ event: 'error', data: { message: 'Authentication error' } });
  await until(() => s.told.errors.length === 1);
  s.edge.last.drop(4003, 'Authentication failed');
  await s.is('waiting');
  await s.retried();
  assert.equal(s.edge.last.authenticate.token, 'constant');
});

test('4003 with another token tries that one', async () => {
  const tokens = ['first', 'second'];
  const s = scene({ token: () => tokens.shift() });
  await s.authenticating();
  s.edge.last.drop(4003);
  await s.is('waiting');
  await s.retried();
  assert.equal(s.edge.last.authenticate.token, 'second');
});

test('4003 with a constant token stops at once', async () => {
  const s = scene({ token: 'constant' });
  await s.authenticating();
  s.edge.last.drop(4003);
  await s.is('closed');
});

test('4003 is forgotten when the application connects again by itself', async () => {
  const s = scene({ token: () => 'the same' });
  await s.authenticating();
  s.edge.last.drop(4003);
  await s.is('waiting');
  s.clock.advance(60_000);
  await s.is('closed');
  await s.connected();
  assert.equal(s.edge.sockets.length, 2);
});

test('4005 never presents the expired token again and asks until there is a fresh one', async () => {
  const tokens = ['old', 'old', 'old', 'fresh'];
  const s = scene({ token: () => tokens.shift() });
  await s.connected();
  s.edge.last.drop(4005);
  await s.is('waiting');
  for (let ask = 0; ask < 2; ask += 1) {
    const before = s.told.states.length;
    s.clock.advance(s.signal.state.retryAt - s.clock.now());
    await until(() => s.told.states.length >= before + 2 && s.signal.state.name === 'waiting');
    assert.equal(s.edge.sockets.length, 1);
  }
  await s.retried();
  assert.equal(s.edge.last.authenticate.token, 'fresh');
});

test('the wait grows with every failure inside its bounds and starts anew after a stable connection', async () => {
  const s = scene();
  await s.authenticating();
  const waits = [];
  for (let failure = 1; failure <= 9; failure += 1) {
    s.edge.last.drop(1006);
    await s.is('waiting');
    assert.equal(s.signal.state.attempt, failure);
    waits.push(s.signal.state.retryAt - s.clock.now());
    await s.retried();
  }
  assert.deepEqual(waits, [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]);
  s.edge.last.accept();
  await s.is('connected');
  s.clock.advance(10_000);
  s.edge.last.drop(1006);
  await s.is('waiting');
  assert.equal(s.signal.state.retryAt - s.clock.now(), 250);
});

test('an edge that accepts and drops at once does not make the client spin', async () => {
  const s = scene();
  await s.connected();
  for (let round = 1; round <= 4; round += 1) {
    s.edge.last.drop(1011);
    await s.is('waiting');
    assert.equal(s.signal.state.attempt, round);
    await s.retried();
    s.edge.last.accept();
    await s.is('connected');
  }
});

test('a draining edge is left at the announced moment, without waiting for its close', async () => {
  const s = scene();
  const announced = [];
  s.signal.on('reconnect', (reconnect) => announced.push(reconnect));
  await s.connected();
  s.edge.last.push('reconnect', { afterMs: 4_000 });
  await until(() => announced.length === 1);
  assert.deepEqual(announced, [{ afterMs: 4_000 }]);
  s.clock.advance(3_999);
  assert.equal(s.signal.state.name, 'connected');
  s.clock.advance(1);
  assert.equal(s.told.states.find(({ name }) => name === 'waiting').code, 1001);
  assert.equal(s.edge.sockets[0].closed.code, 1000);
  await until(() => s.edge.sockets.length === 2);
  s.edge.last.open();
  s.edge.last.accept();
  await s.is('connected');
  assert.deepEqual(s.told.resyncs, [{ reason: 'reconnected' }]);
});

test('a close 1001 that comes before the announced moment waits for the rest of it', async () => {
  const s = scene();
  await s.connected();
  const announced = new Promise((resolve) => s.signal.on('reconnect', resolve));
  s.edge.last.push('reconnect', { afterMs: 4_000 });
  await announced;
  s.clock.advance(1_000);
  s.edge.last.drop(1001);
  await s.is('waiting');
  assert.equal(s.signal.state.retryAt - s.clock.now(), 3_000);
  s.network.dispatchEvent(new Event('online'));
  assert.equal(s.signal.state.retryAt - s.clock.now(), 3_000);
});

test('resync of the edge reaches the application', async () => {
  const s = scene();
  await s.connected();
  s.edge.last.push('resync', { reason: 'backplane' });
  await until(() => s.told.resyncs.length === 1);
  assert.deepEqual(s.told.resyncs, [{ reason: 'backplane' }]);
});

test('the network coming back shortens the wait', async () => {
  const s = scene({ backoff: { baseMs: 20_000 } });
  await s.connected();
  s.edge.last.drop(1006);
  await s.is('waiting');
  assert.equal(s.signal.state.retryAt - s.clock.now(), 10_000);
  s.network.dispatchEvent(new Event('online'));
  assert.equal(s.signal.state.retryAt - s.clock.now(), 125);
  await s.retried();
});

test('another network under an open connection means another connection', async () => {
  const s = scene();
  await s.connected();
  s.network.dispatchEvent(new Event('online'));
  assert.equal(s.signal.state.name, 'connected');
  s.network.dispatchEvent(new Event('offline'));
  s.network.dispatchEvent(new Event('online'));
  assert.equal(s.signal.state.name, 'waiting');
  assert.notEqual(s.edge.last.closed, undefined);
});

test('heartbeats are sealed and come well before the edge gives up', async () => {
  const s = scene();
  await s.connected();
  for (let beat = 1; beat <= 8; beat += 1) {
    s.clock.advance(25_000);
    await until(() => s.edge.last.sentEvents('heartbeat').length === beat);
  }
  assert.ok(s.edge.last.frames.slice(1).every((frame) => frame instanceof ArrayBuffer));
  assert.equal(s.signal.state.name, 'connected');
});

test('a socket that stops taking data is given up', async () => {
  const s = scene();
  await s.connected();
  s.edge.last.bufferedAmount = 300;
  s.clock.advance(25_000);
  s.edge.last.bufferedAmount = 200;
  s.clock.advance(25_000);
  assert.equal(s.signal.state.name, 'connected');
  s.clock.advance(25_000);
  assert.equal(s.signal.state.name, 'waiting');
  assert.equal(s.told.errors.at(-1).kind, 'timeout');
});

test('a machine that slept past the limit of the edge reconnects on waking', async () => {
  const s = scene();
  await s.connected();
  s.clock.sleep(120_000);
  s.clock.advance(0);
  assert.equal(s.signal.state.name, 'waiting');
});

test('an edge that does not answer is given up, before and after the socket opens', async () => {
  const s = scene();
  s.signal.connect();
  await until(() => s.edge.sockets.length === 1);
  s.clock.advance(10_000);
  assert.equal(s.signal.state.name, 'waiting');
  await s.retried();
  s.clock.advance(19_999);
  assert.equal(s.signal.state.name, 'authenticating');
  s.clock.advance(1);
  assert.equal(s.signal.state.name, 'waiting');
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['timeout', 'timeout']);
});

test('connect hurries a wait and does not double a connection', async () => {
  const s = scene({ backoff: { baseMs: 20_000 } });
  await s.connected();
  s.signal.connect();
  assert.equal(s.edge.sockets.length, 1);
  s.edge.last.drop(1006);
  await s.is('waiting');
  s.signal.connect();
  await until(() => s.edge.sockets.length === 2);
  s.clock.advance(20_000);
  assert.equal(s.edge.sockets.length, 2);
});

test('a token is renewed ahead of its expiry on the open connection', async () => {
  const jwt = (n, exp) => `h.${Buffer.from(JSON.stringify({ n, exp })).toString('base64url')}.s`;
  const start = Date.parse('2026-11-23T08:00:00.000Z') / 1000;
  const tokens = [jwt(1, start + 600), jwt(2, start + 1200)];
  const s = scene({ token: () => tokens.shift(), heartbeatMs: 1e9 });
  const refreshed = [];
  s.signal.on('refreshed', (data) => refreshed.push(data));
  await s.connected();
  s.clock.advance(540_000);
  await until(() => s.edge.last.sentEvents('refresh').length === 1);
  assert.equal(s.edge.last.sentEvents('refresh')[0].data.token, jwt(2, start + 1200));
  s.edge.last.push('refreshed', { expiresAt: start + 1200 });
  await until(() => refreshed.length === 1);
  assert.equal(s.edge.sockets.length, 1);
});

test('a session that the edge says never expires is not renewed again', async () => {
  const jwt = `h.${Buffer.from(JSON.stringify({ exp: Date.parse('2026-11-23T08:10:00.000Z') / 1000 })).toString('base64url')}.s`;
  let asked = 0;
  const s = scene({ token: () => `${jwt}${asked++}`, heartbeatMs: 1e9 });
  const refreshed = [];
  s.signal.on('refreshed', (data) => refreshed.push(data));
  await s.connected();
  await s.signal.refresh();
  s.edge.last.push('refreshed', {});
  s.edge.last.push('refreshed', { expiresAt: null });
  await until(() => refreshed.length === 1);
  assert.deepEqual(refreshed, [{ expiresAt: null }]);
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['malformed-frame']);
  s.clock.advance(600_000);
  assert.equal(asked, 2);
});

test('nothing of an old connection is heard once a new one began', async () => {
  const s = scene();
  await s.connected();
  const old = s.edge.last;
  const listener = old.onmessage;
  old.drop(1006);
  await s.is('waiting');
  await s.retried();
  s.edge.last.accept();
  await s.is('connected');
  listener({ data: old.side.seal('{"event":"ghost"}') });
  s.edge.last.push('real', 1);
  await until(() => s.told.messages.length === 1);
  assert.equal(s.told.messages[0].event, 'real');
});
