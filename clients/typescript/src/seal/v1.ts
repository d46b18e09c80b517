import { encodeBase64 } from '../base64.js';
import { SignalError } from '../errors.js';
import { CIPHER, deriveCipherKey, NONCE_BYTES } from '../seal.js';

const INFO = new TextEncoder().encode('ignis-ecdh-p256-aes-256-gcm-v1');

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
  readonly #view = new DataView(new ArrayBuffer(NONCE_BYTES));
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

/** One connection's key, for both directions. */
export class Cipher {
  readonly #key: CryptoKey;
  readonly #ivs: IvSequence;

  constructor(key: CryptoKey, ivs: IvSequence) {
    this.#key = key;
    this.#ivs = ivs;
  }

  static async derive(secret: CryptoKey, salt: Uint8Array<ArrayBuffer>, ivs: IvSequence): Promise<Cipher> {
    return new Cipher(await deriveCipherKey(secret, salt, INFO, ['encrypt', 'decrypt']), ivs);
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
