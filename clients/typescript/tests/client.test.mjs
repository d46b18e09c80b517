import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { SignalClient } from '../dist/index.js';
import { scene, until, URL } from './support.mjs';

// What an application meets is the same whatever the edge speaks.
const EDGES = [{ speaks: 1 }, { speaks: 2 }];
const V1 = { speaks: 1 };

const CREATED = 'observation/signal/notification/created';

test('connects, authenticates and tells what was negotiated', async () => {
  const { signal, edge, names, authenticating, is } = scene();
  await authenticating();
  assert.equal(edge.last.url, URL);
  const { type, token, publicKey } = edge.last.authenticate;
  assert.deepEqual({ type, token }, { type: 'Bearer', token: 'token-1' });
  assert.equal(Buffer.from(publicKey, 'base64').length, 65);
  assert.equal(Buffer.from(publicKey, 'base64')[0], 4);
  const id = randomUUID();
  edge.last.accept({ id, userId: 42 });
  await is('connected');
  const { clientId, userId, negotiated } = signal.state;
  assert.deepEqual({ clientId, userId }, { clientId: id, userId: 42 });
  assert.deepEqual(negotiated, {
    protocol: 2, keyAgreement: 'ECDH P-256', keyDerivation: 'HKDF-SHA-256', cipher: 'AES-256-GCM', identity: { verified: false },
  });
  assert.deepEqual(names(), ['connecting', 'authenticating', 'connected']);
});

test('every connection has a key pair of its own', async () => {
  const s = scene();
  await s.connected();
  s.edge.last.drop(1006);
  await s.is('waiting');
  await s.retried();
  assert.notEqual(s.edge.sockets[0].authenticate.publicKey, s.edge.sockets[1].authenticate.publicKey);
});

for (const edge of EDGES) test(`messages of mixed sizes are delivered in the order in which they came, v${edge.speaks}`, async () => {
  const s = scene({ edge });
  await s.connected();
  const seen = [];
  s.signal.on('n', ({ n }) => seen.push(n));
  // A long text takes WebCrypto longer than the short ones behind it.
  for (let n = 0; n < 500; n += 1) s.edge.last.push('n', { n, pad: 'x'.repeat(n % 50 === 0 ? 400_000 : 10) });
  await until(() => seen.length === 500);
  assert.deepEqual(seen, [...Array(500).keys()]);
});

for (const edge of EDGES) test(`what is sent is sealed and leaves in order, v${edge.speaks}`, async () => {
  const s = scene({ edge });
  await s.connected();
  for (let n = 0; n < 200; n += 1) assert.equal(s.signal.send('n', { n, pad: 'x'.repeat(n % 20 === 0 ? 60_000 : 1) }), true);
  await until(() => s.edge.last.sentEvents('n').length === 200);
  assert.deepEqual(s.edge.last.sentEvents('n').map(({ data }) => data.n), [...Array(200).keys()]);
  assert.equal(new Set(s.edge.last.side.ivs).size, edge.speaks === 1 ? 200 : 0);
  const sealed = (frame) => (edge.speaks === 1 ? JSON.parse(frame).event === 'encrypted' : frame instanceof ArrayBuffer);
  assert.ok(s.edge.last.frames.slice(1).every(sealed));
});

test('a close is heard after everything that came before it', async () => {
  const s = scene();
  await s.connected();
  const heard = [];
  s.signal.on('n', ({ n }) => heard.push(n));
  s.signal.on('state', ({ name }) => heard.push(name));
  for (let n = 0; n < 20; n += 1) s.edge.last.push('n', { n });
  s.edge.last.drop(4007);
  await s.is('closed');
  assert.deepEqual(heard, [...Array(20).keys(), 'closed']);
});

test('listeners can leave, and one that throws disturbs nobody', async () => {
  const s = scene();
  await s.connected();
  const uncaught = [];
  const keep = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.once('uncaughtException', (error) => uncaught.push(error.message));
  const heard = [];
  s.signal.on(CREATED, () => { throw new Error('a listener of mine'); });
  const off = s.signal.on(CREATED, ({ id }) => heard.push(id));
  s.edge.last.push(CREATED, { id: '1' });
  await until(() => heard.length === 1 && uncaught.length === 1);
  for (const listener of keep) process.on('uncaughtException', listener);
  assert.deepEqual(uncaught, ['a listener of mine']);
  off();
  const last = new Promise((resolve) => s.signal.on('last', resolve));
  s.edge.last.push('last', 1);
  await last;
  assert.deepEqual(heard, ['1']);
});

test('an application event cannot pass for one of the client', async () => {
  const s = scene();
  await s.connected();
  const states = s.told.states.length;
  for (const event of ['state', 'frame', 'message', 'end']) s.edge.last.push(event, { name: 'closed' });
  await until(() => s.told.messages.length === 4);
  assert.equal(s.told.states.length, states);
  assert.deepEqual(s.told.messages.map(({ event }) => event), ['state', 'frame', 'message', 'end']);
});

test('malformed frames of v1 are dropped one by one and the next good one is heard', async () => {
  const s = scene({ edge: V1 });
  await s.connected();
  const socket = s.edge.last;
  const { side } = socket;
  const sealed = side.sealText('{"event":"forged"}');
  const wrong = [
    'not json', 'null', '[]', '{}', '{"event":1}', '{"event":"encrypted"}', '{"event":"encrypted","data":null}',
    '{"event":"encrypted","data":{"iv":"AAAA","ct":"AAAA"}}', JSON.stringify({ event: CREATED, data: { id: 'plaintext' } }),
    JSON.stringify({ event: 'connected', data: {} }), JSON.stringify({ event: 'encrypted', data: { ...sealed, ct: sealed.ct.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) } }),
    JSON.stringify({ event: 'encrypted', data: side.sealText('') }), JSON.stringify({ event: 'encrypted', data: side.sealText('[]') }),
    JSON.stringify({ event: 'encrypted', data: side.sealText('{"event":"connected"}') }),
    JSON.stringify({ event: 'x', data: side.sealText('{"event":"not in an `encrypted`"}') }),
    Uint8Array.of(0xff, 0xfe).buffer, '['.repeat(50_000),
  ];
  for (const frame of wrong) socket.deliver(frame);
  socket.push(CREATED, { id: 'good' });
  await until(() => s.told.messages.length > 0);
  assert.deepEqual(s.told.messages.map(({ data }) => data.id), ['good']);
  assert.equal(s.told.errors.length, wrong.length);
  assert.equal(s.told.errors.filter(({ kind }) => kind === 'undecryptable').length, 1);
  assert.deepEqual(s.told.resyncs, [{ reason: 'undecryptable' }]);
  assert.equal(s.signal.state.name, 'connected');
});

test('before `connected` nothing but `connected` and `error` counts', async () => {
  const s = scene();
  await s.authenticating();
  for (const text of ['x', '{"event":"observation/signal/notification/created","data":{}}', '{"event":"encrypted","data":{"iv":"AAAA","ct":""}}']) s.edge.last.deliver(text);
  s.edge.last.say({ event: 'error', data: { message: 'Invalid message format' } });
  await until(() => s.told.errors.length === 4);
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['malformed-frame', 'malformed-frame', 'malformed-frame', 'edge']);
  assert.deepEqual(s.told.messages, []);
  assert.equal(s.signal.state.name, 'authenticating');
});

test('a handshake that cannot be completed ends the socket and is tried again', async () => {
  for (const bad of [{ serverPublicKey: Buffer.alloc(65, 4).toString('base64') }, { salt: 'AAAA' }, { serverPublicKey: undefined }]) {
    const s = scene();
    await s.authenticating();
    s.edge.last.accept(bad);
    await s.is('waiting');
    assert.equal(s.edge.last.closed.code, 4006);
    assert.match(s.told.errors[0].kind, /handshake|malformed-frame/);
  }
});

test('binary frames of v1 are read as UTF-8 JSON too', async () => {
  const s = scene({ edge: V1 });
  await s.connected();
  s.edge.last.deliver(new TextEncoder().encode(s.edge.last.side.seal('{"event":"x","data":"✓"}')).buffer);
  await until(() => s.told.messages.length === 1);
  assert.deepEqual(s.told.messages[0], { event: 'x', data: '✓' });
});

test('a frame that cannot leave ends the connection: those behind it could never be opened', async () => {
  const s = scene();
  await s.connected();
  s.edge.last.send = () => { throw new Error('no more buffers'); };
  assert.equal(s.signal.send('x'), true);
  await s.is('waiting');
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['network']);
});

test('rooms are joined, left, and joined again after a reconnect', async () => {
  const s = scene();
  s.signal.join(['early']);
  await s.connected();
  s.signal.join(['a', 'b']);
  s.signal.leave(['a']);
  await until(() => s.edge.last.sent.length === 4);
  assert.deepEqual(s.edge.last.sent.slice(1).map(({ event, data }) => [event, data.rooms]), [['join', ['early']], ['join', ['a', 'b']], ['leave', ['a']]]);
  s.edge.last.drop(1006);
  await s.is('waiting');
  await s.retried();
  s.edge.last.accept();
  await until(() => s.edge.last.sentEvents('join').length === 1);
  assert.deepEqual(s.edge.last.sentEvents('join')[0].data.rooms, ['early', 'b']);
});

for (const edge of EDGES) test(`send says whether it was taken and never queues, v${edge.speaks}`, async () => {
  const s = scene({ edge });
  assert.equal(s.signal.send('x'), false);
  await s.connected();
  // The most that fits 128 KiB: v2 adds a tag of 16 bytes, v1 a third and an envelope as well.
  const most = edge.speaks === 1 ? 98_000 : 128 * 1024 - 16 - '{"event":"x","data":""}'.length;
  assert.throws(() => s.signal.send('x', 'y'.repeat(most + (edge.speaks === 1 ? 1_000 : 1))), RangeError);
  assert.equal(s.signal.send('x', 'y'.repeat(most)), true);
  s.edge.last.bufferedAmount = 2 * 1024 * 1024;
  assert.equal(s.signal.send('x'), false);
  s.edge.last.bufferedAmount = 0;
  assert.equal(s.signal.send('x'), true);
  s.signal.close();
  assert.equal(s.signal.send('x'), false);
});

for (const edge of EDGES) test(`frames can be inspected in both directions and show no token, v${edge.speaks}`, async () => {
  const s = scene({ edge, token: () => 'very-secret-token' });
  const frames = [];
  s.signal.on('frame', (frame) => frames.push(frame));
  await s.connected();
  s.edge.last.push('x', { n: 1 });
  s.signal.send('y', 2);
  await until(() => frames.length === 4);
  const [hello, connected, ...sealed] = frames;
  assert.deepEqual([hello.direction, hello.sealed, hello.event, hello.encoding], ['out', false, 'authenticate', 'text']);
  assert.deepEqual([connected.direction, connected.sealed, connected.event], ['in', false, 'connected']);
  assert.deepEqual(sealed.map(({ direction, event, plaintext }) => [direction, event, plaintext]).sort(),
    [['in', 'x', '{"event":"x","data":{"n":1}}'], ['out', 'y', '{"event":"y","data":2}']]);
  for (const record of sealed) {
    const bytes = Buffer.from(record.raw, edge.speaks === 1 ? 'utf8' : 'base64');
    assert.equal(record.size, bytes.length);
    if (edge.speaks === 1) assert.equal(JSON.parse(record.raw).data.iv, record.iv);
    else assert.deepEqual([record.encoding, record.counter, bytes.length], ['binary', 0, record.plaintext.length + 16]);
  }
  const out = sealed.find(({ direction }) => direction === 'out');
  assert.equal(out.raw, edge.speaks === 1 ? s.edge.last.frames[1] : Buffer.from(s.edge.last.frames[1]).toString('base64'));
  assert.ok(!JSON.stringify(frames).includes('very-secret-token'));
});

test('no error carries a token or what the token function threw', async () => {
  const s = scene({ token: async () => { throw new Error('refused: very-secret-token'); } });
  s.signal.connect();
  await s.is('waiting');
  const t = scene({ token: () => 'very-secret-token' });
  await t.authenticating();
  t.edge.last.accept({ salt: 'bad' });
  await t.is('waiting');
  t.edge.last.say({ event: 'error', data: {} });
  for (const error of [...s.told.errors, ...t.told.errors]) {
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes('very-secret-token'));
    assert.ok(!inspect(error, { depth: 9, showHidden: true }).includes(t.edge.last.authenticate.publicKey));
  }
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['token']);
});

test('ready resolves once connected and rejects once closed', async () => {
  const s = scene();
  const ready = s.signal.ready();
  await s.connected();
  assert.equal((await ready).name, 'connected');
  assert.equal((await s.signal.ready()).userId, 'user-9');
  s.signal.close();
  await assert.rejects(s.signal.ready(), { name: 'SignalError' });
});

test('close leaves no timer, no listener on the network and no socket behind', async () => {
  const s = scene();
  await s.connected();
  s.signal.close();
  assert.equal(s.clock.pending, 0);
  assert.equal(s.edge.last.closed.code, 1000);
  s.network.dispatchEvent(new Event('online'));
  s.edge.last.drop(1006);
  assert.equal(s.signal.state.name, 'closed');
  await s.connected();
  assert.equal(s.edge.sockets.length, 2);
});

test('close while the token is awaited opens nothing', async () => {
  const give = [];
  const s = scene({ token: () => new Promise((resolve) => give.push(resolve)) });
  s.signal.connect();
  await until(() => give.length === 1);
  s.signal.close();
  s.signal.connect();
  await until(() => give.length === 2);
  give[0]('late');
  give[1]('current');
  await until(() => s.edge.sockets.length > 0);
  s.edge.last.open();
  s.edge.last.accept();
  await s.is('connected');
  assert.deepEqual(s.edge.sockets.map(({ authenticate }) => authenticate.token), ['current']);
});

test('an address that can never be opened and a missing WebSocket are final', async () => {
  class Refusing { constructor() { throw new SyntaxError('bad url'); } }
  for (const WebSocket of [Refusing, undefined]) {
    const signal = new SignalClient({ url: 'nonsense', token: 't', ...(WebSocket ? { WebSocket } : {}) });
    const global = globalThis.WebSocket;
    delete globalThis.WebSocket;
    try {
      signal.connect();
      await assert.rejects(signal.ready());
    } finally {
      if (global !== undefined) globalThis.WebSocket = global;
    }
    assert.equal(signal.state.name, 'closed');
  }
});
