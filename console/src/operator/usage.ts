/** Usage as it is shown: days of UTC without gaps, and sums. Pure. */
import type { Schemas } from "claude-agent-service-client";

type Row = Schemas["UsageRow"];
export type Measure = "cost" | "tokens" | "turns";
export type Bar = { name: string; value: number };

const DAY_MS = 86_400_000;

export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
export const today = (): string => dayOf(Date.now());

export function tokensOf({ input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens }: Pick<Row, "input_tokens" | "output_tokens" | "cache_read_input_tokens" | "cache_creation_input_tokens">): number {
  return input_tokens + output_tokens + cache_read_input_tokens + cache_creation_input_tokens;
}

export const valueOf = (row: Row, measure: Measure): number => (measure === "cost" ? row.cost_usd : measure === "turns" ? row.turns : tokensOf(row));

/** A bar for each day from the first to the last, also for those on which nothing was used. */
export function barsByDay(rows: Row[], from: string, to: string, measure: Measure): Bar[] {
  const known = new Map(rows.map((row) => [row.day, row]));
  const bars: Bar[] = [];
  for (let at = Date.parse(from); at <= Date.parse(to); at += DAY_MS) {
    const row = known.get(dayOf(at));
    bars.push({ name: dayOf(at), value: row === undefined ? 0 : valueOf(row, measure) });
  }
  return bars;
}
