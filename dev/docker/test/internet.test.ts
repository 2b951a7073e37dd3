/* The agent's way out, where the operator leaves it open: what this machine reaches, its containers reach. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { service } from "../../../tests/e2e/support.ts";

const TEST_MS = 120_000;
const REACH_MS = 10_000;
const URLS = ["https://registry.npmjs.org/-/ping", "http://deb.debian.org/debian/dists/stable/InRelease"];

const running = service({ containers: "docker", vars: { CONTAINER_INTERNET: "on" } });

for (const url of URLS) {
  test(`with CONTAINER_INTERNET on the agent reaches ${url} as the machine does`, { timeout: TEST_MS }, async () => {
    // Whose certificate it is does not matter here: the machine may know a CA that the image does not.
    const command = `curl -skL -m ${REACH_MS / 1000} -o /dev/null -w '%{http_code}' ${url}`;
    const { response } = await running.newClient().query(`[[tool Bash ${JSON.stringify({ command: `${command}; true` })}]]`);
    assert.match(response, new RegExp(`\\b${await statusHere(url)}\\b`));
  });
}

/** 000 is curl's word for no answer. */
async function statusHere(url: string): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(REACH_MS) });
    await response.arrayBuffer();
    return String(response.status);
  } catch {
    return "000";
  }
}
