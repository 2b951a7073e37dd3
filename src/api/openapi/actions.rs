//! The operations on actions, as `operations` has the others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::super::actions::{DEFAULT_LIMIT, MAX_LIMIT};
use super::operations::{TURN_ID, list_of, only, parameter, responds, starts_turn, usage};
use super::{Body, Described, Schemas};
use crate::domain::action::Remember;
use crate::domain::{AccountId, Action, SessionId};

const ACTION_ID: &str = "act_01a202feb07b753ebcc7ee3525df0aa1";

/// What is decided. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct ActionDecision {
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// `allow` or `deny` a permission or a plan; `answer` or `deny` a question or an elicitation; `result` for a call of the caller's tool.
    decision: DecisionWord,
    /// With `allow` of a permission: the input that the call runs with instead of its own. Refused where rules restrict what the tool may do.
    input: Option<Map<String, Value>>,
    /// With `allow` of a permission: what the suggested rules cover runs unasked in this conversation from now on.
    remember: Option<Remember>,
    /// With `deny`: what the agent is told, at most 8 KiB of UTF-8.
    message: Option<String>,
    /// With `answer`: by question or by field.
    answers: Option<BTreeMap<String, Value>>,
    /// With `result`: a string, or `text` and `image` blocks, images in base64.
    content: Option<Value>,
    /// With `result`: whether the tool failed.
    is_error: Option<bool>,
    /// Whether to respond with events. Default: what `Accept` prefers.
    stream: Option<bool>,
}

/// What is decided, in a word.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
enum DecisionWord {
    Allow,
    Deny,
    Answer,
    Result,
}

fn action() -> Value {
    json!({"action_id": ACTION_ID, "turn_id": TURN_ID, "session_id": "deploy", "kind": "permission", "tool_call_id": "toolu_01A",
        "tool": "Bash", "input": {"command": "git push"}, "suggestions": [{"type": "addRules", "behavior": "allow", "destination": "session",
        "rules": [{"toolName": "Bash", "ruleContent": "git push"}]}], "status": "pending", "created_at": 1_795_346_575_482_i64,
        "expires_at": 1_795_432_975_482_i64})
}

pub(in crate::api) fn list_actions(schemas: &mut Schemas) -> Described {
    let limit = json!({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT});
    let status = json!({"enum": ["pending", "resolved", "expired", "cancelled"]});
    let session = schemas.taken::<SessionId>().to_value();
    let list = list_of::<Action>(schemas);
    Described {
        parameters: vec![
            parameter("query", "status", &status, "Only actions with this status."),
            parameter("query", "session_id", &session, "Only actions of this conversation."),
            parameter("query", "limit", &limit, "Most actions of a page."),
            parameter("query", "cursor", &json!({"type": "string"}), "Where the page starts; from a `Link` header."),
        ],
        ..only(responds(200, "A page of actions.", &list, json!([action()])).with_headers(&["Link"]))
    }
}

pub(in crate::api) fn read_action(schemas: &mut Schemas) -> Described {
    only(responds(200, "The action.", &schemas.sent::<Action>(), action()))
}

pub(in crate::api) fn decide_action(schemas: &mut Schemas) -> Described {
    let result = json!({"success": true, "response": "Pushed.", "session_id": "deploy", "turn_id": TURN_ID,
        "model": "claude-opus-5-5", "usage": usage(), "num_turns": 2, "duration_ms": 2_118});
    let mut described = starts_turn(schemas, result);
    described.parameters.retain(|parameter| parameter["name"] != "Idempotency-Key");
    let body = Body::Json {
        schema: schemas.taken::<ActionDecision>(),
        example: json!({"decision": "allow", "remember": "conversation"}),
        required: true,
    };
    Described { body: Some(body), ..described }
}
