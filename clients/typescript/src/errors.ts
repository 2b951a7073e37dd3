/** What can go wrong: the service refused or the turn failed (`AgentError`), or the service could not be reached (`ConnectionError`). */
import type { components, ErrorCode } from "./api.ts";

export type Problem = Omit<components["schemas"]["Problem"], "code"> & { code: ErrorCode | HttpCode };
/** The code of a response that is not the service's own, such as a proxy's. */
export type HttpCode = `http_${number}`;

/** Longest part of a foreign response that an error repeats, in characters. */
const MAX_FOREIGN_TEXT_CHARS = 200;

/** The service refused the request, or the turn ended in an error. `code` says why; the message is a sentence for people. */
export class AgentError extends Error {
  override readonly name = "AgentError";
  readonly problem: Problem;
  /** Seconds to wait before the request is sent again, if the service said so. */
  readonly retryAfter: number | undefined;

  constructor(problem: Problem, retryAfter?: number) {
    super(problem.detail || problem.title);
    this.problem = problem;
    this.retryAfter = retryAfter;
  }

  /** What an error of `useChat` says, whose message is the response's body if the service refused; undefined if the service did not. */
  static of(error: Error): AgentError | undefined {
    const problem = problemIn(error.message);
    return problem && new AgentError(problem);
  }

  get code(): ErrorCode | HttpCode {
    return this.problem.code;
  }

  get status(): number {
    return this.problem.status;
  }

  /** Names the request in the service's logs. */
  get requestId(): string | undefined {
    return this.problem.request_id;
  }
}

/** The service did not respond, or the connection was cut, more often than `maxRetries` allows. */
export class ConnectionError extends Error {
  override readonly name = "ConnectionError";
}

/** The error that a response with a status of 400 or more stands for. */
export async function errorOf(response: Response): Promise<AgentError> {
  const text = await response.text().catch(() => "");
  return new AgentError(problemIn(text) ?? foreign(response, text), retryAfterOf(response));
}

function problemIn(text: string): Problem | undefined {
  try {
    const problem: unknown = JSON.parse(text);
    const isProblem = typeof problem === "object" && problem !== null && "code" in problem && typeof problem.code === "string" && "status" in problem;
    return isProblem ? (problem as unknown as Problem) : undefined;
  } catch {
    return undefined;
  }
}

function foreign({ status, statusText, headers }: Response, text: string): Problem {
  const title = statusText || `HTTP ${status}`;
  const isPlain = headers.get("content-type")?.startsWith("text/plain") === true;
  const detail = (isPlain && text.slice(0, MAX_FOREIGN_TEXT_CHARS).trim()) || `The response has status ${status} and is not the service's own`;
  return { type: "about:blank", title, status, detail, error: detail, code: `http_${status}`, request_id: headers.get("x-request-id") ?? "" };
}

function retryAfterOf({ headers }: Response): number | undefined {
  const seconds = Number(headers.get("retry-after") ?? Number.NaN);
  return seconds >= 0 ? seconds : undefined;
}
