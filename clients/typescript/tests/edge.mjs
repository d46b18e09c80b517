// The edge's half of a connection, in protocol 1 or 2. Its cryptography is Node's own, not the
// client's, so that the two check each other. Knows no socket: tests put it behind one.
import {
  createCipheriv, createDecipheriv, createECDH, createHash, createPrivateKey, generateKeyPairSync, hkdfSync, randomBytes,
  randomUUID, sign,
} from 'node:crypto';

const IV = 12;
const TAG = 16;

const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts)).digest();

function seal(key, nonce, plaintext) {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  return Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()]);
}

function open(key, nonce, sealed) {
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAuthTag(sealed.subarray(-TAG));
  return Buffer.concat([decipher.update(sealed.subarray(0, -TAG)), decipher.final()]).toString('utf8');
}

/** The nonce of v2: four zero bytes and the number of the frame. */
function nonceOf(counter) {
  const nonce = Buffer.alloc(IV);
  nonce.writeBigUInt64BE(BigInt(counter), 4);
  return nonce;
}

/** Its own bytes: Node's small buffers share one allocation. */
export const arrayBuffer = (bytes) => Uint8Array.from(bytes).buffer;

/** An identity key and what a client pins of it. */
export function identityKey({ privateKeyPem } = {}) {
  const key = privateKeyPem === undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey : createPrivateKey(privateKeyPem);
  const { x, y } = key.export({ format: 'jwk' });
  const keyId = sha256(Buffer.from(JSON.stringify({ crv: 'P-256', kty: 'EC', x, y }))).toString('base64url');
  return { key, keyId, jwk: { kty: 'EC', crv: 'P-256', x, y, kid: keyId, use: 'sig', alg: 'ES256' } };
}

/** One connection. `speaks` is the highest protocol that this edge knows. */
export class EdgeSide {
  #speaks;
  #identity;
  #ivPrefix = randomBytes(4);
  #sent = 0;
  #received = 0;
  #keys;
  /** IVs of v1 frames from the client. */
  ivs = [];

  constructor({ speaks = 2, identity } = {}) {
    this.#speaks = speaks;
    this.#identity = identity;
    // The edge's half of the IVs: the first bit is 0.
    this.#ivPrefix[0] &= 0x7f;
  }

  /** The message that accepts; `forged` replaces what the wire shows. */
  accept({ publicKey, protocol }, { id = randomUUID(), userId = 'user-9', ...forged } = {}, salt = randomBytes(32)) {
    const ecdh = createECDH('prime256v1');
    ecdh.generateKeys();
    const clientKey = Buffer.from(publicKey, 'base64');
    const secret = ecdh.computeSecret(clientKey);
    const derive = (info) => Buffer.from(hkdfSync('sha256', secret, salt, info, 32));
    const data = {
      id, userId, time: '2026-11-23T08:00:00.000Z', serverPublicKey: ecdh.getPublicKey('base64'), salt: salt.toString('base64'),
    };
    this.protocol = Math.min(this.#speaks, protocol ?? 1);
    if (this.protocol === 1) {
      const both = derive('ignis-ecdh-p256-aes-256-gcm-v1');
      this.#keys = { in: both, out: both };
    } else {
      const transcript = sha256(Buffer.from('signal-v2'), clientKey, ecdh.getPublicKey(), salt, Buffer.from(id.replaceAll('-', ''), 'hex'));
      const key = (direction) => derive(Buffer.concat([Buffer.from(`signal-v2 ${direction}`), transcript]));
      this.#keys = { in: key('client->server'), out: key('server->client') };
      data.protocol = 2;
      if (this.#identity !== undefined) {
        data.keyId = this.#identity.keyId;
        data.signature = sign('sha256', transcript, { key: this.#identity.key, dsaEncoding: 'ieee-p1363' }).toString('base64');
      }
    }
    return { event: 'connected', data: { ...data, ...forged } };
  }

  /** A frame that holds the text, as it crosses the socket. */
  seal(plaintext) {
    if (this.protocol === 2) return arrayBuffer(seal(this.#keys.out, nonceOf(this.#sent++), plaintext));
    return JSON.stringify({ event: 'encrypted', data: this.sealText(plaintext) });
  }

  /** What a v1 envelope carries. */
  sealText(plaintext) {
    const iv = nonceOf(this.#sent++);
    this.#ivPrefix.copy(iv);
    return { iv: iv.toString('base64'), ct: seal(this.#keys.out, iv, plaintext).toString('base64') };
  }

  /** The message of a frame from the client; throws when it is not the next one. */
  open(frame) {
    if (this.protocol === 2) return JSON.parse(open(this.#keys.in, nonceOf(this.#received++), Buffer.from(frame)));
    const { event, data } = JSON.parse(frame);
    if (event !== 'encrypted') return { event, data };
    this.ivs.push(data.iv);
    return JSON.parse(open(this.#keys.in, Buffer.from(data.iv, 'base64'), Buffer.from(data.ct, 'base64')));
  }
}
