import type { Notification } from 'signal-client';

export interface Entry {
  readonly notification: Notification;
  /** This window's monotonic clock, in ms, when it came. */
  readonly arrivedAt: number;
  read: boolean;
}

const LIMIT = 100;

/** A person's notifications in this window: newest first, each id once. */
export class Inbox {
  #entries: Entry[] = [];
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  get unread(): number {
    return this.#entries.filter((entry) => !entry.read).length;
  }

  /** `false` for one that is already there: a redelivery is pushed again. */
  add(notification: Notification, arrivedAt: number): boolean {
    if (this.#entries.some((entry) => entry.notification.id === notification.id)) return false;
    const entry = { notification, arrivedAt, read: notification.readAt !== null && notification.readAt !== undefined };
    this.#entries = [entry, ...this.#entries].slice(0, LIMIT);
    this.#changed();
    return true;
  }

  markRead(which: 'all' | readonly string[]): void {
    for (const entry of this.#entries) {
      if (which === 'all' || which.includes(entry.notification.id)) entry.read = true;
    }
    this.#changed();
  }

  byEvent(eventId: string): Entry | undefined {
    return this.#entries.find((entry) => entry.notification.eventId === eventId);
  }
}
