/*
 * The control routes, for tests in other processes: JSON in, a status and JSON out.
 * Does nothing that Control cannot do; never touches a socket.
 */
import { isFields } from "./blocks.ts";
import type { Control, Rule } from "./control.ts";
import { InvalidRequest } from "./request.ts";
import type { Failure } from "./script.ts";

/** Answers one control request; `route` is method and path. */
export function handleControl(control: Control, route: string, body: string): [status: number, body: object] {
  switch (route) {
    case "GET /control/requests":
      return [200, control.requests()];
    case "DELETE /control/requests":
      control.clearRequests();
      return [200, { success: true }];
    case "POST /control/rules":
      control.addRule(readRule(body));
      return [201, { success: true }];
    case "DELETE /control/rules":
      control.clearRules();
      return [200, { success: true }];
    case "POST /control/release":
      return [200, { released: control.release() }];
    default:
      return [404, { error: `no control route ${route}` }];
  }
}

/** `{fail?: status | {status, retry_after?}, delay_ms?, hang?, times?}` */
function readRule(body: string): Rule {
  let fields: unknown;
  try {
    fields = JSON.parse(body);
  } catch {
    throw new InvalidRequest("a rule is a JSON object");
  }
  if (!isFields(fields)) throw new InvalidRequest("a rule is a JSON object");
  const rule: Rule = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name === "fail") rule.fail = readFailure(value);
    else if (name === "delay_ms") rule.delayMs = wholeNumber(name, value);
    else if (name === "times") rule.times = wholeNumber(name, value);
    else if (name === "hang" && typeof value === "boolean") rule.hang = value;
    else throw new InvalidRequest(`a rule has no ${name} = ${JSON.stringify(value)}`);
  }
  return rule;
}

function readFailure(value: unknown): Failure {
  if (!isFields(value)) return { status: wholeNumber("fail", value) };
  const failure: Failure = { status: wholeNumber("fail.status", value["status"]) };
  if (value["retry_after"] !== undefined) {
    failure.retryAfterSeconds = wholeNumber("fail.retry_after", value["retry_after"]);
  }
  return failure;
}

function wholeNumber(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0) {
    throw new InvalidRequest(`${name} must be a whole number, not ${JSON.stringify(value)}`);
  }
  return value;
}
