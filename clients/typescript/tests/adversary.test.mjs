// Somebody on the way: what protocol 2 lets them do, which is nothing but to end the connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeHandshake } from '../dist/handshake.js';
import { SignalClient } from '../dist/index.js';
import { parseConnected } from '../dist/protocol.js';
import { KeyAgreement } from '../dist/seal.js';
import { arrayBuffer, EdgeSide, identityKey } from './edge.mjs';
import { scene, until, URL } from './support.mjs';

const texts = (...names) => names.map((event) => JSON.stringify({ event, data: 1 }));

/** Frames as the edge seals them, on a client that has heard `first`. */
async function midStream(options) {
  const s = scene(options);
  await s.connected();
  const { side } = s.edge.last;
  const [first, second, third] = texts('first', 'second', 'third').map((text) => side.seal(text));
  s.edge.last.deliver(first);
  await until(() => s.told.messages.length === 1);
  return { s, first, second, third };
}

const attacks = {
  'replayed': ({ first, second }) => [second, second, first],
  'repeated at once': ({ first }) => [first],
  'reordered': ({ second, third }) => [third, second],
  'dropped': ({ third }) => [third],
  'truncated': ({ second }) => [second.slice(0, -1)],
  'cut to a tag': ({ second }) => [second.slice(0, 16)],
  'empty': () => [new ArrayBuffer(0)],
  'lengthened': ({ second }) => [arrayBuffer([...new Uint8Array(second), 0])],
  'in the clear, as text': () => ['{"event":"forged"}'],
  'no message at all, as text': () => ['x'],
  'in the clear, as binary': () => [arrayBuffer(Buffer.from('{"event":"forged"}'))],
  'an envelope of v1': () => ['{"event":"encrypted","data":{"iv":"AAAAAAAAAAAAAAAA","ct":"AAAAAAAAAAAAAAAAAAAAAA=="}}'],
};

for (const [what, framesOf] of Object.entries(attacks)) {
  test(`a frame that is ${what} ends the connection, and another one is made`, async () => {
    const { s, ...frames } = await midStream();
    const attacked = s.edge.last;
    for (const frame of framesOf(frames)) attacked.deliver(frame);
    await s.is('waiting');
    assert.equal(attacked.closed.code, 4006);
    assert.ok(s.told.messages.every(({ event }, index) => event === ['first', 'second'][index]), JSON.stringify(s.told.messages));
    assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['violation']);
    assert.deepEqual([s.signal.state.code, s.signal.state.attempt, s.signal.state.retryAt - s.clock.now()], [1006, 1, 250]);
    assert.deepEqual(s.told.resyncs, []);
    await s.retried();
    s.edge.last.accept();
    await s.is('connected');
    assert.deepEqual(s.told.resyncs, [{ reason: 'reconnected' }]);
  });
}

test('the client’s own frame sent back to it ends the connection', async () => {
  const s = scene();
  await s.connected();
  s.signal.send('first', 1);
  await until(() => s.edge.last.frames.length === 2);
  s.edge.last.deliver(s.edge.last.frames[1]);
  await s.is('waiting');
  assert.deepEqual([s.edge.last.closed.code, s.told.errors[0].kind, s.told.messages], [4006, 'violation', []]);
});

test('nothing that came behind the frame that broke the stream is heard', async () => {
  const { s, second, third } = await midStream();
  for (const frame of [second.slice(1), second, third]) s.edge.last.deliver(frame);
  await s.is('waiting');
  await s.retried();
  s.edge.last.accept();
  await s.is('connected');
  s.edge.last.push('after', 1);
  await until(() => s.told.messages.length === 2);
  assert.deepEqual(s.told.messages.map(({ event }) => event), ['first', 'after']);
});

test('an edge whose stream breaks each time is met with growing distance', async () => {
  const { s } = await midStream();
  for (const wait of [250, 500, 1000, 2000]) {
    s.edge.last.deliver('x');
    await s.is('waiting');
    assert.equal(s.signal.state.retryAt - s.clock.now(), wait);
    await s.retried();
    s.edge.last.accept();
    await s.is('connected');
  }
});

test('what opens but is no message is dropped alone: only the edge can have sealed it', async () => {
  const s = scene();
  await s.connected();
  for (const text of ['', '[]', '{"event":1}', '{"event":"connected"}']) s.edge.last.deliver(s.edge.last.side.seal(text));
  s.edge.last.push('good', 1);
  await until(() => s.told.messages.length === 1);
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), Array(4).fill('malformed-frame'));
  assert.deepEqual([s.signal.state.name, s.told.resyncs], ['connected', []]);
});

test('a frame that does not open is shown to an inspector for what it is', async () => {
  const { s } = await midStream();
  const frames = [];
  s.signal.on('frame', (frame) => frames.push(frame));
  s.edge.last.deliver(new ArrayBuffer(20));
  await s.is('waiting');
  const [{ sealed, encoding, size, counter, plaintext, event }] = frames;
  assert.deepEqual({ sealed, encoding, size, counter, plaintext, event }, { sealed: true, encoding: 'binary', size: 20, counter: 1, plaintext: undefined, event: undefined });
});

/** Ends TLS on both sides, swaps the keys, and reads along. Stands where a socket expects the edge. */
class Middle {
  protocol = 2;
  read = [];
  /** What the edge behind made of each frame that was passed on. */
  passed = [];
  #edge;
  #front = new EdgeSide();
  #back;

  constructor(identity) { this.#edge = new EdgeSide({ identity }); }

  /** What the client is told: the edge's own words but for the key. */
  async accept(authenticate) {
    const agreement = await KeyAgreement.generate();
    const { data } = this.#edge.accept({ ...authenticate, publicKey: agreement.publicKey });
    this.#back = (await completeHandshake({ agreement, protocol: 2 }, parseConnected(data))).channel;
    const { id, salt, keyId, signature } = data;
    return this.#front.accept(authenticate, { id, keyId, signature }, Buffer.from(salt, 'base64'));
  }

  open(frame) {
    const message = this.#front.open(frame);
    this.read.push(message);
    void this.#back.seal(JSON.stringify(message)).then(({ data }) => this.passed.push(this.#edge.open(data)));
    return message;
  }
}

test('a man in the middle who swaps the keys reads along, unnoticed by a client without a pin', async () => {
  const identity = identityKey();
  const s = scene();
  await s.authenticating();
  const middle = new Middle(identity);
  s.edge.last.side = middle;
  s.edge.last.say(await middle.accept(s.edge.last.authenticate));
  await s.is('connected');
  assert.deepEqual(s.signal.state.negotiated.identity, { verified: false, claimedKeyId: identity.keyId });
  s.signal.send('secret', 1);
  await until(() => middle.passed.length === 1);
  assert.deepEqual([middle.read, middle.passed], [[{ event: 'secret', data: 1 }], [{ event: 'secret', data: 1 }]]);
});

test('the same man in the middle is refused by a client with a pin before it sends anything', async () => {
  const identity = identityKey();
  const s = scene({ pin: { keys: [identity.jwk] }, edge: { identity } });
  s.signal.join(['orders']);
  await s.authenticating();
  s.edge.last.say(await new Middle(identity).accept(s.edge.last.authenticate));
  await s.is('waiting');
  assert.deepEqual(s.told.errors.map(({ kind }) => kind), ['identity']);
  assert.deepEqual([s.edge.last.frames.length, s.edge.last.closed.code], [1, 4006]);
  assert.ok(!s.names().includes('connected'));
  // The edge itself, on the next try.
  await s.retried();
  s.edge.last.accept();
  await s.is('connected');
  assert.deepEqual(s.signal.state.negotiated.identity, { verified: true, keyId: identity.keyId });
  await until(() => s.edge.last.sentEvents('join').length === 1);
});

const refusals = {
  'another key than the pinned one': { edge: { identity: identityKey() } },
  'no identity': { edge: {} },
  'no protocol 2': { edge: { speaks: 1 } },
};

for (const [what, options] of Object.entries(refusals)) {
  test(`an edge with ${what} is refused, and tried again with growing distance`, async () => {
    const s = scene({ pin: identityKey().jwk, ...options });
    await s.authenticating();
    for (const wait of [250, 500, 1000]) {
      s.edge.last.accept();
      await s.is('waiting');
      assert.equal(s.signal.state.retryAt - s.clock.now(), wait);
      assert.deepEqual([s.edge.last.frames.length, s.edge.last.closed.code, s.told.errors.at(-1).kind], [1, 4006, 'identity']);
      await s.retried();
    }
    assert.ok(!s.names().includes('connected'));
  });
}

test('protocol 1 can be asked for, and an edge that answers in 2 all the same is refused', async () => {
  const s = scene({ protocol: 1 });
  await s.authenticating();
  assert.ok(!('protocol' in s.edge.last.authenticate));
  s.edge.last.accept();
  await s.is('connected');
  assert.equal(s.signal.state.negotiated.protocol, 1);
  const t = scene({ protocol: 1 });
  await t.authenticating();
  t.edge.last.say(new EdgeSide().accept({ ...t.edge.last.authenticate, protocol: 2 }));
  await t.is('waiting');
  assert.deepEqual(t.told.errors.map(({ kind }) => kind), ['handshake']);
});

test('an edge that does not know protocol 2 is spoken to in 1', async () => {
  const s = scene({ edge: { speaks: 1 } });
  await s.authenticating();
  assert.equal(s.edge.last.authenticate.protocol, 2);
  s.edge.last.accept();
  await s.is('connected');
  assert.deepEqual([s.signal.state.negotiated.protocol, s.signal.state.negotiated.identity], [1, { verified: false }]);
});

test('a pin that no edge can ever meet is refused at once, before a token is asked for', async () => {
  const { jwk } = identityKey();
  const make = (options) => new SignalClient({ url: URL, token: 't', ...options });
  assert.throws(() => make({ pin: jwk, protocol: 1 }), TypeError);
  assert.throws(() => make({ pin: [] }), TypeError);
  let asked = 0;
  const s = scene({ pin: { ...jwk, y: jwk.x }, token: () => { asked += 1; return 't'; } });
  s.signal.connect();
  await s.is('closed');
  assert.deepEqual([s.told.errors.map(({ kind }) => kind), asked, s.edge.sockets.length], [['identity'], 0, 0]);
});
