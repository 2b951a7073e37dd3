//! The operations on one conversation's turns and history: each with its body, its responses and an example.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::super::document::{ContextJson, ConversationJson, SuccessJson};
use super::super::on_conversation::MAX_INSTRUCTIONS_BYTES;
use super::operations::{TURN_ID, conversation, only, responds, starts_turn, usage};
use super::{Body, Described, Schemas};
use crate::domain::{AccountId, SessionId, TurnId};

/// Why turns are cancelled. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct Cancellation {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// Becomes part of the detail that the turns end with.
    #[schemars(length(max = 256))]
    reason: Option<String>,
}

/// A new conversation, and the state of another that it begins with. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct Fork {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// The turn at whose end the conversation had that state. Default: its last one.
    at: Option<TurnId>,
    /// The new conversation's id. Default: one that the service makes.
    session_id: Option<SessionId>,
    /// The new conversation's title. Default: that of the other.
    #[schemars(length(max = 200), regex(pattern = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"))]
    title: Option<String>,
}

/// The state that a conversation goes back to: one of `to` and `before`. Unknown fields are ignored.
#[derive(JsonSchema)]
#[schemars(extend("oneOf" = [names("to"), names("before")]))]
#[expect(dead_code, reason = "a schema")]
struct Rewind {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// The last turn that stays.
    to: Option<TurnId>,
    /// The first turn that is deleted.
    before: Option<TurnId>,
}

fn names(field: &str) -> Value {
    json!({"required": [field], "properties": {field: {"type": "string"}}})
}

/// How a conversation is compacted. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct Compaction {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// What the summary should keep, at most 8 KiB of UTF-8.
    #[schemars(length(max = MAX_INSTRUCTIONS_BYTES))]
    instructions: Option<String>,
    /// Whether to respond with events. Default: what `Accept` prefers.
    stream: Option<bool>,
}

fn body<T: JsonSchema>(schemas: &mut Schemas, required: bool, example: Value) -> Body {
    Body::Json { schema: schemas.taken::<T>(), example, required }
}

pub(in crate::api) fn cancel_conversation(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<SuccessJson>();
    let example = json!({"success": true, "cancelled": 1});
    Described {
        body: Some(body::<Cancellation>(schemas, false, json!({"accountId": "acme"}))),
        ..only(responds(200, "How many turns were told to end.", &schema, example))
    }
}

pub(in crate::api) fn fork_conversation(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<ConversationJson<'static>>();
    let mut example = conversation();
    example["session_id"] = "other-sums".into();
    let made = responds(201, "The new conversation, without its messages.", &schema, example);
    Described {
        body: Some(body::<Fork>(schemas, false, json!({"at": TURN_ID, "session_id": "other-sums"}))),
        ..only(made.with_headers(&["Location"]))
    }
}

pub(in crate::api) fn rewind_conversation(schemas: &mut Schemas) -> Described {
    let schema = schemas.sent::<ConversationJson<'static>>();
    Described {
        body: Some(body::<Rewind>(schemas, true, json!({"before": TURN_ID}))),
        ..only(responds(200, "The conversation as it was, without its messages.", &schema, conversation()))
    }
}

pub(in crate::api) fn read_context(schemas: &mut Schemas) -> Described {
    let example = json!({"tokens": 31_507, "limit": 200_000, "auto_compact_at": 167_000});
    only(responds(200, "How full it was.", &schemas.sent::<ContextJson>(), example))
}

pub(in crate::api) fn compact_conversation(schemas: &mut Schemas) -> Described {
    let result = json!({"success": true, "response": "", "session_id": "sums", "turn_id": TURN_ID,
        "model": "claude-opus-5-5", "usage": usage(), "num_turns": 0, "duration_ms": 2_118});
    Described {
        body: Some(body::<Compaction>(schemas, false, json!({"instructions": "Keep every number."}))),
        ..starts_turn(schemas, result)
    }
}
