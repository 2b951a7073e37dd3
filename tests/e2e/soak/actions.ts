/*
 * The soak of actions: every turn waits for leave to run a command and then for the result of a tool of the caller's, while the Worker restarts and
 * containers and CLIs are killed. The command counts its runs in a file outside of the containers. What must hold afterwards: no command ran that was not
 * allowed, none ran twice, every action was resolved once and as its caller was told, and every turn ended once.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { MessagesRequest } from "../../../dev/model/request.ts";
import { bash, Client, json } from "../client.ts";
import type { Action, Item, Problem, Turn } from "../client.ts";
import type { Service } from "../support.ts";
import { Chaos } from "./chaos.ts";
import { Deliveries } from "./deliveries.ts";
import { Random } from "./random.ts";
import type { SoakOptions } from "./soak.ts";

/** The stack's variables: those who decide late find their turn parked. */
export const ACTION_VARS = { ACTION_HOLD: "1s" };

export type ActionReckoning = {
  turns: number;
  ends: Record<string, number>;
  actions: Record<string, number>;
  allowed: number;
  denied: number;
  /** Decisions that came at the same time as another one. */
  races: number;
  executions: number;
  forbidden: number;
  twice: number;
  restarts: number;
  kills: number;
  cliKills: number;
  delivered: number;
};

const ENDS = new Set(["completed", "failed", "cancelled", "interrupted"]);
const TOOLS = [{ name: "find_order", description: "Finds an order.", input_schema: { type: "object", properties: { mark: { type: "string" } } } }];
const ASK = "ask ";
const MARK = /mark-[\w-]+/;
/** As a call that was approved while its turn had no process is answered. */
const AGAIN = "make the call again";
const ALLOWED = 0.75;
const LATE = 0.4;
const MAX_LATE_MS = 2_500;
const RACE = 0.2;
const POLL_MS = 50;
const RETRY_MS = 500;
/** While the Worker restarts nobody answers. */
const MAX_ATTEMPTS = 60;
/** Within it every turn ends, on a machine that is busy. */
const TURN_LIMIT_MS = 240_000;
const MOST_ACTIONS = 200;

type Asked = { client: Client; mark: string; sessionId: string };
/** What a caller was told of its decisions: those that were taken. */
type Taken = Map<string, Set<string>>;

export async function soakActions(service: Service, options: SoakOptions): Promise<ActionReckoning> {
  const random = new Random(options.seed);
  const run = `actions-${options.seed}-${Date.now().toString(36)}`;
  const folder = mkdtempSync(join(tmpdir(), "soak-actions-"));
  const effects = join(folder, "effects");
  writeFileSync(effects, "");
  // Conversations have users of their own.
  chmodSync(folder, 0o777);
  chmodSync(effects, 0o666);
  const command = (mark: string): string => `touch asked; echo ${mark} >> ${effects}`;
  service.model.control.scriptedBy((request) => directives(request, command));
  const chaos = new Chaos(service.stack, random.fork(), { ...options, killsClis: true });
  const deliveries = await Deliveries.start(random.fork());
  const users = Array.from({ length: options.accounts }, (_, n) => new Decider(new Client(service.url, `${run}-${n}`), random.fork()));
  for (const { client } of users) await deliveries.watch(client);
  try {
    const disturbing = chaos.run();
    try {
      await Promise.all(users.map((user) => user.ask(options.turns, options.concurrency)));
    } finally {
      chaos.end();
      await disturbing;
    }
    options.say(`${chaos.restarts} restarts, ${chaos.kills} containers and ${chaos.cliKills} CLIs killed; now the reckoning`);
    const { restarts, kills, cliKills } = chaos;
    const reckoning: ActionReckoning = {
      turns: 0, ends: {}, actions: {}, allowed: 0, denied: 0, races: users.reduce((sum, { races }) => sum + races, 0),
      executions: 0, forbidden: 0, twice: 0, restarts, kills, cliKills, delivered: 0,
    };
    const ran = Map.groupBy(readFileSync(effects, "utf8").split("\n").filter((line) => line !== ""), (mark) => mark);
    for (const user of users) reckoning.delivered += await deliveries.check(user.client, await reckon(user, ran, reckoning));
    assert.deepEqual([reckoning.forbidden, reckoning.twice], [0, 0], JSON.stringify(reckoning));
    const most = kills * options.concurrency + cliKills;
    assert.ok((reckoning.ends["interrupted"] ?? 0) <= most, `${reckoning.ends["interrupted"]} turns interrupted by ${most} deaths`);
    assert.ok((reckoning.ends["failed"] ?? 0) <= restarts, `${reckoning.ends["failed"]} turns without a model by ${restarts} restarts`);
    return reckoning;
  } finally {
    await deliveries.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** What the stand-in does: in a turn that goes on after it was parked, it makes again what was approved, and not what has its result. */
function directives({ userTexts, resultBefore }: MessagesRequest, command: (mark: string) => string): string | undefined {
  const said = userTexts.at(-1) ?? "";
  const look = (mark: string): string => `[[tool mcp__client__find_order {"mark":"${mark}"}]] [[say done]]`;
  if (said.startsWith(ASK)) return `${bash(command(said.slice(ASK.length)))} ${look(said.slice(ASK.length))}`;
  const goesOn = said.startsWith("Continue from where you left off.");
  if (!goesOn && !said.startsWith("The conversation was paused")) return undefined;
  const mark = MARK.exec(userTexts.findLast((text) => MARK.test(text)) ?? "")?.[0] ?? "";
  const decided = goesOn ? (resultBefore?.text ?? "") : said;
  if (decided.includes(`result of ${mark}`)) return "[[say done]]";
  return `${decided.includes(AGAIN) ? bash(command(mark)) : ""} ${look(mark)}`;
}

/** One account's user, who asks and decides. */
class Decider {
  readonly client: Client;
  readonly asked: Asked[] = [];
  readonly taken: Taken = new Map();
  readonly sessions = new Set<string>();
  races = 0;
  readonly #random: Random;

  constructor(client: Client, random: Random) {
    this.client = client;
    this.#random = random;
  }

  async ask(turns: number, atOnce: number): Promise<void> {
    const lanes = Array.from({ length: atOnce }, (_, lane) => ({ lane, random: this.#random.fork() }));
    await Promise.all(
      lanes.map(async ({ lane, random }) => {
        const sessionId = `lane-${lane}`;
        this.sessions.add(sessionId);
        for (let n = lane; n < turns; n += atOnce) await this.#turn(sessionId, `mark-${this.client.accountId}-${n}`, random);
      }),
    );
  }

  async #turn(sessionId: string, mark: string, random: Random): Promise<void> {
    this.asked.push({ client: this.client, mark, sessionId });
    const prompt = `${ASK}${mark}`;
    const fields = { session_id: sessionId, tools: TOOLS, permissions: { ask: ["Bash(touch:*)"] } };
    const { turn_id } = await this.#patiently(mark, async () => json<Turn>(await this.client.post(prompt, fields, { prefer: "respond-async", "idempotency-key": mark }), 202));
    const deadline = performance.now() + TURN_LIMIT_MS;
    for (;;) {
      const { status } = await this.#patiently(mark, () => this.client.turn(turn_id));
      if (ENDS.has(status)) return;
      assert.ok(performance.now() < deadline, `the turn ${turn_id} of ${mark} still is ${status}`);
      if (status === "requires_action") {
        const pending = await this.#patiently(mark, () => this.client.actions({ status: "pending", session_id: sessionId }));
        for (const action of pending) await this.#decide(action, mark, random);
      }
      // A turn that waits is told of by an event, and so is its end; a restart cuts every stream, and this only has to go on.
      await sleep(POLL_MS);
    }
  }

  async #decide(action: Action, mark: string, random: Random): Promise<void> {
    if (random.next() < LATE) await sleep(random.between(0, MAX_LATE_MS));
    const result = { decision: "result", content: `result of ${mark}` };
    const decisions = action.kind === "tool" ? [result, { ...result, is_error: true }] : random.next() < ALLOWED ? [{ decision: "allow" }, { decision: "deny" }] : [{ decision: "deny" }, { decision: "allow" }];
    const races = random.next() < RACE;
    if (races) this.races += 1;
    await Promise.all(decisions.slice(0, races ? 2 : 1).map((decision) => this.#send(action, mark, decision)));
  }

  #send({ action_id }: Action, mark: string, decision: object): Promise<void> {
    return this.#patiently(mark, async () => {
      const response = await this.client.decide(action_id, decision, { prefer: "respond-async" });
      const text = await response.text();
      if (response.status === 202) {
        const taken = this.taken.get(action_id) ?? new Set();
        this.taken.set(action_id, taken.add(JSON.stringify(decision)));
        return;
      }
      // Of two at once one loses; and a turn that was cut off has taken its actions with it.
      const { code } = JSON.parse(text) as Problem;
      if (response.status !== 409 || code !== "action_resolved") throw new Error(`${response.status}: ${text.slice(0, 200)}`);
    });
  }

  async #patiently<T>(what: string, send: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await send();
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS) throw new Error(`no answer about ${what} in ${attempt} attempts`, { cause: error });
        await sleep(RETRY_MS);
      }
    }
  }
}

/** Checks one user's account, and returns all turns that there were. */
async function reckon({ client, asked, taken, sessions }: Decider, ran: Map<string, string[]>, sums: ActionReckoning): Promise<string[]> {
  const turnIds: string[] = [];
  for (const sessionId of sessions) {
    const { messages } = await client.conversation(sessionId);
    const actions = await client.actions({ session_id: sessionId, limit: MOST_ACTIONS });
    assert.ok(actions.length < MOST_ACTIONS, `${actions.length} actions of ${sessionId}`);
    for (const action of actions) checkAction(action, taken.get(action.action_id), sums);
    const turnsOf = Map.groupBy(messages.filter(({ role }) => role === "user"), ({ content }) => MARK.exec(content)?.[0] ?? "");
    for (const { mark } of asked.filter((each) => each.sessionId === sessionId)) {
      const turns: Turn[] = [];
      for (const { turn_id } of turnsOf.get(mark) ?? assert.fail(`the turn of ${mark} is not stored`)) turns.push(await client.turn(turn_id));
      turnIds.push(...turns.map(({ turn_id }) => turn_id));
      // A key is free again when its turn was interrupted.
      assert.ok(turns.slice(0, -1).every(({ status }) => status === "interrupted"), `${mark} was asked twice`);
      for (const turn of turns) await checkTurn(client, turn, actions.filter(({ turn_id }) => turn_id === turn.turn_id), sums);
      const allowed = actions.filter(({ turn_id, kind, decision }) => kind === "permission" && decision?.decision === "allow" && turns.some((turn) => turn.turn_id === turn_id));
      const runs = ran.get(mark)?.length ?? 0;
      sums.executions += runs;
      if (runs > 0 && allowed.length === 0) sums.forbidden += 1;
      if (runs > turns.length) sums.twice += 1;
      const last = turns.at(-1);
      const asks = actions.filter(({ turn_id, kind }) => kind === "permission" && turn_id === last?.turn_id);
      if (last?.status === "completed" && asks.at(-1)?.decision?.decision === "allow") assert.ok(runs > 0, `what was allowed of ${mark} did not run`);
    }
  }
  return turnIds;
}

function checkAction({ action_id, kind, status, decision }: Action, taken: Set<string> | undefined, sums: ActionReckoning): void {
  assert.notEqual(status, "pending", action_id);
  sums.actions[status] = (sums.actions[status] ?? 0) + 1;
  if (kind === "permission" && decision?.decision === "allow") sums.allowed += 1;
  if (kind === "permission" && decision?.decision === "deny") sums.denied += 1;
  if (taken === undefined) return;
  assert.equal(taken.size, 1, `two decisions of ${action_id} were taken: ${[...taken].join()}`);
  if (status === "resolved") assert.deepEqual(JSON.parse([...taken][0] as string), decision, action_id);
}

async function checkTurn(client: Client, turn: Turn, actions: readonly Action[], sums: ActionReckoning): Promise<void> {
  assert.ok(ENDS.has(turn.status), `${turn.turn_id} is ${turn.status}`);
  // The gateway is gone while the Worker restarts: on a busy machine longer than the CLI tries to reach the model.
  const lostModel = turn.status === "failed" && turn.error?.code === "model_failed";
  assert.ok(turn.status === "completed" || turn.status === "interrupted" || lostModel, `${turn.turn_id} is ${turn.status}: ${JSON.stringify(turn.error)}`);
  sums.turns += 1;
  sums.ends[turn.status] = (sums.ends[turn.status] ?? 0) + 1;
  const { items } = await json<{ items: Item[] }>(await client.request("GET", `/turns/${turn.turn_id}?include=items`), 200);
  const told = (type: string, id: string): number => items.filter((item) => item.type === type && item["action_id"] === id).length;
  for (const { action_id } of actions) {
    assert.equal(told("action", action_id), 1, `${action_id} of ${turn.turn_id} was told of`);
    const resolved = told("action_resolved", action_id);
    assert.ok(resolved === 1 || (resolved === 0 && turn.status !== "completed"), `${action_id} of the ${turn.status} ${turn.turn_id} was resolved ${resolved} times`);
  }
  if (turn.status === "completed") assert.equal(turn.response, "done");
}
