/** The client against the product: every operation, errors, and streams whose connections break. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { TestContext } from "node:test";
import { newAccountId } from "../../../tests/e2e/client.ts";
import { service } from "../../../tests/e2e/support.ts";
import { AgentClient, AgentError, ConnectionError } from "../src/index.ts";
import type { AgentEvent, ClientOptions, TurnStream } from "../src/index.ts";
import { BreakingProxy } from "./proxy.ts";

const running = service();
const TIME_LIMIT = { timeout: 120_000 };
/** Some three seconds of words. */
const SLOW = "[[delay 50]] [[words 200]]";
const WORDS = Array.from({ length: 200 }, (_, index) => `word${index + 1}`).join(" ");

const newClient = (options: Partial<ClientOptions> = {}): AgentClient => new AgentClient({ baseUrl: running.url, accountId: newAccountId(), ...options });

/** A client whose connections go through a proxy that breaks them. */
async function proxied(t: TestContext, options: Partial<ClientOptions> = {}): Promise<{ proxy: BreakingProxy; client: AgentClient }> {
  const proxy = new BreakingProxy(running.url);
  t.after(() => proxy.close());
  return { proxy, client: newClient({ baseUrl: await proxy.listen(), ...options }) };
}

async function collect(stream: TurnStream): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of stream) events.push(event);
  return events;
}

const textOf = (events: AgentEvent[]): string => events.map((event) => (event.type === "delta" ? event.data.text : "")).join("");

test("every operation of the API is a method of the client", () => {
  const document = JSON.parse(readFileSync(new URL("../../../public/openapi.json", import.meta.url), "utf8")) as { paths: Record<string, Record<string, { operationId: string }>> };
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
  assert.deepEqual(operations.filter((name) => !(name in AgentClient.prototype)), []);
});

test("a query is its events in order, and its result", TIME_LIMIT, async () => {
  const stream = newClient().query({ query: "What is 2+2?", session_id: "sums" });
  const events = await collect(stream);
  assert.equal(events[0]?.type, "turn");
  assert.equal(events.at(-1)?.type, "done");
  assert.equal(textOf(events), "4");
  const result = await stream.result();
  assert.equal(result.response, "4");
  assert.deepEqual([stream.sessionId, stream.turnId], ["sums", result.turn_id]);
});

test("a conversation whose id the service chooses is known from the first event on", TIME_LIMIT, async () => {
  const stream = newClient().query({ query: "What is 2+2?" });
  assert.equal(stream.sessionId, undefined);
  for await (const event of stream) {
    assert.equal(stream.sessionId, (event.data as { session_id: string }).session_id);
    break;
  }
  assert.equal((await stream.result()).session_id, stream.sessionId);
});

test("a stream that is cut again and again has each event once", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  let deltas = 0;
  let cuts = 0;
  proxy.judge = (piece) => {
    if (!piece.includes("event: delta") || (deltas += 1) % 6 !== 0) return "pass";
    cuts += 1;
    return cuts % 2 === 0 ? "cut-before" : "cut-after";
  };
  const stream = client.query({ query: SLOW, session_id: "cut" });
  const events = await collect(stream);
  assert.ok(cuts >= 3, `${cuts} cuts`);
  assert.equal(textOf(events), WORDS);
  assert.equal((await stream.result()).response, WORDS);
  assert.deepEqual(events.filter(({ type }) => type === "done").length, 1);
  const ids = events.filter(({ type }) => type !== "turn").map(({ id }) => id);
  assert.deepEqual(ids, [...new Set(ids)]);
  assert.equal(proxy.requests.filter((line) => line.startsWith("POST")).length, 1);
  assert.equal(proxy.requests.filter((line) => line.startsWith("GET /conversations/cut/events")).length, cuts);
});

test("events that come again are not passed on", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  // The service does not learn what the client has, and begins anew.
  proxy.rewrite = (piece) => piece.replace(/^last-event-id:/im, "x-what-I-have:");
  let deltas = 0;
  proxy.judge = (piece) => (piece.includes("event: delta") && (deltas += 1) === 8 ? "cut-after" : "pass");
  const events = await collect(client.query({ query: SLOW, session_id: "again" }));
  assert.equal(proxy.requests.length, 2);
  assert.equal(textOf(events), WORDS);
});

test("a query whose response is lost is sent again and runs once", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  let lost = 0;
  proxy.judge = () => ((lost += 1) <= 2 ? "cut-before" : "pass");
  const result = await client.query({ query: "What is 3*4?", session_id: "lost" }).result();
  assert.equal(result.response, "12");
  assert.equal(proxy.requests.filter((line) => line.startsWith("POST /query")).length, 3);
  const { messages } = await client.readConversation("lost");
  assert.deepEqual(messages?.map(({ content }) => content), ["What is 3*4?", "12"]);
});

test("what an account exports another one imports, with the same messages", TIME_LIMIT, async () => {
  const [client, other] = [newClient(), newClient()];
  await client.query({ query: "What is 5+5?", session_id: "moved" }).result();
  assert.deepEqual(await other.import(await (await client.export()).text()), { conversations: 1 });
  assert.deepEqual((await other.readConversation("moved")).messages, (await client.readConversation("moved")).messages);
});

test("an import whose response is lost is an error, is not sent again, and goes on with resume", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  const source = newClient();
  await source.query({ query: "What is 6+6?", session_id: "lost-import" }).result();
  const lines = await (await source.export()).text();
  proxy.judge = () => "cut-before";
  await assert.rejects(client.import(lines), ConnectionError);
  assert.equal(proxy.requests.filter((line) => line.startsWith("POST /import")).length, 1);
  proxy.judge = () => "pass";
  assert.deepEqual(await client.import(lines, { resume: true }), { conversations: 0 });
  assert.deepEqual((await client.readConversation("lost-import")).messages, (await source.readConversation("lost-import")).messages);
});

test("what sends an event is sent once", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  proxy.judge = () => "cut-before";
  await assert.rejects(client.testWebhook("crm"), ConnectionError);
  await assert.rejects(client.redeliver("crm", "evt_1"), ConnectionError);
  assert.equal(proxy.requests.length, 2);
});

test("a foreign 503 is tried again; with no retries it is an error with its status", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  const unavailable = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/html\r\ncontent-length: 6\r\nretry-after: 0\r\nconnection: close\r\n\r\n<html>";
  proxy.canned.push(unavailable, unavailable);
  assert.equal((await client.query({ query: "What is 2+2?" }).result()).response, "4");
  assert.equal(proxy.requests.length, 3);

  const once = await proxied(t, { maxRetries: 0 });
  once.proxy.canned.push(unavailable);
  await assert.rejects(once.client.health(), (error) => error instanceof AgentError && error.code === "http_503" && error.retryAfter === 0 && !error.message.includes("<"));
});

test("a service that is not there is a ConnectionError after the retries", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t, { maxRetries: 1 });
  await proxy.close();
  for (const call of [() => client.health(), () => client.query({ query: "x" }).result()]) {
    await assert.rejects(call, (error) => error instanceof ConnectionError && error.cause !== undefined && /does not respond/.test(error.message));
  }
});

test("a loop that is left closes the connection; the turn goes on, and another loop goes on after the last event", TIME_LIMIT, async () => {
  const stream = newClient().query({ query: SLOW, session_id: "left" });
  const first: AgentEvent[] = [];
  for await (const event of stream) {
    first.push(event);
    if (first.filter(({ type }) => type === "delta").length === 3) break;
  }
  const rest = await collect(stream);
  assert.equal(textOf([...first, ...rest]), WORDS);
  assert.equal(rest.at(-1)?.type, "done");
});

test("two loops at once are refused", TIME_LIMIT, async () => {
  const stream = newClient().query({ query: "What is 2+2?" });
  for await (const _ of stream) await assert.rejects(stream.result(), /one loop at a time/);
});

test("an abort ends the loop with the signal's reason, and not the turn", TIME_LIMIT, async () => {
  const client = newClient();
  const abort = new AbortController();
  const stream = client.query({ query: SLOW, session_id: "aborted" }, { signal: abort.signal });
  await assert.rejects(async () => {
    for await (const event of stream) if (event.type === "delta") abort.abort();
  }, { name: "AbortError" });
  const result = await client.followConversation("aborted").result();
  assert.deepEqual([result.turn_id, result.response], [stream.turnId, WORDS]);
  await assert.rejects(client.health({ signal: abort.signal }), { name: "AbortError" });
});

test("a cancelled turn is an error with the code turn_cancelled", TIME_LIMIT, async () => {
  const client = newClient();
  const stream = client.query({ query: SLOW, session_id: "stopped" });
  await assert.rejects(
    async () => {
      for await (const event of stream) if (event.type === "delta") await client.cancelConversation("stopped");
    },
    (error) => error instanceof AgentError && error.code === "turn_cancelled" && error.status === 409,
  );
});

test("refusals and failures are errors by their code", TIME_LIMIT, async () => {
  const client = newClient();
  const code = (expected: string) => (error: unknown) => error instanceof AgentError && error.code === expected && error.message.length > 0;
  await assert.rejects(client.query({ query: " " }).result(), code("no_prompt"));
  await assert.rejects(client.query({ query: "[[fail 400]]" }).result(), code("model_failed"));
  await assert.rejects(client.readConversation("nothing"), (error) => code("not_found")(error) && /^req_/.test((error as AgentError).requestId ?? ""));
  await assert.rejects(client.listConversations({ limit: 1000 }), code("invalid_parameter"));
});

test("a turn that runs by itself is read, listed and followed, from an event on", TIME_LIMIT, async () => {
  const client = newClient();
  const accepted = await client.startQuery({ query: "What is 5*5?", session_id: "own" });
  const stream = client.followConversation("own");
  const events = await collect(stream);
  const { turn_id, response } = await stream.result();
  assert.deepEqual([turn_id, response], [accepted.turn_id, "25"]);
  assert.equal((await client.readTurn(turn_id)).status, "completed");
  assert.deepEqual((await client.listTurns("own")).items.map((turn) => turn.turn_id), [turn_id]);

  const message = events.find(({ type }) => type === "message");
  const after = await collect(client.followConversation("own", { lastEventId: message?.id }));
  assert.deepEqual(after.map(({ type }) => type), ["turn", "done"]);
  const nothing = client.followConversation("own", { lastEventId: stream.lastEventId });
  assert.deepEqual(await collect(nothing), []);
  await assert.rejects(nothing.result(), /had ended before/);
});

test("lists go on page by page", TIME_LIMIT, async () => {
  const client = newClient();
  const ids = ["a", "b", "c", "d", "e"];
  for (const id of ids) await client.uploadFile(id, "x", id);
  for (const id of ids) await client.query({ query: `What is ${ids.indexOf(id)}+1?`, session_id: id }).result();
  const seen: string[] = [];
  for (let page = await client.listConversations({ limit: 2 }); ; page = await client.listConversations(page.next)) {
    seen.push(...page.items.map(({ session_id }) => session_id));
    if (page.next === undefined) break;
  }
  assert.deepEqual(seen, ids.toReversed());
  assert.deepEqual((await client.listConversations({ q: "3+1" })).items.map(({ session_id }) => session_id), ["d"]);

  await client.query({ query: "again", session_id: "a" }).result();
  const [latest] = (await client.listTurns("a", { limit: 1 })).items;
  const { next } = await client.listTurns("a", { limit: 1 });
  const [before] = (await client.listTurns("a", next)).items;
  assert.notEqual(before?.turn_id, latest?.turn_id);
});

test("a conversation is changed, read and deleted", TIME_LIMIT, async () => {
  const client = newClient();
  await client.query({ query: "What is 2+2?", session_id: "mine" }).result();
  assert.equal((await client.updateConversation("mine", { title: "Sums", metadata: { team: "blue" } })).title, "Sums");
  const read = await client.readConversation("mine");
  assert.deepEqual([read.title, read.metadata["team"], read.messages?.length, read.previous], ["Sums", "blue", 2, undefined]);
  assert.equal((await client.storageStats()).total_conversations, 1);
  assert.deepEqual(await client.deleteConversation("mine"), { success: true });
  assert.equal((await client.storageStats()).total_conversations, 0);
});

test("a conversation is forked, taken back and compacted", TIME_LIMIT, async () => {
  const client = newClient();
  const first = await client.query({ query: "What is 2+2?", session_id: "trunk" }).result();
  const second = await client.query({ query: "What is 3+3?", session_id: "trunk" }).result();
  const asked = async (id: string): Promise<string[]> => ((await client.readConversation(id)).messages ?? []).filter(({ role }) => role === "user").map(({ content }) => content);
  const fork = await client.forkConversation("trunk", { at: first.turn_id, title: "Branch" });
  assert.equal(fork.title, "Branch");
  assert.deepEqual(await asked(fork.session_id), ["What is 2+2?"]);
  assert.ok(((await client.readContext("trunk")).limit ?? 0) > 0);
  await client.rewindConversation("trunk", { before: second.turn_id });
  assert.deepEqual(await asked("trunk"), ["What is 2+2?"]);
  const events = await collect(client.compactConversation("trunk", { instructions: "Keep the numbers." }));
  assert.deepEqual(events.filter(({ type }) => type === "compacted" || type === "done").map(({ type }) => type), ["compacted", "done"]);
});

test("the feed begins with a snapshot, and again after a cut", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  const abort = new AbortController();
  const heard: string[] = [];
  await assert.rejects(async () => {
    for await (const event of client.followAccount({ signal: abort.signal })) {
      heard.push(event.type === "conversation" ? `${event.type} ${event.data.change}` : event.type);
      if (heard.length === 1) await client.query({ query: "What is 2+2?", session_id: "heard" }).result();
      if (event.type === "turn" && event.data.status === "completed") proxy.cut();
      if (heard.filter((type) => type === "snapshot").length === 2) abort.abort();
    }
  }, { name: "AbortError" });
  assert.ok(heard.includes("conversation created"), heard.join(", "));
  assert.equal(heard.at(-1), "snapshot");
});

test("what a stream includes is included after a cut as well", TIME_LIMIT, async (t) => {
  const { proxy, client } = await proxied(t);
  proxy.judge = (piece) => (proxy.requests.length === 1 && piece.includes("event: tool") ? "cut-after" : "pass");
  const events = await collect(client.query({ query: '[[tool Bash {"command":"sleep 1; echo made"}]]', session_id: "included", include: ["tool_result"] }));
  const ended = events.find((event) => event.type === "tool" && event.data.status === "finished");
  assert.equal(ended?.type === "tool" && String(ended.data.result).trim(), "made");
  assert.equal(proxy.requests.length, 2);
});

test("files of any name are uploaded, listed, read and deleted", TIME_LIMIT, async () => {
  const client = newClient();
  const path = "reports/50% of it?/ä #1.txt";
  const { etag } = await client.uploadFile("files", path, new Blob(["0123456789"]));
  await assert.rejects(client.uploadFile("files", path, "other", { ifNoneMatch: "*" }), (error) => error instanceof AgentError && error.code === "precondition_failed");
  await client.uploadFile("files", "b.bin", new Uint8Array([1, 2, 3]));
  const first = await client.listFiles("files", { limit: 1 });
  const second = await client.listFiles("files", first.next);
  assert.deepEqual([...first.files, ...second.files].map((file) => file.path), ["b.bin", path]);
  assert.equal(second.next, undefined);
  assert.equal(await (await client.readFile("files", path, { range: "bytes=2-4" })).text(), "234");
  await assert.rejects(client.readFile("files", path, { at: `turn_${"0".repeat(32)}` }), (error) => error instanceof AgentError && error.code === "not_found");
  assert.equal((await client.readFile("files", path, { ifNoneMatch: `"${etag}"` })).status, 304);
  const archive = new Uint8Array(await (await client.readArchive("files")).arrayBuffer());
  assert.deepEqual([...archive.slice(0, 2)], [0x50, 0x4b]);
  await client.deleteFiles("files", "reports/");
  assert.deepEqual((await client.listFiles("files")).files.map((file) => file.path), ["b.bin"]);
  await client.deleteFiles("files", "");
  assert.deepEqual((await client.listFiles("files")).files, []);
});

test("the account of a call goes before the client's own", TIME_LIMIT, async () => {
  const [mine, other] = [newAccountId(), newAccountId()];
  const client = newClient({ accountId: mine });
  await client.query({ query: "What is 2+2?", session_id: "x" }, { accountId: other }).result();
  assert.equal((await client.storageStats()).total_conversations, 0);
  assert.equal((await client.storageStats({ accountId: other })).total_conversations, 1);
});

test("operators start and list purge runs; a container is started ahead", TIME_LIMIT, async () => {
  const client = newClient();
  const { run_id } = await client.startPurgeRun();
  assert.ok((await client.listPurgeRuns()).some((run) => run.run_id === run_id));
  assert.deepEqual(await client.purge(), { deleted: 0, errors: 0 });
  assert.equal((await client.prewarm()).prewarming, true);
});

test("webhooks and schedules are set, read, run and deleted", TIME_LIMIT, async () => {
  const client = newClient();
  const { name, ...schedule } = await client.setSchedule("daily", { cron: "0 6 * * *", query: "What is 2+2?" });
  assert.deepEqual([name, schedule.cron], ["daily", "0 6 * * *"]);
  assert.deepEqual((await client.listSchedules()).map((each) => each.name), ["daily"]);
  await client.runSchedule("daily");
  assert.equal((await client.listRuns("daily", { limit: 5 })).items.length, 1);
  await client.deleteSchedule("daily");
  await assert.rejects(client.readSchedule("daily"), (error) => error instanceof AgentError && error.code === "not_found");

  await client.setWebhook("hook", { url: "https://hooks.example.com/agent" });
  assert.equal((await client.readWebhook("hook")).url, "https://hooks.example.com/agent");
  assert.deepEqual((await client.listDeliveries("hook")).items, []);
  await client.deleteWebhook("hook");
  assert.deepEqual(await client.listWebhooks(), []);
});

test("the credential is asked for before each request", async () => {
  const sent: (string | null)[] = [];
  let asked = 0;
  const client = newClient({
    token: async () => `token-${(asked += 1)}`,
    fetch: (request) => {
      sent.push((request as Request).headers.get("authorization"));
      return fetch(request);
    },
  });
  await client.health();
  await client.health();
  assert.deepEqual(sent, ["Bearer token-1", "Bearer token-2"]);
});
