import { backoffDelay, type BackoffOptions } from './backoff.js';
import { closeRule } from './close.js';

/** How one connection, or one try at it, ended. */
export interface End {
  readonly code: number;
  readonly reason: string;
  /** The edge could not check the token, which says nothing about the token. */
  readonly unchecked?: boolean | undefined;
}

export interface RetryContext {
  /** Connections lost or failed in a row, with this one. */
  readonly failures: number;
  readonly now: number;
  /** When the edge asked to come back, if it did. */
  readonly announcedAt?: number | undefined;
  /** A token that is a constant can never become another one. */
  readonly fixedToken: boolean;
  readonly random: () => number;
  readonly backoff: BackoffOptions;
}

export type RetryPlan =
  | { readonly kind: 'stop' }
  | {
      readonly kind: 'wait';
      readonly delayMs: number;
      /** Whether the network coming back is a reason to come earlier. */
      readonly hasty: boolean;
      /** What to do if the token function still offers the token of the connection that ended. */
      readonly sameToken: 'present' | 'ask-later' | 'stop';
    };

/** What to do after a connection ended; a pure function of the close table. */
export function planRetry(end: End, context: RetryContext): RetryPlan {
  const rule = closeRule(end.code);
  const minimumMs = rule.minimumMs ?? 0;
  const delayMs = minimumMs + backoffDelay(context.failures, context.random, context.backoff);
  if (end.unchecked) return { kind: 'wait', delayMs, hasty: false, sameToken: 'present' };
  switch (rule.retry) {
    case 'never':
      return { kind: 'stop' };
    case 'another-token':
      return context.fixedToken ? { kind: 'stop' } : { kind: 'wait', delayMs, hasty: false, sameToken: 'stop' };
    case 'fresh-token':
      return context.fixedToken ? { kind: 'stop' } : { kind: 'wait', delayMs, hasty: true, sameToken: 'ask-later' };
    case 'announced':
      return context.announcedAt === undefined
        ? { kind: 'wait', delayMs, hasty: true, sameToken: 'present' }
        : { kind: 'wait', delayMs: Math.max(0, context.announcedAt - context.now), hasty: false, sameToken: 'present' };
    case 'backoff':
      return { kind: 'wait', delayMs, hasty: minimumMs === 0, sameToken: 'present' };
  }
}
