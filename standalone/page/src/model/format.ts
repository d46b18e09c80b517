const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'auto', style: 'long' });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

const STEPS: readonly (readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number])[] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
];

export function relativeTime(at: number, now: number): string {
  const seconds = Math.max(0, Math.round((now - at) / 1000));
  if (seconds < 5) return 'just now';
  const [unit, size] = STEPS.find(([, length]) => seconds >= length) ?? (['second', 1] as const);
  return RELATIVE.format(-Math.floor(seconds / size), unit);
}

export const clockTime = (at: number): string => CLOCK.format(at);

/** Milliseconds as a person reads them: `0.8 ms`, `34 ms`, `1.2 s`. */
export function duration(ms: number): string {
  if (ms < 1) return `${Math.max(0.1, ms).toFixed(1)} ms`;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

export const bytes = (size: number): string => (size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} KiB`);

/** An amount as the event carries it, a decimal string in major units; `undefined` when it is not one. Never rounded. */
export function money(amount: unknown, currency: unknown): string | undefined {
  if (typeof amount !== 'string' || typeof currency !== 'string' || !/^\d+(\.\d+)?$/.test(amount)) return undefined;
  try {
    const locale = currency === 'VND' ? 'vi-VN' : 'en';
    const usual = new Intl.NumberFormat(locale, { style: 'currency', currency }).resolvedOptions().maximumFractionDigits ?? 0;
    const carried = /\.(\d*[1-9])/.exec(amount)?.[1]?.length ?? 0;
    const digits = Math.max(usual, carried);
    return new Intl.NumberFormat(locale, { style: 'currency', currency, minimumFractionDigits: digits, maximumFractionDigits: digits }).format(amount as `${number}`);
  } catch {
    return undefined;
  }
}

export const initials = (name: string): string =>
  name.split(/\s+/).filter((part) => part !== '').map((part) => [...part][0] ?? '').slice(0, 2).join('').toUpperCase();

export function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names[names.length - 1]}`;
}
