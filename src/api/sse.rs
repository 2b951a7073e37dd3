//! A turn's events as server-sent events (the WHATWG's `text/event-stream`): an id, a name, one line of JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::document::outcome;
use crate::account::turn::events::{EventKind, TurnEvent};
use crate::domain::{RequestId, Role, SessionId, TurnId, TurnStatus};

/// How often a comment line goes out where nothing else does.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// The comment line.
pub const HEARTBEAT_LINE: &str = ": still here\n\n";
/// Longest `input` of a `tool` event, in bytes of JSON; a longer one is sent as the beginning of its text.
const MAX_TOOL_INPUT_BYTES: usize = 2 * 1024;

/// One event, as it is sent on the stream that answers `request_id`.
#[must_use]
pub fn encode(event: &TurnEvent, request_id: &RequestId) -> String {
    let (name, data) = match &event.kind {
        EventKind::Turn { session_id, status, position } => {
            ("turn", line(&TurnData { turn_id: &event.id.turn_id, session_id, status: *status, position: *position }))
        }
        EventKind::Delta(text) => ("delta", line(&DeltaData { text })),
        EventKind::Message(content) => ("message", line(&MessageData { role: Role::Assistant, content })),
        EventKind::Tool(tool) => {
            let input = tool.input.as_ref().map(|input| ToolInput::of(input));
            ("tool", line(&ToolData { id: &tool.id, name: &tool.name, status: &tool.status, input }))
        }
        EventKind::Retry(retry) => ("retry", line(retry)),
        EventKind::Ended(turn) => match outcome(turn) {
            Ok(done) => ("done", line(&done)),
            Err(error) => ("error", line(&error.problem(request_id))),
        },
    };
    format!("id: {}\nevent: {name}\ndata: {data}\n\n", event.id)
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Serialize)]
struct TurnData<'a> {
    turn_id: &'a TurnId,
    session_id: &'a SessionId,
    status: TurnStatus,
    position: usize,
}

#[derive(Serialize)]
struct DeltaData<'a> {
    text: &'a str,
}

#[derive(Serialize)]
struct MessageData<'a> {
    role: Role,
    content: &'a str,
}

#[derive(Serialize)]
struct ToolData<'a> {
    id: &'a str,
    name: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<ToolInput<'a>>,
}

/// A call's input as it is, or the beginning of its text where it is too long.
#[derive(Serialize)]
#[serde(untagged)]
enum ToolInput<'a> {
    Whole(&'a RawValue),
    Cut(&'a str),
}

impl<'a> ToolInput<'a> {
    fn of(input: &'a RawValue) -> Self {
        let json = input.get();
        if json.len() <= MAX_TOOL_INPUT_BYTES {
            return Self::Whole(input);
        }
        let mut end = MAX_TOOL_INPUT_BYTES;
        while !json.is_char_boundary(end) {
            end -= 1;
        }
        Self::Cut(json.get(..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::turn::events::Tool;
    use crate::domain::EventId;

    fn sent(kind: EventKind) -> String {
        let id = EventId { turn_id: "turn_0123456789abcdef0123456789abcdef".parse().unwrap(), n: 4 };
        encode(&TurnEvent { id, kind }, &"req_0123456789abcdef0123456789abcdef".parse().unwrap())
    }

    #[test]
    fn an_event_is_pinned() {
        assert_eq!(
            sent(EventKind::Delta("a\nb".to_owned())),
            "id: turn_0123456789abcdef0123456789abcdef:4\nevent: delta\ndata: {\"text\":\"a\\nb\"}\n\n"
        );
    }

    #[test]
    fn a_long_tool_input_is_cut() {
        let input = |json: String| {
            let input = Some(serde_json::value::RawValue::from_string(json).unwrap());
            let tool = Tool { id: "t".into(), name: "Bash".into(), status: "started".into(), input };
            sent(EventKind::Tool(tool))
        };
        assert!(input(r#"{"command":"ls"}"#.to_owned()).contains(r#""input":{"command":"ls"}"#));
        let long = input(format!("{{\"command\":\"{}\"}}", "é".repeat(3_000)));
        assert!(long.len() < MAX_TOOL_INPUT_BYTES + 300 && long.contains("\"input\":\"{"));
    }
}
