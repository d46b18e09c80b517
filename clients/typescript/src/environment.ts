import { SignalError } from './errors.js';

// A method's parameters are compared both ways, which lets the richer events of the browser and of
// the `ws` package stand where only a part of them is read.
type Handler<Event> = { handle(event: Event): void }['handle'] | null;

/** The part of the browser's WebSocket that is used; the `ws` package and test doubles fit too. */
export interface SocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  onopen: Handler<object>;
  onmessage: Handler<{ readonly data: unknown }>;
  onclose: Handler<{ readonly code: number; readonly reason: string }>;
  onerror: Handler<object>;
  send(data: string | ArrayBuffer): void;
  close(code?: number, reason?: string): void;
}

export type SocketConstructor = new (url: string) => SocketLike;

/** Wall time and timers, injectable so that tests need no waiting. */
export interface Clock {
  /** ms since 1970; goes on while the machine sleeps, which is how a sleep is noticed. */
  now(): number;
  setTimeout(callback: () => void, ms: number): unknown;
  clearTimeout(handle: unknown): void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: (handle) => clearTimeout(handle as ReturnType<typeof setTimeout>),
};

// Longer delays overflow the 32 bits that timers have and would fire at once.
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** One timeout that replaces itself. */
export class Timer {
  readonly #clock: Clock;
  #handle: unknown;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(ms: number, callback: () => void): void {
    this.clear();
    if (ms > LONGEST_TIMER_MS) return;
    this.#handle = this.#clock.setTimeout(() => {
      this.#handle = undefined;
      callback();
    }, ms);
  }

  clear(): void {
    if (this.#handle !== undefined) this.#clock.clearTimeout(this.#handle);
    this.#handle = undefined;
  }
}

/** Node before 22 has no WebSocket of its own; pages outside https and localhost have no WebCrypto. */
export function requireSupport(given: SocketConstructor | undefined): SocketConstructor {
  if (globalThis.crypto?.subtle === undefined) {
    throw new SignalError('unsupported', 'WebCrypto is missing: serve the page over https or from localhost');
  }
  const found = given ?? (globalThis.WebSocket as SocketConstructor | undefined);
  if (found === undefined) {
    throw new SignalError('unsupported', 'WebSocket is missing: pass a constructor as the `WebSocket` option');
  }
  return found;
}

/** Where `online` and `offline` are heard: the window of a browser, nothing in Node. */
export function defaultNetwork(): EventTarget | undefined {
  const scope: Partial<EventTarget> & { document?: unknown } = globalThis;
  return scope.document !== undefined && scope.addEventListener !== undefined ? (scope as EventTarget) : undefined;
}
