/**
 * The images that the test needs: the base that the Dockerfile names, the sidecar, and the product's. Without a registry, dev/ci/images.ts
 * makes the first two, but only in an engine that this test has started.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildSidecar, CLASSIC_DOCKER, MADE_BASE, makeBase, PACKET_RULES, SIDECAR } from "../ci/images.ts";
import { ROOT } from "../tools.mjs";
import { build, onBase } from "./build.ts";
import { attempt, command, NotPossible, step } from "./command.ts";
import type { DockerEngine } from "./engine.ts";

export type Images = {
  product: string;
  /** For wrangler. */
  env: Record<string, string>;
};

const PRODUCT = "claude-agent-service:docker-test";
const WRANGLER_IMAGES = "cloudflare-dev/*";
const QUICK_MS = 30_000;
const PULL_MS = 300_000;

export async function prepareImages(engine: DockerEngine): Promise<Images> {
  const named = /^ARG BASE=(\S+)$/m.exec(readFileSync(join(ROOT, "container/Dockerfile"), "utf8"))?.[1];
  if (named === undefined) throw new Error("container/Dockerfile has no ARG BASE");
  const pulled = (await attempt("docker", ["pull", "--quiet", named], { timeoutMs: PULL_MS, env: engine.env })) !== undefined;
  if (!pulled && !engine.own) {
    throw new NotPossible(`the Docker Engine cannot pull ${named}, and a stand-in for it is made only in an engine that this test has started`);
  }
  const base = pulled ? named : MADE_BASE;
  let env: Record<string, string> = {};
  if (!pulled) {
    console.log(`docker: no registry answers for ${named}: making a stand-in, and a sidecar, from Debian's and npm's packages`);
    await makeBase(engine);
  }
  await probe(engine, "a container", ["--network", "none", base, "node", "--version"]);
  if (!pulled) {
    await step("building the sidecar's image", () => buildSidecar(engine));
    await probe(engine, "a container with packet rules of its own", ["--cap-add", "NET_ADMIN", "--entrypoint", "sh", SIDECAR, "-ec", PACKET_RULES]);
    env = { MINIFLARE_CONTAINER_EGRESS_IMAGE: SIDECAR, DOCKER_TEST_BASE: base };
  }
  if (engine.own) env = { ...env, WRANGLER_DOCKER_BIN: CLASSIC_DOCKER, WRANGLER_CI_OVERRIDE_NETWORK_MODE_HOST: "1" };
  await step("building the product's image", () => build(engine, PRODUCT, join(ROOT, "container"), pulled ? [] : onBase(base)));
  return { product: PRODUCT, env };
}

/** In an engine that this test has started, removes wrangler's images and unused layers. The layers of the newest build stay. */
export async function tidyImages({ own, env }: DockerEngine): Promise<void> {
  if (!own) return;
  const built = await command("docker", ["images", "--quiet", "--filter", `reference=${WRANGLER_IMAGES}`, "--format", "{{.Repository}}:{{.Tag}}"], { timeoutMs: QUICK_MS, env });
  if (built !== "") await command("docker", ["rmi", ...built.split("\n")], { timeoutMs: QUICK_MS, env });
  await command("docker", ["image", "prune", "--force"], { timeoutMs: QUICK_MS, env });
}

/** Tries what every container needs of the kernel. If the kernel refuses it, the test cannot run here. */
async function probe(engine: DockerEngine, what: string, args: readonly string[]): Promise<void> {
  await command("docker", ["run", "--rm", ...args], { timeoutMs: QUICK_MS, env: engine.env }).catch((error: unknown) => {
    throw new NotPossible(`${what} does not run: ${String(error)}`);
  });
}
