/*
 * Images, PDFs and texts in a query: what reaches the model, now and from a fresh container, what is refused, and that a conversation goes on
 * whatever becomes of them.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, describe, test } from "node:test";
import { bash, json, problem } from "../client.ts";
import type { Client, Said } from "../client.ts";
import { serverAndCli } from "../containers.ts";
import { gone } from "../processes.ts";
import type { Service } from "../support.ts";
import { noise } from "./uploads.ts";

const EXIT_MS = 10_000;
const MEBIBYTE = 1024 * 1024;

export const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const GIF = Buffer.from("R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==", "base64");
const NOTE = "Grüße, 1 und 2\n".repeat(50);

export const words = (text: string): object => ({ type: "text", text });
/** So many pages, and so many bytes that no compression makes smaller. */
export function pdf(pages: number, bytes = 0): Buffer<ArrayBuffer> {
  return Buffer.concat([Buffer.from(`%PDF-1.4\n${"<< /Type /Page >>\n".repeat(pages)}<< /Type /Pages >>\n`), noise(bytes)]);
}
const sha256 = (bytes: Uint8Array | string): string => createHash("sha256").update(bytes).digest("hex");
const inline = (media_type: string, bytes: Buffer): object => ({
  type: media_type.startsWith("image/") ? "image" : "document",
  source: { type: "base64", media_type, data: bytes.toString("base64") },
});
const image = (path: string): object => ({ type: "image", source: { type: "file", path } });
const document = (path: string, more: object = {}): object => ({ type: "document", source: { type: "file", path }, ...more });
const uploadOf = (bytes: Buffer, extension: string): string => `uploads/${sha256(bytes).slice(0, 32)}.${extension}`;

/** Hashes of the images and documents in the last request that ends with these words. */
export function shownTo(service: Service, prompt: string): (string | null)[] {
  const request = service.asked(prompt).at(-1) ?? assert.fail(`nobody asked ${prompt}`);
  return request.blocks.filter(({ type }) => type === "image" || type === "document").map((block) => block.sha256);
}

export function attachments(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  const shown = (prompt: string): (string | null)[] => shownTo(service, prompt);
  /** What the model says and sees of the conversation in the next turn, from a container that holds nothing of it. */
  async function shownCold(session_id: string, prompt: string): Promise<(string | null)[]> {
    const { server } = await serverAndCli(client, service, session_id);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
    assert.equal((await client.query(prompt, { session_id })).response, "on");
    return shown(prompt);
  }

  describe("data in a query", () => {
    const session_id = "inline";
    const paper = pdf(2, 100_000);
    const text = { type: "document", source: { type: "text", media_type: "text/plain", data: NOTE }, title: "Note", context: "of today", citations: { enabled: true } };
    const hashes = [sha256(PNG), sha256(paper), sha256(NOTE), sha256(GIF)];

    test("reaches the model byte for byte, in its order, and is among the conversation's files", async () => {
      const prompt = "[[say seen]] data";
      const content = [inline("image/png", PNG), words(prompt), inline("application/pdf", paper), text, inline("image/gif", GIF), inline("image/png", PNG)];
      const answer = await client.query(content, { session_id });
      assert.equal(answer.response, "seen");
      assert.deepEqual(shown(prompt), [...hashes, sha256(PNG)]);
      const paths = [uploadOf(PNG, "png"), uploadOf(paper, "pdf"), uploadOf(GIF, "gif")];
      assert.deepEqual(await client.paths(session_id), [...paths].sort());
      assert.deepEqual([answer.files?.version, answer.files?.saved], [1, true]);
      const { title, messages } = await client.conversation(session_id);
      assert.deepEqual([title, messages.map(({ content }) => content)], [prompt, [prompt, "seen"]]);
      const told = [
        { type: "image", media_type: "image/png", path: paths[0], size: PNG.length },
        { type: "document", media_type: "application/pdf", path: paths[1], size: paper.length },
        { type: "document", media_type: "text/plain", size: Buffer.byteLength(NOTE), title: "Note" },
        { type: "image", media_type: "image/gif", path: paths[2], size: GIF.length },
        { type: "image", media_type: "image/png", path: paths[0], size: PNG.length },
      ];
      assert.deepEqual(messages.map(({ attachments }) => attachments), [told, undefined]);
    });

    test("reaches it the same from a fresh container", async () => {
      assert.deepEqual(await shownCold(session_id, "[[say on]] cold"), [...hashes, sha256(PNG)]);
    });

    test("that is there already is not put again", async () => {
      const before = await client.files(session_id);
      await client.query([words("[[say seen]] again"), inline("image/png", PNG)], { session_id });
      assert.equal(shown("[[say seen]] again").length, 6);
      assert.deepEqual(await client.files(session_id), before);
    });

    test("may be all of a query, which begins a conversation of its name", async () => {
      const { response, session_id } = await client.query([{ ...inline("application/pdf", pdf(1)), title: "Minutes" }]);
      assert.notEqual(response, "");
      const { title, messages } = await client.conversation(session_id);
      assert.deepEqual([title, messages[0]?.content, messages[0]?.attachments?.length], ["Minutes", "", 1]);
      assert.deepEqual(await client.paths(session_id), [uploadOf(pdf(1), "pdf")]);
    });

    test("is a small row, however large: 2 MB of a PDF leave less in the database", async () => {
      await client.query([words("[[say seen]]")], { session_id: "small" });
      const before = (await client.stats()).database_bytes;
      await client.query([words("[[say seen]] large"), inline("application/pdf", pdf(1, 2 * MEBIBYTE))], { session_id: "small" });
      const added = (await client.stats()).database_bytes - before;
      assert.ok(added < 100_000, `${added} bytes`);
    });
  });

  describe("a file that a query names", () => {
    const session_id = "named";
    const paper = pdf(3, 5 * MEBIBYTE);
    const hashes = [sha256(PNG), sha256(paper), sha256(NOTE)];

    test("is the agent's own or an upload, and is shown by its bytes, whatever its name says", async () => {
      await client.query(bash(`printf '%s' '${NOTE}' > note; printf '%s' '${PNG.toString("base64")}' | base64 -d > 'ä picture.txt'`), { session_id });
      await client.uploaded(session_id, "in/paper", paper);
      const prompt = "[[say seen]] files";
      await client.query([words(prompt), image("ä picture.txt"), document("in/paper", { title: "Paper" }), document("note")], { session_id });
      assert.deepEqual(shown(prompt), hashes);
      const { messages } = await client.conversation(session_id);
      assert.deepEqual(messages[2]?.attachments, [
        { type: "image", media_type: "image/png", path: "ä picture.txt", size: PNG.length },
        { type: "document", media_type: "application/pdf", path: "in/paper", size: paper.length, title: "Paper" },
        { type: "document", media_type: "text/plain", path: "note", size: Buffer.byteLength(NOTE) },
      ]);
    });

    test("is shown again from a fresh container, and by a restarted Worker", async () => {
      assert.deepEqual(await shownCold(session_id, "[[say on]] cold files"), hashes);
      await service.stack.restartWorker();
      assert.equal((await client.query("[[say on]] warm files", { session_id })).response, "on");
      assert.deepEqual(shown("[[say on]] warm files"), hashes);
    });

    test("may be uploaded before the Worker restarts and the container dies, and named after that", async () => {
      await client.uploaded(session_id, "in/late.png", PNG);
      const { server } = await serverAndCli(client, service, session_id);
      await service.stack.restartWorker(async () => {
        process.kill(server, "SIGKILL");
        await gone(server, EXIT_MS);
      });
      await client.query([words("[[say seen]] late"), image("in/late.png")], { session_id });
      assert.deepEqual(shown("[[say seen]] late"), [...hashes, sha256(PNG)]);
    });

    test("that is deleted or changed later is not shown from the next fresh container on, and the conversation goes on", async () => {
      await json(await client.file("DELETE", session_id, "in/paper"), 200);
      await client.uploaded(session_id, "note", "changed");
      const { server } = await serverAndCli(client, service, session_id);
      process.kill(server, "SIGKILL");
      await gone(server, EXIT_MS);
      const events = await client.stream("[[say on]] less", { session_id });
      assert.equal((await events.toEnd()).data["response"], "on");
      const removed = events.events.filter(({ event }) => event === "attachment_removed").map(({ data }) => data["path"]);
      assert.deepEqual(removed.sort(), ["in/paper", "note"]);
      assert.deepEqual(shown("[[say on]] less"), [sha256(PNG), sha256(PNG)]);
      const { user_texts } = service.asked("[[say on]] less").at(-1) ?? assert.fail();
      assert.equal(user_texts.filter((text) => text === "[attachment removed]").length, 2, JSON.stringify(user_texts));
      await client.query([words("[[say seen]] anew"), document("note")], { session_id });
      assert.equal(shown("[[say seen]] anew").at(-1), sha256("changed"));
    });

    test("that is changed or deleted while its turn waits fails that turn alone", async () => {
      await client.uploaded(session_id, "waits.txt", "before");
      for (const change of ["echo after > waits.txt", "rm waits.txt"]) {
        await client.start(`${bash(`${change}; sleep 1`)} [[say changed]]`, { session_id });
        const waiting = await client.post([words("[[say seen]] waiting"), document("waits.txt")], { session_id });
        await problem(waiting, 404, "attachment_not_found");
        assert.equal((await client.query("[[say on]] after that", { session_id })).response, "on");
      }
      assert.deepEqual(service.asked("[[say seen]] waiting"), []);
    });
  });

  test("an address is passed on", async () => {
    const link = { type: "image", source: { type: "url", url: "https://a.example/a.png?b=c" } };
    const { session_id } = await client.query([words("[[say seen]] address"), link]);
    const { last_blocks } = service.asked("[[say seen]] address").at(-1) ?? assert.fail();
    assert.deepEqual(last_blocks.filter(({ type }) => type === "image").map(({ source }) => source), ["url"]);
    assert.deepEqual((await client.conversation(session_id)).messages[0]?.attachments, [{ type: "image", url: "https://a.example/a.png?b=c" }]);
  });

  describe("what is refused", () => {
    const session_id = "refused";
    before(async () => {
      await client.query("[[say first]]", { session_id });
      await client.uploaded(session_id, "large.png", Buffer.concat([PNG, noise(4 * MEBIBYTE)]));
      await client.uploaded(session_id, "eight.pdf", pdf(1, 8 * MEBIBYTE));
      await client.uploaded(session_id, "long.txt", "x".repeat(MEBIBYTE + 1));
      await client.uploaded(session_id, "program", Buffer.from("\x7fELF\0\0"));
      await client.uploaded(session_id, "empty", "");
      await client.uploaded(session_id, "pages.pdf", pdf(101));
      await client.query(bash("ls"), { session_id });
    });

    /** Refused at the door, it leaves nothing, and the conversation goes on. */
    const refusals: [name: string, content: Said, status: number, code: string, detail: RegExp][] = [
      ["no such file", [image("absent.png")], 404, "attachment_not_found", /^content\[0\]\.source\.path: /],
      ["an image of more than 5 MiB", [words("x"), image("large.png")], 413, "attachment_too_large", /^content\[1\]\.source: an image/],
      ["two PDFs of more than 20 MiB", [document("eight.pdf"), document("eight.pdf")], 413, "attachment_too_large", /^content: .*20 MiB/],
      ["a long text", [document("long.txt")], 413, "attachment_too_large", /1 MiB/],
      ["more than 4 MiB in the body", [inline("application/pdf", pdf(1, 3 * MEBIBYTE))], 413, "attachment_too_large", /4 MiB/],
      ["a program", [document("program")], 415, "unsupported_attachment", /a PDF, or text/],
      ["nothing", [document("empty")], 415, "unsupported_attachment", /a PDF, or text/],
      ["a PDF as an image", [image("eight.pdf")], 415, "unsupported_attachment", /image\/png/],
      ["an image as a document", [document("large.png")], 415, "unsupported_attachment", /a PDF, or text/],
      ["another type than the bytes'", [inline("image/jpeg", PNG)], 415, "unsupported_attachment", /its bytes are image\/png/],
      ["an unknown type", [inline("image/bmp", Buffer.from("BM"))], 415, "unsupported_attachment", /media_type/],
      ["a broken PDF", [inline("application/pdf", Buffer.from("no PDF"))], 415, "unsupported_attachment", /not application\/pdf/],
      ["no base64", [{ type: "image", source: { type: "base64", media_type: "image/png", data: "a-_b" } }], 400, "invalid_parameter", /base64/],
      ["an http address", [{ type: "image", source: { type: "url", url: "http://a.example/" } }], 400, "invalid_parameter", /https/],
      ["a path that leaves the folder", [image("../../etc/passwd")], 400, "invalid_parameter", /path/],
    ];
    for (const [name, content, status, code, detail] of refusals) {
      test(`${name}`, async () => {
        const [files, { messages }] = [await client.files(session_id), await client.conversation(session_id)];
        assert.match((await problem(client.post(content, { session_id }), status, code)).detail, detail);
        assert.deepEqual([await client.files(session_id), (await client.conversation(session_id)).messages], [files, messages]);
      });
    }

    test("more pages than the model takes, by the turn, after which the conversation goes on", async () => {
      await problem(client.post([words("[[say seen]] pages"), document("pages.pdf")], { session_id }), 413, "attachment_too_large");
      assert.deepEqual(service.asked("[[say seen]] pages"), []);
      assert.equal((await client.query("[[say on]] no pages", { session_id })).response, "on");
    });

    test("more than 24 MiB in a conversation, which goes on in words and in smaller files", async () => {
      await client.query([words("[[say seen]] eight"), document("eight.pdf")], { session_id });
      await client.query([words("[[say seen]] eight more"), document("eight.pdf")], { session_id });
      assert.match((await problem(client.post([document("eight.pdf")], { session_id }), 413, "attachment_too_large")).detail, /24 MiB/);
      await client.query([words("[[say seen]] small"), inline("image/png", PNG)], { session_id });
      assert.equal(shown("[[say seen]] small").length, 3);
      assert.deepEqual(await shownCold(session_id, "[[say on]] full"), [sha256(await client.bytes(session_id, "eight.pdf")), sha256(await client.bytes(session_id, "eight.pdf")), sha256(PNG)]);
    });

    test("what the model's API refuses fails its turn alone", async () => {
      for (const status of [400, 413]) {
        const response = await client.post([words(`[[fail ${status}]]`), inline("image/gif", GIF)], { session_id: `api-${status}` });
        assert.notEqual(response.status, 200);
        await response.body?.cancel();
        assert.equal((await client.query("[[say on]] after a refusal", { session_id: `api-${status}` })).response, "on");
      }
    });

    test("a file of a conversation that there is not", async () => {
      await problem(client.post([image("a.png")], { session_id: "absent" }), 404, "attachment_not_found");
      await problem(client.post([image("a.png")]), 404, "attachment_not_found");
      await problem(client.request("GET", "/conversations/absent"), 404, "not_found");
    });
  });

  test("a request that is sent twice with one key runs once, and leaves its files once", async () => {
    const own = service.newClient();
    const key = { "idempotency-key": "attached-1" };
    const content = [words("[[say seen]] once"), inline("image/png", PNG)];
    const first = await own.query(content, {}, key);
    const again = await own.post(content, {}, key);
    assert.equal(again.headers.get("idempotent-replayed"), "true");
    assert.equal((await json<typeof first>(again, 200)).turn_id, first.turn_id);
    assert.equal(service.asked("[[say seen]] once").length, 1);
    assert.equal((await own.stats()).total_conversations, 1);
    await problem(own.post([words("[[say seen]] once"), inline("image/gif", GIF)], {}, key), 422, "idempotency_key_reused");
    assert.equal((await own.stats()).total_conversations, 1);
    const streamed = await own.stream(content, {}, key);
    assert.equal((await streamed.toEnd()).data["turn_id"], first.turn_id);
  });
}
