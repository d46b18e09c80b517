import { SignalError } from '../errors.js';
import { CIPHER, deriveCipherKey, NONCE_BYTES } from '../seal.js';

const utf8 = new TextEncoder();
const LABEL = utf8.encode('signal-v2');

/** What both ends saw of the handshake, in the bytes that the transcript covers. */
export interface Seen {
  readonly clientPublicKey: Uint8Array;
  readonly serverPublicKey: Uint8Array;
  readonly salt: Uint8Array;
  /** 16 bytes. */
  readonly clientId: Uint8Array;
}

/** SHA-256 over the handshake: what the keys are bound to and the edge's identity key signs. */
export async function transcriptOf({ clientPublicKey, serverPublicKey, salt, clientId }: Seen): Promise<Uint8Array<ArrayBuffer>> {
  const seen = joined(LABEL, clientPublicKey, serverPublicKey, salt, clientId);
  return new Uint8Array(await crypto.subtle.digest('SHA-256', seen));
}

/** A key that serves one direction only: a frame that is sent back to its sender opens nowhere. */
export function directionKey(
  secret: CryptoKey,
  salt: Uint8Array<ArrayBuffer>,
  transcript: Uint8Array,
  direction: 'client->server' | 'server->client',
): Promise<CryptoKey> {
  const info = joined(utf8.encode(`signal-v2 ${direction}`), transcript);
  return deriveCipherKey(secret, salt, info, [direction === 'client->server' ? 'encrypt' : 'decrypt']);
}

/** Numbers the frames of one direction from 0. The number is the nonce and never crosses the wire. */
export class FrameCounter {
  #next: bigint;

  constructor(next = 0n) {
    this.#next = next;
  }

  /** Throws `handshake` after 2^64 frames rather than use a nonce twice. */
  take(): { readonly counter: number; readonly nonce: Uint8Array<ArrayBuffer> } {
    if (this.#next >= 1n << 64n) throw new SignalError('handshake', 'The nonces of this connection are used up');
    const nonce = new Uint8Array(NONCE_BYTES);
    new DataView(nonce.buffer).setBigUint64(4, this.#next);
    const counter = Number(this.#next);
    this.#next += 1n;
    return { counter, nonce };
  }
}

export class Sealer {
  readonly #key: CryptoKey;
  readonly #frames: FrameCounter;

  constructor(key: CryptoKey, frames = new FrameCounter()) {
    this.#key = key;
    this.#frames = frames;
  }

  /** The counter is taken before anything is awaited: frames have to leave in the order of the calls. */
  async seal(plaintext: string): Promise<{ readonly counter: number; readonly frame: ArrayBuffer }> {
    const { counter, nonce: iv } = this.#frames.take();
    return { counter, frame: await crypto.subtle.encrypt({ name: CIPHER, iv }, this.#key, utf8.encode(plaintext)) };
  }
}

export class Opener {
  readonly #key: CryptoKey;
  readonly #frames: FrameCounter;

  constructor(key: CryptoKey, frames = new FrameCounter()) {
    this.#key = key;
    this.#frames = frames;
  }

  /** Which frame this has to be is settled by the call; one that does not open is `violation`, and the end. */
  open(frame: ArrayBuffer): { readonly counter: number; readonly plaintext: Promise<ArrayBuffer> } {
    const { counter, nonce: iv } = this.#frames.take();
    const plaintext = crypto.subtle.decrypt({ name: CIPHER, iv }, this.#key, frame).catch(() => {
      throw new SignalError('violation', 'A frame is not the next one that the edge sealed');
    });
    return { counter, plaintext };
  }
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
