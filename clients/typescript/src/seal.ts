import { encodeBase64 } from './base64.js';
import { SignalError } from './errors.js';

export const PUBLIC_KEY_BYTES = 65;
export const SALT_BYTES = 32;
export const IV_BYTES = 12;
export const TAG_BYTES = 16;

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;
const CIPHER = 'AES-GCM';
const INFO = new TextEncoder().encode('ignis-ecdh-p256-aes-256-gcm-v1');

/** What a connection negotiated, in the words of the standards. */
export const SUITE = {
  keyAgreement: 'ECDH P-256',
  keyDerivation: 'HKDF-SHA-256',
  cipher: 'AES-256-GCM',
} as const;

export interface SealedText {
  readonly iv: string;
  readonly ct: string;
}

/**
 * 12-byte IVs that never repeat (NIST SP 800-38D, 8.2.1): a prefix of one bit for the side and 31
 * random bits, then a 64-bit counter. Both ends seal under one key in protocol v1, so each keeps to
 * its own half: the edge's first bit is 0, the client's is 1.
 */
export class IvSequence {
  readonly #view = new DataView(new ArrayBuffer(IV_BYTES));
  #next: bigint;

  constructor(random: number, next = 0n) {
    this.#view.setUint32(0, random | 0x80000000);
    this.#next = next;
  }

  next(): Uint8Array<ArrayBuffer> {
    if (this.#next >= 1n << 64n) throw new SignalError('handshake', 'The IVs of this connection are used up');
    this.#view.setBigUint64(4, this.#next);
    this.#next += 1n;
    return new Uint8Array(this.#view.buffer.slice(0));
  }
}

/** One connection's key; cannot be exported. */
export class Cipher {
  readonly #key: CryptoKey;
  readonly #ivs: IvSequence;

  constructor(key: CryptoKey, ivs: IvSequence) {
    this.#key = key;
    this.#ivs = ivs;
  }

  /** The IV is taken before anything is awaited, so concurrent calls never share one. */
  async seal(plaintext: string): Promise<SealedText> {
    const iv = this.#ivs.next();
    const ct = await crypto.subtle.encrypt({ name: CIPHER, iv }, this.#key, new TextEncoder().encode(plaintext));
    return { iv: encodeBase64(iv), ct: encodeBase64(new Uint8Array(ct)) };
  }

  async open(iv: Uint8Array<ArrayBuffer>, ct: Uint8Array<ArrayBuffer>): Promise<string> {
    try {
      const plaintext = await crypto.subtle.decrypt({ name: CIPHER, iv }, this.#key, ct);
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(plaintext);
    } catch {
      throw new SignalError('undecryptable', 'A sealed frame does not open under the key of this connection');
    }
  }
}

/** This end's half of one key agreement. Made for one connection and used once. */
export class KeyAgreement {
  /** The raw uncompressed point in padded base64, as `authenticate` carries it. */
  readonly publicKey: string;
  readonly #privateKey: CryptoKey;

  constructor(publicKey: string, privateKey: CryptoKey) {
    this.publicKey = publicKey;
    this.#privateKey = privateKey;
  }

  static async generate(): Promise<KeyAgreement> {
    const pair = await crypto.subtle.generateKey(CURVE, false, ['deriveBits']);
    const point = await crypto.subtle.exportKey('raw', pair.publicKey);
    return new KeyAgreement(encodeBase64(new Uint8Array(point)), pair.privateKey);
  }

  /** Throws `handshake` when the peer's key is not a point of the curve. */
  async agree(peerPublicKey: Uint8Array<ArrayBuffer>, salt: Uint8Array<ArrayBuffer>, ivs: IvSequence): Promise<Cipher> {
    const secret = await this.#sharedSecret(peerPublicKey);
    try {
      const material = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
      const derivation = { name: 'HKDF', hash: 'SHA-256', salt, info: INFO };
      const shape = { name: CIPHER, length: 256 };
      const key = await crypto.subtle.deriveKey(derivation, material, shape, false, ['encrypt', 'decrypt']);
      return new Cipher(key, ivs);
    } finally {
      new Uint8Array(secret).fill(0);
    }
  }

  async #sharedSecret(peerPublicKey: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
    try {
      // A compressed point is a valid raw key to WebCrypto but not to the protocol.
      if (peerPublicKey.length !== PUBLIC_KEY_BYTES || peerPublicKey[0] !== 4) throw new RangeError('not an uncompressed point');
      const peer = await crypto.subtle.importKey('raw', peerPublicKey, CURVE, false, []);
      return await crypto.subtle.deriveBits({ name: 'ECDH', public: peer }, this.#privateKey, 256);
    } catch {
      throw new SignalError('handshake', 'The public key of the edge is not a point of P-256');
    }
  }
}
