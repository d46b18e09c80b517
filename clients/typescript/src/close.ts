/** How the connection may come back after a close. */
export type Retry =
  /** It may not. */
  | 'never'
  /** After a jittered delay that grows with every failure. */
  | 'backoff'
  /** After the delay that the edge announced in `reconnect`; without one, as `backoff`. */
  | 'announced'
  /** Only if the token function now gives another token; asked once. */
  | 'another-token'
  /** As `backoff`, and the expired token is not presented again. */
  | 'fresh-token';

export interface CloseRule {
  readonly reason: string;
  readonly retry: Retry;
  /** Added below the jittered delay, for closes that ask for distance. */
  readonly minimumMs?: number;
}

export const CLOSE = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  ABNORMAL: 1006,
  TOO_LARGE: 1009,
  AUTHENTICATION_TIMEOUT: 4001,
  HEARTBEAT_TIMEOUT: 4002,
  AUTHENTICATION_FAILED: 4003,
  ENCRYPTION_REQUIRED: 4004,
  TOKEN_EXPIRED: 4005,
  PROTOCOL_VIOLATION: 4006,
  DISCONNECTED_BY_OPERATOR: 4007,
  TOO_SLOW: 4008,
  TOO_MANY_REQUESTS: 4009,
} as const;

/** The one place that decides what a close means. A code that is not here is a network failure. */
export const CLOSE_RULES: ReadonlyMap<number, CloseRule> = new Map<number, CloseRule>([
  [CLOSE.GOING_AWAY, { reason: 'Server shutting down', retry: 'announced' }],
  [CLOSE.TOO_LARGE, { reason: 'Frame too large', retry: 'never' }],
  [CLOSE.AUTHENTICATION_TIMEOUT, { reason: 'Authentication timeout', retry: 'backoff' }],
  [CLOSE.HEARTBEAT_TIMEOUT, { reason: 'Heartbeat timeout', retry: 'backoff' }],
  [CLOSE.AUTHENTICATION_FAILED, { reason: 'Authentication failed', retry: 'another-token' }],
  [CLOSE.ENCRYPTION_REQUIRED, { reason: 'Encryption required', retry: 'never' }],
  [CLOSE.TOKEN_EXPIRED, { reason: 'Token expired', retry: 'fresh-token' }],
  [CLOSE.PROTOCOL_VIOLATION, { reason: 'Protocol violation', retry: 'never' }],
  [CLOSE.DISCONNECTED_BY_OPERATOR, { reason: 'Disconnected by operator', retry: 'never' }],
  [CLOSE.TOO_SLOW, { reason: 'Too slow', retry: 'backoff' }],
  [CLOSE.TOO_MANY_REQUESTS, { reason: 'Too many requests', retry: 'backoff', minimumMs: 1_000 }],
]);

const NETWORK: CloseRule = { reason: 'Connection lost', retry: 'backoff' };

export const closeRule = (code: number): CloseRule => CLOSE_RULES.get(code) ?? NETWORK;
