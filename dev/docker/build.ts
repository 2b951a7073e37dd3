/** `docker build` of one image, with the builder that the engine has. */
import { command } from "./command.ts";
import type { DockerEngine } from "./engine.ts";

const BUILD_MS = 420_000;

/** `args` are further flags. Rejects with the end of the builder's output if it fails. */
export function build(engine: DockerEngine, tag: string, context: string, args: readonly string[]): Promise<string> {
  const builder: Record<string, string> = engine.own ? { DOCKER_BUILDKIT: "0" } : {};
  // As wrangler asks for it, or its own build would find no layer to reuse.
  const flags = ["--platform", "linux/amd64", ...(engine.own ? ["--network", "host"] : []), "--tag", tag, ...args];
  return command("nice", ["-n", "10", "docker", "build", ...flags, context], { timeoutMs: BUILD_MS, env: { ...engine.env, ...builder } });
}

export function onBase(base: string): string[] {
  return ["--build-arg", `BASE=${base}`];
}
