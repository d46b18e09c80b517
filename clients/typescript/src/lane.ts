/**
 * Runs asynchronous steps one after the other in the order in which they were added. WebCrypto
 * answers from a thread pool and may finish a short text before a long one that came first.
 */
export class Lane {
  #tail: Promise<void> = Promise.resolve();

  /** A step that throws is the step's own affair; the lane goes on. */
  add(step: () => Promise<void> | void): void {
    this.#tail = this.#tail.then(step).catch(() => undefined);
  }
}
