/*
 * Containers and CLI processes that die under a turn or between turns, and containers told to stop.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { problem } from "../client.ts";
import type { Client } from "../client.ts";
import { serverAndCli } from "../containers.ts";
import { descendantsOf, gone, isAlive } from "../processes.ts";
import type { Service } from "../support.ts";

/** The contract: a turn whose container died has ended within five seconds of the death. */
const DEATH_MS = 5_000;
/** An agent server without a turn stops about at once. */
const EXIT_MS = 10_000;
const SAID = "[[say noted]] The word is pear.";

export function deaths(service: Service): void {
  let client: Client;
  const session_id = "mortal";
  before(async () => {
    client = service.newClient();
    await client.query(SAID, { session_id });
  });

  const processes = (): Promise<{ cli: number; server: number }> => serverAndCli(client, service, session_id);

  /** Starts a turn that hangs, kills the process under it, and expects the turn to end as interrupted. */
  async function killUnderTurn(victim: number, prompt: string): Promise<void> {
    const answer = client.post(prompt, { session_id });
    await service.hanging(prompt);
    const start = performance.now();
    process.kill(victim, "SIGKILL");
    const response = await answer;
    assert.ok(performance.now() - start < DEATH_MS, `took ${Math.round(performance.now() - start)} ms`);
    assert.match(response.headers.get("retry-after") ?? "", /^\d+$/);
    await problem(response, 503, "turn_interrupted");
  }

  async function knowsWhatWasSaid(): Promise<void> {
    const { response } = await client.query("repeat everything I said", { session_id });
    assert.match(response, /^\[\[say noted\]\] The word is pear\.$/m);
    assert.ok(service.asked("repeat everything I said").at(-1)?.user_texts.includes(SAID), "the model was told of it");
  }

  test("a turn whose agent server is killed ends as interrupted within five seconds", async () => {
    const { server } = await processes();
    const below = descendantsOf(server);
    await killUnderTurn(server, "[[hang-midway]] [[words 9]] server dies");
    for (const pid of below) await gone(pid, EXIT_MS);
  });

  test("the next turn after the server's death takes a fresh container and knows what was completed", async () => {
    await knowsWhatWasSaid();
  });

  test("a turn whose CLI is killed ends as interrupted within five seconds, and the server lives", async () => {
    const { cli, server } = await processes();
    await killUnderTurn(cli, "[[hang]] cli dies");
    assert.ok(isAlive(server));
  });

  test("the next turn after the CLI's death knows what was completed", async () => {
    await knowsWhatWasSaid();
  });

  test("an interrupted turn leaves its prompt and no answer", async () => {
    const said = await client.said(session_id);
    const at = said.indexOf("user: [[hang]] cli dies");
    assert.ok(at > 0);
    assert.equal(said[at + 1], "user: repeat everything I said");
  });

  test("a turn waiting behind the one that dies runs in the fresh container", async () => {
    const { server } = await processes();
    const prompt = "[[hang]] in front of one";
    const front = client.post(prompt, { session_id });
    await service.hanging(prompt);
    const behind = client.query("[[say survived]]");
    await client.turn((await client.start("[[say queued too]]")).turn_id);
    process.kill(server, "SIGKILL");
    await problem(front, 503, "turn_interrupted");
    assert.equal((await behind).response, "survived");
  });

  test("a death between turns is not noticed by the next", async () => {
    const { server } = await processes();
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    await knowsWhatWasSaid();
  });

  test("the death of an idle CLI is not noticed by the next turn", async () => {
    const { cli } = await processes();
    process.kill(cli, "SIGKILL");
    await gone(cli, EXIT_MS);
    await knowsWhatWasSaid();
  });

  test("a container told to stop finishes its turn first, and the next turn takes a new one", async () => {
    const { server } = await processes();
    const prompt = "[[hang-midway]] [[words 9]] drained";
    const answer = client.query(prompt, { session_id });
    await service.hanging(prompt);
    process.kill(server, "SIGTERM");
    service.model.control.release();
    assert.match((await answer).response, /^word1 .* word9$/);
    await gone(server, EXIT_MS);
    await knowsWhatWasSaid();
  });
}
