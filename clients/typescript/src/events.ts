import type { SignalError } from './errors.js';
import type { FrameRecord } from './inspect.js';
import type { State } from './state.js';

/** A row of a person's inbox, as REST and the push both carry it. */
export interface Notification {
  readonly id: string;
  readonly eventId: string;
  readonly type: string;
  readonly recipientId: string;
  readonly organizerId: string | null;
  readonly merchantId: string | null;
  readonly title: string;
  /** Plain text. */
  readonly content: string;
  /** Sanitised by the server; sanitise again before it becomes DOM. */
  readonly html: string;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly readAt: string | null;
  readonly createdAt: string;
  readonly modifiedAt: string;
}

/** What was read in one of the person's windows: some, by id, or all. */
export interface NotificationsRead {
  readonly ids?: readonly string[];
  readonly all?: boolean;
  /** Of all, only those whose `createdAt` is before this moment. */
  readonly before?: string;
  readonly readAt: string;
}

export interface NotificationsUnread {
  readonly unread: number;
  /** Only grows: of two, the lower one is stale. */
  readonly version: number;
}

/** What arrives on a person's own topic without joining anything. */
export interface SignalEvents {
  'observation/signal/notification/created': Notification;
  'observation/signal/notification/read': NotificationsRead;
  'observation/signal/notification/unread': NotificationsUnread;
}

/** What the client itself tells; none of these names can be an application's event. */
export interface ClientEvents {
  /** Every change of `client.state`. */
  state: State;
  /** Pushes may have been missed: read the list again. */
  resync: { readonly reason: string };
  /** The edge is draining; the client moves by itself after that long. */
  reconnect: { readonly afterMs: number };
  /** The edge took a newer token. */
  refreshed: { /** `null`: the session never expires. */ readonly expiresAt: string | number | null };
  error: SignalError;
  /** Every application event, also those without a listener of their own. */
  message: { readonly event: string; readonly data: unknown };
  /** Every frame in both directions, for inspection. Tokens in it are masked. */
  frame: FrameRecord;
}

export const CLIENT_EVENTS: ReadonlySet<string> = new Set<keyof ClientEvents>([
  'state', 'resync', 'reconnect', 'refreshed', 'error', 'message', 'frame',
]);

export interface Meta {
  /** This client's clock, in ms since 1970, when the frame reached the socket. */
  readonly receivedAt: number;
  /** Size of the frame as it came: characters of a text frame, bytes of a binary one. */
  readonly size: number;
  readonly id?: string;
}

export type Listener<T> = (data: T, meta: Meta) => void;
export type Unsubscribe = () => void;

/** Listeners by name. One that throws is reported and disturbs neither the others nor the connection. */
export class Emitter {
  readonly #listeners = new Map<string, Set<Listener<never>>>();
  readonly #report: (error: unknown) => void;

  constructor(report: (error: unknown) => void = reportUncaught) {
    this.#report = report;
  }

  on(event: string, listener: Listener<never>): Unsubscribe {
    // Wrapped, so that the same function subscribed twice is two subscriptions.
    const entry: Listener<never> = (data, meta) => listener(data, meta);
    const entries = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, entries.add(entry));
    return () => {
      entries.delete(entry);
      if (entries.size === 0 && this.#listeners.get(event) === entries) this.#listeners.delete(event);
    };
  }

  has(event: string): boolean {
    return this.#listeners.has(event);
  }

  emit(event: string, data: unknown, meta: Meta): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) {
      try {
        listener(data as never, meta);
      } catch (error) {
        this.#report(error);
      }
    }
  }
}

function reportUncaught(error: unknown): void {
  if (typeof reportError === 'function') reportError(error);
  else queueMicrotask(() => { throw error; });
}
