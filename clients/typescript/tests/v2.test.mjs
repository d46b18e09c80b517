import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64 } from '../dist/base64.js';
import { completeHandshake } from '../dist/handshake.js';
import { Pins } from '../dist/identity.js';
import { parseConnected } from '../dist/protocol.js';
import { directionKey, FrameCounter, Opener, Sealer, transcriptOf } from '../dist/seal/v2.js';
import { arrayBuffer } from './edge.mjs';
import { agreementOf, vectorsOf } from './vectors.mjs';

const { identity, anotherIdentity, handshakes } = vectorsOf('v2');

const hex = (bytes) => Buffer.from(bytes).toString('hex');
const bytesOf = (base64) => arrayBuffer(Buffer.from(base64, 'base64'));
const text = (bytes) => Buffer.from(bytes).toString('utf8');

const seenOf = (vector) => ({
  clientPublicKey: decodeBase64(vector.clientPublicKey), serverPublicKey: decodeBase64(vector.serverPublicKey),
  salt: decodeBase64(vector.salt), clientId: Buffer.from(vector.clientId.replaceAll('-', ''), 'hex'),
});

const offerOf = async (vector, pin) => ({
  agreement: await agreementOf(vector.clientPrivateKeyHex, vector.clientPublicKey), protocol: 2, pins: pin && new Pins(pin),
});

const connectedOf = ({ clientId: id, serverPublicKey, salt, signature }, override = {}) => parseConnected({
  id, userId: 'u', time: 't', serverPublicKey, salt, protocol: 2, keyId: identity.keyId, signature, ...override,
});

assert.ok(handshakes.length > 0);
for (const [index, vector] of handshakes.entries()) {
  const frames = (direction) => vector.frames.filter((frame) => frame.direction === direction);

  test(`vector ${index}: the transcript is the recorded one`, async () => {
    assert.equal(hex(await transcriptOf(seenOf(vector))), vector.transcriptHex);
  });

  test(`vector ${index}: both directions seal and open the recorded frames, whatever their number`, async () => {
    const { agreement } = await offerOf(vector);
    const secret = await agreement.agree(decodeBase64(vector.serverPublicKey));
    const [salt, transcript] = [decodeBase64(vector.salt), Buffer.from(vector.transcriptHex, 'hex')];
    const out = await directionKey(secret, salt, transcript, 'client->server');
    const back = await directionKey(secret, salt, transcript, 'server->client');
    assert.deepEqual([out, back].map(({ usages, extractable }) => [...usages, extractable]), [['encrypt', false], ['decrypt', false]]);
    assert.ok(frames('client->server').length > 0 && frames('server->client').length > 0);
    for (const { counter, plaintext, frame } of frames('client->server')) {
      const sealed = await new Sealer(out, new FrameCounter(BigInt(counter))).seal(plaintext);
      assert.deepEqual([Buffer.from(sealed.frame).toString('base64'), sealed.counter], [frame, counter]);
    }
    for (const { counter, plaintext, frame } of frames('server->client')) {
      const opened = new Opener(back, new FrameCounter(BigInt(counter))).open(bytesOf(frame));
      assert.deepEqual([text(await opened.plaintext), opened.counter], [plaintext, counter]);
    }
  });

  test(`vector ${index}: a whole handshake, pinned, opens and seals the frames from 0`, async () => {
    const { channel, identity: proven } = await completeHandshake(await offerOf(vector, identity.jwk), connectedOf(vector));
    assert.deepEqual([channel.protocol, proven], [2, { verified: true, keyId: identity.keyId }]);
    for (const { plaintext, frame } of frames('client->server')) {
      assert.equal(Buffer.from((await channel.seal(plaintext)).data).toString('base64'), frame);
    }
    for (const { plaintext, frame } of frames('server->client').slice(0, 3)) {
      assert.equal(await channel.open(bytesOf(frame)).plaintext, plaintext);
    }
  });
}

const [vector, anotherVector] = handshakes;
const refusedAs = (kind, offer, connected) => assert.rejects(completeHandshake(offer, connected), { name: 'SignalError', kind });

test('any pinned key will do, given alone, in a list, in a set, and by whatever name', async () => {
  const strange = { kty: 'RSA', n: 'AQAB', e: 'AQAB' };
  for (const pin of [identity.jwk, [anotherIdentity.jwk, identity.jwk], { keys: [strange, anotherIdentity.jwk, identity.jwk] }, { ...identity.jwk, kid: 'a name of ours' }]) {
    const { identity: proven } = await completeHandshake(await offerOf(vector, pin), connectedOf(vector));
    assert.deepEqual(proven, { verified: true, keyId: identity.keyId });
  }
});

test('a proof that is missing, strange, cut, changed or of another handshake or key is refused', async () => {
  const flipped = Buffer.from(vector.signature, 'base64');
  flipped[40] ^= 1;
  const wrong = [
    { keyId: undefined }, { signature: undefined }, { keyId: 7 }, { signature: {} }, { signature: '' }, { keyId: anotherIdentity.keyId },
    { signature: flipped.toString('base64') }, { signature: anotherVector.signature }, { signature: vector.signature.slice(0, -1) },
    { signature: vector.signature.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '') }, { signature: Buffer.alloc(64).toString('base64') },
    { signature: Buffer.from(vector.signature, 'base64').subarray(0, 63).toString('base64') },
    { id: anotherVector.clientId }, { salt: anotherVector.salt }, { serverPublicKey: anotherVector.serverPublicKey },
  ];
  for (const override of wrong) await refusedAs('identity', await offerOf(vector, identity.jwk), connectedOf(vector, override));
  await refusedAs('identity', await offerOf(vector, anotherIdentity.jwk), connectedOf(vector));
});

test('without a pin a key id is a claim, and a strange proof is nobody’s business', async () => {
  const unpinned = await completeHandshake(await offerOf(vector), connectedOf(vector, { signature: 'nonsense' }));
  assert.deepEqual(unpinned.identity, { verified: false, claimedKeyId: identity.keyId });
  const silent = await completeHandshake(await offerOf(vector), connectedOf(vector, { keyId: 7 }));
  assert.deepEqual(silent.identity, { verified: false });
});

test('a downgrade is refused with a pin and taken without', async () => {
  const asV1 = connectedOf(vector, { protocol: undefined });
  await refusedAs('identity', await offerOf(vector, identity.jwk), asV1);
  const { channel, identity: proven } = await completeHandshake(await offerOf(vector), asV1);
  assert.deepEqual([channel.protocol, proven], [1, { verified: false }]);
});

test('an edge cannot choose what was not asked for, nor a client id that is no UUID', async () => {
  await refusedAs('handshake', { ...(await offerOf(vector)), protocol: 1 }, connectedOf(vector));
  for (const id of ['client-1', vector.clientId.slice(1), `${vector.clientId}0`, vector.clientId.replaceAll('-', '')]) {
    await refusedAs('handshake', await offerOf(vector), connectedOf(vector, { id }));
  }
  for (const protocol of [0, 3, '2', null, true]) assert.throws(() => connectedOf(vector, { protocol }), { kind: 'malformed-frame' });
});

test('every changed bit of a frame is noticed', async () => {
  const [{ frame }] = vector.frames.filter(({ direction, counter }) => direction === 'server->client' && counter === 1);
  const { agreement } = await offerOf(vector);
  const secret = await agreement.agree(decodeBase64(vector.serverPublicKey));
  const key = await directionKey(secret, decodeBase64(vector.salt), Buffer.from(vector.transcriptHex, 'hex'), 'server->client');
  const open = (bytes) => new Opener(key, new FrameCounter(1n)).open(bytes).plaintext;
  const bytes = Buffer.from(frame, 'base64');
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = bytes.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    await assert.rejects(open(arrayBuffer(changed)), { kind: 'violation' });
  }
  for (let length = 0; length < bytes.length; length += 1) await assert.rejects(open(arrayBuffer(bytes.subarray(0, length))), { kind: 'violation' });
  assert.equal(text(await open(arrayBuffer(bytes))), '{"event":"x"}');
});

test('the last nonce is used and then sealing stops rather than start over', () => {
  const frames = new FrameCounter((1n << 64n) - 1n);
  assert.equal(hex(frames.take().nonce), `00000000${'f'.repeat(16)}`);
  assert.throws(() => frames.take(), { kind: 'handshake' });
});

test('what cannot be a pin is refused where it is given', () => {
  const { x, y } = identity.jwk;
  const wrong = [
    [], { keys: [] }, {}, null, 'key', 7, [identity.jwk, null], { kty: 'RSA' }, { keys: [{ kty: 'RSA' }] }, { ...identity.jwk, crv: 'P-384' },
    { ...identity.jwk, x: undefined }, { ...identity.jwk, y: y.slice(1) }, { ...identity.jwk, x: `${x}A` }, { ...identity.jwk, x: x.replace(/^./, '+') },
    { ...identity.jwk, d: x },
  ];
  for (const pin of wrong) assert.throws(() => new Pins(pin), TypeError, JSON.stringify(pin));
});
