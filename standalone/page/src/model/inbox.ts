import type { Notification, NotificationsRead, NotificationsUnread } from 'signal-client';

export interface Entry {
  readonly notification: Notification;
  /** This window's monotonic clock, in ms, when it came, by push or by list. */
  readonly arrivedAt: number;
  read: boolean;
}

/** As many as one page of the list has. */
export const LIMIT = 100;

/** A person's newest notifications in this window, each id once, and how many of all that they have are unread. */
export class Inbox {
  #entries: Entry[] = [];
  #unread = 0;
  #version = 0;
  #revision = 0;
  #loaded = false;
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** The server's count, moved on by what was pushed since. */
  get unread(): number {
    return this.#unread;
  }

  /** Another one whenever a push has moved the count: a count that was asked for before is then not to be used. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether list and count have been read. */
  get loaded(): boolean {
    return this.#loaded;
  }

  complete(): void {
    this.#loaded = true;
    this.#changed();
  }

  /** One that was pushed; `false` for one that is already there: a redelivery is pushed again. */
  add(notification: Notification, arrivedAt: number): boolean {
    const [added] = this.#merge([notification], arrivedAt);
    if (added === undefined) return false;
    if (!added.read) this.#move(this.#unread + 1);
    this.#changed();
    return true;
  }

  /** What the list has; returns what was not here yet. Nothing that is read becomes unread. */
  merge(notifications: readonly Notification[], arrivedAt: number): readonly Entry[] {
    const added = this.#merge(notifications, arrivedAt);
    this.#changed();
    return added;
  }

  /** What was read, here or in another window. The count does not follow from it: there may be more than is shown. */
  markRead({ ids, all, before }: Omit<NotificationsRead, 'readAt'>): void {
    const end = before === undefined ? Infinity : Date.parse(before);
    for (const entry of this.#entries) {
      const { id, createdAt } = entry.notification;
      if (ids?.includes(id) === true || (all === true && Date.parse(createdAt) < end)) entry.read = true;
    }
    this.#changed();
  }

  /** A count that was pushed; one that a later one has overtaken is passed over. */
  pushed({ unread, version }: NotificationsUnread): void {
    if (version <= this.#version) return;
    this.#version = version;
    this.#move(unread);
    this.#changed();
  }

  /** The server's count, as it was asked for at `revision`. `false` if that is no longer known to be right. */
  counted(unread: number, revision: number): boolean {
    if (revision !== this.#revision) return false;
    this.#unread = unread;
    this.#changed();
    return true;
  }

  byEvent(eventId: string): Entry | undefined {
    return this.#entries.find((entry) => entry.notification.eventId === eventId);
  }

  #move(unread: number): void {
    this.#unread = unread;
    this.#revision += 1;
  }

  #merge(notifications: readonly Notification[], arrivedAt: number): Entry[] {
    const known = new Map(this.#entries.map((entry) => [entry.notification.id, entry]));
    const added: Entry[] = [];
    for (const notification of notifications) {
      const read = notification.readAt !== null && notification.readAt !== undefined;
      const entry = known.get(notification.id);
      if (entry === undefined) {
        const one = { notification, arrivedAt, read };
        known.set(notification.id, one);
        added.push(one);
      } else if (read) entry.read = true;
    }
    this.#entries = [...known.values()].sort(newestFirst).slice(0, LIMIT);
    return added;
  }
}

/** The order of the list: by time, and where that is the same by id. */
function newestFirst({ notification: one }: Entry, { notification: other }: Entry): number {
  const time = Date.parse(other.createdAt) - Date.parse(one.createdAt);
  return time !== 0 ? time : one.id < other.id ? 1 : -1;
}
