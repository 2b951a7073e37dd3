/**
 * Images for a machine that reaches no registry, made from Debian's and npm's packages: the base that container/Dockerfile names,
 * and the sidecar that takes the place of cloudflare/proxy-everything. Made only in an engine that the test has started.
 */
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { getServers } from "node:dns";
import { isIPv4 } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build, onBase } from "../docker/build.ts";
import { attempt, command, NotPossible, step } from "../docker/command.ts";
import type { DockerEngine } from "../docker/engine.ts";
import { ROOT } from "../tools.mjs";

export const SIDECAR = "claude-agent-sidecar:docker-test";
/** Not the name that the Dockerfile has: only a registry can give an image a digest. */
export const MADE_BASE = "claude-agent-base:docker-test";
/** Docker's command line for wrangler: Debian's client has no buildx, and its classic builder reaches the network as the machine does. */
export const CLASSIC_DOCKER = join(ROOT, "dev/ci/classic-docker");
const SIDECAR_SOURCE = join(ROOT, "dev/ci/sidecar");
const DEBIAN = "bookworm";
const MIRROR = "http://deb.debian.org/debian";
const MADE_FROM = "claude-agent-service.made-from";
const MACHINE_CA = "/etc/ssl/certs/ca-certificates.crt";
const IMAGE_CA = "/etc/ssl/machine-ca.crt";
/** As in the official image: no documentation, and no package files after an installation. */
const SLIM = {
  "etc/dpkg/dpkg.cfg.d/slim": ["doc", "info", "locale", "man"].map((directory) => `path-exclude /usr/share/${directory}/*\n`).join(""),
  "etc/apt/apt.conf.d/clean": 'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };\n',
};
/** For a probe: each kind of match and target that sidecar/rules.ts uses. */
export const PACKET_RULES = [
  "iptables -t nat -A OUTPUT -m owner --uid-owner 39001 -j RETURN",
  "iptables -t nat -A OUTPUT -p tcp --dport 80 -j REDIRECT --to-ports 39002",
  "iptables -A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
  "iptables -A OUTPUT -j REJECT",
].join("; ");
const PUBLIC_DNS = "8.8.8.8";
const QUICK_MS = 30_000;
const DEBOOTSTRAP_MS = 300_000;
const NICE = ["-n", "10"];

/** Makes the base: Debian, this checkout's Node, npm, and the user that the official image has. */
export async function makeBase(engine: DockerEngine): Promise<void> {
  const name = MADE_BASE;
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
    // Behind a TLS-intercepting proxy, the build must trust the proxy's CA, as this machine does.
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

export async function buildSidecar(engine: DockerEngine): Promise<void> {
  const context = mkdtempSync(join(tmpdir(), "agent-sidecar-"));
  try {
    copyFileSync(join(SIDECAR_SOURCE, "Dockerfile"), join(context, "Dockerfile"));
    const flags = ["--bundle", "--platform=node", "--format=esm", "--log-level=warning", `--outfile=${join(context, "main.mjs")}`];
    await command(join(ROOT, "node_modules/.bin/esbuild"), [join(SIDECAR_SOURCE, "main.ts"), ...flags], { timeoutMs: QUICK_MS });
    await build(engine, SIDECAR, context, [...onBase(MADE_BASE), "--build-arg", `UPSTREAM_DNS=${nameServer()}`]);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

/** The machine's own name server if it has one outside loopback, which a container cannot reach; otherwise a public one. */
function nameServer(): string {
  return getServers().find((server) => isIPv4(server) && !server.startsWith("127.")) ?? PUBLIC_DNS;
}
