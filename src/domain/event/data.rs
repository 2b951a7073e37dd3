//! The data of events: the fields that followers and readers of items see.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::{Include, Role};

/// The code of a [`Notice`] that stands for events which are kept no more.
const EVENTS_DROPPED: &str = "events_dropped";
/// The code of a [`Notice`] that stands for what a turn did beyond the items that are stored.
const ITEMS_CUT: &str = "items_cut";

/// `delta`: a piece of the answer's text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "DeltaEvent"))]
pub struct Delta {
    /// The piece.
    pub text: String,
}

/// `thinking`: a piece of the model's thinking.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ThinkingEvent"))]
pub struct Thinking {
    /// The piece.
    pub text: String,
    /// The tool call that started the subagent which thinks.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub parent: Option<String>,
}

/// `tool_input`: a piece of a tool call's input, which comes before the `tool` event that starts the call.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ToolInputEvent"))]
pub struct ToolInput {
    /// Names the call.
    pub id: String,
    /// The next piece of the input's JSON.
    pub json: String,
    /// The tool call that started the subagent which makes this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub parent: Option<String>,
}

/// `message`: a whole block of text, which repeats the deltas before it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "MessageEvent"))]
pub struct Message {
    /// Always `assistant`.
    pub role: Role,
    /// The block.
    pub content: String,
    /// The tool call that started the subagent which says it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub parent: Option<String>,
}

/// `tool`: a tool call began or ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ToolEvent"))]
pub struct Tool {
    /// Names the call: the same when it starts and ends.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// `started`, `finished`, `failed`, or `denied`: the call was not permitted.
    pub status: String,
    /// The call's input, with `started`; its long strings are cut. If its JSON is longer than 2 KiB all the same, a string with the
    /// beginning of it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub input: Option<Box<RawValue>>,
    /// With `include=tool_input`, and if `input` is cut: the input with at most 16 KiB of JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub whole_input: Option<Box<RawValue>>,
    /// With `include=tool_result`, at the end of the call: its result, a string or an array of `{type: "text", text}` and
    /// `{type: "image", media_type, bytes}`, at most 16 KiB of JSON.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "ToolResult"))]
    pub result: Option<Box<RawValue>>,
    /// Whether the result was longer.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub truncated: bool,
    /// The tool call that started the subagent which makes this one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub parent: Option<String>,
}

/// A tool's result, as the schema has it.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "a schema")]
enum ToolResult {
    Text(String),
    Blocks(Vec<serde_json::Value>),
}

/// `usage`: what one call of the model used.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "UsageEvent"))]
pub struct ModelCall {
    /// The model.
    pub model: String,
    /// Tokens sent, those from the cache left out.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// US dollars at list prices; of a model that the service does not know, at the prices of the dearest one.
    pub cost_usd: f64,
    /// The tool call that started the subagent which asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub parent: Option<String>,
}

/// `retry`: the model's API failed and is asked again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "RetryEvent"))]
pub struct Retry {
    /// Which attempt comes next.
    pub attempt: u32,
    /// How long the SDK waits before it, in milliseconds.
    #[serde(default)]
    pub delay_ms: f64,
    /// The model's HTTP status, if it sent one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Whether the deltas since the last `message` are void: the model's stream broke and starts over.
    #[serde(default)]
    pub retracted: bool,
}

/// Why a history was compacted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum CompactedBy {
    /// Somebody asked for it.
    Manual,
    /// It came near the model's limit.
    #[serde(other)]
    Auto,
}

/// `compacted`: the conversation's history was replaced by a summary of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "CompactedEvent"))]
pub struct Compacted {
    /// Why.
    pub trigger: CompactedBy,
    /// What the history took before, in tokens.
    pub pre_tokens: u64,
    /// What it takes now, if that is known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub post_tokens: Option<u64>,
}

/// `attachment_removed`: the model does not take an attachment, which is not sent again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "AttachmentRemovedEvent"))]
pub struct AttachmentRemoved {
    /// Its path in the conversation's files, if it has one.
    #[serde(default)]
    pub path: Option<String>,
    /// Why.
    pub reason: String,
}

/// `notice`: something that the reader should know.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "NoticeEvent"))]
pub struct Notice {
    /// What it is about: `events_dropped` (the events from `from` to `to` are kept no more), `items_cut` (the turn did more than is stored),
    /// or another word.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// The number of the first event that it stands for.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub from: Option<u64>,
    /// The number of the last one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub to: Option<u64>,
}

impl Notice {
    /// The notice that stands for the events of these numbers.
    #[must_use]
    pub fn events_dropped(from: u64, to: u64) -> Self {
        let message =
            "These events are no longer kept. Later messages repeat dropped text, and the turn's items remain.";
        Self { code: EVENTS_DROPPED.to_owned(), message: message.to_owned(), from: Some(from), to: Some(to) }
    }

    /// The notice that ends the stored items of a turn that did more.
    #[must_use]
    pub fn items_cut() -> Self {
        let message = "The turn did more than is stored of it.";
        Self { code: ITEMS_CUT.to_owned(), message: message.to_owned(), from: None, to: None }
    }
}

impl Tool {
    /// What a reader hears of it: the result and the whole input are for those who asked for them.
    pub(super) fn told(&self, include: Include) -> Told<'_> {
        let result = self.result.as_deref().filter(|_| include.has(Include::TOOL_RESULT));
        Told {
            id: &self.id,
            name: &self.name,
            status: &self.status,
            input: self.input.as_deref(),
            whole_input: self.whole_input.as_deref().filter(|_| include.has(Include::TOOL_INPUT)),
            result,
            truncated: self.truncated && result.is_some(),
            parent: self.parent.as_deref(),
        }
    }

    /// The bytes of its JSON texts.
    pub(super) fn bytes(&self) -> usize {
        let texts = [&self.input, &self.whole_input, &self.result];
        texts.iter().map(|json| json.as_ref().map_or(0, |json| json.get().len())).sum()
    }
}

/// The fields of a [`Tool`] that a reader hears.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole_input: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'a str>,
}
