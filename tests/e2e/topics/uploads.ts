/*
 * Files that users put into a conversation and delete from it, and what the agent finds of that at its next turn.
 */
import assert from "node:assert/strict";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { bash, json, problem } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";

const MEBIBYTE = 1024 * 1024;

/** Bytes of every value, in no order that compresses. */
export function noise(bytes: number): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(bytes);
  for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(made.subarray(at, at + 65_536));
  return made;
}

export function uploads(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  const read = async (session_id: string, path: string): Promise<string> => Buffer.from(await client.bytes(session_id, path)).toString();
  const asked = async (session_id: string, command: string): Promise<string> => (await client.query(bash(command), { session_id })).response;

  describe("an upload", () => {
    const session_id = "uploaded";
    before(async () => {
      await client.query(bash("mkdir src; echo old > src/old.txt"), { session_id });
    });

    test("is listed and read at once, and is the agent's at its next turn", async () => {
      const content = noise(3 * MEBIBYTE + 7);
      const { path, size, etag } = await client.uploaded(session_id, "src/new.bin", content);
      assert.deepEqual([path, size], ["src/new.bin", content.length]);
      assert.deepEqual(await client.paths(session_id), ["src/new.bin", "src/old.txt"]);
      const response = await client.file("GET", session_id, "src/new.bin");
      assert.equal(response.headers.get("etag"), `"${etag}"`);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(content));
      const part = await client.file("GET", session_id, "src/new.bin", { range: "bytes=1048570-1048589" });
      assert.ok(Buffer.from(await part.arrayBuffer()).equals(content.subarray(1_048_570, 1_048_590)));
      assert.equal(await asked(session_id, "sha256sum < src/new.bin"), `${Buffer.from(await crypto.subtle.digest("SHA-256", content)).toString("hex")}  -`);
      assert.ok(Buffer.from(await client.bytes(session_id, "src/new.bin")).equals(content), "and is read the same from the saved version");
    });

    test("may be empty, and have any name", async () => {
      for (const path of ["empty", "two words/emoji 😀.txt", "100%.txt", "a%2Fb", "x".repeat(255)]) {
        await client.uploaded(session_id, path, "");
        assert.equal(await read(session_id, path), "");
        await client.uploaded(session_id, path, path);
        assert.equal(await read(session_id, path), path);
      }
      assert.equal(await asked(session_id, "cat 'two words/emoji 😀.txt' a%2Fb"), "two words/emoji 😀.txta%2Fb");
    });

    test("of HTML is no page of this origin before a turn, either", async () => {
      assert.equal((await client.upload(session_id, "page.html", "<script>1</script>", { "content-type": "text/html" })).status, 200);
      const { headers } = await client.file("GET", session_id, "page.html");
      assert.match(headers.get("content-disposition") ?? "", /^attachment/);
      assert.match(headers.get("content-security-policy") ?? "", /sandbox(;|$)/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
    });

    test("takes the place of what the agent made a link, a folder or a file", async () => {
      const outside = join(tmpdir(), `e2e-outside-${process.pid}`);
      await asked(session_id, `mkdir -p ${outside}; ln -s ${outside} link; mkdir folder; echo in > folder/in; echo file > file`);
      for (const path of ["link/x", "folder", "file/x"]) await client.uploaded(session_id, path, `uploaded ${path}`);
      assert.equal(await asked(session_id, `ls ${outside}; test -h link || cat link/x folder file/x`), "uploaded link/xuploaded folderuploaded file/x");
      const paths = await client.paths(session_id);
      assert.deepEqual(["link/x", "folder", "file/x", "folder/in", "file"].map((path) => paths.includes(path)), [true, true, true, false, false]);
      await rm(outside, { recursive: true });
    });

    test("while a turn runs wins over what that turn writes to the path", async () => {
      const gate = join(await mkdtemp(join(tmpdir(), "e2e-upload-")), "gate");
      const events = await client.stream(bash(`echo turn > contested; until [ -e ${gate} ]; do sleep 0.05; done; cat contested`), { session_id });
      await events.until(({ event }) => event === "tool");
      await client.uploaded(session_id, "contested", "user");
      await writeFile(gate, "");
      assert.equal((await events.toEnd()).data["response"], "turn");
      assert.equal(await read(session_id, "contested"), "user");
      assert.equal(await asked(session_id, "cat contested"), "user");
      await rm(join(gate, ".."), { recursive: true });
    });
  });

  describe("a precondition of an upload", () => {
    const session_id = "conditional";
    const upload = (content: string, headers: Record<string, string>): Promise<Response> => client.upload(session_id, "a.txt", content, headers);

    test("says that there must be no such file", async () => {
      await json(await upload("one", { "if-none-match": "*" }), 200);
      await problem(upload("two", { "if-none-match": "*" }), 412, "precondition_failed");
      assert.equal(await read(session_id, "a.txt"), "one");
    });

    test("says which file must be there, uploaded or saved", async () => {
      for (const turn of [false, true]) {
        if (turn) await asked(session_id, "cat a.txt");
        const etag = (await client.file("HEAD", session_id, "a.txt")).headers.get("etag") ?? "";
        await problem(upload("two", { "if-match": '"other"' }), 412, "precondition_failed");
        await problem(upload("two", { "if-none-match": "*" }), 412, "precondition_failed");
        await json(await upload(`second ${turn}`, { "if-match": etag }), 200);
        assert.equal(await read(session_id, "a.txt"), `second ${turn}`);
        await problem(upload("three", { "if-match": etag }), 412, "precondition_failed");
      }
      await problem(client.upload(session_id, "absent", "x", { "if-match": "*" }), 412, "precondition_failed");
      await problem(upload("x", { "if-none-match": '"tag"' }), 400, "invalid_parameter");
    });
  });

  test("an upload whose length is not told is length_required, and one under a coding is refused", async () => {
    const { port } = new URL(service.url);
    const path = `/conversations/any/files/a.txt?accountId=${client.accountId}`;
    const response = await new Promise<Response>((resolve, reject) => {
      const sending = request({ host: "127.0.0.1", port, method: "PUT", path, headers: { "transfer-encoding": "chunked" } }, (message) => {
        const headers = Object.entries(message.headers).map(([name, value]): [string, string] => [name, String(value)]);
        text(message).then((body) => resolve(new Response(body, { status: message.statusCode ?? 0, headers })), reject);
      });
      sending.once("error", reject).end("in chunks");
    });
    await problem(response, 411, "length_required");
    await problem(client.upload("any", "a.txt", "x", { "content-encoding": "gzip" }), 415, "unsupported_media_type");
    await problem(client.request("GET", "/conversations/any/files"), 404, "not_found");
  });

  test("a conversation may begin with uploads", async () => {
    const session_id = "begun";
    for (const path of ["data/one.csv", "two.txt"]) await client.uploaded(session_id, path, path);
    assert.equal((await client.conversation(session_id)).title, "data/one.csv");
    const list = await client.files(session_id);
    assert.deepEqual([list.version, list.files.map(({ path }) => path)], [0, ["data/one.csv", "two.txt"]]);
    const { response, files } = await client.query(bash("cat data/one.csv two.txt"), { session_id });
    assert.equal(response, "data/one.csvtwo.txt");
    assert.deepEqual([files?.version, files?.saved], [1, true]);
    assert.equal((await client.query("repeat everything I said", { session_id })).response, bash("cat data/one.csv two.txt"));
    assert.deepEqual(await client.paths(session_id), ["data/one.csv", "two.txt"]);
  });

  describe("a deletion", () => {
    const session_id = "deleted";
    before(async () => {
      await asked(session_id, "mkdir -p dir/deep dirt; for f in a b dir/c dir/deep/d dirt/e; do echo $f > $f; done");
      await client.uploaded(session_id, "dir/uploaded", "x");
    });
    const removed = async (path: string, headers: Record<string, string> = {}): Promise<void> => {
      assert.deepEqual(await json(await client.file("DELETE", session_id, path, headers), 200), { success: true });
    };

    test("of a file takes it from the list at once, and from the agent at its next turn", async () => {
      await problem(client.file("DELETE", session_id, "a", { "if-match": '"other"' }), 412, "precondition_failed");
      await removed("a", { "if-match": (await client.file("HEAD", session_id, "a")).headers.get("etag") ?? "" });
      await problem(client.file("GET", session_id, "a"), 404, "not_found");
      await problem(client.file("DELETE", session_id, "a"), 404, "not_found");
      assert.deepEqual(await client.paths(session_id), ["b", "dir/c", "dir/deep/d", "dir/uploaded", "dirt/e"]);
      assert.equal(await asked(session_id, "ls"), "b\ndir\ndirt");
    });

    test("of a folder takes all in it, uploads too, and nothing beside it", async () => {
      await client.uploaded(session_id, "dir/waiting", "x");
      await removed("dir/");
      assert.deepEqual(await client.paths(session_id), ["b", "dirt/e"]);
      await problem(client.file("DELETE", session_id, "dir/"), 404, "not_found");
      assert.equal(await asked(session_id, "find . -type f | sort; ls"), "./b\n./dirt/e\nb\ndirt");
    });

    test("of a file that was uploaded again is no deletion", async () => {
      await removed("b");
      await client.uploaded(session_id, "b", "again");
      assert.equal(await asked(session_id, "cat b"), "again");
    });

    test("of everything leaves the conversation", async () => {
      await client.uploaded(session_id, "waiting", "x");
      await removed("");
      assert.deepEqual(await client.paths(session_id), []);
      assert.equal(await asked(session_id, "find . -mindepth 1 | wc -l"), "0");
      assert.deepEqual(await client.paths(session_id), []);
      assert.equal((await client.conversation(session_id)).metadata.message_count, 10);
    });

    test("of what is not there is not_found", async () => {
      for (const path of ["absent", "absent/"]) await problem(client.file("DELETE", session_id, path), 404, "not_found");
      await problem(client.file("DELETE", "no-conversation", ""), 404, "not_found");
    });
  });
}
