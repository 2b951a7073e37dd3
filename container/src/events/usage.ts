/*
 * What a turn used: of each call of the model, of each model, and of the room that the conversation has.
 * The main loop's calls are told by its stream, a subagent's by its transcript, since the SDK streams nothing of it.
 */
import type { SDKMessage, SDKResultMessage } from "@anthropic-ai/claude-agent-sdk";
import type { Context, Entry, ModelUsage, Usage, UsageFrame } from "../frames.ts";
import { shortName } from "./names.ts";

/** A billionth of a dollar is below every price: what is finer comes of adding floats. */
const COST_UNITS_A_USD = 1e9;
/** More models than a turn has. */
export const MAX_MODELS = 16;
/** Subagents of a turn whose calls are told. */
export const MAX_SUBAGENTS = 1_024;
/**
 * The CLI compacts by itself when the window has no more room than this: an answer, or the 20,000 tokens of a summary if the model may
 * write more, and 13,000 to spare. So says its code (2.1.330, `min(maxOutputTokens, 20000)` and `13000`), and so it answers to
 * `getContextUsage`: 967,000 of 1,000,000 and 167,000 of 200,000, which test/usage.test.ts compares.
 */
const AUTO_COMPACT = { summary: 20_000, spare: 13_000 };

type StreamEvent = Extract<SDKMessage, { type: "stream_event" }>["event"];
type ApiUsage = { [name in keyof Usage]?: number | null };
/** The SDK's `usage` is the main loop's alone; this counts every call of the turn. Its types don't name it. */
type Counted = SDKResultMessage & { model_usage_since_last_result?: SDKResultMessage["modelUsage"] };

export class Used {
  /** The main loop's call that is under way. */
  #call: { model: string; usage: Usage } | undefined;
  /** The main loop's model, as it was asked for and as it answered. */
  #models: string[] = [];
  /** What the conversation holds, as far as the last call or compaction told. */
  #tokens: number | undefined;
  /** By subagent: the call that started it, and the message of the model that was told last. */
  readonly #subagents = new Map<string, { parent: string; told: string }>();

  begun(model: string): void {
    this.#models = [model];
  }

  /** A frame at the end of each call. */
  streamed(event: StreamEvent): UsageFrame | undefined {
    if (event.type === "message_start") {
      this.#call = { model: event.message.model, usage: usageOf(event.message.usage) };
      return undefined;
    }
    if (event.type !== "message_delta" || this.#call === undefined) return undefined;
    const { model, usage } = this.#call;
    this.#call = undefined;
    const final = { ...usage, ...usageOf(event.usage, usage) };
    this.#models = [model, ...this.#models.slice(-1)];
    this.#tokens = final.input_tokens + final.output_tokens + final.cache_read_input_tokens + final.cache_creation_input_tokens;
    return { type: "usage", model: shortName(model), ...final };
  }

  compacted(tokens: number | null): void {
    this.#tokens = tokens ?? undefined;
  }

  /** A message of a subagent says which call it belongs to. */
  subagent(id: string | undefined, parent: string | null): void {
    if (id === undefined || parent === null || this.#subagents.has(id) || this.#subagents.size >= MAX_SUBAGENTS) return;
    this.#subagents.set(id, { parent, told: "" });
  }

  /** The entries of one answer all have its usage: the first of them tells it. */
  entry(entry: Entry): UsageFrame | undefined {
    if (entry.type !== "assistant" || typeof entry["agentId"] !== "string") return undefined;
    const subagent = this.#subagents.get(entry["agentId"]);
    const message = entry["message"] as { id?: unknown; model?: unknown; stop_reason?: unknown; usage?: unknown } | null | undefined;
    if (subagent === undefined || typeof message?.id !== "string" || message.id === subagent.told) return undefined;
    // Without an end it is not whole, and one that the CLI wrote itself used nothing.
    if (typeof message.stop_reason !== "string" || typeof message.model !== "string" || entry["isApiErrorMessage"] === true) return undefined;
    subagent.told = message.id;
    return { type: "usage", model: shortName(message.model), ...usageOf(message.usage), parent: shortName(subagent.parent) };
  }

  result(result: Counted): { usage: Usage; cost_usd: number; by_model?: Record<string, ModelUsage>; context?: Context } {
    const models = Object.entries(result.model_usage_since_last_result ?? {});
    const each = models.map(([name, model]): [string, ModelUsage] => [shortName(name), { ...ofModel(model), cost_usd: dollars(model.costUSD) }]);
    const usage = each.reduce((sum, [, model]) => added(sum, model), usageOf({}));
    const context = this.#context(result.modelUsage);
    return {
      usage,
      cost_usd: dollars(models.reduce((sum, [, model]) => sum + model.costUSD, 0)),
      ...(each.length === 0 ? {} : { by_model: Object.fromEntries(each.slice(0, MAX_MODELS)) }),
      ...(context === undefined ? {} : { context }),
    };
  }

  #context(models: SDKResultMessage["modelUsage"] | undefined): Context | undefined {
    const all = Object.entries(models ?? {});
    const named = this.#models.flatMap((name) => all.filter(([key, model]) => key === name || model.canonicalModel === name));
    const [, model] = named[0] ?? (all.length === 1 ? all[0] : undefined) ?? [];
    if (model === undefined || this.#tokens === undefined) return undefined;
    return { tokens: this.#tokens, limit: model.contextWindow, auto_compact_at: autoCompactAt(model.contextWindow, model.maxOutputTokens) };
  }
}

export function autoCompactAt(contextWindow: number, maxOutputTokens: number): number {
  return Math.max(0, contextWindow - Math.min(maxOutputTokens, AUTO_COMPACT.summary) - AUTO_COMPACT.spare);
}

function usageOf(told: unknown, before?: Usage): Usage {
  const usage = (typeof told === "object" && told !== null ? told : {}) as ApiUsage;
  const count = (name: keyof Usage): number => usage[name] ?? before?.[name] ?? 0;
  return {
    input_tokens: count("input_tokens"),
    output_tokens: count("output_tokens"),
    cache_read_input_tokens: count("cache_read_input_tokens"),
    cache_creation_input_tokens: count("cache_creation_input_tokens"),
  };
}

function ofModel(model: SDKResultMessage["modelUsage"][string]): Usage {
  return {
    input_tokens: model.inputTokens,
    output_tokens: model.outputTokens,
    cache_read_input_tokens: model.cacheReadInputTokens,
    cache_creation_input_tokens: model.cacheCreationInputTokens,
  };
}

function added(sum: Usage, more: Usage): Usage {
  return {
    input_tokens: sum.input_tokens + more.input_tokens,
    output_tokens: sum.output_tokens + more.output_tokens,
    cache_read_input_tokens: sum.cache_read_input_tokens + more.cache_read_input_tokens,
    cache_creation_input_tokens: sum.cache_creation_input_tokens + more.cache_creation_input_tokens,
  };
}

function dollars(usd: number): number {
  return Math.round(usd * COST_UNITS_A_USD) / COST_UNITS_A_USD;
}
