//! Schemas of what no type of the service is: requests, which are read by hand, and documents that SQLite writes.
//! `tests/e2e/contract.ts` holds every response of the end-to-end tests to them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::content::QueryContent;
use crate::domain::account::AccountStatus;
use crate::domain::limits::{MAX_COUNT, MAX_USD, SetLimits};
use crate::domain::metadata::{MAX_METADATA_KEY_CHARS, MAX_METADATA_KEYS, MAX_METADATA_VALUE_CHARS, RESERVED_KEY};
use crate::domain::options::ClientTool;
use crate::domain::webhook;
use crate::domain::{AccountId, Effort, EventType, Millis, Missed, SessionId, Thinking, WhenBusy};

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
#[schemars(extend("anyOf" = says_words_or_shows()))]
#[expect(dead_code, reason = "a schema")]
pub(super) struct QueryRequest {
    /// What the user says, at most 1 MiB of UTF-8.
    query: Option<String>,
    /// An alias for `query`, which counts if `query` is absent or holds white space alone.
    prompt: Option<String>,
    /// What the user says and shows, in place of `query`: a string, or content blocks as the Messages API has them.
    content: Option<QueryContent>,
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
    /// A JSON Schema (draft-07) of an object that the answer has to match, at most 32 KiB.
    #[schemars(default, schema_with = "json_object")]
    output_schema: Option<serde_json::Map<String, Value>>,
    /// Notes of the caller's about the turn, which come back with it.
    #[schemars(default, schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
    /// Tools that the caller runs: each call of one is an action.
    #[schemars(length(max = 64))]
    tools: Option<Vec<ClientTool>>,
    /// Rules about the agent's tools, beside the operator's.
    permissions: Option<Permissions>,
    /// `plan`: the agent changes nothing until somebody has approved its plan, which is an action.
    permission_mode: Option<QueryMode>,
    /// Whether the agent may ask the user questions, which are actions. Default: as the operator says, else not.
    questions: Option<bool>,
    /// What happens if a turn of the conversation runs or waits. Default: `queue`.
    when_busy: Option<WhenBusy>,
    /// The system prompt of this turn, if the operator allows one; at most 64 KiB of UTF-8.
    system_prompt: Option<String>,
    /// How many times the agent may call the model in this turn; the operator can lower the maximum.
    #[schemars(range(min = 1, max = 1000))]
    max_turns: Option<u32>,
    /// What a stream tells beside the default events.
    include: Option<Vec<IncludeWord>>,
}

/// What a query may narrow the operator's mode to.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
pub(super) enum QueryMode {
    Plan,
}

/// What a stream tells beside the default events.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
enum IncludeWord {
    Thinking,
    ToolInput,
    ToolResult,
    Subagents,
    Usage,
}

/// A tool, or what a call of it is about in parentheses.
const TOOL_RULE: &str = r"^[A-Za-z][A-Za-z0-9_*-]*(\([\s\S]+\))?$";

/// Rules such as `Write` or `Bash(git push:*)`.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct Permissions {
    /// Calls that a person has to allow.
    #[schemars(length(max = 64), inner(regex(pattern = TOOL_RULE)))]
    ask: Option<Vec<String>>,
    /// Calls that are refused.
    #[schemars(length(max = 64), inner(regex(pattern = TOOL_RULE)))]
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

/// What a query must be: words in `query` or `prompt`, or `content` without words beside it.
fn says_words_or_shows() -> Value {
    let nothing = json!({"type": ["string", "null"], "pattern": "^[\\s\\u0085]*$"});
    let words = ["query", "prompt"].map(|field| {
        let mut words = says_something(field);
        words["properties"]["content"] = json!({"type": "null"});
        words
    });
    let [query, prompt] = words;
    let content = json!({"not": {"type": "null"}});
    let content =
        json!({"required": ["content"], "properties": {"content": content, "query": nothing, "prompt": nothing}});
    json!([query, prompt, content])
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
    #[schemars(default, schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

/// A change of what an operator has set of an account. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct AccountChangeRequest {
    /// Whether the account may work.
    status: Option<AccountStatus>,
    /// Why the account is suspended, shown to its users; only with the status `suspended`.
    #[schemars(length(max = 200))]
    reason: Option<String>,
    /// Limits to set. A limit of null means no limit, and `default` restores the deployment's; if `limits` itself is null, all limits of the deployment
    /// apply again.
    #[schemars(default, schema_with = "limits_change")]
    limits: Option<LimitsChange>,
    /// How many days its conversations are kept; null restores the deployment's retention.
    #[schemars(range(min = 1, max = 36500))]
    retention_days: Option<u32>,
    /// Notes to set, and with `null` to remove; null removes all.
    #[schemars(default, schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
}

/// What is read of an account's limits can be sent as it is.
fn limits_change(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let (as_read, change) = (generator.subschema_for::<SetLimits>(), generator.subschema_for::<LimitsChange>());
    schemars::json_schema!({"anyOf": [as_read, change, {"type": "null"}]})
}

/// Limits to set for an account.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, transform = without_defaults)]
#[expect(dead_code, reason = "a schema")]
struct LimitsChange {
    /// US dollars for calls of the model in a day of UTC.
    #[schemars(default, schema_with = "usd_or_default")]
    usd_per_day: Option<f64>,
    /// The same in a month.
    #[schemars(default, schema_with = "usd_or_default")]
    usd_per_month: Option<f64>,
    /// Turns in a day.
    #[schemars(default, schema_with = "count_or_default::<0, MAX_COUNT>")]
    turns_per_day: Option<u64>,
    /// Tokens of all four kinds in a day.
    #[schemars(default, schema_with = "count_or_default::<0, MAX_COUNT>")]
    tokens_per_day: Option<u64>,
    /// Bytes of the account's database and of its files.
    #[schemars(default, schema_with = "count_or_default::<0, MAX_COUNT>")]
    storage_bytes: Option<u64>,
    /// Turns that may wait; null is the operator's limit.
    #[schemars(default, schema_with = "count_or_default::<0, 1_000>")]
    queued_turns: Option<u32>,
    /// Turns that run at once; null is the operator's limit.
    #[schemars(default, schema_with = "count_or_default::<1, 8>")]
    concurrency: Option<u32>,
}

/// An absent limit stays as it is.
fn without_defaults(schema: &mut schemars::Schema) {
    let fields =
        schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut());
    fields.filter_map(Value::as_object_mut).for_each(|field| drop(field.remove("default")));
}

fn usd_or_default(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": ["number", "null"], "minimum": 0, "maximum": MAX_USD}, {"const": "default"}]})
}

fn count_or_default<const LEAST: u64, const MOST: u64>(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"anyOf": [{"type": ["integer", "null"], "minimum": LEAST, "maximum": MOST}, {"const": "default"}]})
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

/// Five fields with white space in between.
const CRON: &str = r"^[ \t\n\f\r]*[0-9A-Za-z*,/-]+([ \t\n\f\r]+[0-9A-Za-z*,/-]+){4}[ \t\n\f\r]*$";

/// A schedule as it is to be, with the options of a query. Unknown fields are ignored.
#[derive(JsonSchema)]
#[schemars(extend("anyOf" = [says_something("query"), says_something("prompt")]))]
#[expect(dead_code, reason = "a schema")]
pub(super) struct ScheduleRequest {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// When it is due: minute, hour, day of the month, month, day of the week.
    #[schemars(length(max = 256), regex(pattern = CRON))]
    cron: String,
    /// The IANA name of the zone of these times. Default: UTC.
    #[schemars(regex(pattern = "^[A-Za-z][A-Za-z0-9_+/-]{0,63}$"))]
    timezone: Option<String>,
    /// What the user says, at most 64 KiB of UTF-8.
    query: Option<String>,
    /// An alias for `query`, which counts if `query` is absent or holds white space alone.
    prompt: Option<String>,
    /// The conversation that goes on, or `new` for one with each run. Default: `new`.
    conversation: Option<SessionId>,
    /// What becomes of a run whose time the account slept through. Default: `skip`.
    missed: Option<Missed>,
    /// Whether it runs by itself. Default: true.
    enabled: Option<bool>,
    /// The model of its turns, if the operator allows it.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    model: Option<String>,
    /// How much work the model puts into them.
    effort: Option<Effort>,
    /// Whether the model thinks before it answers.
    thinking: Option<Thinking>,
    /// A JSON Schema (draft-07) of an object that the answers have to match, at most 32 KiB.
    #[schemars(default, schema_with = "json_object")]
    output_schema: Option<serde_json::Map<String, Value>>,
    /// Notes of the caller's about the turns, which come back with them.
    #[schemars(default, schema_with = "metadata_patch")]
    metadata: Option<BTreeMap<String, Option<String>>>,
    /// What happens if a turn of the conversation runs or waits. Default: `queue`.
    when_busy: Option<WhenBusy>,
    /// The system prompt of its turns, if the operator allows one; at most 64 KiB of UTF-8.
    system_prompt: Option<String>,
    /// How many times the agent may call the model in a turn.
    #[schemars(range(min = 1, max = 1000))]
    max_turns: Option<u32>,
    /// Tools that the caller runs: each call of one is an action.
    #[schemars(length(max = 64))]
    tools: Option<Vec<ClientTool>>,
    /// Rules about the agent's tools, in addition to the operator's.
    permissions: Option<Permissions>,
    /// `plan`: the agent changes nothing until somebody has approved its plan.
    permission_mode: Option<QueryMode>,
    /// Whether the agent may ask questions, which are actions. Default: as the operator says, else not.
    questions: Option<bool>,
}

/// A webhook as it is to be. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(super) struct WebhookRequest {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// Where the events are sent: `https://` and a public name.
    #[schemars(length(max = 2048), regex(pattern = "^https://"))]
    url: String,
    /// The events that are sent. Default: all.
    types: Option<Vec<EventType>>,
    /// `result`: events of turns hold the turn as `GET /turns/{turn_id}` returns it.
    include: Option<Vec<webhook::Include>>,
    /// The secret that signs: `whsec_` and the base64 of 24 to 64 bytes. Default: the one that it has, or a new one.
    #[schemars(length(max = 96))]
    secret: Option<String>,
    /// Whether a new secret takes the place of the one that it has, which signs for a day more.
    rotate_secret: Option<bool>,
}
