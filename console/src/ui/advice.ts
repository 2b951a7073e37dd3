/** What an error means to the person in front of it, and what they can do next. */
import { AgentError, ConnectionError } from "claude-agent-service-client";
import type { Problem } from "claude-agent-service-client";

export type Advice = { title: string; detail: string; next?: string; code?: string; requestId?: string; canRetry: boolean };

/** By code: a short title, what to do next, and whether the same request may succeed later. */
const KNOWN: Record<string, [title: string, next: string, canRetry: boolean]> = {
  unauthorized: ["You are signed out", "Sign in again with a key or a token.", false],
  wrong_account: ["This token belongs to another account", "Sign in with a token of this account, or with a key.", false],
  operator_only: ["Only operators may do this", "Sign in with one of the service's API keys.", false],
  auth_not_configured: ["This deployment has no sign-in yet", "Set the secret API_KEYS or JWT_SECRET with `npx wrangler secret put`, then reload.", false],
  invalid_parameter: ["A field is not as it should be", "Change it, then try again.", false],
  no_prompt: ["There is no question", "Write what the agent should do.", false],
  not_found: ["It is not here any more", "It may have been deleted, or belong to another account.", false],
  turn_cancelled: ["Stopped", "What the agent had written is kept. Ask again whenever you like.", true],
  conversation_busy: ["The agent is still working", "Wait for the answer, or stop it first.", true],
  branch_unavailable: ["That moment cannot be returned to", "Its files are no longer kept. Choose a later one.", false],
  conversation_exists: ["There is such a conversation already", "Choose another id.", false],
  action_pending: ["The agent waits for an answer", "Answer what it asks, or stop it first.", false],
  action_resolved: ["Somebody has decided already", "The first decision counts. Reload to see it.", false],
  account_suspended: ["This account is suspended", "Ask its operator. What is there can be read.", false],
  budget_exhausted: ["The budget is used up", "Wait until it is counted anew, or ask the operator for more.", false],
  rate_limited: ["Too many questions at once", "Wait a moment, then try again.", true],
  queue_full: ["Too many questions are waiting", "Wait for one of them to be answered, then try again.", true],
  model_rate_limited: ["The model asks for a pause", "Wait a moment, then try again.", true],
  token_not_set: ["The service has no access to a model", "Set ANTHROPIC_API_KEY: in .dev.vars on your machine, with `npx wrangler secret put` on a deployment.", false],
  model_auth_failed: ["The model refused the service's key", "Check ANTHROPIC_API_KEY of the deployment.", false],
  model_failed: ["The model could not answer", "Try again, or put the question differently.", true],
  agent_failed: ["The agent gave up", "Try again, or ask for a smaller step.", true],
  container_unavailable: ["The agent's machine did not start", "This often passes. Try again in a few seconds.", true],
  at_capacity: ["All machines are taken", "Try again in half a minute.", true],
  turn_interrupted: ["The agent's machine stopped in the middle", "Nothing is lost but this answer. Try again.", true],
  object_reset: ["The service was being updated", "Try again.", true],
  turn_timeout: ["The agent ran out of time", "Ask for a smaller step, or raise TURN_TIMEOUT.", true],
  prompt_too_large: ["The message is too long", "Shorten it, or upload it as a file.", false],
  body_too_large: ["The message is too large", "Upload large files in the files panel instead.", false],
  attachment_too_large: ["An attachment is too large", "Images may have 5 MiB, PDFs 32 MiB. Upload it as a file instead.", false],
  unsupported_attachment: ["An attachment is of a type that the model does not read", "Images, PDFs and text work. Upload others as files.", false],
  attachment_not_found: ["An attached file is gone", "Attach it again.", false],
  storage_full: ["The account's storage is full", "Delete files or conversations that you do not need.", false],
  files_not_configured: ["This deployment keeps no files", "Add an R2 bucket with the binding FILES to wrangler.toml.", false],
  workspace_unavailable: ["The files could not be read", "Try again in a few seconds.", true],
  workspace_damaged: ["Some of the files are lost", "Delete the damaged files, or begin a new conversation.", false],
  precondition_failed: ["Somebody else changed it", "Reload, then try again.", false],
  internal: ["Something went wrong in the service", "Try again. If it goes on, give the operator the request's id.", true],
};

export function adviceFor(error: unknown): Advice {
  const problem = problemOf(error);
  if (problem !== undefined) {
    const { code, title: heading, detail, status, request_id: requestId } = problem;
    const known = KNOWN[code];
    const base = { detail: detail || heading, code, ...(requestId && { requestId }) };
    if (known === undefined) return { ...base, title: heading, canRetry: status >= 500 };
    const [title, next, canRetry] = known;
    return { ...base, title, next, canRetry };
  }
  if (error instanceof ConnectionError) {
    return { title: "The service does not respond", detail: "The console tried several times.", next: "Check your connection, and that the service runs.", canRetry: true };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { title: "Something went wrong in the console", detail, next: "Reload the page. Your conversations are stored by the service.", canRetry: true };
}

/** Of an error that was thrown, or of a turn that failed before. */
function problemOf(error: unknown): Problem | undefined {
  if (error instanceof AgentError) return error.problem;
  const isProblem = typeof error === "object" && error !== null && "code" in error && "title" in error && "status" in error;
  return isProblem ? (error as Problem) : undefined;
}
