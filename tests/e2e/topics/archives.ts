/*
 * All files of a conversation as one archive, which a program that is not ours opens.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { after, before, test } from "node:test";
import { bash, json } from "../client.ts";
import type { Client } from "../client.ts";
import type { Service } from "../support.ts";
import { ODD_NAMES } from "./files.ts";
import { noise } from "./uploads.ts";

const run = promisify(execFile);
const ZIP = { accept: "application/zip" };

export function archives(service: Service): void {
  let client: Client;
  let folder: string;
  before(async () => {
    client = service.newClient();
    folder = await mkdtemp(join(tmpdir(), "e2e-archive-"));
  });
  after(() => rm(folder, { recursive: true }));

  /** The files of an archive by Python's zipfile, which checks every CRC. */
  async function opened(name: string, archive: Uint8Array): Promise<Map<string, Buffer>> {
    const [file, into] = [join(folder, `${name}.zip`), join(folder, name)];
    await writeFile(file, archive);
    assert.match((await run("python3", ["-m", "zipfile", "-t", file])).stdout, /^Done testing\s*$/);
    await run("python3", ["-m", "zipfile", "-e", file, into]);
    const entries = await readdir(into, { recursive: true, withFileTypes: true }).catch(() => []);
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    return new Map(await Promise.all(files.map(async (path) => [path.slice(into.length + 1), await readFile(path)] as const)));
  }

  test("an archive holds every file, saved and uploaded, byte for byte", async () => {
    const session_id = "zipped";
    const commands = ["head -c 3500000 /dev/urandom > large.bin", "head -c 2200000 /dev/zero > zeros.bin", ": > empty", "mkdir -p dir/deep hollow", "echo in > dir/deep/in.txt", "ln -s empty link"];
    await client.query(bash(commands.join("; ")), { session_id });
    for (const path of ODD_NAMES) await client.uploaded(session_id, path, `content of ${path}`);
    await client.query("[[say saved]]", { session_id });
    await client.uploaded(session_id, "waiting.bin", noise(1_300_000));
    await client.uploaded(session_id, "waiting-empty", "");
    await client.uploaded(session_id, "dir/deep/in.txt", "replaced");
    const response = await client.request("GET", `/conversations/${session_id}/files`, ZIP);
    assert.equal(response.status, 200);
    assert.match(response.headers.get("content-disposition") ?? "", /^attachment; filename\*=UTF-8''zipped\.zip$/);
    const files = await opened("all", new Uint8Array(await response.arrayBuffer()));
    const paths = await client.paths(session_id);
    assert.equal(paths.length, 4 + ODD_NAMES.length + 2);
    assert.deepEqual([...files.keys()].sort(), paths.toSorted());
    for (const path of paths) assert.ok(files.get(path)?.equals(await client.bytes(session_id, path)), path);
    assert.equal(files.get("dir/deep/in.txt")?.toString(), "replaced");
  });

  test("an archive of more files than a page of the list has them all", async () => {
    await client.query(bash("for d in 1 2 3; do mkdir $d; for n in $(seq 1 500); do echo $d $n > $d/$n; done; done"), { session_id: "paged" });
    const response = await client.request("GET", "/conversations/paged/files", ZIP);
    const files = await opened("paged", new Uint8Array(await response.arrayBuffer()));
    assert.equal(files.size, 1_500);
    for (const [path, content] of files) assert.equal(content.toString(), `${path.replace("/", " ")}\n`);
  });

  test("an archive of no files is an empty one, and HEAD has none", async () => {
    await client.query("[[say hello]]", { session_id: "fileless" });
    const response = await client.request("GET", "/conversations/fileless/files", ZIP);
    assert.equal((await opened("none", new Uint8Array(await response.arrayBuffer()))).size, 0);
    const head = await client.request("HEAD", "/conversations/fileless/files", ZIP);
    assert.deepEqual([head.status, head.headers.get("content-type"), await head.text()], [200, "application/zip", ""]);
  });

  test("whoever does not ask for an archive gets the list", async () => {
    for (const accept of ["*/*", "application/json"]) await json(await client.request("GET", "/conversations/fileless/files", { accept }), 200);
  });
}
