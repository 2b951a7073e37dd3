//! Schemas of what no type of the service is: requests, which are read by hand, documents that SQLite writes, and events.
//! `tests/e2e/contract.ts` holds every response of the end-to-end tests to them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::super::document::DoneJson;
use super::super::problem::Problem;
use super::super::sse::{DeltaData, MessageData, RetryData, ToolData, TurnData};
use super::Schemas;
use crate::domain::account::AccountStatus;
use crate::domain::limits::SetLimits;
use crate::domain::metadata::{MAX_METADATA_KEY_CHARS, MAX_METADATA_KEYS, MAX_METADATA_VALUE_CHARS, RESERVED_KEY};
use crate::domain::options::ClientTool;
use crate::domain::{AccountId, Effort, Millis, SessionId, Thinking, WhenBusy};

/// A conversation's metadata: at most 16 keys of the caller's with strings of at most 512 characters, and one of the service's.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(in crate::api) struct Metadata {
    /// How many messages the conversation has.
    message_count: u64,
    /// The caller's own keys.
    #[serde(flatten)]
    own: BTreeMap<String, String>,
}

/// A conversation as the list shows it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct ConversationSummary {
    /// Names it within its account.
    session_id: SessionId,
    /// Its title: the beginning of its first prompt, until it is changed.
    title: String,
    /// When its first turn was stored.
    created_at: Millis,
    /// When it was last read or a turn of it stored or ended.
    last_accessed_at: Millis,
    /// The caller's keys and the service's `message_count`.
    metadata: Metadata,
}

/// How much an account stores.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct StorageStats {
    /// How many conversations it has.
    total_conversations: u64,
    /// Days since the last access of the one that was accessed longest ago; null if there is none.
    oldest_conversation_age_days: Option<f64>,
    /// How many conversations a purge would delete now.
    conversations_ready_to_purge: u64,
    /// `RETENTION_DAYS`.
    retention_policy_days: u64,
    /// How many messages its conversations have.
    total_messages: u64,
    /// The size of its database, in bytes.
    database_bytes: u64,
}

/// A query. Unknown fields are ignored.
#[derive(JsonSchema)]
#[schemars(extend("anyOf" = [says_something("query"), says_something("prompt")]))]
#[expect(dead_code, reason = "a schema")]
pub(super) struct QueryRequest {
    /// What the user says, at most 1 MiB of UTF-8.
    query: Option<String>,
    /// An alias for `query`, which counts if `query` is absent or holds white space alone.
    prompt: Option<String>,
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// The conversation to go on with; one that does not exist is created. Default: a new one, whose id the service makes.
    session_id: Option<SessionId>,
    /// Whether to respond with events. Default: what `Accept` prefers.
    stream: Option<bool>,
    /// The model of this turn, if the operator allows it.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    model: Option<String>,
    /// How much work the model puts into this turn. Default: the model's own.
    effort: Option<Effort>,
    /// Whether the model thinks before it answers. Default: the model's own.
    thinking: Option<Thinking>,
    /// A JSON Schema (draft-07) that the answer has to match, at most 32 KiB.
    #[schemars(schema_with = "json_object")]
    output_schema: Option<serde_json::Map<String, Value>>,
    /// Notes of the caller's about the turn, which come back with it.
    #[schemars(schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
    /// Tools that the caller runs: each call of one is an action.
    #[schemars(length(max = 64))]
    tools: Option<Vec<ClientTool>>,
    /// Rules about the agent's tools, beside the operator's.
    permissions: Option<Permissions>,
    /// What happens if a turn of the conversation runs or waits. Default: `queue`.
    when_busy: Option<WhenBusy>,
    /// The system prompt of this turn, if the operator allows one; at most 64 KiB of UTF-8.
    system_prompt: Option<String>,
    /// How many times the agent may call the model in this turn; the operator can lower the maximum.
    #[schemars(range(min = 1, max = 1000))]
    max_turns: Option<u32>,
}

/// Rules such as `Write` or `Bash(git push:*)`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct Permissions {
    /// Calls that a person has to allow.
    #[schemars(length(max = 64))]
    ask: Option<Vec<String>>,
    /// Calls that are refused.
    #[schemars(length(max = 64))]
    deny: Option<Vec<String>>,
}

fn json_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["object", "null"]})
}

fn metadata_patch(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": ["object", "null"],
        "maxProperties": MAX_METADATA_KEYS,
        "propertyNames": {"minLength": 1, "maxLength": MAX_METADATA_KEY_CHARS, "not": {"const": RESERVED_KEY}},
        "additionalProperties": {"type": ["string", "null"], "maxLength": MAX_METADATA_VALUE_CHARS},
    })
}

/// What at least one field of a query must be.
fn says_something(field: &str) -> Value {
    json!({"required": [field], "properties": {field: {"type": "string", "pattern": "[^\\s\\u0085]"}}})
}

/// A change of a conversation. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct ConversationChange {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// The new title.
    #[schemars(length(max = 200), regex(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"))]
    title: Option<String>,
    /// Keys to set, and with `null` to remove; null removes all. A conversation has at most 16 keys and 37,500 bytes of metadata.
    #[schemars(schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

/// A change of what an operator has set of an account. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct AccountChangeRequest {
    /// Whether the account may work.
    status: Option<AccountStatus>,
    /// Why it may not, for its user; only with the status `suspended`.
    #[schemars(length(max = 200))]
    reason: Option<String>,
    /// Limits to set. One that is null is none; `limits` that are null are those of all accounts again.
    limits: Option<SetLimits>,
    /// How many days its conversations are kept; null is as those of all accounts.
    #[schemars(range(min = 1, max = 36500))]
    retention_days: Option<u32>,
    /// Notes to set, and with `null` to remove; null removes all.
    #[schemars(schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

/// A token to be made. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct TokenRequest {
    /// The account that it speaks for; any but `default`.
    account_id: AccountId,
    /// Its life, in seconds. Default: 3600.
    #[schemars(range(min = 1, max = 86400))]
    expires_in: Option<u32>,
}

/// The account, where it is not in the URL. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct AccountSelection {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
}

/// The schema of one server-sent event, whose `data` is a string with the JSON of the event's own schema.
pub(super) fn server_sent_event(schemas: &mut Schemas) -> Value {
    let event = |name: &str, schema: schemars::Schema| {
        let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": schema});
        json!({"properties": {"event": {"const": name}, "data": data}, "required": ["event"]})
    };
    let events = [
        event("turn", schemas.sent::<TurnData<'static>>()),
        event("delta", schemas.sent::<DeltaData<'static>>()),
        event("message", schemas.sent::<MessageData<'static>>()),
        event("tool", schemas.sent::<ToolData<'static>>()),
        event("retry", schemas.sent::<RetryData>()),
        event("done", schemas.sent::<DoneJson<'static>>()),
        event("error", schemas.sent::<Problem<'static>>()),
    ];
    let names: Vec<&Value> = events.iter().map(|event| &event["properties"]["event"]["const"]).collect();
    json!({
        "type": "object",
        "description": "One server-sent event. Exactly one `done` or `error` is the last; a stream that ends without it was cut.",
        "properties": {
            "id": {"type": "string", "pattern": "^turn_[0-9a-f]{32}:[0-9]+$", "description": "`<turn_id>:<n>`; `n` rises."},
            "event": {"type": "string", "enum": names},
            "data": {"type": "string", "description": "One line of JSON."},
        },
        "required": ["id", "event", "data"],
        "oneOf": events,
    })
}
