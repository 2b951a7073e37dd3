/** What an account has used: by day as bars, and by model. */
import { useCallback, useState } from "react";
import type { Schemas } from "claude-agent-service-client";
import type { Session } from "../session/session.ts";
import { Failure, Spinner } from "../ui/controls.tsx";
import { dollars, number, tokens } from "../ui/format.ts";
import { useLoaded } from "../ui/loaded.ts";
import { Table } from "../ui/table.tsx";
import { barsByDay, dayOf, today, tokensOf, valueOf } from "./usage.ts";
import type { Bar, Measure } from "./usage.ts";

const DAY_MS = 86_400_000;
const PERIODS = [7, 30, 90];
const MEASURES: Record<Measure, { label: string; format: (value: number) => string }> = {
  cost: { label: "Cost", format: dollars },
  tokens: { label: "Tokens", format: tokens },
  turns: { label: "Turns", format: number },
};

export function UsageSection({ session: { client }, accountId }: { session: Session; accountId: string }) {
  const [days, setDays] = useState(30);
  const [measure, setMeasure] = useState<Measure>("cost");
  const load = useCallback(
    async (signal: AbortSignal) => {
      const period = { accountId, from: dayOf(Date.now() - (days - 1) * DAY_MS), to: today(), signal };
      const [byDay, byModel] = await Promise.all([client.readUsage({ ...period, group: "day" }), client.readUsage({ ...period, group: "model" })]);
      return { byDay, byModel };
    },
    [client, accountId, days],
  );
  const [usage, reload] = useLoaded(load);
  const { format, label } = MEASURES[measure];
  return (
    <section aria-labelledby="usage">
      <div className="section-head">
        <h2 id="usage">Usage</h2>
        <div className="find">
          <select aria-label="Which days" value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {PERIODS.map((count) => (
              <option key={count} value={count}>
                {count} days
              </option>
            ))}
          </select>
          <select aria-label="What is counted" value={measure} onChange={(event) => setMeasure(event.target.value as Measure)}>
            {Object.entries(MEASURES).map(([name, each]) => (
              <option key={name} value={name}>
                {each.label}
              </option>
            ))}
          </select>
        </div>
      </div>
      {usage.phase === "loading" && <Spinner label="Loading the usage" />}
      {usage.phase === "failed" && <Failure error={usage.error} onRetry={reload} />}
      {usage.phase === "ready" && usage.value.byDay.rows.length === 0 && <p className="note">Nothing was used in these days.</p>}
      {usage.phase === "ready" && usage.value.byDay.rows.length > 0 && (
        <>
          <Chart title={`${label} by day: ${format(valueOf(usage.value.byDay.total, measure))}`} bars={barsByDay(usage.value.byDay.rows, usage.value.byDay.from, usage.value.byDay.to, measure)} format={format} />
          <Models rows={usage.value.byModel.rows} measure={measure} />
        </>
      )}
    </section>
  );
}

/** In units of the picture, which is stretched to the width there is. */
const BAR = 8;
const GAP = 2;
const HEIGHT = 100;

function Chart({ title, bars, format }: { title: string; bars: Bar[]; format: (value: number) => string }) {
  const most = Math.max(...bars.map(({ value }) => value));
  const used = bars.filter(({ value }) => value > 0);
  const width = bars.length * (BAR + GAP);
  return (
    <figure className="chart">
      <figcaption>
        <b>{title}</b>
        <span>up to {format(most)} a day</span>
      </figcaption>
      <svg viewBox={`0 0 ${width} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={`${title}. ${used.map(({ name, value }) => `${name}: ${format(value)}`).join(", ")}`}>
        {bars.map(({ name, value }, index) => {
          const height = most === 0 ? 0 : (value / most) * HEIGHT;
          return (
            <g key={name}>
              <rect className="whole" x={index * (BAR + GAP)} y={0} width={BAR + GAP} height={HEIGHT}>
                <title>{`${name}: ${format(value)}`}</title>
              </rect>
              <rect className="bar" x={index * (BAR + GAP) + GAP / 2} y={HEIGHT - Math.max(height, value > 0 ? 1 : 0)} width={BAR} height={Math.max(height, value > 0 ? 1 : 0)} />
            </g>
          );
        })}
      </svg>
      <p className="days" aria-hidden="true">
        <span>{bars[0]?.name}</span>
        <span>{bars.at(-1)?.name}</span>
      </p>
    </figure>
  );
}

function Models({ rows, measure }: { rows: Schemas["UsageRow"][]; measure: Measure }) {
  const most = Math.max(...rows.map((row) => valueOf(row, measure)));
  return (
    <Table label="Table of the models" columns={["Model", "Calls", "Tokens in", "Tokens out", "Cost", "Share"]}>
      {rows.map((row) => (
        <tr key={row.model}>
          <td>{row.model}</td>
          <td>{number(row.model_calls)}</td>
          <td>{tokens(tokensOf(row) - row.output_tokens)}</td>
          <td>{tokens(row.output_tokens)}</td>
          <td>{dollars(row.cost_usd)}</td>
          <td>
            <svg className="share" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect className="bar" x="0" y="0" width={most === 0 ? 0 : (valueOf(row, measure) / most) * 100} height="8" rx="1" />
            </svg>
          </td>
        </tr>
      ))}
    </Table>
  );
}
