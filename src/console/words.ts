/** Numbers and times as people read them. Pure. */

const number = new Intl.NumberFormat('en');
export const inNumber = (value: number): string => number.format(value);

/** `1 device`, `1,200 devices`. */
export const counted = (count: number, thing: string, things = `${thing}s`): string =>
  `${inNumber(count)} ${count === 1 ? thing : things}`;

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const day = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
const full = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

const DAY_MS = 86_400_000;

/** The time of today, and with the day where it is another one. */
export function atTime(ms: number, nowMs: number = Date.now()): string {
  if (!Number.isFinite(ms)) return 'at an unknown time';
  return new Date(ms).toDateString() === new Date(nowMs).toDateString() ? clock.format(ms) : day.format(ms);
}

export const inFull = (ms: number): string => (Number.isFinite(ms) ? full.format(ms) : 'unknown');

const STEPS = [
  [DAY_MS, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1_000, 's'],
] as const;

/** In the two largest units: `3 d 4 h`, `12 min`, `4 s`. */
export function lasting(ms: number): string {
  const at = STEPS.findIndex(([unit]) => ms >= unit);
  if (at < 0) return '0 s';
  const [unit, name] = STEPS[at] ?? [1_000, 's'];
  const next = STEPS[at + 1];
  const rest = next && at < 2 ? Math.floor((ms % unit) / next[0]) : 0;
  return `${Math.floor(ms / unit)} ${name}${rest > 0 && next ? ` ${rest} ${next[1]}` : ''}`;
}

/** Upper case first, and a full stop. */
export function sentence(text: string): string {
  const whole = text.trim();
  if (whole === '') return '';
  return `${whole[0]?.toUpperCase()}${whole.slice(1)}${/[.!?]$/.test(whole) ? '' : '.'}`;
}
