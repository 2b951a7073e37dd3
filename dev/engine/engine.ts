/**
 * The local container engine: as much of the Docker Engine API, on a unix socket, as workerd and wrangler call.
 * Owns the containers of one stack and outlives every workerd that drives them; an image is a program of this checkout.
 * It isolates nothing: for a container that is one, install Docker.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import { AppContainer } from "./container.ts";
import type { ContainerSpec, Image } from "./container.ts";
import { readBody, Sidecar } from "./sidecar.ts";

export type { Image } from "./container.ts";

export type EngineOptions = {
  /** The containers' directories are made beside it. */
  socket: string;
  image: Image;
  onLog?: (line: string) => void;
};
/** `workerdPort` is where workerd takes what goes out of it. */
export type ContainerInfo = { name: string; pid: number; running: boolean; port: number; workerdPort: number };
export type Engine = {
  socket: string;
  containers(): ContainerInfo[];
  stop(): Promise<void>;
  /** For exit handlers: kills what runs, without waiting and without tidying up. */
  killNow(): void;
};

const MAX_CONTAINERS = 64;
const MAX_REQUEST_BYTES = 1024 * 1024;
const DEFAULT_STOP_TIMEOUT_MS = 10_000;
/** Where workerd looks for its way into a container. */
const INGRESS_PORT = "39001/tcp";
const SIDECAR_SUFFIX = "-proxy";

type SidecarContainer = { network: Sidecar; spec: ContainerSpec; started: boolean };
type Answer = { status: number; body?: unknown };

class DockerApi {
  readonly #options: EngineOptions;
  readonly #scratch: string;
  readonly apps = new Map<string, AppContainer>();
  readonly #sidecars = new Map<string, SidecarContainer>();

  constructor(options: EngineOptions, scratch: string) {
    this.#options = options;
    this.#scratch = scratch;
  }

  async handle(req: IncomingMessage, res: ServerResponse): Promise<Answer> {
    const url = new URL(req.url ?? "/", "http://engine");
    const body = await readBody(req, MAX_REQUEST_BYTES);
    switch (url.pathname) {
      case "/networks/bridge":
        return { status: 200, body: { IPAM: { Config: [{ Subnet: "127.0.0.0/8", Gateway: "127.0.0.1" }] } } };
      case "/volumes":
        return { status: 200, body: { Volumes: [], Warnings: [] } };
      case "/containers/json":
        return { status: 200, body: this.#list(url.searchParams.get("filters")) };
      case "/containers/create":
        return this.#create(containerKey(url.searchParams.get("name") ?? ""), parseSpec(body));
    }
    const [, encoded, action] = /^\/containers\/([^/]+)(?:\/(\w+))?$/.exec(url.pathname) ?? [];
    if (encoded === undefined) return unsupported(req);
    const name = containerKey(decodeURIComponent(encoded));
    const app = this.apps.get(name);
    const sidecar = this.#sidecars.get(name);
    if (app === undefined && sidecar === undefined) return { status: 404, body: { message: `No such container: ${name}` } };
    const call = `${req.method} ${action ?? ""}`;
    if (sidecar !== undefined) return this.#handleSidecar(name, sidecar, call, req);
    if (app !== undefined) return this.#handleApp(app, call, url.searchParams, req, res);
    return unsupported(req);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.apps.values()].map((app) => app.kill()));
    await Promise.all([...this.#sidecars.values()].map((sidecar) => sidecar.network.stop()));
  }

  #create(name: string, spec: ContainerSpec): Answer {
    if (name === "") return { status: 400, body: { message: "a container needs a name" } };
    if (this.apps.has(name) || this.#sidecars.has(name)) {
      return { status: 409, body: { message: `Conflict. The container name "${name}" is already in use.` } };
    }
    if (this.apps.size >= MAX_CONTAINERS) return { status: 500, body: { message: `the local engine runs at most ${MAX_CONTAINERS} containers` } };
    if (name.endsWith(SIDECAR_SUFFIX)) {
      const app = name.slice(0, -SIDECAR_SUFFIX.length);
      const network = new Sidecar((port) => this.apps.get(app)?.hostPort(port));
      this.#sidecars.set(name, { network, spec, started: false });
    } else {
      this.apps.set(name, new AppContainer(name, spec, this.#options.image, this.#scratch, this.#log));
    }
    return { status: 201, body: { Id: name, Warnings: [] } };
  }

  async #handleSidecar(name: string, sidecar: SidecarContainer, call: string, req: IncomingMessage): Promise<Answer> {
    switch (call) {
      case "POST start":
        if (sidecar.started) return { status: 304 };
        sidecar.started = true;
        await sidecar.network.start();
        return { status: 204 };
      case "GET json": {
        const ports = sidecar.started
          ? { [INGRESS_PORT]: [{ HostIp: "127.0.0.1", HostPort: String(sidecar.network.controlPort) }] }
          : {};
        return { status: 200, body: inspection(name, sidecar.spec, sidecar.started ? "running" : "created", 0, ports) };
      }
      case "DELETE ":
        this.#sidecars.delete(name);
        if (sidecar.started) await sidecar.network.stop();
        return { status: 204 };
      default:
        return unsupported(req);
    }
  }

  async #handleApp(app: AppContainer, call: string, query: URLSearchParams, req: IncomingMessage, res: ServerResponse): Promise<Answer> {
    switch (call) {
      case "POST start":
        if (app.state === "running") return { status: 304 };
        await app.start(this.#proxyOf(app));
        return { status: 204 };
      case "POST wait": {
        const gone = new AbortController();
        res.once("close", () => gone.abort());
        const code = await app.wait(gone.signal);
        return { status: 200, body: { StatusCode: code ?? 0 } };
      }
      case "POST kill": {
        const signal = (query.get("signal") ?? "SIGKILL") as NodeJS.Signals;
        return app.signal(signal) ? { status: 204 } : { status: 409, body: { message: `Container ${app.name} is not running` } };
      }
      case "POST stop": {
        if (app.state !== "running") return { status: 304 };
        const seconds = query.get("t");
        await app.stop(seconds === null ? app.spec.stopTimeoutMs : Number(seconds) * 1000);
        return { status: 204 };
      }
      case "GET json": {
        const status = app.state;
        return { status: 200, body: inspection(app.name, app.spec, status, app.exitCode, {}) };
      }
      case "DELETE ":
        await app.kill();
        if (this.apps.get(app.name) === app) this.apps.delete(app.name);
        return { status: 204 };
      default:
        return unsupported(req);
    }
  }

  /** A container joins its sidecar's network, as `NetworkMode: container:NAME` says. */
  #proxyOf(app: AppContainer): string | undefined {
    return this.#networkOf(app)?.proxyUrl;
  }

  #networkOf(app: AppContainer): Sidecar | undefined {
    const [kind, sidecarName] = app.spec.networkMode.split(":");
    const sidecar = kind === "container" ? this.#sidecars.get(containerKey(sidecarName ?? "")) : undefined;
    return sidecar?.started === true ? sidecar.network : undefined;
  }

  list(): ContainerInfo[] {
    return [...this.apps.values()].map((app) => {
      const { name, pid, port, state } = app;
      return { name, pid, port, running: state === "running", workerdPort: this.#networkOf(app)?.workerdPort ?? 0 };
    });
  }

  #list(filters: string | null): unknown[] {
    const wanted = filters === null ? [] : ((JSON.parse(filters) as { label?: string[] }).label ?? []);
    const all = [
      ...[...this.apps.values()].map((app) => ({ name: app.name, spec: app.spec, state: app.state as string })),
      ...[...this.#sidecars].map(([name, { spec, started }]) => ({ name, spec, state: started ? "running" : "created" })),
    ];
    return all
      .filter(({ spec }) => wanted.every((label) => hasLabel(spec, label)))
      .map(({ name, spec, state }) => ({
        Id: name,
        Names: [`/${name}`],
        Image: spec.image,
        State: state,
        Labels: spec.labels,
        HostConfig: { NetworkMode: spec.networkMode },
      }));
  }

  readonly #log = (line: string): void => this.#options.onLog?.(line);
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const scratch = await mkdtemp(join(dirname(options.socket), "containers-"));
  const api = new DockerApi(options, scratch);
  const server = createServer((req, res) => {
    api
      .handle(req, res)
      .catch((error: unknown): Answer => {
        const message = error instanceof Error ? error.message : String(error);
        options.onLog?.(`[engine] ${req.method} ${req.url}: ${message}`);
        return { status: 500, body: { message } };
      })
      .then((answer) => send(res, answer))
      .catch(() => res.destroy());
  });
  // `wait` is open for as long as its container lives.
  server.requestTimeout = server.timeout = 0;
  await rm(options.socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.socket, resolve);
  });
  return {
    socket: options.socket,
    containers: () => api.list(),
    killNow: () => {
      for (const app of api.apps.values()) app.killNow();
    },
    async stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await api.stop();
      server.closeAllConnections();
      await closed;
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/**
 * workerd puts the session of its wrangler into each name: `workerd-<session>-…`. Without it, a container is found again
 * by the next wrangler, as one in production outlives a deployment.
 */
function containerKey(name: string): string {
  return name.replace(/^workerd-[0-9a-f]{16}-/, "workerd-");
}

function parseSpec(body: string): ContainerSpec {
  const spec = JSON.parse(body) as {
    Env?: string[];
    Labels?: Record<string, string>;
    Image?: string;
    StopTimeout?: number;
    HostConfig?: { NetworkMode?: string };
  };
  const env = (spec.Env ?? []).map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  return {
    env: Object.fromEntries(env),
    labels: spec.Labels ?? {},
    image: spec.Image ?? "",
    networkMode: spec.HostConfig?.NetworkMode ?? "",
    stopTimeoutMs: spec.StopTimeout === undefined ? DEFAULT_STOP_TIMEOUT_MS : spec.StopTimeout * 1000,
  };
}

function hasLabel(spec: ContainerSpec, label: string): boolean {
  const at = label.indexOf("=");
  return at < 0 ? label in spec.labels : spec.labels[label.slice(0, at)] === label.slice(at + 1);
}

function inspection(name: string, spec: ContainerSpec, status: string, exitCode: number, ports: object): object {
  return {
    Id: name,
    Name: `/${name}`,
    State: { Status: status, Running: status === "running", ExitCode: exitCode },
    Config: { Image: spec.image, Labels: spec.labels },
    HostConfig: { NetworkMode: spec.networkMode },
    NetworkSettings: { Ports: ports },
  };
}

function unsupported(req: IncomingMessage): Answer {
  return { status: 501, body: { message: `the local engine does not support ${req.method} ${req.url}` } };
}

function send(res: ServerResponse, { status, body }: Answer): void {
  res.writeHead(status, { "content-type": "application/json" });
  res.end(body === undefined ? undefined : JSON.stringify(body));
}
