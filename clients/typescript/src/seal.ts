import { encodeBase64 } from './base64.js';
import { SignalError } from './errors.js';

export const PUBLIC_KEY_BYTES = 65;
export const SALT_BYTES = 32;
export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;
export const CIPHER = 'AES-GCM';

/** What a connection negotiated, in the words of the standards; the same in both protocols. */
export const SUITE = {
  keyAgreement: 'ECDH P-256',
  keyDerivation: 'HKDF-SHA-256',
  cipher: 'AES-256-GCM',
} as const;

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

  /** What keys are derived from. Throws `handshake` when the peer's key is not a point of the curve. */
  async agree(peerPublicKey: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
    const secret = await this.#sharedSecret(peerPublicKey);
    try {
      return await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveKey']);
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

/** An AES-256-GCM key that cannot be exported. */
export function deriveCipherKey(
  secret: CryptoKey,
  salt: Uint8Array<ArrayBuffer>,
  info: Uint8Array<ArrayBuffer>,
  usages: readonly ('encrypt' | 'decrypt')[],
): Promise<CryptoKey> {
  const derivation = { name: 'HKDF', hash: 'SHA-256', salt, info };
  return crypto.subtle.deriveKey(derivation, secret, { name: CIPHER, length: 256 }, false, [...usages]);
}
