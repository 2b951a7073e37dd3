/** Speaks to the engine as workerd does. Holds no test. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import type { IncomingMessage } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { startEngine } from "../engine/engine.ts";
import type { Engine, Image } from "../engine/engine.ts";

export const PROGRAM: Image = { command: [process.execPath, join(import.meta.dirname, "fixtures/program.ts")], cwd: import.meta.dirname };
const PROGRAM_PORT = 8080;
/** For a suite of tests and each of them: what waits for an event that never comes has failed. */
export const TIME_LIMIT = { timeout: 30_000 };
const POLL_MS = 20;
const LISTENING_TIMEOUT_MS = 10_000;

export type DockerAnswer = { status: number; body: unknown };

/** An engine in a directory of its own, and calls of its API. */
export class Docker {
  readonly engine: Engine;
  readonly directory: string;
  readonly lines: string[];

  private constructor(engine: Engine, directory: string, lines: string[]) {
    this.engine = engine;
    this.directory = directory;
    this.lines = lines;
  }

  static async start(image: Image = PROGRAM): Promise<Docker> {
    const directory = await mkdtemp(join(tmpdir(), "agent-engine-test-"));
    const lines: string[] = [];
    const engine = await startEngine({ socket: join(directory, "docker.sock"), image, onLog: (line) => lines.push(line) });
    return new Docker(engine, directory, lines);
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await rm(this.directory, { recursive: true, force: true });
  }

  async call(method: string, path: string, body?: object): Promise<DockerAnswer> {
    const call = request({ socketPath: this.engine.socket, method, path, agent: false });
    call.end(body === undefined ? undefined : JSON.stringify(body));
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    const said = await text(answer);
    return { status: answer.statusCode ?? 0, body: said === "" ? undefined : JSON.parse(said) };
  }

  /** A sidecar and a container in its network, both started, as workerd does it. */
  async run(name: string, env: Record<string, string> = {}): Promise<Running> {
    const sidecar = `${name}-proxy`;
    await this.call("POST", `/containers/create?name=${sidecar}`, {});
    await this.call("POST", `/containers/${sidecar}/start`);
    await this.create(name, { Env: Object.entries(env).map(([key, value]) => `${key}=${value}`) });
    await this.call("POST", `/containers/${name}/start`);
    const running = new Running(this, name);
    await running.listening();
    return running;
  }

  create(name: string, spec: object = {}): Promise<DockerAnswer> {
    return this.call("POST", `/containers/create?name=${name}`, { HostConfig: { NetworkMode: `container:${name}-proxy` }, ...spec });
  }
}

/** A container that runs, reached by workerd's way in. */
export class Running {
  readonly docker: Docker;
  readonly name: string;

  constructor(docker: Docker, name: string) {
    this.docker = docker;
    this.name = name;
  }

  get pid(): number {
    return this.docker.engine.containers().find(({ name }) => name === this.name)?.pid ?? 0;
  }

  async inspect(): Promise<{ Status: string; ExitCode: number }> {
    const { body } = await this.docker.call("GET", `/containers/${this.name}/json`);
    return (body as { State: { Status: string; ExitCode: number } }).State;
  }

  wait(): Promise<DockerAnswer> {
    return this.docker.call("POST", `/containers/${this.name}/wait`);
  }

  async controlPort(): Promise<number> {
    const { body } = await this.docker.call("GET", `/containers/${this.name}-proxy/json`);
    const ports = (body as { NetworkSettings: { Ports: Record<string, { HostPort: string }[]> } }).NetworkSettings.Ports;
    return Number(ports["39001/tcp"]?.[0]?.HostPort);
  }

  /** Tells the sidecar what workerd tells it when an object registers an interception. */
  async setEgress(port: number, internet: boolean): Promise<void> {
    const call = request({ port: await this.controlPort(), method: "PUT", path: "/egress", agent: false });
    call.end(JSON.stringify({ port, internet: { enabled: internet }, dns: { allowHostnames: [] } }));
    await once(call, "response");
  }

  /** The tunnel to a port of the program, or the status that was given instead of one. */
  async connect(port: number): Promise<Duplex | number> {
    const ask = request({ port: await this.controlPort(), method: "CONNECT", path: "container", headers: { "X-Dst-Addr": `127.0.0.1:${port}` } });
    ask.end();
    const [answer, socket] = (await once(ask, "connect")) as [IncomingMessage, Duplex];
    if (answer.statusCode === 200) return socket;
    socket.destroy();
    return answer.statusCode ?? 0;
  }

  async get(path: string): Promise<string> {
    const socket = await this.connect(PROGRAM_PORT);
    if (typeof socket === "number") throw new Error(`the program is not listening: ${socket}`);
    const call = request({ createConnection: () => socket, path, host: "container" });
    call.end();
    const [answer] = (await once(call, "response")) as [IncomingMessage];
    return text(answer);
  }

  async env(): Promise<Record<string, string>> {
    return JSON.parse(await this.get("/env")) as Record<string, string>;
  }

  /** A program gives no sign when it listens: workerd polls, and so does this. */
  async listening(): Promise<void> {
    const deadline = performance.now() + LISTENING_TIMEOUT_MS;
    for (;;) {
      const socket = await this.connect(PROGRAM_PORT);
      if (typeof socket !== "number") return void socket.destroy();
      if (performance.now() > deadline) throw new Error("the program does not listen");
      await sleep(POLL_MS);
    }
  }
}
