import { SignalError } from './errors.js';
import { type Message, parseEnvelope, parseMessage, type Protocol } from './protocol.js';
import { TAG_BYTES } from './seal.js';
import type { Cipher } from './seal/v1.js';
import type { Opener, Sealer } from './seal/v2.js';

/** As it crosses the socket. */
export type WireData = string | ArrayBuffer;

/** What an inspector can say of a sealed frame without opening it. */
export interface FrameMarks {
  /** v1: base64, and part of the frame. */
  readonly iv?: string;
  /** v2: the frame's number in its direction, which is its nonce and not part of the frame. */
  readonly counter?: number;
}

export interface SealedFrame {
  readonly data: WireData;
  readonly marks: FrameMarks;
}

export interface ArrivedFrame {
  readonly marks: FrameMarks;
  /** Settles once; rejects with what is wrong with the frame. */
  readonly plaintext: Promise<string>;
}

/**
 * Sealed texts in both directions. Calls have to be made in the order of the frames. An error of
 * kind `violation` is the end of the channel; after any other the next frame is good again.
 */
export interface Channel {
  readonly protocol: Protocol;
  /** Bytes of a frame that seals that many bytes; rounded up. */
  frameSize(plaintextBytes: number): number;
  seal(plaintext: string): Promise<SealedFrame>;
  /** Throws when it is no sealed frame at all. */
  open(data: WireData): ArrivedFrame;
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Before `connected`, and in v1 for good, a binary frame is text all the same. */
export function textOf(data: WireData): string {
  if (typeof data === 'string') return data;
  try {
    return strictUtf8.decode(data);
  } catch {
    throw new SignalError('malformed-frame', 'A frame is not UTF-8');
  }
}

// Names, quotes, the IV and the tag around a ciphertext of v1, rounded up.
const ENVELOPE_OVERHEAD = 128;

/** JSON envelopes in text frames. */
export class EnvelopeChannel implements Channel {
  readonly protocol = 1;
  readonly #cipher: Cipher;

  constructor(cipher: Cipher) {
    this.#cipher = cipher;
  }

  frameSize(plaintextBytes: number): number {
    return Math.ceil(plaintextBytes / 3) * 4 + ENVELOPE_OVERHEAD;
  }

  async seal(plaintext: string): Promise<SealedFrame> {
    const sealed = await this.#cipher.seal(plaintext);
    const envelope: Message = { event: 'encrypted', data: sealed };
    return { data: JSON.stringify(envelope), marks: { iv: sealed.iv } };
  }

  open(data: WireData): ArrivedFrame {
    const outer = parseMessage(textOf(data));
    // Whoever can put plaintext into the stream is not the edge that holds the key.
    if (outer.event !== 'encrypted') throw new SignalError('malformed-frame', 'A frame in the clear came after `connected`');
    const { iv, ct, ivText } = parseEnvelope(outer.data);
    return { marks: { iv: ivText }, plaintext: this.#cipher.open(iv, ct) };
  }
}

/** Binary frames that hold ciphertext and nothing else. */
export class BinaryChannel implements Channel {
  readonly protocol = 2;
  readonly #sealer: Sealer;
  readonly #opener: Opener;

  constructor(sealer: Sealer, opener: Opener) {
    this.#sealer = sealer;
    this.#opener = opener;
  }

  frameSize(plaintextBytes: number): number {
    return plaintextBytes + TAG_BYTES;
  }

  async seal(plaintext: string): Promise<SealedFrame> {
    const { counter, frame } = await this.#sealer.seal(plaintext);
    return { data: frame, marks: { counter } };
  }

  open(data: WireData): ArrivedFrame {
    if (typeof data === 'string') throw new SignalError('violation', 'A text frame came after `connected`');
    const { counter, plaintext } = this.#opener.open(data);
    return { marks: { counter }, plaintext: plaintext.then(textOf) };
  }
}
