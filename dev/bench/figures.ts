/** Middles of measured values, and tables that show them beside their targets. Pure, but for the printing. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

export function best(values: readonly number[]): number {
  return Math.min(...values);
}

/** `share` of the values are at most this. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const place = (sorted.length - 1) * share;
  const low = sorted[Math.floor(place)] ?? NaN;
  const high = sorted[Math.ceil(place)] ?? NaN;
  return low + (high - low) * (place - Math.floor(place));
}

const RESAMPLES = 1_000;

/** Where the ratio of two medians lies with 95 %, as far as the values can tell: by resampling them (Efron's bootstrap, percentiles). */
export function ratioInterval(values: readonly number[], others: readonly number[]): [low: number, high: number] {
  const ratios = Array.from({ length: RESAMPLES }, () => median(resampled(values)) / median(resampled(others)));
  return [quantile(ratios, 0.025), quantile(ratios, 0.975)];
}

function resampled(values: readonly number[]): number[] {
  return values.map(() => values[Math.floor(Math.random() * values.length)] ?? NaN);
}

/** `text` says it, `met` whether what was measured keeps it. */
export type Target = { text: string; met: boolean };

/** The same of the product and of the SDK alone, measured in turn, in milliseconds. */
export type Pair = { name: string; product: number[]; floor: number[]; target?: (product: number, floor: number) => Target };

export function ms(value: number): string {
  return value.toFixed(1);
}

export function verdict(target: Target): string {
  return `${target.text.padEnd(26)} ${target.met ? "met" : "MISSED"}`;
}

/** Columns as wide as their widest cell; the first is flush left, the others flush right, a last one called "target" left again. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 || head[column] === "target" ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  return [line(head), ...rows.map(line)].join("\n");
}
