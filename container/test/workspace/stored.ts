/*
 * The object's part, for tests: it fetches what a turn saved, keeps it, and brings it to a server that lacks it.
 */
import assert from "node:assert/strict";
import type { Agent, TurnFrames } from "../harness.ts";
import type { WorkspaceFrame } from "../../src/workspace/terms.ts";

type Save = Extract<WorkspaceFrame, { save: unknown }>["save"];
export type StoredEntry = [path: string, mode: number, ...rest: unknown[]];

export class Stored {
  version = 0;
  parts: string[] = [];
  readonly packs = new Map<number, Buffer>();

  /** What stands in the turn's frame is fetched and becomes the stored version. */
  async take(agent: Agent, turn: TurnFrames): Promise<Save> {
    const save = saveOf(turn);
    assert.deepEqual([save.base, save.version], [this.version, this.version + 1]);
    const at = `/sessions/${turn.session}/workspace/saves/${save.version}`;
    const index = await bytes(await agent.call("GET", `${at}/index`));
    assert.equal(index.length, save.index_bytes);
    for (const { no, bytes: length } of save.packs) {
      const response = await agent.call("GET", `${at}/packs/${no}`);
      assert.equal(response.headers.get("content-length"), String(length));
      assert.ok(!this.packs.has(no), `pack ${no} was there before`);
      this.packs.set(no, await bytes(response));
    }
    const live = [...save.keep, ...save.packs.map(({ no }) => no)];
    for (const no of [...this.packs.keys()]) if (!live.includes(no)) this.packs.delete(no);
    assert.deepEqual([...this.packs.keys()].sort(), live.sort());
    const [head = "", ...parts] = index.toString().trimEnd().split("\n");
    assert.deepEqual(JSON.parse(head), { version: save.version, codec: "zstd" });
    this.parts = parts;
    this.version = save.version;
    return save;
  }

  entries(): StoredEntry[] {
    return this.parts.flatMap((part) => JSON.parse(part) as StoredEntry[]);
  }

  get paths(): string[] {
    return this.entries().map(([path]) => path);
  }

  head(): string {
    const packs = [...this.packs].map(([no, { length }]) => ({ no, bytes: length }));
    return JSON.stringify({ version: this.version, codec: "zstd", packs });
  }

  async restore(agent: Agent, session: string): Promise<void> {
    const { need } = await this.begin(agent, session);
    let left = need.length;
    for (const no of need) {
      const response = await sendPack(agent, session, no, this.packs.get(no) ?? assert.fail(`pack ${no} is not stored`));
      assert.equal(response.status, 200, await response.clone().text());
      assert.deepEqual(await response.json(), { left: --left });
    }
  }

  async begin(agent: Agent, session: string): Promise<{ need: number[] }> {
    const response = await put(agent, `/sessions/${session}/workspace`, Buffer.from([this.head(), ...this.parts].join("\n")));
    assert.equal(response.status, 200, await response.clone().text());
    return (await response.json()) as { need: number[] };
  }
}

export function saveOf(turn: TurnFrames): Save {
  const frame = turn.one("workspace");
  assert.ok("save" in frame, JSON.stringify(frame));
  return frame.save;
}

export function put(agent: Agent, path: string, body: Uint8Array): Promise<Response> {
  return fetch(`${agent.url}${path}`, { method: "PUT", body });
}

export function sendPack(agent: Agent, session: string, no: number, body: Uint8Array): Promise<Response> {
  return put(agent, `/sessions/${session}/workspace/packs/${no}`, body);
}

export async function errorOf(response: Response): Promise<{ status: number; code: string; [field: string]: unknown }> {
  return { status: response.status, ...((await response.json()) as { code: string }) };
}

async function bytes(response: Response): Promise<Buffer> {
  assert.equal(response.status, 200, response.ok ? "" : await response.text());
  return Buffer.from(await response.arrayBuffer());
}
