//! Schemas of what streams tell.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::super::document::DoneJson;
use super::super::problem::Problem;
use super::super::sse::TurnData;
use super::Schemas;
use crate::account::feed::{ConversationChanged, FileChanged, Snapshot, TurnState};
use crate::domain::Action;
use crate::domain::event as turn_event;
use crate::domain::file::ChangedFile;

/// The schema of the events with a name, whose data is this.
#[expect(clippy::needless_pass_by_value, reason = "schemas are made where they are passed")]
fn event(name: &str, schema: schemars::Schema) -> Value {
    let data = json!({"type": "string", "contentMediaType": "application/json", "contentSchema": schema});
    json!({"properties": {"event": {"const": name}, "data": data}, "required": ["event"]})
}

fn names(events: &[Value]) -> Vec<&Value> {
    events.iter().map(|event| &event["properties"]["event"]["const"]).collect()
}

/// The schema of one event of an account's feed.
pub(super) fn feed_event(schemas: &mut Schemas) -> Value {
    let events = [
        event("snapshot", schemas.sent::<Snapshot>()),
        event("turn", schemas.sent::<TurnState>()),
        event("conversation", schemas.sent::<ConversationChanged>()),
        event("file", schemas.sent::<FileChanged>()),
        event("action", schemas.sent::<Action>()),
        event("notice", schemas.sent::<turn_event::Notice>()),
    ];
    json!({
        "type": "object",
        "description": "One server-sent event. The first is a `snapshot`.",
        "properties": {
            "event": {"type": "string", "enum": names(&events)},
            "data": {"type": "string", "description": "One line of JSON."},
        },
        "required": ["event", "data"],
        "oneOf": events,
    })
}

/// Something that a turn did: the data of an event, with its number and name.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "a schema")]
pub(in crate::api) struct Item {
    /// The event's number.
    n: u64,
    /// The event's name; the other fields are those of its data.
    #[serde(rename = "type")]
    kind: ItemType,
}

/// The events that are kept.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
enum ItemType {
    Thinking,
    Message,
    Tool,
    Usage,
    Retry,
    Compacted,
    AttachmentRemoved,
    Notice,
    File,
    Action,
    ActionResolved,
}

/// The schema of one server-sent event, whose `data` is a string with the JSON of the event's own schema.
pub(super) fn server_sent_event(schemas: &mut Schemas) -> Value {
    let events = [
        event("turn", schemas.sent::<TurnData<'static>>()),
        event("delta", schemas.sent::<turn_event::Delta>()),
        event("thinking", schemas.sent::<turn_event::Thinking>()),
        event("tool_input", schemas.sent::<turn_event::ToolInput>()),
        event("message", schemas.sent::<turn_event::Message>()),
        event("tool", schemas.sent::<turn_event::Tool>()),
        event("usage", schemas.sent::<turn_event::ModelCall>()),
        event("retry", schemas.sent::<turn_event::Retry>()),
        event("compacted", schemas.sent::<turn_event::Compacted>()),
        event("attachment_removed", schemas.sent::<turn_event::AttachmentRemoved>()),
        event("notice", schemas.sent::<turn_event::Notice>()),
        event("file", schemas.sent::<ChangedFile>()),
        event("action", schemas.sent::<Action>()),
        event("action_resolved", schemas.sent::<turn_event::ActionResolved>()),
        event("paused", schemas.sent::<turn_event::Paused>()),
        event("done", schemas.sent::<DoneJson<'static>>()),
        event("error", schemas.sent::<Problem<'static>>()),
    ];
    json!({
        "type": "object",
        "description": "One server-sent event. Exactly one `done`, `error` or `paused` is the last; a stream that ends without it was cut.",
        "properties": {
            "id": {"type": "string", "pattern": "^turn_[0-9a-f]{32}:[0-9]+$", "description": "`<turn_id>:<n>`; `n` rises."},
            "event": {"type": "string", "enum": names(&events)},
            "data": {"type": "string", "description": "One line of JSON."},
        },
        "required": ["id", "event", "data"],
        "oneOf": events,
    })
}
