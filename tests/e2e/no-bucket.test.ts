/*
 * A deployment without the bucket binding: files are not configured, and everything else runs as it did before there were any.
 */
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { bash, json, problem } from "./client.ts";
import type { Client } from "./client.ts";
import { serverAndCli } from "./containers.ts";
import { gone } from "./processes.ts";
import { service } from "./support.ts";
import { pdf, PNG, shownTo, words } from "./topics/attachments.ts";

const EXIT_MS = 10_000;

const running = service({ configuration: { without: ["r2_buckets"] } });
describe("without a bucket", () => {
  let client: Client;
  before(() => {
    client = running.newClient();
  });

  test("a turn that writes files says nothing of them, in no form of its answer", async () => {
    const answer = await client.query(bash("echo kept > a.txt; cat a.txt"), { session_id: "s" });
    assert.equal(answer.response, "kept");
    const events = await client.stream(bash("echo more >> a.txt; cat a.txt"), { session_id: "s" });
    const done = await events.toEnd();
    assert.equal(done.data["response"], "kept\nmore");
    const turn = await client.turn(answer.turn_id);
    for (const said of [answer, done.data, turn]) assert.ok(!("files" in said), JSON.stringify(said));
    assert.deepEqual(Object.keys(turn).sort(), ["created_at", "finished_at", "response", "session_id", "started_at", "status", "turn_id", "usage"]);
  });

  test("the container saves nothing", () => {
    assert.deepEqual(running.stack.logs.filter((line) => /workspace_(saved|restored)|files_not/.test(line)), []);
  });

  test("every request about files is files_not_configured, whether there is such a conversation or not", async () => {
    for (const [account, session] of [[client, "s"], [client, "absent"], [running.newClient(), "s"]] as const) {
      const { detail } = await problem(account.request("GET", `/conversations/${session}/files`), 501, "files_not_configured");
      assert.match(detail, /no bucket/);
      await problem(account.request("GET", `/conversations/${session}/files`, { accept: "application/zip" }), 501, "files_not_configured");
      for (const method of ["GET", "DELETE"]) await problem(account.file(method, session, "a.txt"), 501, "files_not_configured");
      await problem(account.upload(session, "a.txt", "x"), 501, "files_not_configured");
    }
  });

  test("a conversation goes on when its container has died, in an empty folder", async () => {
    const { server } = await serverAndCli(client, running, "s");
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    assert.equal((await client.query(bash("ls -A | wc -l"), { session_id: "s" })).response, "0");
    assert.match((await client.query("repeat everything I said", { session_id: "s" })).response, /echo kept/);
  });

  test("data in a query is the conversation's own, in a fresh container too, and no file can be named", async () => {
    const picture = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG.toString("base64") } };
    const paper = { type: "document", source: { type: "base64", media_type: "application/pdf", data: pdf(1, 2_000_000).toString("base64") } };
    await client.query([words("[[say seen]] inline"), picture, paper], { session_id: "shown" });
    const sent = shownTo(running, "[[say seen]] inline");
    assert.equal(sent.length, 2);
    const [message] = (await client.conversation("shown")).messages;
    assert.deepEqual(message?.attachments?.map(({ media_type, path }) => [media_type, path]), [["image/png", undefined], ["application/pdf", undefined]]);
    const { server } = await serverAndCli(client, running, "shown");
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    await client.query("[[say on]] inline", { session_id: "shown" });
    assert.deepEqual(shownTo(running, "[[say on]] inline"), sent);
    const named = { type: "image", source: { type: "file", path: "a.png" } };
    await problem(client.post([named], { session_id: "shown" }), 501, "files_not_configured");
    await problem(client.post([named]), 501, "files_not_configured");
    assert.equal((await client.conversation("shown")).messages.length, 6);
  });

  test("a conversation is deleted, and an account left empty", async () => {
    for (const session of ["s", "shown"]) await json(await client.request("DELETE", `/conversations/${session}`), 200);
    await json(await client.request("POST", "/purge"), 200);
    assert.equal((await client.stats()).total_conversations, 0);
    assert.equal((await client.query("[[say back]]", { session_id: "s" })).response, "back");
  });
});
