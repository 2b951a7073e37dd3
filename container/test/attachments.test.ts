/*
 * Attachments on the real server, SDK and CLI: what reaches the model, what a transcript keeps of it, and what another server makes of that.
 */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync, crc32 } from "node:zlib";
import { after, before, describe, test } from "node:test";
import { startModel } from "../../dev/model/server.ts";
import type { Model } from "../../dev/model/server.ts";
import { startAgent } from "./harness.ts";
import type { Agent, Body, TurnFrames } from "./harness.ts";

let model: Model;
let agent: Agent;
before(async () => {
  model = await startModel();
  agent = await startAgent(model, { CLAUDE_CODE_MAX_RETRIES: "1" });
});
after(async () => {
  await agent.stop();
  await model.close();
});

type Media = "image/png" | "application/pdf" | "text/plain";
type File = { path: string; bytes: Buffer; media_type: Media };

const MEBIBYTE = 1024 * 1024;

const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");
const words = (text: string): object => ({ type: "text", text });
/** So many pages, and so many bytes that no compression makes smaller. */
function pdf(pages: number, bytes = 0): Buffer {
  return Buffer.concat([Buffer.from(`%PDF-1.4\n${"<< /Type /Page >>\n".repeat(pages)}<< /Type /Pages >>\n`), noise(bytes)]);
}
function noise(bytes: number): Buffer {
  const made = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(made.subarray(at, at + 65_536));
  return made;
}
/** Of pixels by chance: as large as its size says. */
function png(width: number, height: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2], 8);
  const row = (): Buffer => Buffer.concat([Buffer.alloc(1), noise(width * 3)]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: height }, row)), { level: 1 });
  return Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), chunk("IHDR", head), chunk("IDAT", pixels), chunk("IEND", Buffer.alloc(0))]);
}
function attached({ path, bytes, media_type }: File, more: object = {}): object {
  const source = { type: "file", path, media_type, size: bytes.length, etag: sha256(bytes).slice(0, 32) };
  return { type: media_type.startsWith("image/") ? "image" : "document", source, ...more };
}
function fileOf(server: Agent, session: string, name: string): string {
  return join(server.root, "workspace", session, name);
}
/** The file is there as an upload is: by the server's own call, before the turn. */
async function uploaded(server: Agent, session: string, seq: number, { path, bytes }: File): Promise<void> {
  const response = await fetch(`${server.url}/sessions/${session}/workspace/files?path=${path}&seq=${seq}`, { method: "PUT", body: Uint8Array.from(bytes) });
  assert.equal(response.status, 200, await response.text());
}
/** A turn to its end; what it saved is fetched, so that its server need not wait for that when it ends. */
async function run(server: Agent, body: Body): Promise<TurnFrames> {
  const turn = await server.turn(body);
  const frame = turn.of("workspace")[0];
  if (frame === undefined || !("save" in frame)) return turn;
  for (const name of ["index", ...frame.save.packs.map(({ no }) => `packs/${no}`)]) {
    const response = await server.call("GET", `/sessions/${turn.session}/workspace/saves/${frame.save.version}/${name}`);
    assert.equal(response.status, 200);
    await response.arrayBuffer();
  }
  return turn;
}
/** A turn that begins a conversation with these files. */
async function begun(files: File[], content: object[], prompt = ""): Promise<TurnFrames> {
  const session = randomUUID();
  for (const [at, file] of files.entries()) await uploaded(agent, session, at + 1, file);
  return run(agent, { agent_session: session, prompt, content, workspace: { version: 0, inbox: files.length } });
}
function onward(turn: TurnFrames, prompt: string, more: Partial<Body> = {}): Body {
  return { agent_session: turn.session, resume: true, prompt, ...more };
}
/** Hashes of what the last request held beside words. */
function sentLast(): (string | null)[] {
  const request = model.control.requests().at(-1) ?? assert.fail("no request");
  return request.blocks.filter(({ type }) => type === "image" || type === "document").map((block) => block.sha256);
}
const bytesOf = (turn: TurnFrames): number => turn.transcript.reduce((sum, line) => sum + JSON.stringify(line).length, 0);

const PICTURE: File = { path: "uploads/a.png", bytes: png(20, 20), media_type: "image/png" };
const PAPER: File = { path: "paper.pdf", bytes: pdf(2, 10 * MEBIBYTE), media_type: "application/pdf" };
const NOTE: File = { path: "note.txt", bytes: Buffer.from("Grüße, und \"mehr\"\n".repeat(2_000)), media_type: "text/plain" };

describe("blocks of a turn", () => {
  test("reach the model as they were sent, in their order, without a word if none was said", async () => {
    const inline = (type: string, media_type: string, bytes: Buffer): object => ({ type, source: { type: "base64", media_type, data: bytes.toString("base64") } });
    const text = { type: "document", source: { type: "text", media_type: "text/plain", data: "the text" }, title: "T", context: "C", citations: { enabled: true } };
    const link = { type: "image", source: { type: "url", url: "https://a.example/a.png" } };
    const turn = await run(agent, { prompt: "", content: [inline("image", "image/png", PICTURE.bytes), text, inline("document", "application/pdf", pdf(1)), link] });
    assert.equal(turn.result.status, "completed");
    const { last_blocks } = model.control.requests().at(-1) ?? assert.fail();
    const shown = last_blocks.filter(({ type }) => type !== "text").map(({ type, source, media_type, title, sha256 }) => ({ type, source, media_type, title, sha256 }));
    assert.deepEqual(shown, [
      { type: "image", source: "base64", media_type: "image/png", title: null, sha256: sha256(PICTURE.bytes) },
      { type: "document", source: "text", media_type: "text/plain", title: "T", sha256: sha256("the text") },
      { type: "document", source: "base64", media_type: "application/pdf", title: null, sha256: sha256(pdf(1)) },
      { type: "image", source: "url", media_type: null, title: null, sha256: null },
    ]);
    const other = await startAgent(model);
    try {
      await run(other, onward(turn, "[[say on]]", { transcript: turn.transcript }));
      assert.deepEqual(sentLast(), shown.map(({ sha256 }) => sha256), "and are in the history on another server");
    } finally {
      await other.stop();
    }
  });

  test("that are malformed are refused", async () => {
    for (const content of [[], {}, [{ type: "video" }], [{ type: "image" }], [attached({ ...PICTURE, path: "../a" })], [attached({ ...PICTURE, path: "/etc/passwd" })], Array(65).fill(words("x"))]) {
      const response = await agent.post({ prompt: "x", content: content as object[] });
      assert.equal(response.status, 400, JSON.stringify(content));
    }
  });
});

describe("files of the workspace", () => {
  test("reach the model, and are a few hundred bytes in the transcript, from which they come back", async () => {
    const files = [PICTURE, PAPER, NOTE];
    const hashes = files.map(({ bytes }) => sha256(bytes));
    const turn = await begun(files, [words("[[say seen]]"), ...files.map((file) => attached(file))], "[[say seen]]");
    assert.equal(turn.result.text, "seen");
    assert.deepEqual(sentLast(), hashes);
    assert.ok(bytesOf(turn) < 20_000, `${bytesOf(turn)} bytes`);
    const warm = await run(agent, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 3 } }));
    assert.deepEqual([warm.one("started").warm, sentLast()], [true, hashes]);
    const transcript = [...turn.transcript, ...warm.transcript];
    const other = await startAgent(model);
    try {
      for (const [at, file] of files.entries()) await uploaded(other, turn.session, at + 1, file);
      const cold = await run(other, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 3 }, transcript }));
      assert.deepEqual([cold.result.text, sentLast()], ["on", hashes]);
      assert.ok(bytesOf(cold) < 20_000, "what is sent again is a reference again");
    } finally {
      await other.stop();
    }
  });

  test("of the same server come back when the process has died", async () => {
    const turn = await begun([PICTURE], [attached(PICTURE)]);
    await agent.call("POST", `/sessions/${turn.session}/stop`);
    await run(agent, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 1 } }));
    assert.deepEqual(sentLast(), [sha256(PICTURE.bytes)]);
  });

  const gone: [name: string, change: (file: string) => void, reason: RegExp][] = [
    ["deleted", (file) => rmSync(file), /no file/],
    ["changed", (file) => writeFileSync(file, png(21, 21)), /has changed/],
    ["changed to as many bytes", (file) => writeFileSync(file, Buffer.alloc(PICTURE.bytes.length, 1)), /has changed/],
    ["made a link", (file) => (rmSync(file), symlinkSync("/etc/passwd", file)), /no file/],
  ];
  for (const [name, change, reason] of gone) {
    test(`that were ${name} are told and left out of the history, which goes on`, async () => {
      const turn = await begun([PICTURE, PAPER], [words("[[say seen]]"), attached(PICTURE), attached(PAPER)], "[[say seen]]");
      change(fileOf(agent, turn.session, PICTURE.path));
      await agent.call("POST", `/sessions/${turn.session}/stop`);
      const next = await run(agent, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 2 } }));
      assert.equal(next.result.text, "on");
      assert.deepEqual(sentLast(), [sha256(PAPER.bytes)]);
      const { path, reason: told } = next.one("attachment_removed");
      assert.equal(path, PICTURE.path);
      assert.match(told, reason);
      const { blocks } = model.control.requests().at(-1) ?? assert.fail();
      assert.ok(blocks.some(({ sha256: hash }) => hash === sha256("[attachment removed]")));
      assert.deepEqual((await run(agent, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 2 } }))).of("attachment_removed"), []);
    });

    test(`that were ${name} before their turn fail it, and the conversation goes on`, async () => {
      const first = await run(agent, { prompt: "[[say first]]", workspace: { version: 0 } });
      const file = { ...PICTURE, path: "a.png" };
      await uploaded(agent, first.session, 1, file);
      change(fileOf(agent, first.session, "a.png"));
      const requests = model.control.requests().length;
      const failed = await run(agent, onward(first, "", { content: [attached(file)], workspace: { version: 0, inbox: 1 } }));
      assert.deepEqual([failed.result.status, failed.result.error?.code], ["failed", "attachment_not_found"]);
      assert.match(failed.result.error?.message ?? "", reason);
      assert.equal(model.control.requests().length, requests, "nothing was sent");
      assert.equal((await run(agent, onward(first, "repeat everything I said", { workspace: { version: 0, inbox: 1 } }))).result.text, "[[say first]]");
    });
  }

  test("are read through no folder that is a link", async () => {
    const first = await run(agent, { prompt: "[[say first]]", workspace: { version: 0 } });
    writeFileSync(join(agent.root, "outside.png"), PICTURE.bytes);
    symlinkSync(agent.root, fileOf(agent, first.session, "folder"));
    const failed = await run(agent, onward(first, "", { content: [attached({ ...PICTURE, path: "folder/outside.png" })], workspace: { version: 0 } }));
    assert.equal(failed.result.error?.code, "attachment_not_found");
  });

  test("that are no PDF of at most 100 pages, or no text, fail their turn before anything is sent", async () => {
    for (const [file, code] of [
      [{ path: "a.pdf", bytes: pdf(101), media_type: "application/pdf" }, "attachment_too_large"],
      [{ path: "a.txt", bytes: Buffer.concat([Buffer.from("text".repeat(2_000)), Buffer.from([0xff])]), media_type: "text/plain" }, "unsupported_attachment"],
    ] as const) {
      const requests = model.control.requests().length;
      const turn = await begun([file], [attached(file)]);
      assert.equal(turn.result.error?.code, code);
      assert.equal(model.control.requests().length, requests);
      assert.equal((await run(agent, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 1 } }))).result.text, "on");
    }
    const whole = { path: "a.pdf", bytes: pdf(100), media_type: "application/pdf" } as const;
    assert.equal((await begun([whole], [attached(whole)])).result.status, "completed");
  });
});

describe("what the API refuses", () => {
  test("of a PDF is told by the CLI, and the conversation goes on, on another server too", async () => {
    const broken: File = { path: "a.pdf", bytes: Buffer.from("%PDX-1.4 this is none"), media_type: "application/pdf" };
    const turn = await begun([broken], [words("[[say seen]]"), attached(broken)], "[[say seen]]");
    assert.deepEqual([turn.result.status, sentLast()], ["completed", []]);
    assert.equal(turn.one("attachment_removed").path, "a.pdf");
    const other = await startAgent(model);
    try {
      await uploaded(other, turn.session, 1, broken);
      const next = await run(other, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 1 }, transcript: turn.transcript }));
      assert.deepEqual([next.result.text, sentLast()], ["on", []]);
    } finally {
      await other.stop();
    }
  });
});

test("images that the CLI makes smaller are references where they are large together, and the next server sends the files", async () => {
  const files = [1, 2, 3].map((n): File => ({ path: `${n}.png`, bytes: png(2_400, 500 + n), media_type: "image/png" }));
  const turn = await begun(files, [words("[[say seen]]"), ...files.map((file) => attached(file))], "[[say seen]]");
  assert.equal(turn.result.text, "seen");
  const sent = sentLast();
  assert.ok(files.every(({ bytes }, at) => sent[at] !== sha256(bytes)), "the CLI has made them smaller");
  const other = await startAgent(model);
  try {
    for (const [at, file] of files.entries()) await uploaded(other, turn.session, at + 1, file);
    const next = await run(other, onward(turn, "[[say on]]", { workspace: { version: 0, inbox: 3 }, transcript: turn.transcript }));
    assert.equal(next.result.text, "on");
    assert.ok(bytesOf(turn) < 20_000, `${bytesOf(turn)} bytes`);
    assert.equal(sentLast().length, 3);
  } finally {
    await other.stop();
  }
});
