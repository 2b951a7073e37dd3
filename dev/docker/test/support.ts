/* What the tests of the real containers share: Docker's answers about the product's image and its containers. Holds no test. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt, command } from "../command.ts";

const DOCKER_MS = 60_000;
const POLL_MS = 100;

export function image(): string {
  const name = process.env["DOCKER_TEST_IMAGE"];
  assert.ok(name, "`npm run test:docker` builds the image and says its name");
  return name;
}

export function docker(...args: string[]): Promise<string> {
  return command("docker", args, { timeoutMs: DOCKER_MS });
}

/** What a program of the image says, in a container of its own. */
export function inImage(...args: [program: string, ...args: string[]]): Promise<string> {
  const [program, ...rest] = args;
  return docker("run", "--rm", "--network", "none", "--entrypoint", program, image(), ...rest);
}

/** The names of the running containers that workerd made: the product's own, without their sidecars. */
async function containers(): Promise<string[]> {
  return (await workerdContainers("running")).filter((name) => !name.endsWith("-proxy"));
}

/** Also those that have ended, and the sidecars. */
export async function workerdContainers(state?: "running"): Promise<string[]> {
  const filter = state === undefined ? ["--all"] : ["--filter", `status=${state}`];
  const names = await docker("ps", "--filter", "name=^workerd-", "--format", "{{.Names}}", ...filter);
  return names === "" ? [] : names.split("\n");
}

/** The one container in which a conversation's workspace holds this file. */
export async function containerWith(file: string): Promise<string> {
  const all = await containers();
  const found = await Promise.all(all.map((name) => attempt("docker", ["exec", "--user", "root", name, "find", "/workspace", "-name", file], { timeoutMs: DOCKER_MS })));
  const holders = all.filter((_, at) => (found[at] ?? "") !== "");
  assert.equal(holders.length, 1, `${file} is in ${holders.length} of ${all.length} containers`);
  return holders[0] as string;
}

/** How a container ended, once it has; Docker remembers that for a while, also of one that is removed at once. `sinceMs` is when it still ran. */
export function exitCode(id: string, sinceMs: number, timeoutMs: number): Promise<string> {
  return until("the container ends", timeoutMs, async () => {
    const past = ["--since", String(sinceMs / 1000), "--until", String(Date.now() / 1000)];
    const said = await docker("events", ...past, "--filter", `container=${id}`, "--filter", "event=die", "--format", '{{index .Actor.Attributes "exitCode"}}');
    return said === "" ? undefined : said;
  });
}

/** The id of a container, which no other has that gets its name. */
export function idOf(name: string): Promise<string> {
  return docker("inspect", "--format", "{{.Id}}", name);
}

/** Docker and its containers offer no event for what is awaited with this. */
export async function until<T>(what: string, timeoutMs: number, look: () => Promise<T | undefined>): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    assert.ok(performance.now() < deadline, `${what} within ${timeoutMs} ms`);
    await sleep(POLL_MS);
  }
}
