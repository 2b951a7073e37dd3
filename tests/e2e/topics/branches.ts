/*
 * Branches: what the agent remembers and finds in its folder after a fork and a rewind, in a warm container and in a fresh one, and whatever is
 * killed in between.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { bash, json, problem } from "../client.ts";
import type { Answer, Client, Conversation, Turn } from "../client.ts";
import { EventStream } from "../event-stream.ts";
import { serverAndCli } from "../containers.ts";
import { gone } from "../processes.ts";
import type { Service } from "../support.ts";

const EXIT_MS = 10_000;
const HISTORY = "repeat everything I said";

export function branches(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  /** Three turns that write a file over and over; answers their ids. */
  async function grow(session_id: string, of = client): Promise<[string, string, string]> {
    const write = async (n: string): Promise<string> => (await of.query(`${n} ${bash(`echo ${n} > number; echo ${n} > ${n}`)}`, { session_id })).turn_id;
    return [await write("one"), await write("two"), await write("three")];
  }

  const forked = async (source: string, body: object, of = client): Promise<Conversation> => json(await of.act(source, "fork", body), 201);
  const rewound = async (session_id: string, body: object, of = client): Promise<Conversation> => json(await of.act(session_id, "rewind", body), 200);

  /** What the model is sent of what was said before, by the first word of each message. */
  async function remembered(session_id: string, of = client): Promise<string[]> {
    const { response } = await of.query(HISTORY, { session_id });
    return response.split("\n").map((line) => line.split(" ", 1)[0] ?? "").filter((word) => ["one", "two", "three", "four", "five"].includes(word));
  }

  const folder = async (session_id: string, of = client): Promise<string> => (await of.query(bash("cat number; ls"), { session_id })).response.replaceAll("\n", " ");

  const context = async (session_id: string): Promise<Record<string, number | null>> => json(await client.request("GET", `/conversations/${session_id}/context`), 200);

  async function killContainer(session_id: string, of = client): Promise<void> {
    const { server } = await serverAndCli(of, service, session_id);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
  }

  test("a fork remembers and finds what there was at the end of its turn, and both go on by themselves", async () => {
    const [, second] = await grow("trunk");
    const response = await client.act("trunk", "fork", { at: second, session_id: "limb", title: "Limb" });
    assert.equal(response.headers.get("location"), "/conversations/limb");
    const made = await json<Conversation>(response, 201);
    assert.deepEqual([made.session_id, made.title, made.metadata.message_count, made.usage.output_tokens], ["limb", "Limb", 4, 0]);
    assert.deepEqual(await client.paths("limb"), ["number", "one", "two"]);
    assert.deepEqual(await remembered("limb"), ["one", "two"]);
    assert.equal(await folder("limb"), "two number one two");
    await client.query(`four ${bash("echo four > number")}`, { session_id: "limb" });
    assert.deepEqual([await remembered("trunk"), await remembered("limb")], [["one", "two", "three"], ["one", "two", "four"]]);
    assert.deepEqual([await folder("trunk"), await folder("limb")], ["three number one three two", "four number one two"]);
    await killContainer("limb");
    assert.deepEqual([await remembered("limb"), await folder("trunk")], [["one", "two", "four"], "three number one three two"]);
  });

  test("a fork can be forked and rewound, and its files outlive the conversation that they were written in", async () => {
    await grow("old");
    const limb = await forked("old", { session_id: "young" });
    const turns = await json<{ turn_id: string }[]>(await client.request("GET", "/conversations/young/turns"), 200);
    assert.equal(limb.metadata.message_count, 2 * turns.length);
    await forked("young", { at: turns.at(-1)?.turn_id, session_id: "youngest" });
    await json(await client.request("DELETE", "/conversations/old"), 200);
    await rewound("young", { to: turns[1]?.turn_id });
    assert.deepEqual([await remembered("young"), await folder("young")], [["one", "two"], "two number one two"]);
    assert.deepEqual([await remembered("youngest"), await folder("youngest")], [["one"], "one number one"]);
    assert.equal(new TextDecoder().decode(await client.bytes("young", "two")), "two\n");
  });

  test("a question is edited by going back to before it", async () => {
    const [, , third] = await grow("edited");
    const before = await client.conversation("edited");
    const back = await rewound("edited", { before: third });
    assert.deepEqual([back.metadata.message_count, back.usage], [4, before.usage]);
    await client.query(`four ${bash("echo four > four")}`, { session_id: "edited" });
    assert.deepEqual([await remembered("edited"), await folder("edited")], [["one", "two", "four"], "two four number one two"]);
    await problem(client.request("GET", `/turns/${third}`), 404, "not_found");
    const asked = (await client.said("edited")).filter((said) => said.startsWith("user: ")).map((said) => said.split(" ")[1]);
    assert.deepEqual(asked.slice(0, 4), ["one", "two", "four", "repeat"]);
  });

  test("a conversation that goes back to before its first turn begins anew", async () => {
    const [first] = await grow("anew");
    await rewound("anew", { before: first });
    assert.deepEqual([await client.said("anew"), await client.paths("anew")], [[], []]);
    await client.query(`five ${bash("ls -A; echo five > number")}`, { session_id: "anew" });
    assert.deepEqual([await remembered("anew"), await folder("anew")], [["five"], "five number"]);
  });

  test("what the container was doing when it was told to forget does not come back", async () => {
    const [first] = await grow("background");
    await client.query(bash("(for i in $(seq 600); do echo still > number; sleep 0.1; done) >/dev/null 2>&1 & echo started"), { session_id: "background" });
    await rewound("background", { to: first });
    assert.equal(await folder("background"), "one number one");
    assert.equal((await client.query(bash("sleep 1; cat number"), { session_id: "background" })).response, "one");
  });

  for (const [what, kill] of [
    ["the Worker is restarted", () => service.stack.restartWorker()],
    ["the container dies", () => killContainer("killed")],
    ["the Worker is restarted and the container dies meanwhile", async () => {
      const { server } = await serverAndCli(client, service, "killed");
      await service.stack.restartWorker(async () => {
        process.kill(server, "SIGKILL");
        await gone(server, EXIT_MS);
      });
    }],
  ] as const) {
    test(`branches hold if ${what} right after they were made`, async () => {
      client = service.newClient();
      const [first, second] = await grow("killed");
      await forked("killed", { at: second, session_id: "saved" });
      await rewound("killed", { to: first });
      await kill();
      assert.deepEqual([await remembered("saved"), await folder("saved")], [["one", "two"], "two number one two"]);
      assert.deepEqual([await remembered("killed"), await folder("killed")], [["one"], "one number one"]);
    });
  }

  test("neither is done while a turn of the conversation is open", async () => {
    const [first] = await grow("busy");
    const prompt = "[[hang]] busy";
    const answer = client.post(prompt, { session_id: "busy" });
    await service.hanging(prompt);
    await problem(client.act("busy", "fork"), 409, "conversation_busy");
    await problem(client.act("busy", "rewind", { to: first }), 409, "conversation_busy");
    assert.equal((await json<{ cancelled: number }>(await client.act("busy", "cancel", { reason: "No more." }), 200)).cancelled, 1);
    assert.equal((await problem(answer, 409, "turn_cancelled")).detail, "The turn was cancelled: No more.");
    await forked("busy", { session_id: "rested" });
    assert.equal(await folder("rested"), "three number one three two");
  });

  test("a branch that there is not is refused for its reason", async () => {
    const [first] = await grow("refused");
    await problem(client.act("refused", "fork", { session_id: "refused" }), 409, "conversation_exists");
    await problem(client.act("nobody", "fork"), 404, "not_found");
    await problem(client.act("refused", "fork", { at: `turn_${"0".repeat(32)}` }), 404, "not_found");
    await problem(client.act("refused", "rewind", {}), 400, "invalid_parameter");
    await json(await client.file("DELETE", "refused", ""), 200);
    await problem(client.act("refused", "fork", { at: first }), 409, "branch_unavailable");
    assert.equal((await forked("refused", {})).metadata.message_count, 6);
  });

  test("a history is compacted for the model alone, and a branch of before has it whole", async () => {
    const [first, second] = await grow("long");
    const full = await context("long");
    assert.deepEqual(Object.keys(full), ["tokens", "limit", "auto_compact_at"]);
    assert.ok((full["tokens"] ?? 0) > 0 && (full["limit"] ?? 0) > (full["tokens"] ?? 0), JSON.stringify(full));
    const instructions = "Keep the numbers.";
    const done = await json<Answer>(await client.act("long", "compact", { instructions }), 200);
    assert.deepEqual([done.success, done.response, done.session_id], [true, "", "long"]);
    assert.deepEqual((await client.said("long")).slice(-1), [`user: /compact ${instructions}`]);
    const history = async (): Promise<string> => (await client.query(HISTORY, { session_id: "long" })).response;
    assert.match(await history(), /continued from a previous conversation/);
    assert.equal(await folder("long"), "three number one three two");
    await killContainer("long");
    assert.match(await history(), /continued from a previous conversation/, "a fresh container has the summary, too");
    await forked("long", { at: second, session_id: "short" });
    assert.deepEqual(await remembered("short"), ["one", "two"]);
    await rewound("long", { to: first });
    assert.deepEqual(await remembered("long"), ["one"]);
  });

  test("a compaction has the forms of answer and the key of a query", async () => {
    await grow("forms");
    const key = { "idempotency-key": "compact-once" };
    const accepted = await json<Turn>(await client.act("forms", "compact", {}, { ...key, prefer: "respond-async" }), 202);
    assert.equal((await client.ended(accepted)).status, "completed");
    const again = await client.act("forms", "compact", {}, key);
    assert.equal(again.headers.get("idempotent-replayed"), "true");
    assert.equal((await json<Answer>(again, 200)).turn_id, accepted.turn_id);
    const events = await EventStream.over(() => client.act("forms", "compact", { stream: true }));
    const compacted = await events.until(({ event }) => event === "compacted");
    assert.equal(compacted?.data["trigger"], "manual");
    assert.equal((await events.toEnd()).event, "done");
    await problem(client.act("nobody", "compact"), 404, "not_found");
    await problem(client.act("forms", "compact", { instructions: "x".repeat(8_193) }), 400, "invalid_parameter");
  });
}
