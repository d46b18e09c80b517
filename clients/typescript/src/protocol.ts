import { decodeBase64 } from './base64.js';
import { SignalError } from './errors.js';
import type { Proof } from './identity.js';
import { NONCE_BYTES, PUBLIC_KEY_BYTES, SALT_BYTES, TAG_BYTES } from './seal.js';

/** Versions of the wire. 2 is asked for; an edge that does not know it answers in 1. */
export type Protocol = 1 | 2;

/** Frames above this are answered by the edge with close 1009, which is final; so they are never sent. */
export const MAX_OUTBOUND_FRAME = 128 * 1024;

export interface Message {
  readonly event: string;
  readonly data?: unknown;
  readonly id?: string;
}

export interface Envelope {
  readonly iv: Uint8Array<ArrayBuffer>;
  /** The IV as it came, in base64. */
  readonly ivText: string;
  readonly ct: Uint8Array<ArrayBuffer>;
}

export interface Connected {
  readonly id: string;
  /** As the token has it: a JSON number stays a number. */
  readonly userId: string | number;
  readonly time: string;
  readonly serverPublicKey: Uint8Array<ArrayBuffer>;
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly protocol: Protocol;
  /** Of v2 only. */
  readonly proof: Proof;
}

type Fields = Readonly<Record<string, unknown>>;

const malformed = (what: string): SignalError => new SignalError('malformed-frame', what);

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const bytesOf = (value: unknown): Uint8Array<ArrayBuffer> | undefined =>
  typeof value === 'string' ? decodeBase64(value) : undefined;

/** Throws `malformed-frame` unless the text is `{"event": string, "data"?, "id"?: string}`. */
export function parseMessage(text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw malformed('A frame is not JSON');
  }
  if (!isFields(value)) throw malformed('A frame is not a JSON object');
  const { event, data, id } = value;
  if (typeof event !== 'string' || event === '') throw malformed('A frame has no event');
  if (id !== undefined && typeof id !== 'string') throw malformed('The id of a frame is not a string');
  return { event, ...(data === undefined ? {} : { data }), ...(id === undefined ? {} : { id }) };
}

export function parseEnvelope(data: unknown): Envelope {
  if (!isFields(data)) throw malformed('A sealed frame has no envelope');
  const { iv: ivText } = data;
  const iv = bytesOf(ivText);
  if (typeof ivText !== 'string' || iv?.length !== NONCE_BYTES) throw malformed('The iv of a sealed frame is not 12 bytes in base64');
  const ct = bytesOf(data['ct']);
  if (ct === undefined || ct.length < TAG_BYTES) throw malformed('The ct of a sealed frame is not base64 of a sealed text');
  return { iv, ivText, ct };
}

export function parseConnected(data: unknown): Connected {
  if (!isFields(data)) throw malformed('`connected` carries no data');
  const { id, userId, time } = data;
  if (typeof id !== 'string' || id === '') throw malformed('`connected` carries no client id');
  if (typeof userId !== 'string' && typeof userId !== 'number') throw malformed('`connected` carries no user id');
  if (typeof time !== 'string') throw malformed('`connected` carries no time');
  const serverPublicKey = bytesOf(data['serverPublicKey']);
  if (serverPublicKey?.length !== PUBLIC_KEY_BYTES) throw malformed('The public key of the edge is not 65 bytes in base64');
  const salt = bytesOf(data['salt']);
  if (salt?.length !== SALT_BYTES) throw malformed('The salt is not 32 bytes in base64');
  const { protocol = 1 } = data;
  if (protocol !== 1 && protocol !== 2) throw malformed('The edge chose a protocol that does not exist');
  const proof = { keyId: stringOr(data['keyId'], undefined), signature: stringOr(data['signature'], undefined) };
  return { id, userId, time, serverPublicKey, salt, protocol, proof };
}

const stringOr = <T>(value: unknown, otherwise: T): string | T => (typeof value === 'string' ? value : otherwise);

export const errorMessage = (data: unknown): string =>
  stringOr(isFields(data) ? data['message'] : undefined, 'The edge reported an error');

export const resyncReason = (data: unknown): string =>
  stringOr(isFields(data) ? data['reason'] : undefined, 'unknown');

/** Milliseconds to stay away, or `undefined` when the event does not say so sensibly. */
export function reconnectDelay(data: unknown): number | undefined {
  const afterMs = isFields(data) ? data['afterMs'] : undefined;
  return typeof afterMs === 'number' && Number.isFinite(afterMs) && afterMs >= 0 ? afterMs : undefined;
}

/** `null` when the session never expires, `undefined` when the event does not say. */
export function refreshedUntil(data: unknown): string | number | null | undefined {
  const expiresAt = isFields(data) ? data['expiresAt'] : undefined;
  return typeof expiresAt === 'string' || typeof expiresAt === 'number' || expiresAt === null ? expiresAt : undefined;
}
