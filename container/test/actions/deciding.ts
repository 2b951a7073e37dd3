/*
 * What the suites of actions share: how the object decides.
 */
import type { Agent } from "../harness.ts";

export async function decide(agent: Agent, turnId: string, reference: string, decision: object): Promise<[number, unknown]> {
  const response = await agent.call("POST", `/turns/${turnId}/actions/${reference}`, decision);
  return [response.status, await response.json()];
}
