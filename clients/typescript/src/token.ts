/** When a JWT expires, in ms since 1970; `undefined` when the token does not say. It is not verified: that is the edge's part. */
export function tokenExpiry(token: string): number | undefined {
  const payload = token.split('.')[1];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
    const exp = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : undefined;
    return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}

const REFRESH_AHEAD_MS = 60_000;

/**
 * How long to wait before asking for the next token: a minute ahead of the expiry, or a quarter of
 * the rest of a short life, and up to a tenth earlier at random so that tokens that were issued
 * together are not renewed together.
 */
export function refreshDelay(remainingMs: number, random: () => number): number {
  const latest = remainingMs - Math.min(REFRESH_AHEAD_MS, remainingMs / 4);
  return Math.max(0, Math.floor(latest * (1 - 0.1 * random())));
}
