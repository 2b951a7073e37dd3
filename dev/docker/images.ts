/**
 * The images that the test needs, in this order: the base that the Dockerfile names, the sidecar, the product's own.
 * Where a registry is reached the first two are the real ones; else they are made here, and only in an engine of this test's own.
 */
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { getServers } from "node:dns";
import { isIPv4 } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "../tools.mjs";
import { attempt, command, NotPossible, step } from "./command.ts";
import type { DockerEngine } from "./engine.ts";

export type Images = {
  product: string;
  /** For wrangler. */
  env: Record<string, string>;
};

const HERE = join(ROOT, "dev/docker");
const PRODUCT = "claude-agent-service:docker-test";
const SIDECAR = "claude-agent-sidecar:docker-test";
/** Of Debian's and npm's packages. A name with a digest is a registry's to give. */
const MADE_BASE = "claude-agent-base:docker-test";
const WRANGLER_IMAGES = "cloudflare-dev/*";
const DEBIAN = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const MADE_FROM = "claude-agent-service.made-from";
const MACHINE_CA = "/etc/ssl/certs/ca-certificates.crt";
const IMAGE_CA = "/etc/ssl/machine-ca.crt";
/** As the official image has it: no documentation, and no package kept after it is installed. */
const SLIM = {
  "etc/dpkg/dpkg.cfg.d/slim": ["doc", "info", "locale", "man"].map((directory) => `path-exclude /usr/share/${directory}/*\n`).join(""),
  "etc/apt/apt.conf.d/clean": 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };\n',
};
/** Each kind of match and target that sidecar/rules.ts uses. */
const PACKET_RULES = [
  "iptables -t nat -A OUTPUT -m owner --uid-owner 39001 -j RETURN",
  "iptables -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 39002",
  "iptables -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
  "iptables -A OUTPUT -j REJECT",
].join("; ");
const PUBLIC_DNS = "8.8.8.8";
const QUICK_MS = 30_000;
const PULL_MS = 300_000;
const DEBOOTSTRAP_MS = 300_000;
const BUILD_MS = 420_000;
const NICE = ["-n", "10"];

export async function prepareImages(engine: DockerEngine): Promise<Images> {
  const named = /^ARG BASE=(\S+)$/m.exec(readFileSync(join(ROOT, "container/Dockerfile"), "utf8"))?.[1];
  if (named === undefined) throw new Error("container/Dockerfile has no ARG BASE");
  const pulled = (await attempt("docker", ["pull", "--quiet", named], { timeoutMs: PULL_MS, env: engine.env })) !== undefined;
  if (!pulled && !engine.own) {
    throw new NotPossible(`the Docker Engine cannot pull ${named}, and a stand-in for it is made only in an engine of this test's own`);
  }
  const base = pulled ? named : MADE_BASE;
  let env: Record<string, string> = {};
  if (!pulled) {
    console.log(`docker: no registry answers for ${named}: making a stand-in, and a sidecar, from Debian's and npm's packages`);
    await makeBase(engine, base);
  }
  await probe(engine, "a container", ["--network", "none", base, "node", "--version"]);
  if (!pulled) {
    await step("building the sidecar's image", () => buildSidecar(engine));
    await probe(engine, "a container with packet rules of its own", ["--cap-add", "NET_ADMIN", "--entrypoint", "sh", SIDECAR, "-ec", PACKET_RULES]);
    env = { MINIFLARE_CONTAINER_EGRESS_IMAGE: SIDECAR, DOCKER_TEST_BASE: base };
  }
  // Debian's client has no buildx; the classic builder reaches the network as the machine does.
  if (engine.own) env = { ...env, WRANGLER_DOCKER_BIN: join(HERE, "classic-docker"), WRANGLER_CI_OVERRIDE_NETWORK_MODE_HOST: "1" };
  await step("building the product's image", () => build(engine, PRODUCT, join(ROOT, "container"), pulled ? [] : onBase(base)));
  return { product: PRODUCT, env };
}

/** In an engine of this test's own: what wrangler built goes, and what no image uses any more; the layers of the newest build stay. */
export async function tidyImages({ own, env }: DockerEngine): Promise<void> {
  if (!own) return;
  const built = await command("docker", ["images", "--quiet", "--filter", `reference=${WRANGLER_IMAGES}`, "--format", "{{.Repository}}:{{.Tag}}"], { timeoutMs: QUICK_MS, env });
  if (built !== "") await command("docker", ["rmi", ...built.split("\n")], { timeoutMs: QUICK_MS, env });
  await command("docker", ["image", "prune", "--force"], { timeoutMs: QUICK_MS, env });
}

/** What every container here needs of the kernel: where that is refused, nothing can be said of the product. */
async function probe(engine: DockerEngine, what: string, args: readonly string[]): Promise<void> {
  await command("docker", ["run", "--rm", ...args], { timeoutMs: QUICK_MS, env: engine.env }).catch((error: unknown) => {
    throw new NotPossible(`${what} does not run: ${String(error)}`);
  });
}

async function buildSidecar(engine: DockerEngine): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), "agent-sidecar-"));
  try {
    copyFileSync(join(HERE, "sidecar/Dockerfile"), join(context, "Dockerfile"));
    const flags = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning", `--outfile=${join(context, "main.mjs")}`];
    await command(join(ROOT, "node_modules/.bin/esbuild"), [join(HERE, "sidecar/main.ts"), ...flags], { timeoutMs: QUICK_MS });
    await build(engine, SIDECAR, context, [...onBase(MADE_BASE), "--build-arg", `UPSTREAM_DNS=${nameServer()}`]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

function onBase(base: string): string[] {
  return ["--build-arg", `BASE=${base}`];
}

function build(engine: DockerEngine, tag: string, context: string, args: readonly string[]): Promise<string> {
  const builder: Record<string, string> = engine.own ? { DOCKER_BUILDKIT: "0" } : {};
  // As wrangler asks for it, or its own build would find no layer to reuse.
  const flags = ["--platform", "linux/amd64", ...(engine.own ? ["--network", "host"] : []), "--tag", tag, ...args];
  return command("nice", [...NICE, "docker", "build", ...flags, context], { timeoutMs: BUILD_MS, env: { ...engine.env, ...builder } });
}

/** Debian, the Node of this checkout's packages, npm, and the user that the official image has. */
async function makeBase(engine: DockerEngine, name: string): Promise<void> {
  const node = join(ROOT, "node_modules/node/bin/node");
  const version = await command(node, ["--version"], { timeoutMs: QUICK_MS });
  const madeFrom = `${DEBIAN} ${version}, slim`;
  const label = `{{index .Config.Labels "${MADE_FROM}"}}`;
  const known = await attempt("docker", ["image", "inspect", "--format", label, name], { timeoutMs: QUICK_MS, env: engine.env });
  if (known === madeFrom) return;
  const npm = join(await command("npm", ["root", "--global"], { timeoutMs: QUICK_MS }), "npm");
  if (!existsSync(npm)) throw new NotPossible(`npm is not at ${npm}`);
  const scratch = mkdtempSync(join(tmpdir(), "agent-base-"));
  try {
    const root = join(scratch, "root");
    await step(`making ${name} with debootstrap`, () =>
      command("nice", [...NICE, "debootstrap", "--variant=minbase", "--include=ca-certificates", DEBIAN, root, MIRROR], { timeoutMs: DEBOOTSTRAP_MS }).catch(
        (error: unknown) => {
          throw new NotPossible(`the base image cannot be made: ${String(error)}`);
        },
      ),
    );
    const bin = join(root, "usr/local/bin");
    copyFileSync(node, join(bin, "node"));
    chmodSync(join(bin, "node"), 0o755);
    cpSync(npm, join(root, "usr/local/lib/node_modules/npm"), { recursive: true, dereference: true });
    await command("ln", ["-s", "../lib/node_modules/npm/bin/npm-cli.js", join(bin, "npm")], { timeoutMs: QUICK_MS });
    await command("ln", ["-s", "../lib/node_modules/npm/bin/npx-cli.js", join(bin, "npx")], { timeoutMs: QUICK_MS });
    await command("chroot", [root, "useradd", "--uid", "1000", "--create-home", "--shell", "/bin/bash", "node"], { timeoutMs: QUICK_MS });
    // A machine behind a proxy that signs for others knows its CA; the build has to know it too.
    copyFileSync(process.env["NODE_EXTRA_CA_CERTS"] ?? MACHINE_CA, join(root, IMAGE_CA));
    for (const [file, text] of Object.entries(SLIM)) writeFileSync(join(root, file), text);
    for (const directory of ["usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "var/lib/apt/lists", "var/cache/apt/archives"]) {
      rmSync(join(root, directory), { recursive: true, force: true });
      mkdirSync(join(root, directory));
    }
    writeFileSync(join(root, "etc/resolv.conf"), "");
    await step(`importing ${name}`, async () => {
      const archive = join(scratch, "base.tar");
      await command("tar", ["-C", root, "--one-file-system", "--exclude=./proc/*", "--exclude=./sys/*", "-cf", archive, "."], { timeoutMs: DEBOOTSTRAP_MS });
      const changes = ["CMD [\"node\"]", `ENV NODE_EXTRA_CA_CERTS=${IMAGE_CA}`, `LABEL ${MADE_FROM}="${madeFrom}"`];
      await command("docker", ["import", ...changes.flatMap((change) => ["--change", change]), archive, name], { timeoutMs: DEBOOTSTRAP_MS, env: engine.env });
    });
  } finally {
    // debootstrap mounts the new root's own /proc.
    await attempt("umount", [join(scratch, "root/proc")], { timeoutMs: QUICK_MS });
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The machine's own answers where the public ones may not be reached; one on loopback cannot be reached from a container. */
function nameServer(): string {
  return getServers().find((server) => isIPv4(server) && !server.startsWith("127.")) ?? PUBLIC_DNS;
}
