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

/** `text` says it, `met` whether what was measured keeps it. */
export type Target = { text: string; met: boolean };

/**
 * The same of the product and of the SDK alone, in milliseconds: the values of one place were measured in one round, right after each
 * other. `target` is asked with what is compared.
 */
export type Pair = { name: string; product: number[]; floor: number[]; target?: (compared: Compared) => Target };

/** `more` and `ratio` are the medians of the rounds' own differences and ratios: what slows the machine down slows both sides of a round. */
export type Compared = { product: number; floor: number; more: number; ratio: number; ratioInterval: [low: number, high: number] };

/** With 95 %, the median of what n values are drawn from has a rank among them of n / 2 ± 1.96 √n / 2. */
const RANK_DEVIATION = 1.96 / 2;

export function compare({ product, floor }: Pair): Compared {
  const each = (of: (ours: number, alone: number) => number): number[] => product.map((ours, round) => of(ours, floor[round] ?? NaN));
  const ratios = each((ours, alone) => ours / alone);
  const aside = Math.min(0.5, RANK_DEVIATION / Math.sqrt(ratios.length));
  return {
    product: median(product),
    floor: median(floor),
    more: median(each((ours, alone) => ours - alone)),
    ratio: median(ratios),
    ratioInterval: [quantile(ratios, 0.5 - aside), quantile(ratios, 0.5 + aside)],
  };
}

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
