/** The Docker Engine to test with: the one that answers, or Debian's, started for this test. Only the latter is stopped afterwards. */
import { startDockerd } from "../ci/dockerd.ts";
import type { Dockerd } from "../ci/dockerd.ts";
import { attempt } from "./command.ts";

export type DockerEngine = Dockerd & {
  /** Whether it was started for this test: then nobody else uses its images. */
  own: boolean;
};

const ANSWER_MS = 20_000;

export async function dockerEngine(): Promise<DockerEngine> {
  const answers = (await attempt("docker", ["info"], { timeoutMs: ANSWER_MS })) !== undefined;
  return answers ? { env: {}, own: false, stop: () => Promise.resolve() } : { ...(await startDockerd()), own: true };
}
