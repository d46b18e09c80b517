import { encodeBase64 } from './base64.js';
import type { FrameMarks, WireData } from './channel.js';
import type { Message } from './protocol.js';

export interface FrameRecord extends FrameMarks {
  readonly direction: 'in' | 'out';
  /** ms since 1970. */
  readonly at: number;
  readonly encoding: 'text' | 'binary';
  /** As it crossed the socket: the text of a text frame, the base64 of a binary one. */
  readonly raw: string;
  /** Bytes of the frame. */
  readonly size: number;
  /** `false` for what is in the clear: the handshake. */
  readonly sealed: boolean;
  /** The JSON message; absent when the frame does not open. */
  readonly plaintext?: string;
  readonly event?: string;
}

export interface Crossing {
  readonly direction: 'in' | 'out';
  readonly at: number;
  readonly data: WireData;
  readonly sealed: boolean;
  readonly marks?: FrameMarks;
}

const MASK = '••••';

/**
 * A message as an inspector may show it. Inspection ends up on screens and in logs, and whoever
 * has a token is the user until it expires.
 */
export function maskToken(message: Message): Message {
  const { data } = message;
  const carries = message.event === 'authenticate' || message.event === 'refresh';
  if (!carries || typeof data !== 'object' || data === null || !('token' in data)) return message;
  return { ...message, data: { ...data, token: MASK } };
}

/** Without a message: a frame that does not open. `plaintext` is its JSON if that is not made of it. */
export function recordOf({ direction, at, data, sealed, marks }: Crossing, message?: Message, plaintext?: string): FrameRecord {
  const record = { direction, at, sealed, ...wireOf(data), ...marks };
  if (message === undefined) return record;
  return { ...record, event: message.event, plaintext: plaintext ?? JSON.stringify(maskToken(message)) };
}

function wireOf(data: WireData): Pick<FrameRecord, 'encoding' | 'raw' | 'size'> {
  if (typeof data === 'string') return { encoding: 'text', raw: data, size: new TextEncoder().encode(data).length };
  return { encoding: 'binary', raw: encodeBase64(new Uint8Array(data)), size: data.byteLength };
}
