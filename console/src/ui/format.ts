/** Numbers and times as people read them, in the browser's language. */

const DAY_MS = 86_400_000;

export function bytes(count: number): string {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count;
  let unit = "B";
  for (const next of units) {
    if (value < 1000) break;
    value /= 1000;
    unit = next;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export function tokens(count: number): string {
  if (count < 1000) return String(count);
  if (count < 1_000_000) return `${(count / 1000).toFixed(count < 10_000 ? 1 : 0)}k`;
  return `${(count / 1_000_000).toFixed(1)}M`;
}

export function dollars(amount: number): string {
  if (amount === 0) return "$0";
  return amount < 0.01 ? `$${amount.toFixed(4)}` : `$${amount.toFixed(2)}`;
}

export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

export const number = (count: number): string => count.toLocaleString();

export const dateTime = (ms: number): string => new Date(ms).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Under which heading of a list a time stands. */
export function dayGroup(ms: number, now = Date.now()): string {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  if (ms >= midnight) return "Today";
  if (ms >= midnight - DAY_MS) return "Yesterday";
  if (ms >= midnight - 7 * DAY_MS) return "Last 7 days";
  if (ms >= midnight - 30 * DAY_MS) return "Last 30 days";
  return "Older";
}

/** A moment as it is told in a time zone: `Mon, 30 Nov, 09:00`. */
export function inZone(ms: number, timeZone: string): string {
  return new Date(ms).toLocaleString(undefined, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone });
}

const UNITS: [unit: Intl.RelativeTimeFormatUnit, ms: number][] = [["day", DAY_MS], ["hour", 3_600_000], ["minute", 60_000], ["second", 1000]];

/** How far away a moment is: `in 3 hours`. */
export function distance(ms: number, now = Date.now()): string {
  const [unit, length] = UNITS.find(([, each]) => Math.abs(ms - now) >= each) ?? ["second", 1000];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" }).format(Math.round((ms - now) / length), unit);
}
