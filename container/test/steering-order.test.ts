/*
 * Whatever the order of tools, text, offers, withdrawals and ends: an offered message is taken in by its turn or never reaches the model in a
 * turn of its own, and a conversation that runs the others itself has each of them once. The first part is on the real CLI.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import type { Entry } from "../src/frames.ts";
import { Offers } from "../src/turn/offers.ts";
import { startAgent } from "./harness.ts";
import type { Agent, OpenTurn } from "./harness.ts";

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const FOLDED = "The user sent a new message while you were working:\n";

/** Numbers that depend on the seed alone. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2_654_435_761;
  return (below) => {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0;
    return (state >>> 8) % below;
  };
}

type Act = { at: number; what: "offer" | "withdraw" | "cancel" | "kill"; id: string };
type Plan = { prompt: string; offers: Map<string, string>; acts: Act[] };

/** A turn of up to three tools and a text, and what is done at its events: each tool frame and each delta is one. */
function planOf(seed: number): Plan {
  const random = randomOf(seed);
  const work = (): string =>
    Array.from({ length: random(3) }, () => `[[tool Bash {"command":"sleep ${[0, 0.02, 0.15][random(3)]}"}]]`).join(" ") + ` [[words ${4 + random(40)}]] [[delay ${random(12)}]]`;
  const ids = Array.from({ length: 1 + random(4) }, (_, n) => `offer-${seed}-${n}`);
  const acts = ids.map((id): Act => ({ at: random(7), what: "offer", id }));
  if (random(3) === 0) acts.push({ at: 1 + random(7), what: "withdraw", id: ids[0] ?? "" });
  if (random(4) === 0) acts.push({ at: 2 + random(6), what: "cancel", id: "" });
  else if (random(5) === 0) acts.push({ at: 2 + random(6), what: "kill", id: "" });
  return { prompt: `base-${seed} [[tool Bash {"command":"sleep 0.1"}]] ${work()}`, offers: new Map(ids.map((id) => [id, `${id} ${work()}`])), acts };
}

describe("in any order", () => {
  let model: Model;
  let agent: Agent;

  before(async () => {
    model = await startModel();
    agent = await startAgent(model);
    await agent.processesReady();
  });
  after(async () => {
    await agent.stop();
    await model.close();
  });

  for (const seed of SEEDS) {
    test(`a message is taken in or never runs by itself (seed ${seed})`, async () => {
      const { prompt, offers, acts } = planOf(seed);
      model.control.clearRequests();
      const { session } = await agent.turn({ prompt: `start-${seed}` });
      const open = await agent.begin({ agent_session: session, resume: true, prompt });
      const withdrawn = new Set<string>();
      const offered = new Set<string>();
      const did = new Set(await play(open, acts, offered, withdrawn, offers, session));
      const turn = await open.rest();
      const steered = turn.of("steered").flatMap((frame) => frame.turn_ids);
      const texts = (): string[][] => model.control.requests().map((request) => request.user_texts);

      for (const id of steered) assert.ok(offered.has(id) && !withdrawn.has(id), `${id} was not the turn's to take`);
      for (const [id, text] of offers) {
        const alone = texts().filter((said) => said.at(-1) === text);
        assert.equal(alone.length, 0, `${id} ran by itself`);
        const seen = texts().some((said) => said.some((each) => each.includes(FOLDED + id)));
        // A turn that is cut off may have taken in what the model did not get any more, and a process that dies takes nothing in.
        if (did.size === 0) assert.equal(seen, steered.includes(id), `${id}: the model has it, or the turn did not take it`);
      }

      const left = [...offers].filter(([id]) => !steered.includes(id) && !withdrawn.has(id));
      for (const [, text] of left) assert.equal((await agent.turn({ agent_session: session, resume: true, prompt: text })).result.status, "completed");
      model.control.clearRequests();
      await agent.turn({ agent_session: session, resume: true, prompt: "repeat everything I said" });
      const history = texts()[0]?.join("\n") ?? "";
      if (did.has("kill")) return;
      for (const id of offers.keys()) assert.equal(history.split(`${id} `).length - 1, withdrawn.has(id) ? 0 : 1, `${id} in the conversation`);
    });
  }

  /** Does what the plan says at the turn's events; what would come after the turn's end is left. */
  async function play(open: OpenTurn, acts: Act[], offered: Set<string>, withdrawn: Set<string>, offers: Map<string, string>, session: string): Promise<string[]> {
    const done: string[] = [];
    for (let event = 0; event < 8; event++) {
      for (const { what, id } of acts.filter(({ at }) => at === event)) {
        if (what === "offer") {
          const response = await agent.call("POST", `/turns/${open.id}/steer`, { turn_id: id, prompt: offers.get(id) });
          if (response.status === 202) offered.add(id);
          else assert.equal(response.status, 409);
        } else if (what === "withdraw") {
          const response = await agent.call("DELETE", `/turns/${open.id}/steer/${id}`);
          const answer = (await response.json()) as { withdrawn: boolean };
          if (answer.withdrawn && offered.has(id)) withdrawn.add(id);
        } else {
          done.push(what);
          if (what === "cancel") await agent.call("POST", `/turns/${open.id}/cancel`);
          else await agent.call("POST", `/sessions/${session}/stop`);
        }
      }
      if (!(await open.untilAny(["tool", "delta"]))) break;
    }
    return done;
  }
});

describe("what the real CLI seldom does", () => {
  const tool = { type: "assistant", parent_tool_use_id: null, message: { id: "m1", content: [{ type: "tool_use", id: "t1", name: "Bash" }] } };
  const toolEnds = { type: "user", parent_tool_use_id: null, message: { content: [{ type: "tool_result", tool_use_id: "t1" }] } };
  const requesting = { type: "system", subtype: "status", status: "requesting" };
  const became = (uuid: string, state: string): object => ({ type: "command_lifecycle", command_uuid: uuid, state });
  const resultOf = (...uuids: string[]): SDKResultMessage => ({ type: "result", user_message_uuids: uuids }) as unknown as SDKResultMessage;

  function offersWith(cancel: (uuid: string) => Promise<boolean>): { offers: Offers; pushed: string[]; says(...messages: object[]): void } {
    const offers = new Offers(new AbortController().signal);
    const pushed: string[] = [];
    offers.begin({ push: (uuid) => void pushed.push(uuid), cancel });
    return { offers, pushed, says: (...messages) => messages.forEach((message) => offers.message(message as SDKMessage)) };
  }

  test("a message that runs by itself after the result is no part of the turn, and the process has to go", async () => {
    const { offers, pushed, says } = offersWith(async () => false);
    says(tool);
    offers.offer("o1", "quince");
    says(toolEnds);
    offers.end(resultOf("prompt"));
    says(became(pushed[0] ?? "", "started"));
    assert.deepEqual([await offers.settled(), offers.taken], [false, []]);
  });

  test("its entries are cut off from where they begin, even before the result is there", async () => {
    const { offers, pushed, says } = offersWith(async () => false);
    says(tool);
    offers.offer("o1", "quince");
    const entries = [{ type: "assistant" }, { type: "user", uuid: pushed[0] }, { type: "assistant" }] as Entry[];
    assert.deepEqual([offers.own(entries), offers.own(entries)], [[{ type: "assistant" }], []]);
    offers.end(resultOf("prompt"));
    assert.equal(await offers.settled(), false);
  });

  test("a message that the CLI lets go of after the result harms nobody", async () => {
    const { offers, pushed, says } = offersWith(async () => false);
    says(tool);
    offers.offer("o1", "quince");
    says(toolEnds, requesting);
    offers.end(resultOf("prompt"));
    const settled = offers.settled();
    says(became(pushed[0] ?? "", "cancelled"));
    assert.deepEqual([await settled, offers.taken], [true, []]);
  });

  test("a message of which nothing is heard is taken to run", async () => {
    const { offers, says } = offersWith(async () => false);
    says(tool);
    offers.offer("o1", "quince");
    offers.end(resultOf("prompt"));
    assert.equal(await offers.settled(), false);
  });

  test("a message that came too late for one tool is pushed anew for the next", async () => {
    const { offers, pushed, says } = offersWith(async () => true);
    says(tool);
    offers.offer("o1", "quince");
    says(toolEnds, requesting);
    await new Promise(setImmediate);
    assert.equal(offers.pushed, false);
    says({ ...tool, message: { id: "m2", content: [{ type: "tool_use", id: "t2", name: "Bash" }] } });
    assert.deepEqual([pushed.length, new Set(pushed).size], [2, 2]);
    says(became(pushed[1] ?? "", "started"));
    offers.end(resultOf("prompt", pushed[1] ?? ""));
    assert.deepEqual([await offers.settled(), offers.taken], [true, ["o1"]]);
  });

  test("a message that is in the transcript of a turn that was cut off was taken in", async () => {
    const { offers, pushed, says } = offersWith(async () => false);
    says(tool);
    offers.offer("o1", "quince");
    const entry = { type: "attachment", attachment: { type: "queued_command", source_uuid: pushed[0] } } as Entry;
    assert.deepEqual(offers.own([entry]), [entry]);
    offers.end(resultOf("prompt"));
    assert.deepEqual([await offers.settled(), offers.taken], [true, ["o1"]]);
  });
});
