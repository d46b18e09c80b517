// The edge's limits. Beyond them a join is silently refused there, so it is loudly refused here.
const MAX_ROOMS = 256;
const MAX_ROOM_NAME = 256;

// 32 names of 256 units, each escaped to 6 bytes of JSON and grown by base64, stay below the 128 KiB
// that the edge takes as one frame.
const ROOMS_PER_FRAME = 32;

/** The rooms that the application wants to be in, whichever connection carries them. */
export class Rooms {
  readonly #names = new Set<string>();

  /** Throws before anything is changed when a name is not allowed or there are too many. */
  add(names: readonly string[]): void {
    for (const name of names) {
      if (typeof name !== 'string' || name.length === 0 || name.length > MAX_ROOM_NAME) {
        throw new RangeError('A room name has 1 to 256 characters');
      }
      if (name.startsWith('ws:')) throw new RangeError('Room names that begin with "ws:" are reserved');
    }
    if (new Set([...this.#names, ...names]).size > MAX_ROOMS) throw new RangeError('A client holds at most 256 rooms');
    for (const name of names) this.#names.add(name);
  }

  delete(names: readonly string[]): void {
    for (const name of names) this.#names.delete(name);
  }

  all(): string[] {
    return [...this.#names];
  }
}

export function* inFrames(names: readonly string[]): Generator<string[]> {
  for (let i = 0; i < names.length; i += ROOMS_PER_FRAME) yield names.slice(i, i + ROOMS_PER_FRAME);
}
