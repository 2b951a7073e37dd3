/**
 * Debian's Docker Engine for a machine that has none: installed if it is missing, and started with a directory and a socket of its
 * own. The images in that directory stay, so that the next run is quick.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { attempt, command, NotPossible, step } from "../docker/command.ts";

export type Dockerd = {
  /** For `docker` and everything that drives it. */
  env: Record<string, string>;
  stop(): Promise<void>;
};

const ANSWER_MS = 20_000;
const INSTALL_MS = 180_000;
const START_MS = 60_000;
const STOP_MS = 30_000;
const POLL_MS = 200;
const DATA = "/var/lib/claude-agent-service-docker";
const RUN = "/run/claude-agent-service-docker";
const SOCKET = `${RUN}/docker.sock`;
const LOG = `${RUN}/dockerd.log`;
const PID = `${RUN}/docker.pid`;
const OWNER = `${RUN}/owner.pid`;
/** Room for the images, their layers and a build. */
const MIN_FREE_BYTES = 6e9;
/** dockerd's storage drivers, in order: its own choice, then vfs, which copies layers and works on every file system. */
const STORAGE = [[], ["--storage-driver=vfs"]];
const PACKAGES = ["docker.io", "iptables", "debootstrap"];
const LOG_LINES = 5;
const PROBE = "claude-agent-service:probe";

/** Also adds the directories to PATH in which Debian has dockerd and the programs it calls. */
export async function startDockerd(): Promise<Dockerd> {
  process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/sbin:/sbin`;
  const missing = ["dockerd", "iptables", "debootstrap"].filter((program) => !isInstalled(program));
  if (process.platform !== "linux") throw new NotPossible("no Docker Engine answers: start Docker");
  if (process.getuid?.() !== 0) throw new NotPossible("no Docker Engine answers, and only root can start one: start Docker, or run this as root on Debian");
  if (missing.length > 0) await install(missing);
  mkdirSync(DATA, { recursive: true });
  const { bavail, bsize } = statfsSync(DATA);
  if (bavail * bsize < MIN_FREE_BYTES) throw new NotPossible(`${DATA} has room for ${Math.round((bavail * bsize) / 1e6)} MB, and ${MIN_FREE_BYTES / 1e6} are needed`);
  return start();
}

async function install(missing: readonly string[]): Promise<void> {
  if (!isInstalled("apt-get")) throw new NotPossible(`no Docker Engine answers, and without Debian's packages ${missing.join(" and ")} cannot be installed`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  try {
    await step(`installing ${PACKAGES.join(", ")} from Debian's packages`, async () => {
      await command("apt-get", ["update", "-qq"], { timeoutMs: INSTALL_MS, env });
      await command("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES], { timeoutMs: INSTALL_MS, env });
    });
  } catch (error) {
    throw new NotPossible(`Debian's packages cannot be installed: ${String(error)}`);
  }
}

function isInstalled(program: string): boolean {
  return ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/bin", "/sbin"].some((directory) => existsSync(`${directory}/${program}`));
}

async function start(): Promise<Dockerd> {
  const env = { DOCKER_HOST: `unix://${SOCKET}`, WRANGLER_DOCKER_HOST: `unix://${SOCKET}` };
  mkdirSync(RUN, { recursive: true });
  await takeOver();
  const leave = (): void => rmSync(OWNER, { force: true });
  try {
    const { child, kill } = await startWith(env, STORAGE);
    return {
      env,
      async stop() {
        await stop(child);
        process.off("exit", kill);
        leave();
      },
    };
  } catch (error) {
    leave();
    throw error;
  }
}

/** Starts dockerd with the first storage driver that works. */
async function startWith(env: Record<string, string>, [storage = [], ...others]: string[][]): Promise<{ child: ChildProcess; kill: () => void }> {
  const log = openSync(LOG, "w");
  const paths = ["--data-root", DATA, "--exec-root", `${RUN}/exec`, "--pidfile", PID, "--host", `unix://${SOCKET}`];
  const child = spawn("dockerd", [...paths, ...storage], { detached: true, stdio: ["ignore", log, log] });
  closeSync(log);
  const kill = (): void => void child.kill("SIGTERM");
  process.once("exit", kill);
  try {
    await step(["starting dockerd", ...storage].join(" "), () => answers(child, env));
    await removeContainers(env);
    await unpackLayer(env);
    return { child, kill };
  } catch (error) {
    await stop(child);
    process.off("exit", kill);
    if (!(error instanceof NotPossible) || others.length === 0) throw error;
    console.log(`docker: ${error.message}`);
    return startWith(env, others);
  }
}

/** One run at a time uses the directory. A dockerd left by a run that was killed is stopped. */
async function takeOver(): Promise<void> {
  const owner = pidIn(OWNER);
  if (owner !== undefined && isProgram(owner, /docker\/main\.ts/)) throw new NotPossible(`another run of this test, process ${owner}, uses ${DATA}`);
  const left = pidIn(PID);
  const deadline = performance.now() + STOP_MS;
  while (left !== undefined && isProgram(left, /^dockerd\b/) && performance.now() < deadline) {
    process.kill(left, "SIGTERM");
    await sleep(POLL_MS * 5);
  }
  rmSync(PID, { force: true });
  writeFileSync(OWNER, String(process.pid));
}

function pidIn(file: string): number | undefined {
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : undefined;
}

/** The pid in a file may since belong to another program. */
function isProgram(pid: number, commandLine: RegExp): boolean {
  try {
    return commandLine.test(readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "));
  } catch {
    return false;
  }
}

async function answers(child: ChildProcess, env: Record<string, string>): Promise<void> {
  const deadline = performance.now() + START_MS;
  while ((await attempt("docker", ["info"], { timeoutMs: ANSWER_MS, env })) === undefined) {
    const ended = child.exitCode !== null || child.signalCode !== null;
    if (ended || performance.now() > deadline) {
      const said = readFileSync(LOG, "utf8").trim().split("\n").slice(-LOG_LINES).join("\n");
      throw new NotPossible(`dockerd ${ended ? "ended" : `did not answer within ${START_MS / 1000} s`}; the end of ${LOG}:\n${said}`);
    }
    await sleep(POLL_MS);
  }
}

/** Imports and removes a tiny image: a dockerd that may not mount answers, but fails at its first layer. */
async function unpackLayer(env: Record<string, string>): Promise<void> {
  const archive = `${RUN}/probe.tar`;
  try {
    await command("tar", ["-C", "/etc", "-cf", archive, "hosts"], { timeoutMs: ANSWER_MS });
    await command("docker", ["import", archive, PROBE], { timeoutMs: ANSWER_MS, env });
    await command("docker", ["rmi", PROBE], { timeoutMs: ANSWER_MS, env });
  } catch (error) {
    throw new NotPossible(`dockerd cannot unpack a layer: ${String(error)}`);
  } finally {
    rmSync(archive, { force: true });
  }
}

/** Removes the containers of a run that was killed, which dockerd would start again. */
async function removeContainers(env: Record<string, string>): Promise<void> {
  const left = await command("docker", ["ps", "--all", "--quiet"], { timeoutMs: ANSWER_MS, env });
  if (left !== "") await command("docker", ["rm", "--force", ...left.split("\n")], { timeoutMs: STOP_MS, env });
}

/** Lets dockerd end its containers and its containerd first. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
  await exited;
  clearTimeout(timer);
}
