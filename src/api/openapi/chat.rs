//! The operations of the AI SDK's client, as `operations` has the others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::super::chat::metadata::Metadata;
use super::operations::{TURN_ID, list_of, nothing, only, parameter, responds, traceparent, usage};
use super::schemas::{Permissions, QueryMode};
use super::{Body, Described, Response, Schemas};
use crate::domain::options::ClientTool;
use crate::domain::{AccountId, ChatMessageId, Effort, IdempotencyKey, SessionId, Thinking, WhenBusy};

/// What the AI SDK's client sends, with what it was told to send beside it. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct ChatRequest {
    /// The chat: the conversation of this id. One that does not exist is created.
    id: SessionId,
    /// The UI messages, of which the last one is read: a user's, with an id of its own, or the agent's with the user's answers.
    #[schemars(length(min = 1))]
    messages: Vec<UiMessageSent>,
    /// Why the client asks. Default: `submit-message`.
    trigger: Option<ChatTrigger>,
    /// The message that was changed, if one was.
    #[serde(rename = "messageId")]
    message_id: Option<String>,
    /// Selects the account, as the URL's parameter does; they must not differ.
    #[serde(rename = "accountId")]
    account_id: Option<AccountId>,
    /// The model of this turn, if the operator allows it.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[!-~]+$"))]
    model: Option<String>,
    /// How much work the model puts into this turn. Default: the model's own.
    effort: Option<Effort>,
    /// Whether the model thinks before it answers. Default: the model's own.
    thinking: Option<Thinking>,
    /// Notes of the caller's about the turn, which come back with it.
    #[schemars(default)]
    metadata: Option<BTreeMap<String, Option<String>>>,
    /// What happens if a turn of the conversation runs or waits. Default: `queue`.
    when_busy: Option<WhenBusy>,
    /// The system prompt of this turn, if the operator allows one; at most 64 KiB of UTF-8.
    system_prompt: Option<String>,
    /// How many times the agent may call the model in this turn; the operator can lower the maximum.
    #[schemars(range(min = 1, max = 1000))]
    max_turns: Option<u32>,
    /// Tools that the client runs: a call of one is a part that waits for the client's output.
    #[schemars(length(max = 64))]
    tools: Option<Vec<ClientTool>>,
    /// Rules about the agent's tools, beside the operator's.
    permissions: Option<Permissions>,
    /// Whether the agent may ask the user questions, which are parts that wait for the client's output. Default: as the operator says, else not.
    questions: Option<bool>,
    /// `plan`: the agent plans, and carries the plan out when it is approved.
    permission_mode: Option<QueryMode>,
}

/// Why a chat's client asks.
#[derive(JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[expect(dead_code, reason = "a schema")]
enum ChatTrigger {
    SubmitMessage,
    RegenerateMessage,
}

/// A UI message of a user, or one of the agent with answers. Unknown fields are ignored.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
struct UiMessageSent {
    /// The client's name for it.
    id: ChatMessageId,
    /// In the last one `user`, or `assistant` with answers.
    role: String,
    /// Of a user: words, and files as data URLs, as https URLs, or as files of the conversation. Of the agent: calls with answers.
    parts: Vec<Map<String, Value>>,
}

/// A UI message.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "a schema")]
struct UiMessage {
    /// Of the agent's messages, the turn's id; of the user's, what the client gave it.
    id: String,
    /// Who wrote it.
    role: crate::domain::Role,
    /// Of the agent's messages, what their turn used and how it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Metadata<'static>")]
    metadata: Option<Metadata<'static>>,
    /// Its parts, as the AI SDK has them.
    parts: Vec<Map<String, Value>>,
}

fn stream(description: &'static str) -> Response {
    let content = json!({"text/event-stream": {"schema": {
        "type": "object",
        "description": "One server-sent event: a chunk of the AI SDK's UI message stream, or `[DONE]` behind the last one.",
        "properties": {"data": {"type": "string"}},
        "required": ["data"],
    }}});
    Response { status: 200, description, content, headers: &[], links: Value::Null }
}

pub(in crate::api) fn chat(schemas: &mut Schemas) -> Described {
    let message = json!({"id": "msg-1", "role": "user", "parts": [{"type": "text", "text": "What is 2+2?"}]});
    let body = Body::Json {
        schema: schemas.taken::<ChatRequest>(),
        example: json!({"id": "sums", "messages": [message], "trigger": "submit-message"}),
        required: true,
    };
    let key = schemas.taken::<IdempotencyKey>().to_value();
    let key = parameter("header", "Idempotency-Key", &key, "The same request sent twice with the same key runs once.");
    let answer = stream("The answer as it is written.").with_headers(&["traceparent"]);
    Described { parameters: vec![key, traceparent()], body: Some(body), ..only(answer) }
}

pub(in crate::api) fn follow_chat(_: &mut Schemas) -> Described {
    Described {
        responses: vec![stream("The answer from its beginning."), nothing("No turn runs or waits.")],
        ..only(stream(""))
    }
}

pub(in crate::api) fn read_chat(schemas: &mut Schemas) -> Described {
    let schema = list_of::<UiMessage>(schemas);
    let example = json!([
        {"id": "msg-1", "role": "user", "parts": [{"type": "text", "text": "What is 2+2?"}]},
        {"id": TURN_ID, "role": "assistant", "parts": [{"type": "step-start"}, {"type": "text", "text": "4", "state": "done"}],
            "metadata": {"turn_id": TURN_ID, "session_id": "sums", "status": "completed", "model": "claude-opus-5-5",
                "usage": usage(), "duration_ms": 118}},
    ]);
    only(responds(200, "The messages.", &schema, example))
}
