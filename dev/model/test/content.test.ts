/*
 * Content blocks: which the stand-in takes, what it says of the others, what the log shows of them and how their tokens are counted.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { MAX_IMAGE_BASE64_BYTES, MAX_PDF_PAGES } from "../blocks.ts";
import type { Block } from "../blocks.ts";
import { MAX_LOGGED_BLOCKS } from "../control.ts";
import { MAX_BODY_BYTES } from "../server.ts";
import type { Model } from "../server.ts";
import { answerTo, post, userSays, withModel } from "./support.ts";

const PNG = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
const JPEG = Buffer.concat([Buffer.from([0xff, 0xd8, 0xff, 0xe0]), Buffer.alloc(60)]);

const says = (...content: object[]): object => ({ ...userSays(), messages: [{ role: "user", content }] });
const text = (words: string): object => ({ type: "text", text: words });
const base64 = (type: "image" | "document", mediaType: string, data: Buffer | string): object => ({
  type,
  source: { type: "base64", media_type: mediaType, data: typeof data === "string" ? data : data.toString("base64") },
});
const pdf = (pages: number): Buffer => Buffer.from(`%PDF-1.4\n${"<< /Type /Page >>\n".repeat(pages)}<< /Type /Pages >>`);
const sha256 = (bytes: Buffer | string): string => createHash("sha256").update(bytes).digest("hex");

async function refusalOf(model: Model, body: object): Promise<[status: number, message: string]> {
  const response = await post(model, body);
  return [response.status, ((await response.json()) as { error?: { message: string } }).error?.message ?? ""];
}

async function countOf(model: Model, body: object): Promise<number> {
  const response = await fetch(`${model.url}/v1/messages/count_tokens`, { method: "POST", headers: { "x-api-key": "x" }, body: JSON.stringify(body) });
  return ((await response.json()) as { input_tokens: number }).input_tokens;
}

test("the log lists each block with its type, size and hash, and those of the user's last message", () =>
  withModel(async (model) => {
    const result = { type: "tool_result", tool_use_id: "toolu_1", content: [text("two"), base64("image", "image/png", PNG)] };
    const messages = [
      { role: "user", content: "one" },
      { role: "assistant", content: [{ type: "tool_use", id: "toolu_1", name: "Read", input: { a: 1 } }] },
      { role: "user", content: [result, { ...base64("document", "application/pdf", pdf(1)), title: "a.pdf" }] },
      { role: "system", content: "<system-reminder>aside</system-reminder>" },
    ];
    await answerTo(model, { ...userSays(), messages });
    const { blocks, last_blocks: last } = model.control.requests()[0] ?? assert.fail();
    const block = (role: string, type: string, carried: Buffer | string, more: Partial<Block> = {}): Block => ({
      ...{ role, type, source: null, media_type: null, title: null, nested: false },
      ...{ bytes: Buffer.byteLength(carried), sha256: sha256(carried) },
      ...more,
    });
    const ofTheLast = [
      block("user", "tool_result", "two"),
      block("user", "image", PNG, { source: "base64", media_type: "image/png", nested: true }),
      block("user", "document", pdf(1), { source: "base64", media_type: "application/pdf", title: "a.pdf" }),
    ];
    const before = [block("user", "text", "one"), block("assistant", "tool_use", '{"a":1}')];
    assert.deepEqual(blocks, [...before, ...ofTheLast, block("system", "text", "<system-reminder>aside</system-reminder>")]);
    assert.deepEqual(last, ofTheLast);
  }));

test("the log keeps no more blocks of a request than its bound", () =>
  withModel(async (model) => {
    await answerTo(model, says(...Array.from({ length: MAX_LOGGED_BLOCKS + 1 }, (_, n) => text(String(n)))));
    const blocks = model.control.requests()[0]?.blocks ?? [];
    assert.deepEqual([blocks.length, blocks[0]?.sha256], [MAX_LOGGED_BLOCKS, sha256("1")]);
  }));

for (const [what, block] of [
  ["a PNG", base64("image", "image/png", PNG)],
  ["a JPEG", base64("image", "image/jpeg", JPEG)],
  ["a GIF", base64("image", "image/gif", Buffer.from("GIF89a\x01\x00\x01\x00"))],
  ["a WebP image", base64("image", "image/webp", Buffer.from("RIFF....WEBPVP8 "))],
  ["a PDF", base64("document", "application/pdf", pdf(MAX_PDF_PAGES))],
  ["a text", { type: "document", source: { type: "text", media_type: "text/plain", data: "words" } }],
  ["an image's address", { type: "image", source: { type: "url", url: "https://example.com/a.png" } }],
  ["a document's file id", { type: "document", source: { type: "file", file_id: "file_1" } }],
] as const) {
  test(`${what} is taken`, () => withModel(async (model) => assert.equal(await answerTo(model, says(text("[[say ok]]"), block)), "ok")));
}

const REFUSED: [string, object, string][] = [
  ["a PDF that is none", base64("document", "application/pdf", Buffer.from("no PDF")), "messages.0.content.1.pdf.source.base64.data: The PDF specified was not valid."],
  ["a PDF of too many pages", base64("document", "application/pdf", pdf(MAX_PDF_PAGES + 1)), "messages.0.content.1.pdf.source.base64.data: A maximum of 100 PDF pages may be provided."],
  ["another document than a PDF", base64("document", "text/html", Buffer.from("<p>")), "messages.0.content.1.document.source.base64.media_type: Input should be 'application/pdf'"],
  ["a document of text that is not plain", { type: "document", source: { type: "text", media_type: "text/html", data: "<p>" } }, "messages.0.content.1.document.source.text.media_type: Input should be 'text/plain'"],
  ["an image that is none", base64("image", "image/png", Buffer.from("no image")), "messages.0.content.1.image.source.base64.data: Could not process image"],
  ["an image under another type", base64("image", "image/png", JPEG), "messages.0.content.1.image.source.base64.data: Image does not match the provided media type image/png"],
  ["an image of an unknown type", base64("image", "image/bmp", PNG), "messages.0.content.1.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'"],
  ["data that is no base64", base64("image", "image/png", "%%%"), "messages.0.content.1.image.source.base64: invalid base64 data"],
  ["an image without a source", { type: "image" }, "messages.0.content.1.image.source: Input tag 'undefined' found using 'type' does not match any of the expected tags"],
  ["an image without its address", { type: "image", source: { type: "url" } }, "messages.0.content.1.image.source.url: Field required"],
  [
    "an image whose base64 is over 5 MB",
    base64("image", "image/png", Buffer.concat([PNG, Buffer.alloc(MAX_IMAGE_BASE64_BYTES * 0.75)])),
    "messages.0.content.1.image.source.base64: image exceeds 5 MB maximum: 5242976 bytes > 5242880 bytes",
  ],
  [
    "a PDF that is none, of a tool's result",
    { type: "tool_result", tool_use_id: "toolu_1", content: [base64("document", "application/pdf", Buffer.from("no PDF"))] },
    "messages.0.content.1.tool_result.content.0.pdf.source.base64.data: The PDF specified was not valid.",
  ],
];
for (const [what, block, message] of REFUSED) {
  test(`${what} is refused as the API does it, and the log shows that`, () =>
    withModel(async (model) => {
      assert.deepEqual(await refusalOf(model, says(text("[[say ok]]"), block)), [400, message]);
      const logged = await model.control.waitFor((request) => request.state === "answered");
      assert.deepEqual([logged.status, logged.blocks[0]?.type], [400, "text"]);
    }));
}

test("a request over 32 MB is answered with 413", () =>
  withModel(async (model) => {
    const response = await post(model, says(text("x".repeat(2 * MAX_BODY_BYTES))));
    assert.equal(response.status, 413);
    assert.equal(((await response.json()) as { error: { type: string } }).error.type, "request_too_large");
  }));

test("an image counts by its pixels and a PDF by its pages, neither by its length", () =>
  withModel(async (model) => {
    const wide = Buffer.concat([PNG, Buffer.alloc(100_000)]);
    wide.writeUInt32BE(750, 16);
    wide.writeUInt32BE(1_000, 20);
    const alone = await countOf(model, says(text("look")));
    const more = async (block: object): Promise<number> => (await countOf(model, says(text("look"), block))) - alone;
    const close = (tokens: number, expected: number): void => assert.ok(Math.abs(tokens - expected) < 50, `${tokens} is not about ${expected}`);
    close(await more(base64("image", "image/png", wide)), 1_000);
    close(await more(base64("image", "image/jpeg", Buffer.concat([JPEG, Buffer.alloc(100_000)]))), 1_600);
    close(await more(base64("document", "application/pdf", pdf(3))), 6_000);
    close(await more({ type: "document", source: { type: "text", media_type: "text/plain", data: "x".repeat(4_000) } }), 1_000);
  }));

test("who sends nothing but an image is not answered as for what was said before", () =>
  withModel(async (model) => {
    const answer = (content: object[]): Promise<string> =>
      answerTo(model, { ...userSays(), messages: [{ role: "user", content: "[[say a]]" }, { role: "assistant", content: "a" }, { role: "user", content }] });
    assert.equal(await answer([base64("image", "image/png", PNG)]), "The stand-in model heard: (image)");
    assert.equal(await answer([text("[Document removed: the API could not process this document. Use a shell command instead.]")]), "The stand-in model heard: (document)");
    assert.equal(await answer([text("[[say b]]"), base64("image", "image/png", PNG), text("[Image: source: /tmp/1.png]")]), "b");
  }));
