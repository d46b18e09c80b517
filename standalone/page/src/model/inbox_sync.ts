import type { Notification } from 'signal-client';
import { type Entry, type Inbox, LIMIT } from './inbox.ts';

/** The part of the notification API that an inbox is kept up to date by. */
export interface Source {
  list(limit: number): Promise<readonly Notification[]>;
  unread(): Promise<number>;
}

export interface Watcher {
  /** Not here before, and found in the list. */
  found(entries: readonly Entry[]): void;
  /** The list cannot be read at the moment; it is tried again. */
  failed(error: unknown): void;
  /** The list has been read. */
  done(): void;
}

const QUIET_MS = 1_000;
const RETRY_MS = 3_000;
/** A count that pushes keep overtaking is left to the next quiet moment. */
const COUNTS = 3;

/** Keeps an inbox as the server has it: reads the list where pushes may have been missed, and the count where they may disagree with it. */
export class InboxSync {
  readonly #inbox: Inbox;
  readonly #source: Source;
  readonly #watcher: Watcher;
  #loading = false;
  #again = false;
  #closed = false;
  #recount: ReturnType<typeof setTimeout> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(inbox: Inbox, source: Source, watcher: Watcher) {
    this.#inbox = inbox;
    this.#source = source;
    this.#watcher = watcher;
  }

  /** Reads the list and the count. What is asked for while it reads is one more reading. */
  async load(): Promise<void> {
    if (this.#closed) return;
    this.#again = this.#loading;
    if (this.#loading) return;
    this.#loading = true;
    clearTimeout(this.#retry);
    try {
      do {
        this.#again = false;
        const list = await this.#source.list(LIMIT);
        if (this.#closed) return;
        this.#watcher.found(this.#inbox.merge(list, performance.now()));
        await this.#count();
      } while (this.#again && !this.#closed);
      if (this.#closed) return;
      this.#inbox.complete();
      this.#watcher.done();
    } catch (error) {
      if (this.#closed) return;
      this.#watcher.failed(error);
      this.#retry = setTimeout(() => void this.load(), RETRY_MS);
    } finally {
      this.#loading = false;
    }
  }

  /** A push may have been in the count before it was heard, or the other way round: a moment later the server says what holds. */
  recountSoon(): void {
    this.#recount ??= setTimeout(() => {
      this.#recount = undefined;
      // Whoever cannot ask now is told by the next push, or by the next reading of the list.
      this.#count().catch(() => undefined);
    }, QUIET_MS);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#recount);
    clearTimeout(this.#retry);
  }

  async #count(): Promise<void> {
    for (let tries = 0; tries < COUNTS && !this.#closed; tries += 1) {
      const { revision } = this.#inbox;
      if (this.#inbox.counted(await this.#source.unread(), revision)) return;
    }
    if (!this.#closed) this.recountSoon();
  }
}
