import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeBase64, encodeBase64 } from '../dist/base64.js';
import { parseConnected } from '../dist/protocol.js';
import { KeyAgreement } from '../dist/seal.js';
import { Cipher, IvSequence } from '../dist/seal/v1.js';
import { agreementOf, vectorsOf } from './vectors.mjs';

const vectors = vectorsOf('ignis');

/** Hands out the IVs of the vectors, in order. */
const ivsOf = (ivs) => ({ next: () => decodeBase64(ivs.shift()) });

assert.ok(vectors.handshake.length > 0);
for (const [index, vector] of vectors.handshake.entries()) {
  for (const side of ['client', 'server']) {
    test(`handshake ${index} from the ${side}'s keys opens and seals the recorded bytes`, async () => {
      const peer = side === 'client' ? 'server' : 'client';
      const agreement = await agreementOf(vector[`${side}PrivateKeyHex`], vector[`${side}PublicKey`]);
      const ivs = ivsOf(vector.messages.map(({ iv }) => iv));
      const secret = await agreement.agree(decodeBase64(vector[`${peer}PublicKey`]));
      const cipher = await Cipher.derive(secret, decodeBase64(vector.salt), ivs);
      assert.ok(vector.messages.length > 0);
      for (const { plaintext, iv, ct } of vector.messages) {
        assert.equal(await cipher.open(decodeBase64(iv), decodeBase64(ct)), plaintext);
        assert.deepEqual(await cipher.seal(plaintext), { iv, ct });
      }
    });
  }
}

assert.ok(vectors.rejectedPublicKeys.length > 0);
for (const { publicKey } of vectors.rejectedPublicKeys) {
  test(`public key ${JSON.stringify(publicKey.slice(0, 16))} of ${publicKey.length} characters is refused`, async () => {
    const { salt } = vectors.handshake[0];
    const agreement = await KeyAgreement.generate();
    await assert.rejects(async () => {
      const connected = parseConnected({ id: 'c', userId: 'u', time: 't', serverPublicKey: publicKey, salt });
      await agreement.agree(connected.serverPublicKey);
    }, { name: 'SignalError' });
  });
}

test('a point off the curve and a compressed point are refused', async () => {
  const agreement = await KeyAgreement.generate();
  const good = decodeBase64((await KeyAgreement.generate()).publicKey);
  const off = Uint8Array.from(good, (byte, i) => (i === 64 ? byte ^ 1 : byte));
  const compressed = Uint8Array.from([2, ...good.subarray(1, 33)]);
  await assert.rejects(agreement.agree(off), { kind: 'handshake' });
  await assert.rejects(agreement.agree(compressed), { kind: 'handshake' });
});

async function pair() {
  const [one, other] = [await KeyAgreement.generate(), await KeyAgreement.generate()];
  const salt = crypto.getRandomValues(new Uint8Array(32));
  return [
    await Cipher.derive(await one.agree(decodeBase64(other.publicKey)), salt, new IvSequence(7)),
    await Cipher.derive(await other.agree(decodeBase64(one.publicKey)), salt, new IvSequence(7)),
  ];
}

test('every changed bit of a sealed text is noticed', async () => {
  const [one, other] = await pair();
  const sealed = await one.seal('{"event":"x"}');
  const ct = decodeBase64(sealed.ct);
  for (let bit = 0; bit < ct.length * 8; bit += 1) {
    const changed = Uint8Array.from(ct, (byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
    await assert.rejects(other.open(decodeBase64(sealed.iv), changed), { kind: 'undecryptable' });
  }
  assert.equal(await other.open(decodeBase64(sealed.iv), ct), '{"event":"x"}');
});

test('texts of every length up to a block and of a million characters come back', async () => {
  const [one, other] = await pair();
  const texts = [...Array(34).keys()].map((n) => 'ả'.repeat(n)).concat('é'.repeat(1_000_000), '\uFEFFkept');
  for (const text of texts) {
    const { iv, ct } = await one.seal(text);
    assert.equal(await other.open(decodeBase64(iv), decodeBase64(ct)), text);
  }
});

test('plaintext that is not UTF-8 does not pass', async () => {
  const key = await crypto.subtle.generateKey({ name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
  const iv = new Uint8Array(12);
  const ct = await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, Uint8Array.of(0x22, 0xff, 0x22));
  await assert.rejects(new Cipher(key, new IvSequence(1)).open(iv, new Uint8Array(ct)), { kind: 'undecryptable' });
});

test('IVs never repeat and stay in the half of the client', async () => {
  const [cipher] = await pair();
  const sealed = await Promise.all([...Array(1000).keys()].map((n) => cipher.seal(`${n}`)));
  assert.equal(new Set(sealed.map(({ iv }) => iv)).size, 1000);
  for (const random of [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]) {
    assert.equal(Buffer.from(new IvSequence(random).next()).toString('hex'), `${((random | 0x80000000) >>> 0).toString(16)}${'0'.repeat(16)}`);
  }
});

test('the last IV is used and then sealing stops rather than start over', () => {
  const ivs = new IvSequence(0xffffffff, (1n << 64n) - 1n);
  assert.equal(Buffer.from(ivs.next()).toString('hex'), 'f'.repeat(24));
  assert.throws(() => ivs.next(), { kind: 'handshake' });
});

test('base64 has one spelling for every byte string', () => {
  for (let length = 0; length < 70; length += 1) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    const text = Buffer.from(bytes).toString('base64');
    assert.equal(encodeBase64(bytes), text);
    assert.deepEqual(decodeBase64(text), bytes);
  }
  for (const text of ['A', 'AA', 'AAA', 'AA=', 'AA===', 'AAAA=', ' AAAA', 'AA AA', 'AAAA\n', 'AB==', 'AAB=', 'A_-A', '====', 'ÄAAA']) {
    assert.equal(decodeBase64(text), undefined, text);
  }
});
