/*
 * A conversation's folder in a container that does not hold it: it is as the last turn left it, before the agent looks.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { bash, problem } from "../client.ts";
import type { Client } from "../client.ts";
import { serverAndCli } from "../containers.ts";
import { gone } from "../processes.ts";
import type { Service } from "../support.ts";

const EXIT_MS = 10_000;

/** A folder with an entry for each rule: sizes, modes, times, links, hidden and odd names. */
const FOLDER = [
  "mkdir -p src/deep .hidden 'two words' empty/inner private",
  "printf 'line\\n' > src/a.txt; : > src/deep/empty; printf x > .hidden/.file; printf '\\377\\000' > 'two words/ünïcödé 😀'",
  "head -c 3300000 /dev/urandom > large.bin; head -c 2200000 /dev/zero > zeros.bin; printf '#!/bin/sh\\necho ran' > src/run.sh",
  "chmod 755 src/run.sh; chmod 444 src/a.txt; chmod 600 .hidden/.file; chmod 640 large.bin; printf p > private/p; chmod 700 private",
  "touch -d '2001-02-03 04:05:06.789' src/a.txt; touch -d 1971-01-01 src/deep/empty",
  "ln -s src/a.txt link; ln -s absent dangling; ln -s src folderlink; ln -s ../../.. src/up; ln zeros.bin hard",
  "git init -q . && git add -A && git -c user.name=a -c user.email=a@b commit -qm first",
].join("; ");
/** Everything about it that is kept. git writes its index whenever it looks. */
const LOOK = [
  "git status --porcelain; git log --format=%s",
  "find . -mindepth 1 -type d -printf '%p %m\\n' | LC_ALL=C sort",
  "find . -type l -printf '%p -> %l\\n' | LC_ALL=C sort",
  "find . -type f ! -path ./.git/index -exec stat -c '%n %a %s %Y' {} + | LC_ALL=C sort",
  "find . -type f ! -path ./.git/index -exec sha256sum {} + | LC_ALL=C sort -k2 | sha256sum; ./src/run.sh",
].join("; ");

export function workspaces(service: Service): void {
  let client: Client;
  const session_id = "kept";
  let look: string;
  before(async () => {
    client = service.newClient();
    await client.query(bash(FOLDER), { session_id });
    look = (await client.query(bash(LOOK), { session_id })).response;
    assert.match(look, /^first\n/);
    assert.match(look, /\nran$/);
  });

  async function killContainer(ofSession = session_id): Promise<void> {
    const { server } = await serverAndCli(client, service, ofSession);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
  }

  test("a fresh container has it byte for byte, with modes, times, links and empty folders", async () => {
    await killContainer();
    assert.equal((await client.query(bash(LOOK), { session_id })).response, look);
  });

  test("what a restore wrote is no change: the next turn saves nothing", async () => {
    await killContainer();
    const { version } = await client.files(session_id);
    const { files } = await client.query(bash("ls"), { session_id });
    assert.deepEqual(files, { version, saved: true, changed: [] });
  });

  test("a fresh container has what was uploaded and deleted while none ran", async () => {
    await killContainer();
    await client.uploaded(session_id, "src/uploaded", "new");
    await client.file("DELETE", session_id, "private/");
    const { response } = await client.query(bash("cat src/uploaded; ls"), { session_id });
    assert.equal(response, "newdangling\nempty\nfolderlink\nhard\nlarge.bin\nlink\nsrc\ntwo words\nzeros.bin");
  });

  test("the restart of the Worker loses nothing, and neither does the container's death with it", async () => {
    const before = (await client.query(bash(LOOK), { session_id })).response;
    const { server } = await serverAndCli(client, service, session_id);
    await service.stack.restartWorker();
    assert.equal((await client.query(bash(LOOK), { session_id })).response, before);
    await service.stack.restartWorker(async () => {
      process.kill(server, "SIGKILL");
      await gone(server, EXIT_MS);
    });
    assert.equal((await client.query(bash(LOOK), { session_id })).response, before);
  });

  test("a turn whose container dies under it leaves the files as they were before it", async () => {
    await client.query(bash("echo before > a; echo before > b"), { session_id: "rolled-back" });
    const { server } = await serverAndCli(client, service, "rolled-back");
    const prompt = `${bash("echo during > a; rm b; echo during > c")} [[hang]]`;
    const answer = client.post(prompt, { session_id: "rolled-back" });
    await service.model.control.waitFor(({ state, user_texts }) => state === "hanging" && user_texts.at(-1) === prompt, EXIT_MS);
    process.kill(server, "SIGKILL");
    await problem(answer, 503, "turn_interrupted");
    assert.deepEqual(await client.paths("rolled-back"), ["a", "b"]);
    assert.equal((await client.query(bash("cat *"), { session_id: "rolled-back" })).response, "before\nbefore");
  });

  test("conversations have a folder each, in one container and in the next", async () => {
    for (const name of ["one", "two"]) await client.query(bash(`echo ${name} > name`), { session_id: name });
    await killContainer("one");
    for (const name of ["two", "one"]) assert.equal((await client.query(bash("cat name; ls"), { session_id: name })).response, `${name}\nname`);
  });

  test("what .agentignore names is not saved, and the rest is", async () => {
    const session = { session_id: "ignoring" };
    const { files } = await client.query(bash("mkdir -p out/deep; echo x > out/deep/x; echo x > a.log; echo y > kept; printf 'out/\\n*.log\\n' > .agentignore"), session);
    assert.deepEqual(files?.changed.map(({ path }) => path), [".agentignore", "kept"]);
    await killContainer("ignoring");
    assert.equal((await client.query(bash("ls -A"), session)).response, ".agentignore\nkept");
  });
}
