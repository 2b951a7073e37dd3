/* The image by itself: who runs in it, what it holds, how much it weighs, how soon it answers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { docker, image, inImage, until } from "./support.ts";

/** `standard-2` has 12 GB of disk. */
const MAX_IMAGE_BYTES = 1_500_000_000;
/** Of the server's own processor time: a machine that is busy with other things does not change it. */
const MAX_START_CPU_MS = 1_000;
const CLOCK_TICK_MS = 10;
const ANSWER_MS = 30_000;
const POLL_MS = 5;
const TOKEN = "of-this-start";

test("the image's server is root, and no program lends its owner's rights to those who are not", async () => {
  assert.equal(await inImage("id", "-un"), "root");
  assert.equal(await inImage("find", "/", "-xdev", "-type", "f", "-perm", "/6000"), "");
  assert.equal(await inImage("sh", "-c", "command -v sudo doas; true"), "");
});

test("the image holds the agent server and what it runs on, and nothing else of the checkout", async () => {
  assert.deepEqual((await inImage("ls", "-A", "/app")).split("\n").sort(), ["node_modules", "package-lock.json", "package.json", "src"]);
});

test("the image holds what saves and restores files", async () => {
  assert.match(await inImage("ls", "/app/src/workspace"), /^restore\.ts$/m);
  const used = "import('/app/src/workspace/rules.ts').then((rules) => console.log(Object.keys(rules).length > 0))";
  assert.equal(await inImage("node", "--eval", used), "true");
});

test("the image holds one CLI, its own platform's", async () => {
  const packages = (await inImage("ls", "/app/node_modules/@anthropic-ai")).split("\n");
  assert.deepEqual(packages.filter((name) => name.startsWith("claude-agent-sdk-")), ["claude-agent-sdk-linux-x64"]);
});

test("the image holds no cache of a package manager or a compiler", async () => {
  const left = await inImage("sh", "-c", "ls -A /root /root/.npm /home/node /home/node/.npm /var/lib/apt/lists /var/cache/apt/archives/*.deb 2>/dev/null; true");
  assert.doesNotMatch(left, /_cacache|Packages|\.deb|\.cache/);
});

test("the folders around those of conversations can be passed, and neither listed nor written to by who is not root", async () => {
  const folders = "/workspace /var/lib/agent/state /var/lib/agent/tmp";
  const made = `for folder in ${folders}; do install -d -m 0711 $folder/known; done`;
  const seen = `for folder in ${folders}; do cd $folder/known && ! ls $folder && ! mkdir $folder/mine && ! mv $folder/known $folder/moved && echo closed; done`;
  assert.equal(await inImage("sh", "-c", `${made}; setpriv --reuid 2000 --regid 2000 --clear-groups sh -c '${seen}' 2>/dev/null`), "closed\nclosed\nclosed");
});

test("the image fits the disk of its instance type with room to work in", async (context) => {
  const bytes = Number(await docker("image", "inspect", "--format", "{{.Size}}", image()));
  context.diagnostic(`image: ${Math.round(bytes / 1e6)} MB, of them ${await layers()}`);
  assert.ok(bytes < MAX_IMAGE_BYTES, `${bytes} bytes`);
});

test("the agent server answers its first health check within a second of its own time", async (context) => {
  const name = `agent-health-${process.pid}`;
  await docker("run", "--rm", "--detach", "--name", name, "--publish", "127.0.0.1::8080", "--env", "ANTHROPIC_BASE_URL=http://127.0.0.1:1", "--env", "ANTHROPIC_API_KEY=placeholder", "--env", `AGENT_TOKEN=${TOKEN}`, image());
  try {
    const address = (await docker("port", name, "8080/tcp")).split("\n")[0];
    await until("a healthy answer", ANSWER_MS, () => healthy(`http://${address}/healthz`));
    assert.equal((await fetch(`http://${address}/healthz`)).status, 401, "without the token");
    const answeredMs = Date.now() - Date.parse(await docker("inspect", "--format", "{{.State.StartedAt}}", name));
    const cpuMs = await serverCpuMs(name);
    context.diagnostic(`agent server: ${cpuMs} ms of processor time to its first healthy answer, which came ${answeredMs} ms after the container's start`);
    assert.ok(cpuMs > 0 && cpuMs < MAX_START_CPU_MS, `${cpuMs} ms`);
  } finally {
    await docker("rm", "--force", name);
  }
});

/** User and system time of the child of process 1, fields 14 and 15 of proc(5)'s stat, behind the name in parentheses. */
async function serverCpuMs(name: string): Promise<number> {
  const stats = (await docker("exec", name, "sh", "-c", "cat /proc/[0-9]*/stat")).split("\n");
  const fields = stats.map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" "));
  const server = fields.find(([, parent]) => parent === "1");
  return (Number(server?.[11]) + Number(server?.[12])) * CLOCK_TICK_MS;
}

async function healthy(url: string): Promise<true | undefined> {
  try {
    const response = await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } });
    await response.arrayBuffer();
    return response.ok ? true : undefined;
  } catch {
    await sleep(POLL_MS);
    return undefined;
  }
}

/** What the Dockerfile's steps add, the largest first. */
async function layers(): Promise<string> {
  const history = await docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}} {{.CreatedBy}}", image());
  const rows = history.split("\n").map((row) => ({ bytes: Number(row.split(" ")[0]), what: row }));
  const named = rows.map(({ bytes, what }) => ({
    bytes,
    what: /npm ci/.test(what) ? "packages of npm" : /apt-get/.test(what) ? "Debian's tools" : /COPY/.test(what) ? "files" : "base",
  }));
  const sums = new Map<string, number>();
  for (const { bytes, what } of named) sums.set(what, (sums.get(what) ?? 0) + bytes);
  return [...sums].sort((a, b) => b[1] - a[1]).map(([what, bytes]) => `${what} ${Math.round(bytes / 1e6)} MB`).join(", ");
}
