/*
 * What one conversation of an account sees of another, and what outlives the container: nothing.
 * A container here is a process of this machine; what takes real users and walls is in dev/docker/test/.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Client } from "../client.ts";
import { serverAndCli } from "../containers.ts";
import { gone } from "../processes.ts";
import type { Service } from "../support.ts";
import type { Upstream } from "../upstream.ts";

/** What a conversation leaves wherever the SDK could find it. The shell puts it together: it is in no prompt and no command. */
const MARK = "zq-left-behind";
const WRITE = 'mark=$(printf %s-%s zq left-behind)\nwrite() { mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1"; }\n';
const EXIT_MS = 10_000;

/** A shell command that puts the mark where Claude Code keeps instructions, memories, settings, hooks, agents and servers. */
const PLANT = [
  ...["CLAUDE.md", ".claude/CLAUDE.md", ".claude/rules/r.md", ".claude/agents/a.md", ".claude/skills/s/SKILL.md", ".claude/commands/c.md", ".claude/memory/MEMORY.md"].flatMap(
    (file) => ["$PWD", "$HOME", "$CLAUDE_CONFIG_DIR", "$PWD/.."].map((folder) => `write ${folder}/${file} "$mark"`),
  ),
  ...["$PWD/.claude", "$HOME/.claude", "$CLAUDE_CONFIG_DIR"].map(
    (folder) => `write ${folder}/settings.json '{"hooks":{"UserPromptSubmit":[{"hooks":[{"type":"command","command":"printf %s-%s zq left-behind"}]}]}}'`,
  ),
  ...["$PWD", "$HOME"].map((folder) => `write ${folder}/.mcp.json '{"mcpServers":{"left":{"command":"sh","args":["-c","touch left-by-mcp"]}}}'`),
  "echo planted",
].join("\n");

export const bash = (command: string): string => `[[tool Bash ${JSON.stringify({ command })}]]`;

export function isolation(service: Service, upstream: Upstream): void {
  let client: Client;
  let workspace: string;
  before(async () => {
    client = service.newClient();
    assert.equal((await client.query(bash(WRITE + PLANT), { session_id: "first" })).response, "planted");
    workspace = (await client.query(bash("pwd"), { session_id: "first" })).response;
  });

  const shell = async (command: string, session_id: string): Promise<string> => (await client.query(bash(command), { session_id })).response;

  test("two conversations of an account have a workspace each", async () => {
    const second = await shell("pwd; ls -A", "second");
    assert.notEqual(second, workspace);
    assert.equal(second.split("\n").length, 1, "it is empty");
  });

  test("a conversation's configuration and temporary folders are its own", async () => {
    const folders = 'echo "$CLAUDE_CONFIG_DIR $TMPDIR"';
    const [first, second] = [await shell(folders, "first"), await shell(folders, "second")];
    assert.equal(new Set([...first.split(" "), ...second.split(" ")]).size, 4);
  });

  for (const session_id of ["second", "third"]) {
    test(`what one conversation leaves for the SDK to find never reaches the model from another (${session_id})`, async () => {
      const arrivals = await upstream.arrivalsDuring(() => client.query(`[[say hello]] from the ${session_id}`, { session_id }));
      assert.ok(arrivals.length > 0);
        for (const { body } of arrivals) assert.ok(!body.includes(MARK), "the mark reached the model");
    });
  }

  test("what a conversation leaves for the SDK to find does not reach the model from a new process of its own", async () => {
    const { cli } = await serverAndCli(client, service, "first");
    process.kill(cli, "SIGKILL");
    await gone(cli, EXIT_MS);
    const arrivals = await upstream.arrivalsDuring(() => client.query("[[say hello]] once more", { session_id: "first" }));
    assert.ok(arrivals.length > 0);
    for (const { body } of arrivals) assert.ok(!body.includes(MARK), "the mark reached the model");
    assert.equal(await shell("cat CLAUDE.md; test ! -e left-by-mcp", "first"), MARK, "it was there to be found");
  });

  test("only the tools that the service offers are offered to the model", async () => {
    const [arrival] = await upstream.arrivalsDuring(() => client.query("[[say hello]] with tools", { session_id: "second" }));
    const { tools } = JSON.parse(arrival?.body ?? "{}") as { tools: { name: string; defer_loading?: boolean }[] };
    // What loads later cannot be called: the CLI keeps the place of such a tool and has none.
    const callable = tools.filter(({ defer_loading }) => defer_loading !== true);
    assert.deepEqual(callable.map(({ name }) => name).sort(), ["Bash", "Edit", "Glob", "Grep", "Read", "Write"]);
  });

  test("a tool that would show the account's other conversations is none", async () => {
    for (const tool of ["ListAgents", "ListSessions", "SendMessage"]) {
      const { response } = await client.query(`[[tool ${tool} {}]]`, { session_id: "second" });
      assert.match(response, /No such tool/i);
    }
  });

  test("what the agent wrote outside of its workspace is gone with the container, and nothing else", async () => {
    const outside = "$HOME/left.txt $TMPDIR/left.txt $CLAUDE_CONFIG_DIR/left.txt ../left.txt";
    const files = `left.txt ${outside}`;
    assert.equal(await shell(`for file in ${files}; do echo left > $file; done; cat ${files} | wc -l`, "second"), "5");
    await killContainerOf("second");
    assert.equal(await shell(`cat left.txt; cat ${outside} 2>/dev/null | wc -l`, "second"), "left\n0");
  });

  async function killContainerOf(session_id: string): Promise<void> {
    const { server } = await serverAndCli(client, service, session_id);
    process.kill(server, "SIGKILL");
    await gone(server, EXIT_MS);
  }
}
