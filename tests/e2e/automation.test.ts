/*
 * Webhooks and schedules on a stack of their own: its workerd is killed, and time is moved in its rows meanwhile.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Objects } from "../../dev/objects.ts";
import { json, problem } from "./client.ts";
import type { Client, Turn } from "./client.ts";
import { Receiver, deliveries, put, stall, status, verified, webhook } from "./receiver.ts";
import type { Arrival } from "./receiver.ts";
import { service } from "./support.ts";

const DELIVERY_MS = 30_000;
/** Two due times of a schedule that is due every minute. */
const TWO_RUNS_MS = 150_000;
const HOUR_MS = 3_600_000;
const TURNS_AT_ONCE = 6;
const ROUNDS = 3;

const running = service({ vars: { SCHEDULE_MIN_INTERVAL: "1m", ACCOUNT_CONCURRENCY: "4" } });
let receiver: Receiver;
before(async () => {
  receiver = await Receiver.start();
});
after(() => receiver.close());

const of = (client: Client) => (arrival: Arrival): boolean => arrival.event.data.account_id === client.accountId;
const objects = (): Objects => {
  assert.ok(running.stack.state);
  return Objects.ofStack(running.stack.state, "Account");
};

/** How many rows the account's object had written when that turn had ended. */
async function rowsAt(turnId: string): Promise<number> {
  const line = await running.stack.waitForLog((line) => line.includes('"turn_ended"') && line.includes(turnId), DELIVERY_MS);
  return Number(/"rows_written":(\d+)/.exec(line)?.[1]);
}

describe("webhooks", { timeout: 300_000 }, () => {
  test("the end of a turn is sent, and the public library verifies it", async () => {
    const client = running.newClient();
    const secret = await webhook(client, `${receiver.url}/hook`, { include: ["result"] });
    const { turn_id } = await client.query("[[say verified]]", { session_id: "s" });
    const [arrival] = await receiver.until(1, of(client), DELIVERY_MS);
    assert.ok(arrival);
    const event = verified(arrival, secret);
    assert.deepEqual([arrival.path, event.type, event.data.turn_id, event.data.session_id], ["/hook", "turn.completed", turn_id, "s"]);
    assert.equal(event.data.turn?.response, "verified");
    assert.throws(() => verified(arrival, `whsec_${Buffer.alloc(32).toString("base64")}`));
    const rotated = await json<{ secret: string }>(await put(client, "/webhooks/crm", { url: `${receiver.url}/hook`, rotate_secret: true }), 200);
    await json(await client.request("POST", "/webhooks/crm/test"), 202);
    const [, again] = await receiver.until(2, of(client), DELIVERY_MS);
    assert.ok(again);
    for (const each of [secret, rotated.secret]) assert.equal(verified(again, each).type, "webhook.test");
  });

  test("an event costs a row with the turn's end and one with its delivery, and nothing without a webhook", async () => {
    const perTurn = async (client: Client): Promise<number> => {
      const ids: string[] = [];
      for (const n of [1, 2, 3]) {
        ids.push((await client.query(`[[say ${n}]]`, { session_id: "s" })).turn_id);
        if ((await client.request("GET", "/webhooks/crm")).status === 200) await receiver.until(n, of(client), DELIVERY_MS);
      }
      return (await rowsAt(ids[2] ?? "")) - (await rowsAt(ids[1] ?? ""));
    };
    const [plain, told] = [running.newClient(), running.newClient()];
    await webhook(told, receiver.url);
    assert.equal((await perTurn(told)) - (await perTurn(plain)), 2);
  });

  test("what fails, stalls or redirects is tried again under the same id; a redirect is not followed", async () => {
    const client = running.newClient();
    const secret = await webhook(client, `${receiver.url}/first`);
    const elsewhere = await Receiver.start();
    receiver.answers.push(status(307, { location: `${elsewhere.url}/stolen` }));
    await client.query("[[say one]]", { session_id: "s" });
    const twice = await receiver.until(2, of(client), DELIVERY_MS);
    assert.equal(new Set(twice.map((arrival) => verified(arrival, secret).id)).size, 1);
    assert.ok((twice[1]?.at ?? 0) - (twice[0]?.at ?? 0) >= 4_900, "after 5 s");
    receiver.answers.push(stall);
    await client.query("[[say two]]", { session_id: "s" });
    const [, , stalled, again] = await receiver.until(4, of(client), 2 * DELIVERY_MS);
    assert.ok((again?.at ?? 0) - (stalled?.at ?? 0) >= 14_500, "after 10 s of waiting and 5 s more");
    assert.equal(elsewhere.arrivals.length, 0);
    await elsewhere.close();
  });

  test("an endpoint that answers 410 is sent nothing more until it is set again", async () => {
    const client = running.newClient();
    await webhook(client, receiver.url);
    receiver.answers.push(status(410));
    await client.query("[[say one]]", { session_id: "s" });
    await receiver.until(1, of(client), DELIVERY_MS);
    await running.stack.waitForLog((line) => line.includes('"webhook_gone"'), DELIVERY_MS);
    assert.equal((await json<{ enabled: boolean }>(await client.request("GET", "/webhooks/crm"), 200)).enabled, false);
    await client.query("[[say two]]", { session_id: "s" });
    const [only, none] = await deliveries(client);
    assert.deepEqual([only?.status, only?.last_status, none], ["dead", 410, undefined]);
    await webhook(client, receiver.url);
    await json(await client.request("POST", `/webhooks/crm/deliveries/${only?.event_id}/redeliver`), 202);
    await receiver.until(2, of(client), DELIVERY_MS);
  });

  test("an endpoint that comes back after a day gets what it missed", async () => {
    const client = running.newClient();
    const gone = await Receiver.start();
    const port = new URL(gone.url).port;
    await gone.close();
    await webhook(client, `http://127.0.0.1:${port}/`);
    const { turn_id } = await client.query("[[say one]]", { session_id: "s" });
    await running.stack.restartWorker(() =>
      objects().open(client.accountId, (database) => {
        const past = Date.now() - HOUR_MS;
        assert.equal(database.prepare("update outbox set attempts = 7, due_at = ?, created_at = created_at - 86400000").run(past).changes, 1);
        // The endpoint is there again, at another port.
        assert.equal(database.prepare("update webhooks set url = ?").run(receiver.url).changes, 1);
      }),
    );
    await client.query("[[say two]]", { session_id: "s" });
    const came = await receiver.until(2, of(client), DELIVERY_MS);
    assert.ok(came.some(({ event }) => event.data.turn_id === turn_id));
    assert.deepEqual((await deliveries(client)).map((delivery) => delivery.status), ["delivered", "delivered"]);
  });

  test("addresses that are not public are refused", async () => {
    const client = running.newClient();
    for (const url of [
      "https://127.0.0.1/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:127.0.0.1]/", "https://169.254.169.254/", "https://metadata.google.internal/",
      "https://user@hooks.acme.com/", "http://hooks.acme.com/", "https://localhost./", "http://10.0.0.1/", "ftp://hooks.acme.com/", "https://hooks.acme.com\\@127.0.0.1/",
    ]) {
      await problem(put(client, "/webhooks/crm", { url }), 400, "invalid_parameter");
    }
    await problem(client.request("GET", "/webhooks/crm"), 404, "not_found");
  });

  test("workerd is killed again and again: every end arrives, each under one id, and none is invented", async () => {
    const clients = Array.from({ length: 2 }, () => running.newClient());
    const secrets = new Map<string, string>();
    for (const client of clients) secrets.set(client.accountId, await webhook(client, receiver.url));
    const started: [Client, Turn][] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const client of clients) {
        for (let n = 0; n < TURNS_AT_ONCE; n += 1) {
          started.push([client, await client.start(`[[say ${round}-${n}]]`, { session_id: `s${n % 3}` })]);
        }
      }
      // Somewhere among the ends of these turns.
      await receiver.until((round + 1) * TURNS_AT_ONCE, (arrival) => secrets.has(arrival.event.data.account_id), 60_000);
      await running.stack.restartWorker();
    }
    const expected = new Map<string, string>();
    for (const [client, turn] of started) {
      const ended = await client.ended(turn);
      expected.set(turn.turn_id.replace("turn_", "evt_"), `turn.${ended.status === "interrupted" ? "failed" : ended.status}`);
    }
    const arrived = (): Map<string, string> => {
      const own = receiver.arrivals.filter((arrival) => secrets.has(arrival.event.data.account_id));
      return new Map(own.map((arrival) => [verified(arrival, secrets.get(arrival.event.data.account_id) ?? "").id, arrival.event.type]));
    };
    await receiver.until(1, () => arrived().size >= expected.size, 60_000);
    assert.deepEqual([...arrived()].sort(), [...expected].sort());
  });
});

describe("schedules", { timeout: 300_000 }, () => {
  test("the runtime knows time zones, and the days on which clocks change", async () => {
    const client = running.newClient();
    const next = async (cron: string, timezone: string): Promise<string[]> => {
      const fields = { cron, timezone, query: "[[say hi]]" };
      const { next_runs } = await json<{ next_runs: number[] }>(await put(client, "/schedules/one", fields), 200);
      return next_runs.map((at) => new Date(at).toISOString());
    };
    const local = (timeZone: string) => (iso: string): string => new Intl.DateTimeFormat("en-GB", { timeZone, timeStyle: "short" }).format(new Date(iso));
    for (const zone of ["Europe/Berlin", "America/New_York"]) {
      const yearly = await next("30 9 1 */3 *", zone);
      assert.deepEqual(yearly.map(local(zone)), Array(5).fill("09:30"));
      assert.ok(new Set(yearly.map((iso) => iso.slice(11))).size === 2, `${zone} has a summer: ${yearly.join()}`);
    }
    await problem(put(client, "/schedules/one", { cron: "0 9 * * *", timezone: "Mars/Olympus", query: "x" }), 400, "invalid_parameter");
    await problem(put(client, "/schedules/one", { cron: "every day", query: "x" }), 400, "invalid_parameter");
    await problem(put(client, "/schedules/one", { cron: "0 9 * * *", query: "x", output_schema: { type: "array" } }), 400, "invalid_output_schema");
    await json(await client.request("DELETE", "/schedules/one"), 200);
    assert.deepEqual(await json(await client.request("GET", "/schedules"), 200), []);
  });

  test("each due time is run once, though workerd is killed in between", async () => {
    const client = running.newClient();
    await webhook(client, receiver.url, { types: ["turn.completed"] });
    await json(await put(client, "/schedules/minutely", { cron: "* * * * *", query: "[[say tick]]", conversation: "ticks" }), 200);
    await receiver.until(1, of(client), TWO_RUNS_MS);
    await running.stack.restartWorker();
    // A delivery may come twice: what counts is another run's end.
    const firsts = new Set((await receiver.until(1, of(client), TWO_RUNS_MS)).map(({ event }) => event.data.turn_id));
    await receiver.until(1, (arrival) => of(client)(arrival) && !firsts.has(arrival.event.data.turn_id), TWO_RUNS_MS);
    type Run = { scheduled_at: number; turn_id: string; status: string };
    const runs = (await json<Run[]>(await client.request("GET", "/schedules/minutely/runs"), 200)).reverse();
    assert.ok(runs.length >= 2 && runs.every(({ scheduled_at }) => scheduled_at % 60_000 === 0), JSON.stringify(runs));
    for (const [index, run] of runs.slice(1).entries()) assert.equal(run.scheduled_at - (runs[index]?.scheduled_at ?? 0), 60_000);
    const turn = await json<Turn & { trigger: unknown }>(await client.request("GET", `/turns/${runs[0]?.turn_id}`), 200);
    assert.deepEqual(turn.trigger, { schedule: "minutely", scheduled_at: runs[0]?.scheduled_at });
    assert.equal(new Set(runs.map(({ turn_id }) => turn_id)).size, runs.length);
    const before = await client.request("POST", "/schedules/minutely/run");
    const now = await json<{ turn_id: string }>(before, 202);
    assert.equal(before.headers.get("location"), `/turns/${now.turn_id}`);
    await json(await client.request("DELETE", "/schedules/minutely"), 200);
  });
});
