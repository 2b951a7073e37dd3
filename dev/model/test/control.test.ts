/*
 * Steering the stand-in: the log, rules, the gate; in the process, over HTTP, and from the command line.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { MAX_LOGGED_REQUESTS, MAX_LOGGED_SYSTEM_CHARS } from "../control.ts";
import { answerTo, post, userSays, withModel } from "./support.ts";

const JSON_TYPE = { "content-type": "application/json" };

test("the log shows a request's credential, model, messages and what the user said", () =>
  withModel(async (model) => {
    await answerTo(model, userSays("one", "two"));
    const requests = (await (await fetch(`${model.url}/control/requests`)).json()) as Record<string, unknown>[];
    const { at, blocks, usage, last_blocks: lastBlocks, ...request } = requests[0] ?? {};
    assert.ok(Math.abs(Number(at) - Date.now()) < 10_000);
    assert.deepEqual(request, {
      path: "/v1/messages?beta=true",
      model: "claude-sonnet-4-5",
      stream: false,
      x_api_key: "placeholder",
      authorization: null,
      effort: null,
      thinking: null,
      message_count: 3,
      system: "",
      user_texts: ["one", "two"],
      tool_names: [],
      state: "answered",
      aborted: false,
      status: 200,
      said_bytes: 0,
    });
    assert.ok(Number((usage as { output_tokens: number }).output_tokens) > 0);
    assert.deepEqual([(blocks as object[]).length, (lastBlocks as object[]).length], [3, 1]);
  }));

test("the log shows a request's system prompt, cut at its bound", () =>
  withModel(async (model) => {
    const system = [{ type: "text", text: "Be brief." }, { type: "text", text: "x".repeat(MAX_LOGGED_SYSTEM_CHARS) }];
    await answerTo(model, { ...userSays("one"), system });
    const logged = model.control.requests()[0]?.system ?? "";
    assert.match(logged, /^Be brief\.\nxxx/);
    assert.equal(logged.length, MAX_LOGGED_SYSTEM_CHARS);
  }));

test("the log is empty after it was cleared", () =>
  withModel(async (model) => {
    await answerTo(model, userSays("one"));
    await fetch(`${model.url}/control/requests`, { method: "DELETE" });
    assert.deepEqual(model.control.requests(), []);
  }));

test("the log keeps no more than its bound", () =>
  withModel(async (model) => {
    await answerTo(model, userSays("first"));
    for (let sent = 0; sent < MAX_LOGGED_REQUESTS; sent += 50) {
      await Promise.all(Array.from({ length: 50 }, () => answerTo(model, userSays("later"))));
    }
    assert.equal(model.control.requests().length, MAX_LOGGED_REQUESTS);
    assert.ok(!model.control.requests().some((request) => request.user_texts.includes("first")));
  }));

test("a rule applies to so many requests, whatever they say", () =>
  withModel(async (model) => {
    const rule = JSON.stringify({ fail: { status: 429, retry_after: 3 }, times: 1 });
    assert.equal((await fetch(`${model.url}/control/rules`, { method: "POST", headers: JSON_TYPE, body: rule })).status, 201);
    const first = await post(model, userSays("[[say a]]"));
    const second = await post(model, userSays("[[say b]]"));
    assert.deepEqual([first.status, first.headers.get("retry-after"), second.status], [429, "3", 200]);
  }));

test("a rule without a number of times applies until rules are deleted", () =>
  withModel(async (model) => {
    model.control.addRule({ fail: { status: 500 } });
    const before = [(await post(model, userSays("a"))).status, (await post(model, userSays("b"))).status];
    await fetch(`${model.url}/control/rules`, { method: "DELETE" });
    assert.deepEqual([...before, (await post(model, userSays("c"))).status], [500, 500, 200]);
  }));

test("a rule that makes no sense is refused", () =>
  withModel(async (model) => {
    const response = await fetch(`${model.url}/control/rules`, { method: "POST", headers: JSON_TYPE, body: '{"fall": 429}' });
    assert.equal(response.status, 400);
  }));

const OF_A_PAGE: Record<string, [status: number, headers: Record<string, string>]> = {
  "of a web page": [403, { ...JSON_TYPE, origin: "http://evil.example" }],
  "of a page of this machine": [403, { ...JSON_TYPE, origin: "http://localhost:3000" }],
  "of a page without an origin": [403, { ...JSON_TYPE, origin: "null" }],
  "under another name": [403, { ...JSON_TYPE, host: "rebind.evil.example" }],
  "as plain text": [415, { "content-type": "text/plain" }],
  "as a form": [415, { "content-type": "application/x-www-form-urlencoded" }],
  "without a type": [415, {}],
};
for (const [how, [status, headers]] of Object.entries(OF_A_PAGE)) {
  test(`a rule ${how} is not taken`, () =>
    withModel(async (model) => {
      const call = request(`${model.url}/control/rules`, { method: "POST", headers }).end('{"fail": 500}');
      const [answer] = (await once(call, "response")) as [IncomingMessage];
      answer.resume();
      assert.equal(answer.statusCode, status);
      assert.equal((await post(model, userSays("a"))).status, 200);
    }));
}

test("a hanging request goes on when it is released", () =>
  withModel(async (model) => {
    const answer = answerTo(model, userSays("[[hang]] [[say at last]]"));
    await model.control.waitFor((request) => request.state === "hanging");
    const released = await fetch(`${model.url}/control/release`, { method: "POST" });
    assert.deepEqual(await released.json(), { released: 1 });
    assert.equal(await answer, "at last");
  }));

test("a stream that hangs midway has sent its first piece, and the rest when it is released", () =>
  withModel(async (model) => {
    const response = await post(model, { ...userSays("[[hang-midway]] [[words 9]]"), stream: true });
    const reader = (response.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream()).getReader();
    let seen = "";
    while (!seen.includes("word4")) seen += (await reader.read()).value ?? "";
    await model.control.waitFor((request) => request.state === "hanging");
    assert.doesNotMatch(seen, /word5/);
    model.control.release();
    while (!seen.includes("message_stop")) seen += (await reader.read()).value ?? "";
    assert.match(seen, /word9/);
  }));

test("the log says when a caller left before its answer", () =>
  withModel(async (model) => {
    const abort = new AbortController();
    const answer = post(model, userSays("[[hang]]"), { signal: abort.signal });
    await model.control.waitFor((request) => request.state === "hanging");
    abort.abort();
    await assert.rejects(answer);
    assert.equal((await model.control.waitFor((request) => request.aborted)).state, "aborted");
  }));

test("waiting for a request that does not come ends in an error", () =>
  withModel(async (model) => {
    await assert.rejects(model.control.waitFor(() => false, 20), /no such request within 20 ms/);
  }));

test("closing does not wait for hanging requests", async () => {
  await withModel(async (model) => {
    post(model, userSays("[[hang]]")).catch(() => undefined);
    await model.control.waitFor((request) => request.state === "hanging");
  });
});

test("the command line says where it listens and stops at SIGTERM", async () => {
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const child = spawn(process.execPath, [main, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    const url = /^model stand-in listening on (http:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1];
    assert.equal((await fetch(`${url}/control/requests`)).status, 200);
    const exit = once(child, "exit");
    child.kill("SIGTERM");
    assert.deepEqual(await exit, [0, null]);
  } finally {
    child.kill("SIGKILL");
  }
});

test("a question that has a script is answered as if its directives were that", () =>
  withModel(async (model) => {
    model.control.script("How hot is green tea?", "[[say 80 °C]]");
    assert.equal(await answerTo(model, userSays("How hot is green tea?")), "80 °C");
    assert.equal(model.control.requests()[0]?.user_texts.at(-1), "How hot is green tea?");
    assert.notEqual(await answerTo(model, userSays("How hot is black tea?")), "80 °C");
  }));
