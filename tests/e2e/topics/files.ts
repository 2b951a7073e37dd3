/*
 * Files of a conversation: what a turn tells of them, the list, and reading one, with every condition and range of HTTP.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { before, describe, test } from "node:test";
import { bash, json, link, problem } from "../client.ts";
import type { Client, FileList, TurnFiles } from "../client.ts";
import type { Service } from "../support.ts";

const MEBIBYTE = 1024 * 1024;
/** Longer than two segments of a pack, and no whole number of them. */
const LARGE_BYTES = 2 * MEBIBYTE + 12_345;
/** Sent as it is, and not compressed on the way. */
const IDENTITY = { "accept-encoding": "identity" };

/** Names that URLs, JSON, shells and archives like to get wrong. */
export const ODD_NAMES = ["two words.txt", "emoji 😀/ünïcödé.txt", "100%.txt", "a%2Fb", "q?x=1&y#z;.txt", "it's \"quoted\".txt", "back\\slash", "-rf", "..."];
/** As many bytes as a segment may have, of one byte and of two bytes a character. */
const LONGEST_NAMES = ["x".repeat(255), `${"é".repeat(127)}x`];

const sorted = (paths: string[]): string[] => paths.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export function files(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  describe("a turn", () => {
    const session_id = "told";

    test("tells what it saved, in its JSON answer and when it is read", async () => {
      const answer = await client.query(bash("mkdir src && printf one > src/a.txt && printf three > b.txt"), { session_id });
      const changed = [{ path: "b.txt", change: "added", size: 5 }, { path: "src/a.txt", change: "added", size: 3 }];
      assert.deepEqual(answer.files, { version: 1, saved: true, changed });
      assert.deepEqual((await client.turn(answer.turn_id)).files, answer.files);
    });

    test("tells it in `done`, behind which the list has it", async () => {
      const events = await client.stream(bash("printf more >> b.txt; rm src/a.txt; printf new > c.txt"), { session_id });
      const done = await events.toEnd();
      const changed = [{ path: "b.txt", change: "modified", size: 9 }, { path: "c.txt", change: "added", size: 3 }, { path: "src/a.txt", change: "deleted" }];
      assert.deepEqual(done.data["files"], { version: 2, saved: true, changed });
      assert.deepEqual((await client.turn(String(done.data["turn_id"]))).files, done.data["files"]);
      const { version, saved_at, unsaved, files } = await client.files(session_id);
      assert.deepEqual([version, unsaved, files.map(({ path, size }) => [path, size])], [2, null, [["b.txt", 9], ["c.txt", 3]]]);
      assert.ok(Math.abs(Date.now() - (saved_at ?? 0)) < 60_000, `${saved_at}`);
    });

    test("that changes nothing leaves the version", async () => {
      for (const prompt of ["[[say nothing]]", bash("cat b.txt")]) {
        assert.deepEqual((await client.query(prompt, { session_id })).files, { version: 2, saved: true, changed: [] });
      }
    });

    test("names a hundred changes, and counts the rest", async () => {
      const { files } = await client.query(bash("for n in $(seq 1 130); do echo $n > many-$n; done"), { session_id: "many" });
      assert.deepEqual([files?.changed.length, files?.changed_total, files?.saved], [100, 130, true]);
    });

    test("tells how much of the folder cannot be saved", async () => {
      const { files } = await client.query(bash("mkfifo pipe; touch \"$(printf 'bad\\377name')\"; echo kept > kept.txt"), { session_id: "skipped" });
      assert.deepEqual([files?.saved, files?.skipped], [true, 2]);
      assert.deepEqual(await client.paths("skipped"), ["kept.txt"]);
    });

    test("that is cancelled saves what it did", async () => {
      const events = await client.stream(`${bash("echo partial > kept.txt")} ${bash("sleep 600")}`, { session_id: "cancelled" });
      await events.until(({ event, data }) => event === "tool" && data["status"] === "finished");
      assert.equal(await client.cancel("cancelled"), 1);
      const last = await events.toEnd();
      assert.equal(last.data["code"], "turn_cancelled");
      const turn = await client.turn(String(events.events[0]?.data["turn_id"]));
      const changed: TurnFiles["changed"] = [{ path: "kept.txt", change: "added", size: 8 }];
      assert.deepEqual([turn.status, turn.files], ["cancelled", { version: 1, saved: true, changed }]);
      assert.equal(Buffer.from(await client.bytes("cancelled", "kept.txt")).toString(), "partial\n");
    });

    test("that fails saves what it did", async () => {
      await problem(client.post(`${bash("echo partial > kept.txt")} [[fail 400]]`, { session_id: "failed" }), 502, "model_failed");
      assert.equal(Buffer.from(await client.bytes("failed", "kept.txt")).toString(), "partial\n");
    });
  });

  describe("the list", () => {
    const session_id = "listed";
    const paths = sorted(["a", "dir/a", "dir/b", "dir/deep/c", "dir.txt", "dirt", "\u{1F600}", "\uFFFD", "z"]);
    before(async () => {
      const quoted = paths.map((path) => `'${path}'`).join(" ");
      await client.query(bash(`mkdir -p dir/deep empty; for f in ${quoted}; do printf %s "$f" > "$f"; done; ln -s a link`), { session_id });
    });

    test("has every regular file, by the bytes of its path, with its size, time and entity tag", async () => {
      const { files } = await client.files(session_id);
      assert.deepEqual(files.map(({ path }) => path), paths);
      for (const { path, size, modified_at, etag } of files) {
        assert.equal(size, Buffer.byteLength(path));
        assert.ok(Math.abs(Date.now() - modified_at) < 120_000);
        assert.equal(etag, createHash("sha256").update(path).digest().subarray(0, 16).toString("base64url"));
      }
    });

    test("is cut by a prefix, which need not be a folder", async () => {
      for (const prefix of ["dir/", "dir", "dir/deep/c", "\u{1F600}", "none"]) {
        assert.deepEqual(await client.paths(session_id, prefix), paths.filter((path) => path.startsWith(prefix)), prefix);
      }
    });

    test("comes a page at a time, and each names the next", async () => {
      for (const [limit, prefix] of [["1", ""], ["2", ""], ["9", ""], ["2", "dir"]] as const) {
        const found: string[][] = [];
        let next: string | undefined = `/conversations/${session_id}/files?limit=${limit}&prefix=${prefix}`;
        while (next !== undefined) {
          const response = await client.request("GET", next);
          next = link(response, "next");
          found.push((await json<FileList>(response, 200)).files.map(({ path }) => path));
        }
        assert.ok(found.slice(0, -1).every((page) => page.length === Number(limit)), JSON.stringify(found));
        assert.deepEqual(found.flat(), paths.filter((path) => path.startsWith(prefix)));
      }
    });

    test("refuses a limit, a prefix and a cursor that are none", async () => {
      for (const query of ["limit=0", "limit=1001", "limit=x", `prefix=${"x".repeat(1025)}`, "cursor=../x", "cursor="]) {
        await problem(client.request("GET", `/conversations/${session_id}/files?${query}`), 400, "invalid_parameter");
      }
    });

    test("of a conversation without files is empty, and of none is not_found", async () => {
      await client.query("[[say hello]]", { session_id: "fileless" });
      assert.deepEqual(await client.files("fileless"), { version: 0, saved_at: null, unsaved: null, files: [] });
      await problem(client.request("GET", "/conversations/absent/files"), 404, "not_found");
    });
  });

  describe("reading a file", () => {
    const session_id = "read";
    let large: Uint8Array;
    let etag: string;
    before(async () => {
      const command = `head -c ${LARGE_BYTES} /dev/urandom > large.bin; printf '<script>1</script>' > page.html; : > empty; sha256sum < large.bin`;
      const { response } = await client.query(bash(command), { session_id });
      large = await client.bytes(session_id, "large.bin");
      assert.equal(createHash("sha256").update(large).digest("hex"), response.split(" ")[0]);
      etag = (await client.file("HEAD", session_id, "large.bin")).headers.get("etag") ?? "";
    });

    const read = (headers: Record<string, string>, path = "large.bin"): Promise<Response> => client.file("GET", session_id, path, { ...IDENTITY, ...headers });
    /** Fails unless the answer is these bytes of the large file. */
    const assertPart = async (response: Response, start: number, end: number): Promise<void> => {
      assert.equal(response.status, 206);
      assert.equal(response.headers.get("content-range"), `bytes ${start}-${end - 1}/${LARGE_BYTES}`);
      assert.equal(response.headers.get("content-length"), String(end - start));
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(large.subarray(start, end)), `${start}-${end}`);
    };
    const assertWhole = async (response: Response): Promise<void> => {
      assert.deepEqual([response.status, response.headers.get("content-range")], [200, null]);
      assert.ok(Buffer.from(await response.arrayBuffer()).equals(large));
    };

    test("gives its bytes, its length and its entity tag", async () => {
      const response = await read({});
      assert.equal(response.headers.get("content-length"), String(LARGE_BYTES));
      assert.equal(response.headers.get("etag"), `"${createHash("sha256").update(large).digest().subarray(0, 16).toString("base64url")}"`);
      assert.equal(response.headers.get("accept-ranges"), "bytes");
      await assertWhole(response);
      assert.equal((await client.bytes(session_id, "empty")).length, 0);
    });

    test("by HEAD gives the same headers and no body", async () => {
      const named = (response: Response): unknown[] =>
        ["content-type", "etag", "accept-ranges", "content-disposition", "content-security-policy"].map((name) => response.headers.get(name));
      for (const path of ["large.bin", "page.html", "empty"]) {
        const [get, head] = [await read({}, path), await client.file("HEAD", session_id, path, IDENTITY)];
        assert.deepEqual([head.status, named(head)], [200, named(get)], path);
        assert.equal(await head.text(), "");
        // wrangler tells no length of a body that it could compress.
        assert.equal(head.headers.get("content-length"), String((await get.arrayBuffer()).byteLength), path);
      }
      assert.equal((await client.file("HEAD", session_id, "absent")).status, 404);
    });

    test("gives a range, wherever it begins and ends", async () => {
      const ranges = [["0-0", 0, 1], ["0-", 0, LARGE_BYTES], [`${MEBIBYTE - 3}-${MEBIBYTE + 2}`, MEBIBYTE - 3, MEBIBYTE + 3], ["-7", LARGE_BYTES - 7, LARGE_BYTES],
        [`-${LARGE_BYTES * 2}`, 0, LARGE_BYTES], [`${LARGE_BYTES - 1}-`, LARGE_BYTES - 1, LARGE_BYTES], [`5-${LARGE_BYTES * 2}`, 5, LARGE_BYTES]] as const;
      for (const [range, start, end] of ranges) await assertPart(await read({ range: `bytes=${range}` }), start, end);
    });

    test("gives all of it for a range that it does not understand, or for several", async () => {
      for (const range of ["bytes=x-", "lines=1-2", "bytes=5-4", "bytes=0-1,4-5"]) await assertWhole(await read({ range }));
    });

    test("refuses a range behind its end", async () => {
      for (const range of [`bytes=${LARGE_BYTES}-`, "bytes=-0"]) await problem(read({ range }), 416, "range_not_satisfiable");
      await problem(read({ range: "bytes=0-" }, "empty"), 416, "range_not_satisfiable");
      assert.equal((await read({ range: `bytes=${LARGE_BYTES}-` })).headers.get("content-range"), `bytes */${LARGE_BYTES}`);
    });

    test("gives a range for If-Range only of the file that the client has", async () => {
      await assertPart(await read({ range: "bytes=1-2", "if-range": etag }), 1, 3);
      for (const other of ['"other"', `W/${etag}`, new Date().toUTCString()]) await assertWhole(await read({ range: "bytes=1-2", "if-range": other }));
    });

    test("is not modified for whoever has it", async () => {
      for (const tags of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
        const response = await read({ "if-none-match": tags });
        assert.deepEqual([response.status, await response.text(), response.headers.get("etag")], [304, "", etag], tags);
      }
      await assertWhole(await read({ "if-none-match": '"other"' }));
    });

    test("is refused if it must match and does not", async () => {
      await problem(read({ "if-match": '"other"' }), 412, "precondition_failed");
      for (const tags of [etag, `"other", ${etag}`, "*"]) await assertWhole(await read({ "if-match": tags }));
    });

    test("lets no browser run what an agent wrote", async () => {
      const { headers, status } = await read({}, "page.html");
      assert.equal(status, 200);
      assert.match(headers.get("content-type") ?? "", /^text\/html/);
      assert.match(headers.get("content-disposition") ?? "", /^attachment; filename\*=UTF-8''page\.html$/);
      assert.match(headers.get("content-security-policy") ?? "", /sandbox(;|$)/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.equal(headers.get("cache-control"), "private, no-cache");
    });

    test("of none is not_found, as is one of a folder", async () => {
      await client.query(bash("mkdir folder; touch folder/in"), { session_id });
      for (const path of ["absent", "folder", "folder/in/x"]) await problem(client.file("GET", session_id, path), 404, "not_found");
    });
  });

  describe("names", () => {
    const session_id = "names";
    const paths = sorted([...ODD_NAMES, ...LONGEST_NAMES, `deep/${LONGEST_NAMES.join("/")}/end`]);

    test("of any kind that the agent writes are listed and read", async () => {
      const script = paths.map((path) => `mkdir -p -- "$(dirname -- ${quoted(path)})"; printf %s ${quoted(path)} > ${quoted(path)}`).join("; ");
      const { files } = await client.query(bash(`cd ./ && ${script.replaceAll("> '-", "> './-")}`), { session_id });
      assert.deepEqual([files?.saved, files?.skipped], [true, undefined]);
      assert.deepEqual(await client.paths(session_id), paths);
      for (const path of paths) assert.equal(Buffer.from(await client.bytes(session_id, path)).toString(), path);
    });

    test("with an encoded slash are the same as with a slash", async () => {
      const response = await client.request("GET", `/conversations/${session_id}/files/emoji%20%F0%9F%98%80%2F%C3%BCn%C3%AFc%C3%B6d%C3%A9.txt`);
      assert.equal(await response.text(), "emoji 😀/ünïcödé.txt");
    });

    test("that break a rule are refused, whatever is asked", async () => {
      const bad = ["..%2Fx", "a%2F..%2Fb", "a//b", "%2Fa", ".%2Fa", "a%00b", "a%0Ab", "a%7Fb", "%FF", "x".repeat(256), `${"x/".repeat(512)}x`];
      for (const path of bad) {
        for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
          const response = await client.request(method, `/conversations/${session_id}/files/${path}`, method === "PUT" ? { "content-length": "0" } : {});
          if (method === "HEAD") assert.equal(response.status, 400, path);
          else await problem(response, 400, "invalid_parameter");
        }
      }
      assert.deepEqual(await client.paths(session_id), paths);
    });
  });

  test("files of an account do not exist for another, nor for another conversation", async () => {
    await client.query(bash("echo secret > secret.txt"), { session_id: "mine" });
    await client.query("[[say hello]]", { session_id: "other" });
    await problem(client.file("GET", "other", "secret.txt"), 404, "not_found");
    const stranger = service.newClient();
    for (const path of ["", "/secret.txt", "/"]) {
      for (const method of path === "" ? ["GET"] : path === "/" ? ["DELETE"] : ["GET", "DELETE"]) {
        await problem(stranger.request(method, `/conversations/mine/files${path}`), 404, "not_found");
      }
    }
    await problem(stranger.request("GET", "/conversations/mine/files", { accept: "application/zip" }), 404, "not_found");
    await stranger.uploaded("mine", "secret.txt", "theirs");
    assert.equal(Buffer.from(await stranger.bytes("mine", "secret.txt")).toString(), "theirs");
    assert.equal(Buffer.from(await client.bytes("mine", "secret.txt")).toString(), "secret\n");
  });
}

/** A shell's word for this string. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
