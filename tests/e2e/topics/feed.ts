/*
 * The account's feed: a snapshot, then whatever changes.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after as afterAll, before, test } from "node:test";
import { bash } from "../client.ts";
import type { Client } from "../client.ts";
import type { EventStream, ServerEvent } from "../event-stream.ts";
import type { Service } from "../support.ts";

const NOTHING = { conversations: [], turns: [], actions: [] };

export function feed(service: Service): void {
  let client: Client;
  let directory: string;
  before(async () => {
    client = service.newClient();
    directory = await mkdtemp(join(tmpdir(), "e2e-gate-"));
    await client.query("[[say warm]]");
  });
  afterAll(() => rm(directory, { recursive: true }));

  const isEnd = ({ event, data }: ServerEvent): boolean => event === "turn" && data["status"] !== "queued" && data["status"] !== "running";

  /** A feed that has told its snapshot. */
  async function opened(of: Client): Promise<EventStream> {
    const events = await of.feed();
    assert.ok(await events.until(({ event }) => event === "snapshot"));
    return events;
  }

  const after = (events: EventStream): (ServerEvent["data"] & { event: string })[] => events.events.slice(1).map(({ event, data }) => ({ event, ...data }));

  test("a turn is told from its admission to its end, without what it says", async () => {
    const events = await opened(client);
    assert.deepEqual(events.events[0]?.data, NOTHING);
    const { session_id, turn_id } = await client.query("[[words 40]]");
    await events.until(isEnd);
    const turn = (status: string): object => ({ event: "turn", turn_id, session_id, status, position: 0 });
    assert.deepEqual(after(events), [{ event: "conversation", session_id, change: "created", title: "[[words 40]]" }, turn("running"), turn("completed")]);
    events.kill();
  });

  test("a reader that comes while turns run and wait is told of them", async () => {
    const prompt = "[[hang]] snapshot [[say done]]";
    const running = await client.start(prompt);
    await service.hanging(prompt);
    const queued = await client.start("[[say next]]");
    const events = await opened(client);
    const { conversations, turns } = events.events[0]?.data as { conversations: { turn: string }[]; turns: { turn_id: string; status: string; position: number }[] };
    assert.deepEqual(turns.map(({ turn_id, status, position }) => [turn_id, status, position]), [[running.turn_id, "running", 0], [queued.turn_id, "queued", 1]]);
    assert.deepEqual(conversations.map(({ turn }) => turn), [running.turn_id, queued.turn_id]);
    service.model.control.release();
    await events.until((event) => isEnd(event) && event.data["turn_id"] === queued.turn_id);
    events.kill();
  });

  test("an account of which nothing is stored has an empty feed, which tells of its first turn", async () => {
    const newcomer = service.newClient();
    const events = await opened(newcomer);
    assert.deepEqual(events.events[0]?.data, NOTHING);
    const { turn_id } = await newcomer.query("[[say first]]");
    assert.equal((await events.until(isEnd))?.data["turn_id"], turn_id);
    events.kill();
  });

  test("nobody hears of another account", async () => {
    const other = service.newClient();
    const events = await opened(other);
    await client.query("[[say mine]]");
    const { turn_id } = await other.query("[[say theirs]]");
    await events.until(isEnd);
    assert.deepEqual(new Set(after(events).map((event) => event["turn_id"]).filter(Boolean)), new Set([turn_id]));
    events.kill();
  });

  test("conversations and files that users change are told", async () => {
    const events = await opened(client);
    const session_id = "changed-by-users";
    await client.uploaded(session_id, "in/a.txt", "one");
    await client.patch(session_id, { title: "Notes" });
    assert.equal((await client.file("DELETE", session_id, "in/a.txt")).status, 200);
    assert.equal((await client.request("DELETE", `/conversations/${session_id}`)).status, 200);
    await events.until(({ data }) => data["change"] === "deleted" && data["path"] === undefined);
    assert.deepEqual(after(events), [
      { event: "conversation", session_id, change: "created", title: "in/a.txt" },
      { event: "file", session_id, path: "in/a.txt", change: "added" },
      { event: "conversation", session_id, change: "updated", title: "Notes" },
      { event: "file", session_id, path: "in/a.txt", change: "deleted" },
      { event: "conversation", session_id, change: "deleted" },
    ]);
    events.kill();
  });

  test("a reader whose object is reset comes back to a new snapshot", async () => {
    const events = await opened(client);
    // A call of the model does not outlive its Worker; a tool does.
    const gate = join(directory, "reset");
    const turn = await client.start(bash(`until [ -e ${gate} ]; do sleep 0.05; done; echo opened`));
    const live = await client.events(turn.session_id);
    await live.until(({ event }) => event === "tool");
    await service.stack.restartWorker();
    assert.equal(await events.until(isEnd), null, "the stream was cut");
    const again = await opened(client);
    assert.deepEqual((again.events[0]?.data["turns"] as { turn_id: string }[]).map(({ turn_id }) => turn_id), [turn.turn_id]);
    await writeFile(gate, "");
    assert.equal((await again.until(isEnd))?.data["status"], "completed");
    again.kill();
  });
}
