/** What went wrong, for code to act on; the message is for people. */
export type SignalErrorKind =
  /** The edge said so in an `error` event. */
  | 'edge'
  /** A frame that is not what the protocol allows at this point. It was dropped. */
  | 'malformed-frame'
  /** A sealed frame of v1 that does not open under this connection's key. It was dropped. */
  | 'undecryptable'
  /** What came in v2 is not the next frame that the edge sealed: dropped, doubled, moved, changed, or in the clear on its way. The connection was given up. */
  | 'violation'
  /** The edge did not prove to be one whose key is pinned. Nothing was sent to it but `authenticate`. */
  | 'identity'
  /** The edge's half of the key agreement could not be used. */
  | 'handshake'
  /** The application's token function failed or had nothing new to offer. */
  | 'token'
  /** The edge did not answer in time, or stopped taking data. */
  | 'timeout'
  /** The connection could not be opened or broke. */
  | 'network'
  /** This environment lacks WebSocket or WebCrypto. */
  | 'unsupported';

/**
 * Never carries a token, key material or the application's own exception: errors end up in logs.
 */
export class SignalError extends Error {
  readonly kind: SignalErrorKind;

  constructor(kind: SignalErrorKind, message: string) {
    super(message);
    this.name = 'SignalError';
    this.kind = kind;
  }
}

export const asSignalError = (error: unknown, kind: SignalErrorKind, message: string): SignalError =>
  error instanceof SignalError ? error : new SignalError(kind, message);
