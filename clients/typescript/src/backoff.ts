export interface BackoffOptions {
  /** Upper bound of the first delay, in ms. */
  readonly baseMs: number;
  /** Upper bound of every delay, in ms. */
  readonly capMs: number;
}

export const DEFAULT_BACKOFF: BackoffOptions = { baseMs: 500, capMs: 30_000 };

/**
 * Full jitter: anywhere between zero and a bound that doubles with each failure. Clients that lost
 * the same edge at the same moment come back spread out instead of in waves.
 */
export function backoffDelay(attempt: number, random: () => number, options = DEFAULT_BACKOFF): number {
  const bound = Math.min(options.capMs, options.baseMs * 2 ** Math.max(0, attempt - 1));
  return Math.floor(random() * bound);
}
