/*
 * The whole product on real containers: `ctx.container` through workerd and Docker, with the image as it is deployed.
 * What the local engine cannot show: isolation, users, the network's walls. The rest is in tests/e2e/.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import type { Client } from "../../../tests/e2e/client.ts";
import { SECRET } from "../../../tests/e2e/support.ts";
import { serviceWithUpstream } from "../../../tests/e2e/upstream.ts";
import { containerWith, docker, exitCode, idOf, until, workerdContainers } from "./support.ts";

/** Longer than any pause within a test on a busy machine. */
const IDLE_MS = 15_000;
/** Above CONTAINER_IDLE, an alarm's delay and a container's stop. */
const IDLE_STOP_MS = 60_000;
const STOP_MS = 30_000;
const TEST_MS = 120_000;

const { running, upstream } = await serviceWithUpstream({ containers: "docker", vars: { CONTAINER_IDLE: `${IDLE_MS}ms`, CONTAINER_INTERNET: "off" } });

/** Runs after the product has stopped. */
after(async () => {
  await until("no container is left", STOP_MS, async () => ((await workerdContainers("running")).length === 0 ? true : undefined));
});

/** The output of a shell command of the account's agent. */
async function shell(client: Client, command: string, session_id = "shell"): Promise<string> {
  return (await client.query(`[[tool Bash ${JSON.stringify({ command })}]]`, { session_id })).response;
}

const MANY = 5_000;
const MANY_BYTES = 4_096;
/** Says how many milliseconds it took. */
const MAKE_MANY = `
import os, time
os.mkdir("many")
begun = time.monotonic()
for n in range(${MANY}):
  with open(f"many/{n}", "w") as file: file.write("x" * ${MANY_BYTES - 1} + "\\n")
print(round((time.monotonic() - begun) * 1000))
`;

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

/** Leaves a file in the workspace of the account's agent, by which its container is known. */
async function containerOf(client: Client): Promise<string> {
  const file = `mark-${client.accountId}`;
  await shell(client, `touch ${file}`);
  return containerWith(file);
}

describe("the product on real containers", { timeout: 8 * TEST_MS }, () => {
  test("a question is answered, and the next in the conversation knows it", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    assert.match((await client.query("What is 2+2?", { session_id: "sums" })).response, /4/);
    assert.match((await client.query("repeat everything I said", { session_id: "sums" })).response, /What is 2\+2\?/);
  });

  test("a conversation goes on in a new container when its own is killed, with its workspace and nothing else that the agent wrote", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    const others = "~/left.txt /tmp/left.txt $TMPDIR/left.txt";
    const files = `left.txt ${others}`;
    await client.query("The word is pear.", { session_id: "mortal" });
    assert.equal(await shell(client, `for file in ${files}; do echo left > $file; done; cat ${files} | wc -l`), "4");
    const first = await containerOf(client);
    const before = await idOf(first);
    await docker("kill", first);
    assert.match((await client.query("repeat everything I said", { session_id: "mortal" })).response, /The word is pear\./);
    const after = await idOf(await containerOf(client));
    assert.notEqual(after, before);
    assert.equal(await shell(client, `cat left.txt; cat ${others} 2>/dev/null | wc -l`), "left\n0");
  });

  test("files are in the next container as they were, and belong to the conversation's user there", { timeout: TEST_MS }, async (context) => {
    const client = running.newClient();
    const make = [
      "mkdir -p src/deep private && printf '#!/bin/sh\\necho ran\\n' > run.sh && chmod 750 run.sh",
      "echo pear > src/deep/pear.txt && chmod 600 src/deep/pear.txt && ln -s src/deep/pear.txt link && chmod 700 private",
      "touch -d 2020-02-02T02:02:02Z src/deep/pear.txt",
    ].join(" && ");
    const look = "stat -c '%n %a %F %Y' run.sh src src/deep/pear.txt link private | grep -v '^src [0-9]* directory' ; ./run.sh; cat link; find . ! -user $(id -un) | wc -l";
    const before = await shell(client, `${make} && sleep 0.1 && { ${look}; }`, "kept");
    assert.match(before, /^run\.sh 750 regular file \d+\nsrc\/deep\/pear\.txt 600 regular file 1580608922\nlink 777 symbolic link \d+\nprivate 700 directory \d+\nran\npear\n0$/);
    const created = Number(await shell(client, `python3 -c ${quoted(MAKE_MANY)}`, "many"));
    const first = await containerOf(client);
    await docker("rm", "--force", first);
    const without = await timed(() => client.query("[[say hello]]", { session_id: "empty" }));
    await docker("rm", "--force", await containerOf(client));
    const restored = await timed(() => client.query("[[say hello]]", { session_id: "many" }));
    assert.equal(await shell(client, "cat many/* | sort -u | wc -c; ls many | wc -l", "many"), `${MANY_BYTES}\n${MANY}`);
    // Links and folders have their own times.
    const withoutTimes = (seen: string): string => seen.replace(/((?:symbolic link|directory)) \d+/g, "$1");
    assert.equal(withoutTimes(await shell(client, look, "kept")), withoutTimes(before));
    context.diagnostic(`${MANY} files of ${MANY_BYTES} bytes: made in ${created} ms; an answer in a new container ${Math.round(restored)} ms with them, ${Math.round(without)} ms without`);
  });

  test("a conversation that looks around finds neither the files nor the words of another of its account", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    await shell(client, "echo plum > plum.txt; echo plum > $TMPDIR/plum.txt", "one");
    await client.query("My word is plum.", { session_id: "one" });
    // A resumed process lays its transcript out anew.
    await docker("kill", await containerOf(client));
    await shell(client, "echo plum > plum.txt; echo plum > $TMPDIR/plum.txt", "one");
    for (const look of [
      "cat ../*/plum.txt ../../*/*/plum.txt; ls .. /workspace $TMPDIR/../.. $CLAUDE_CONFIG_DIR/../..",
      "find / -path /proc -prune -o -name plum.txt -print",
      "grep -rsl 'My word is [p]lum' / --include='*.jsonl' --exclude-dir=proc --exclude-dir=sys",
    ]) {
      assert.equal(await shell(client, `{ ${look}; } 2>/dev/null | wc -l`, "two"), "0", look);
    }
  });

  test("a conversation that knows where another and the server are gets at neither", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    const said = await shell(client, "echo plum > plum.txt; echo plum > ~/plum.txt; echo 'echo PLANTED' > ~/.bashrc; pwd; echo ~", "one");
    const [workspace, home] = said.split("\n");
    const server = await shell(client, "pgrep -o -f src/main.ts", "two");
    assert.match(server, /^\d+$/);
    for (const [attempt, refusal] of [
      [`cat ${workspace}/plum.txt`, "Permission denied"],
      [`cat ${home}/plum.txt ${home}/../transcript.jsonl`, "Permission denied"],
      [`head -c 1 /proc/${server}/environ`, "Permission denied"],
      [`kill -USR1 ${server}`, "not permitted"],
      ["kill -9 1", "not permitted"],
    ] as const) {
      assert.match(await shell(client, `${attempt} 2>&1; true`, "two"), new RegExp(refusal), attempt);
    }
    assert.doesNotMatch(await shell(client, "bash -ic true; id -un", "two"), /PLANTED/);
    assert.notEqual(await shell(client, "id -un", "one"), await shell(client, "id -un", "two"));
  });

  test("two accounts have two containers, and neither sees the other's files", { timeout: TEST_MS }, async () => {
    const [one, other] = [running.newClient(), running.newClient()];
    await shell(one, "echo pear > secret.txt; echo pear > /tmp/pear-secret.txt; echo pear > ~/pear-secret.txt");
    const count = "find . ~ / -name '*secret.txt' -user $(id -u) 2>/dev/null | wc -l";
    assert.equal(await shell(one, count), "3");
    assert.equal(await shell(other, count), "0");
    assert.notEqual(await containerOf(one), await containerOf(other));
  });

  test("the agent is not root and sees no process of the machine", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    assert.match(await shell(client, "id -un; touch /etc/mine 2>&1"), /agent2\d{3}[^]*Permission denied/);
    assert.match(await shell(client, "cat /proc/1/comm"), /tini/);
    assert.doesNotMatch(await shell(client, "ps -e -o args"), /workerd|dockerd/);
  });

  test("the credential is with the model and not in the container", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    const prompt = "[[say yes]] who pays?";
    await client.query(prompt);
    assert.equal(running.asked(prompt)[0]?.x_api_key, SECRET);
    const name = await containerOf(client);
    const seen = [
      await docker("inspect", name),
      await docker("inspect", `${name}-proxy`),
      await docker("exec", name, "sh", "-c", "cat /proc/[0-9]*/environ | tr '\\0' '\\n'"),
    ];
    assert.match(seen.join("\n"), /ANTHROPIC_API_KEY=placeholder/);
    assert.ok(!seen.join("\n").includes(SECRET));
  });

  test("an agent that looks for the credential everywhere finds it nowhere", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    // A pattern that does not match itself: what searches is among what is searched.
    const searched = `'[${SECRET.slice(0, 1)}]${SECRET.slice(1)}'`;
    const places = {
      "every process": "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n'",
      "the model's host": "curl -si -m 5 -d '{}' http://model.internal/v1/messages; curl -si -m 5 http://model.internal/",
      "addresses where a cloud tells secrets": "curl -si -m 2 http://169.254.169.254/latest/meta-data/; curl -si -m 2 http://metadata.google.internal/",
      "the Worker's own routes": "curl -si -m 2 http://model.internal/health; curl -si -m 2 http://host.docker.internal/health",
    };
    for (const [place, look] of Object.entries(places)) {
      assert.equal(await shell(client, `{ ${look}; } | grep -c ${searched}; true`), "0", place);
    }
    const files = `grep -rsl ${searched} / --exclude-dir=proc --exclude-dir=sys 2>/dev/null | wc -l`;
    assert.equal(await shell(client, files), "0");
  });

  test("no message that the model got holds the credential", () => {
    assert.ok(upstream.arrivals.length > 0);
    for (const { body } of upstream.arrivals) assert.ok(!body.includes(SECRET));
  });

  test("with CONTAINER_INTERNET off the agent reaches the model and nothing else", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    const reach = (url: string): string => `curl -sS -m 5 -o /dev/null -w '%{http_code}' ${url}; echo " status $?"`;
    assert.match(await shell(client, reach("http://model.internal/v1/nothing")), /404 status 0/);
    for (const url of ["http://registry.npmjs.org/", "https://registry.npmjs.org/", "https://1.1.1.1/"]) {
      assert.match(await shell(client, reach(url)), /000 status [1-9]/, url);
    }
  });

  test("a container that is told to stop finishes its turn and ends with status 0", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    const name = await containerOf(client);
    const prompt = "[[words 40]] [[delay 300]] last words";
    const answer = client.query(prompt, { session_id: "drained" });
    await until("the model is asked", STOP_MS, () => Promise.resolve(running.asked(prompt)[0]));
    const [id, since] = [await idOf(name), Date.now()];
    await docker("kill", "--signal", "TERM", id);
    assert.match((await answer).response, /word1 .*word40/);
    assert.equal(await exitCode(id, since, IDLE_STOP_MS), "0");
  });

  test("an idle container stops by itself with status 0, and the next question starts another", { timeout: TEST_MS }, async () => {
    const client = running.newClient();
    await client.query("The word is plum.", { session_id: "idle" });
    const name = await containerOf(client);
    const [id, since] = [await idOf(name), Date.now()];
    assert.equal(await exitCode(id, since, IDLE_STOP_MS), "0");
    assert.ok(Date.now() - since > IDLE_MS / 2, "it stayed for a while");
    assert.match((await client.query("repeat everything I said", { session_id: "idle" })).response, /The word is plum\./);
  });
});
