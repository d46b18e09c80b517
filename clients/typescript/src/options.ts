import { type BackoffOptions, DEFAULT_BACKOFF } from './backoff.js';
import { type Clock, defaultNetwork, type SocketConstructor, systemClock } from './environment.js';
import { type Pin, Pins } from './identity.js';
import type { Protocol } from './protocol.js';

export interface SignalOptions {
  /** `wss://…/stream`. */
  readonly url: string;
  /**
   * A token, or a function that gives one. A function is called for every connection and once more
   * ahead of each expiry; let it return a current token and it never needs to know why.
   */
  readonly token: string | (() => string | Promise<string>);
  /** 2, and 1 with an edge that does not know it. `1` asks for 1 only. */
  readonly protocol?: Protocol;
  /**
   * Identity keys of the edge: its JWKs, or the JWK set that `GET {base}/identity` answers, had over
   * a way that is trusted. With it, an edge that does not prove to hold one of them is refused.
   */
  readonly pin?: Pin;
  /** Needed where there is no global WebSocket (Node before 22); the `ws` package fits. */
  readonly WebSocket?: SocketConstructor;
  /** Bounds of the jittered delay between tries: 500 ms doubling to 30 s. */
  readonly backoff?: Partial<BackoffOptions>;
  /** 25 s. The edge closes after 90 s of silence. */
  readonly heartbeatMs?: number;
  /** From the start to an open socket: 10 s. */
  readonly openTimeoutMs?: number;
  /** From `authenticate` to `connected`: 20 s, which is past the edge's own 15 s. */
  readonly handshakeTimeoutMs?: number;
  /** A connection that held this long makes the count of failures start anew: 10 s. */
  readonly stableAfterMs?: number;
  /** Where `online` and `offline` are heard; the window in browsers. */
  readonly network?: EventTarget;
  readonly clock?: Clock;
  /** In [0, 1). Spreads delays; keys and IVs never come from it. */
  readonly random?: () => number;
}

export interface Settings {
  readonly url: string;
  readonly token: () => string | Promise<string>;
  readonly fixedToken: boolean;
  readonly protocol: Protocol;
  readonly pins: Pins | undefined;
  readonly WebSocket: SocketConstructor | undefined;
  readonly backoff: BackoffOptions;
  readonly heartbeatMs: number;
  readonly openTimeoutMs: number;
  readonly handshakeTimeoutMs: number;
  readonly stableAfterMs: number;
  readonly network: EventTarget | undefined;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Throws TypeError for a pin that is none, or that no edge could ever meet. */
export function settle(options: SignalOptions): Settings {
  const { token, pin, protocol = 2 } = options;
  if (pin !== undefined && protocol === 1) throw new TypeError('`pin` needs protocol 2: protocol 1 proves no identity');
  return {
    url: options.url,
    token: typeof token === 'function' ? token : () => token,
    fixedToken: typeof token !== 'function',
    protocol,
    pins: pin === undefined ? undefined : new Pins(pin),
    WebSocket: options.WebSocket,
    backoff: { ...DEFAULT_BACKOFF, ...options.backoff },
    heartbeatMs: options.heartbeatMs ?? 25_000,
    openTimeoutMs: options.openTimeoutMs ?? 10_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 20_000,
    stableAfterMs: options.stableAfterMs ?? 10_000,
    network: options.network ?? defaultNetwork(),
    clock: options.clock ?? systemClock,
    random: options.random ?? Math.random,
  };
}
