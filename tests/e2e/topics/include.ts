/*
 * What a turn did: told live to those who ask for it, told again after its end, and read as items.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { bash, EVERYTHING, json, problem } from "../client.ts";
import type { Client, Include, Item, Usage } from "../client.ts";
import type { EventStream, ServerEvent } from "../event-stream.ts";
import type { Service } from "../support.ts";

const DEFAULT = new Set(["turn", "delta", "message", "tool", "done"]);
const PROMPT = `[[thinking Let me look.]] ${bash("echo hi")}`;
const TOKENS = ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"] as const;

export function include(service: Service): void {
  let client: Client;
  before(async () => {
    client = service.newClient();
    await client.query("[[say warm]]");
  });

  const of = (events: EventStream, name: string): ServerEvent[] => events.events.filter(({ event }) => event === name);
  /** What is kept of a stream: not its pieces, nor how the turn stood when the reader came. */
  const kept = ({ events }: EventStream): ServerEvent[] => events.filter(({ event }) => !["turn", "delta", "tool_input"].includes(event));

  test("a reader that asks for nothing hears the default events alone, without results", async () => {
    const events = await client.stream(PROMPT, { thinking: "on" });
    const done = await events.toEnd();
    assert.deepEqual(events.names().filter((name) => !DEFAULT.has(name)), []);
    assert.equal(of(events, "tool").length, 2);
    for (const { data } of of(events, "tool")) assert.deepEqual([data["result"], data["whole_input"]], [undefined, undefined]);
    assert.equal(done.data["stop_reason"], undefined);
  });

  test("a reader hears what it asks for", async () => {
    const events = await client.stream(PROMPT, { thinking: "on", include: EVERYTHING });
    await events.toEnd();
    assert.equal(of(events, "thinking").map(({ data }) => data["text"]).join(""), "Let me look.");
    const [started, finished] = of(events, "tool");
    const input = of(events, "tool_input").map(({ data }) => data["json"]).join("");
    assert.deepEqual(JSON.parse(input), started?.data["input"]);
    assert.match(JSON.stringify(finished?.data["result"]), /hi/);
  });

  test("what the calls of a turn used adds up to what the turn used, in tokens and in dollars", async () => {
    const events = await client.stream(bash("echo hi"), { include: ["usage"] });
    const usage = (await events.toEnd()).data["usage"] as Usage;
    const calls = of(events, "usage").map(({ data }) => data as unknown as Usage);
    assert.equal(calls.length, 2);
    for (const kind of TOKENS) assert.equal(calls.reduce((sum, call) => sum + call[kind], 0), usage[kind], kind);
    // The CLI has the same prices.
    assert.ok(usage.cost_usd > 0);
    assert.ok(Math.abs(calls.reduce((sum, call) => sum + call.cost_usd, 0) - usage.cost_usd) < 1e-8, JSON.stringify({ calls, usage }));
  });

  test("after the end a stream tells again what was told live, with the same ids, as far as it is asked for", async () => {
    for (const words of [[], ["thinking"], ["tool_result", "usage"], EVERYTHING] as const) {
      const live = await client.stream(PROMPT, { thinking: "on", include: words });
      const done = await live.toEnd();
      const again = await client.events(String(done.data["session_id"]), undefined, words);
      await again.toEnd();
      assert.deepEqual(kept(again), kept(live), words.join());
    }
  });

  test("a client that comes back in the middle of an ended turn hears the rest", async () => {
    const live = await client.stream(PROMPT, { include: ["tool_result"] });
    const done = await live.toEnd();
    const [started, finished] = of(live, "tool");
    const again = await client.events(String(done.data["session_id"]), started?.id, ["tool_result"]);
    await again.toEnd();
    assert.deepEqual(kept(again)[0], finished);
    assert.deepEqual(kept(again).at(-1)?.data, done.data);
  });

  test("a turn that is read with its items has what was told of it", async () => {
    const live = await client.stream(PROMPT, { thinking: "on", include: EVERYTHING });
    const { turn_id, session_id } = (await live.toEnd()).data as { turn_id: string; session_id: string };
    const { items } = await json<{ items: Item[] }>(await client.request("GET", `/turns/${turn_id}?include=items`), 200);
    const told = kept(live).slice(0, -1).map(({ id, event, data }) => ({ n: Number(id.split(":").at(-1)), type: event, ...data }));
    assert.deepEqual(items, told);
    assert.equal((await client.turn(turn_id) as { items?: unknown }).items, undefined);
    const read = await json<{ items: Record<string, Item[]> }>(await client.request("GET", `/conversations/${session_id}?include=items`), 200);
    assert.deepEqual(read.items, { [turn_id]: items });
  });

  test("the items of a turn that only said its answer are that message", async () => {
    const { turn_id } = await client.query("[[say 4]]");
    const { items } = await json<{ items: Item[] }>(await client.request("GET", `/turns/${turn_id}?include=items`), 200);
    assert.deepEqual(items.filter(({ type }) => type !== "usage").map(({ type, content }) => [type, content]), [["message", "4"]]);
  });

  test("files come before the end, and again", async () => {
    const live = await client.stream(bash("echo one > a.txt"));
    const done = await live.toEnd();
    const files = of(live, "file").map(({ data }) => data);
    assert.deepEqual(files, [{ path: "a.txt", change: "added", size: 4 }]);
    assert.deepEqual((done.data["files"] as { changed: unknown }).changed, files);
    assert.equal(live.names().at(-2), "file");
    const again = await client.events(String(done.data["session_id"]));
    await again.toEnd();
    assert.deepEqual(of(again, "file"), of(live, "file"));
  });

  test("a word that there is not is refused", async () => {
    for (const words of [["everything"], ["usage", "Thinking"], "usage", [7]]) {
      await problem(client.post("hello", { include: words as Include[] }), 400, "invalid_parameter");
    }
    const { session_id, turn_id } = await client.query("[[say 4]]");
    for (const path of [`/conversations/${session_id}/events?include=items`, `/conversations/${session_id}?include=usage`, `/turns/${turn_id}?include=usage`]) {
      await problem(client.request("GET", path), 400, "invalid_parameter");
    }
  });
}
