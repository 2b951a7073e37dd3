//! The fields of a query that say how its turn runs: which model, with how much work, what the answer has to match.

use serde_json::{Map, Value};

use super::body::{Fields, is_deeper, not_json};
use super::json_schema::{self, Of};
use super::problem::{ApiError, Code};
use super::turn_tools::{Permissions, permissions, questions, tools};
use super::update::metadata;
use crate::config::policy::{AgentPolicy, MAX_MODEL_BYTES, is_model};
use crate::domain::{Effort, MetadataPatch, RawJson, Thinking, TurnOptions, WhenBusy};

/// Longest system prompt of a request, in bytes.
pub const MAX_SYSTEM_PROMPT_BYTES: usize = 64 * 1024;
/// Longest JSON Schema of a request, in bytes, and its deepest nesting.
const MAX_SCHEMA_BYTES: usize = 32 * 1024;
const MAX_SCHEMA_DEPTH: usize = 64;
/// Longest word of a field that is one of a few words, in bytes.
const MAX_WORD_BYTES: usize = 16;

/// The fields of a request that asks for turns: its own, and those that [`options`] reads.
macro_rules! with_options {
    ($($own:literal),+ $(,)?) => {
        &[
            $($own,)+
            "model",
            "effort",
            "thinking",
            "system_prompt",
            "max_turns",
            "output_schema",
            "metadata",
            "when_busy",
            "tools",
            "permissions",
            "permission_mode",
            "questions",
        ]
    };
}
pub(super) use with_options;

/// What the caller asks of the agent, where it is well formed and the operator allows it.
pub(super) fn options(policy: &AgentPolicy, fields: &Fields<'_>) -> Result<TurnOptions, ApiError> {
    let text = |name, most| fields.text(name, most, Code::InvalidParameter);
    let model = text("model", MAX_MODEL_BYTES)?;
    if let Some(model) = &model {
        if !is_model(model) {
            return Err(ApiError::parameter("model", "the name of a model, at most 128 ASCII characters"));
        }
        if !policy.allows_model(model) {
            return Err(ApiError::parameter("model", &format!("one of {}", policy.allowed_models().join(", "))));
        }
    }
    let effort = one_of(fields, "effort", "low, medium, high, xhigh, max", Effort::parse)?;
    let thinking = one_of(fields, "thinking", "on, off", Thinking::parse)?;
    let when_busy = one_of(fields, "when_busy", "queue, steer, interrupt, reject", WhenBusy::parse)?;
    let output_schema = fields.raw("output_schema").map(schema).transpose()?;
    let metadata = fields.raw("metadata").map(notes).transpose()?.unwrap_or_default();
    let system_prompt = text("system_prompt", MAX_SYSTEM_PROMPT_BYTES)?;
    if let Some(prompt) = &system_prompt {
        if !policy.allows_system_prompt() {
            return Err(ApiError::parameter("system_prompt", "not allowed: this deployment sets its own"));
        }
        if prompt.len() > MAX_SYSTEM_PROMPT_BYTES {
            return Err(ApiError::parameter("system_prompt", "at most 65536 bytes"));
        }
    }
    let most = policy.most_turns();
    let most_turns = || ApiError::parameter("max_turns", &format!("a whole number from 1 to {most}"));
    let whole = |raw: &str| {
        // A JSON number says nothing of its type: 7.0 is as whole as 7.
        let digits = raw.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
        let turns = digits.map_or(raw, |(digits, _)| digits).parse().ok();
        turns.filter(|turns| (1..=most).contains(turns)).ok_or_else(most_turns)
    };
    let max_turns = fields.raw("max_turns").map(whole).transpose()?;
    let tools = tools(fields)?;
    let Permissions { ask, deny } = permissions(fields)?;
    let plan = one_of(fields, "permission_mode", "plan", |word| (word == "plan").then_some(true))?;
    Ok(TurnOptions {
        questions: questions(fields)?,
        plan: plan.unwrap_or_default(),
        tools,
        ask_tools: ask,
        deny_tools: deny,
        model,
        effort,
        thinking,
        system_prompt,
        max_turns,
        output_schema,
        metadata,
        when_busy: when_busy.unwrap_or_default(),
        ..TurnOptions::default()
    })
}

/// A field that is one of a few words.
pub(super) fn one_of<T>(
    fields: &Fields<'_>,
    name: &str,
    words: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ApiError> {
    let refused = || ApiError::parameter(name, &format!("one of {words}"));
    let word = fields.text(name, MAX_WORD_BYTES, Code::InvalidParameter)?;
    word.map(|word| parse(&word).ok_or_else(refused)).transpose()
}

/// The schema of an answer.
fn schema(raw: &str) -> Result<RawJson, ApiError> {
    let refused = |rule| Err(ApiError::new(Code::InvalidOutputSchema, format!("output_schema: {rule}")));
    if !raw.starts_with('{') {
        return refused("a JSON Schema, as an object");
    }
    if raw.len() > MAX_SCHEMA_BYTES {
        return refused("at most 32768 bytes");
    }
    if is_deeper(raw, MAX_SCHEMA_DEPTH) {
        return refused("nested at most 64 levels deep");
    }
    json_schema::check(raw, Of::Answer)
        .map_err(|fault| ApiError::new(Code::InvalidOutputSchema, fault.of_field("output_schema")))?;
    RawJson::parse(raw).map_or_else(|| refused("a JSON Schema, as an object"), Ok)
}

/// The caller's own notes about the turn, within the bounds of a conversation's.
fn notes(raw: &str) -> Result<Map<String, Value>, ApiError> {
    let refused = |rule: &dyn std::fmt::Display| ApiError::parameter("metadata", &rule.to_string());
    let json = metadata(raw).and_then(|patch: MetadataPatch| patch.apply(Map::new()).map_err(|e| refused(&e)))?;
    serde_json::from_str(&json).map_err(|e| not_json(&e))
}
