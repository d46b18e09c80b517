// Reads what tests/vectors records.
import { readFileSync } from 'node:fs';
import { KeyAgreement } from '../dist/seal.js';

export const vectorsOf = (name) => JSON.parse(readFileSync(new URL(`../../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));

const base64url = (bytes) => Buffer.from(bytes).toString('base64url');

/** A key pair from the vectors; WebCrypto takes private keys as JWK only. */
export async function agreementOf(privateKeyHex, publicKey) {
  const point = Buffer.from(publicKey, 'base64');
  const jwk = { kty: 'EC', crv: 'P-256', x: base64url(point.subarray(1, 33)), y: base64url(point.subarray(33)), d: base64url(Buffer.from(privateKeyHex, 'hex')) };
  const key = await crypto.subtle.importKey('jwk', jwk, { name: 'ECDH', namedCurve: 'P-256' }, false, ['deriveBits']);
  return new KeyAgreement(publicKey, key);
}
