import type { Message } from './protocol.js';

export interface FrameRecord {
  readonly direction: 'in' | 'out';
  /** ms since 1970. */
  readonly at: number;
  /** The text as it crossed the socket. */
  readonly raw: string;
  /** `false` for the handshake, which is in the clear. */
  readonly sealed: boolean;
  /** The JSON message; absent when the frame does not open. */
  readonly plaintext?: string;
  readonly event?: string;
  /** Base64, of a sealed frame. */
  readonly iv?: string;
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
