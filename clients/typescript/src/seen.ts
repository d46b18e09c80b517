/**
 * Tells whether an id came before, remembering the last `limit`. A push may come twice: after a
 * redelivery, or once by push and once by reading the list again.
 */
export function createSeen(limit = 1_000): (id: string) => boolean {
  // A Set iterates in order of insertion, so its first entry is the one longest unused.
  const ids = new Set<string>();
  return (id) => {
    const known = ids.delete(id);
    ids.add(id);
    if (ids.size > limit) {
      const [oldest] = ids;
      if (oldest !== undefined) ids.delete(oldest);
    }
    return known;
  };
}
