/*
 * The credential: the model gets the real one, nobody else ever sees it.
 */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import type { Client } from "../client.ts";
import { SECRET } from "../support.ts";
import type { Service } from "../support.ts";

/** Something of the host's environment that no container may have. It is set before the stack starts. */
process.env["E2E_HOST_MARK"] = "on-the-host";

/** What an agent that looks for secrets would run. */
const SEARCHES = {
  "its environment": "env",
  "the environment of the CLI that runs it": "tr '\\\\0' '\\\\n' < /proc/$PPID/environ",
  "the CLI's command line": "tr '\\\\0' ' ' < /proc/$PPID/cmdline",
  "what the gateway answers": "curl -si -x $http_proxy -H 'content-type: application/json' -d '{}' http://model.internal/v1/messages",
  "what the gateway refuses": "curl -si -x $http_proxy http://model.internal/",
  "the files of its home": "grep -rs . \\\"$HOME\\\" \\\"$CLAUDE_CONFIG_DIR\\\" | head -c 100000; echo end",
};

export function credential(service: Service): void {
  let client: Client;
  before(() => {
    client = service.newClient();
  });

  test("the model gets the configured key", async () => {
    const prompt = "[[say hello]] with a key";
    await client.query(prompt);
    assert.deepEqual(
      service.asked(prompt).map((request) => [request.x_api_key, request.authorization]),
      [[SECRET, null]],
    );
  });

  for (const [where, command] of Object.entries(SEARCHES)) {
    test(`the agent finds no credential in ${where}`, async () => {
      const { response } = await client.query(`[[tool Bash {"command":"${command}"}]]`);
      assert.ok(response.length > 0);
      assert.ok(!response.includes(SECRET), "the real credential is in the answer");
      assert.doesNotMatch(response, /sk-ant-/);
    });
  }

  test("the environment that the agent sees is the container's, not the host's", async () => {
    const { response } = await client.query('[[tool Bash {"command":"env"}]]');
    assert.match(response, /^ANTHROPIC_BASE_URL=http:\/\/model\.internal$/m);
    assert.doesNotMatch(response, /E2E_HOST_MARK/);
  });

  test("no log line holds the credential or what was said", () => {
    const logs = service.stack.logs.join("\n");
    assert.ok(!logs.includes(SECRET), "the credential is in the log");
    assert.doesNotMatch(logs, /\[\[say|\[\[tool/);
  });
}
