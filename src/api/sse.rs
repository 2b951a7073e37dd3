//! A turn's events as server-sent events (the WHATWG's `text/event-stream`): an id, a name, one line of JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::outcome;
use crate::account::listeners::{Event, EventKind};
use crate::domain::RequestId;

/// How often a comment line goes out where nothing else does.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// The comment line.
pub const HEARTBEAT_LINE: &str = ": still here\n\n";
/// Longest `input` of a `tool` event, in bytes of JSON; a longer one is sent as the beginning of its text.
const MAX_TOOL_INPUT_BYTES: usize = 2 * 1024;

/// One event, as it is sent on the stream that answers `request_id`.
#[must_use]
pub fn encode(event: &Event, request_id: &RequestId) -> String {
    let (name, data) = match &event.kind {
        EventKind::Turn { session_id, status, position } => (
            "turn",
            json!({"turn_id": event.id.turn_id, "session_id": session_id, "status": status, "position": position})
                .to_string(),
        ),
        EventKind::Delta(text) => ("delta", line(&json!({ "text": text }))),
        EventKind::Message(content) => ("message", line(&json!({"role": "assistant", "content": content}))),
        EventKind::Tool(tool) => {
            let mut data = json!({"id": tool.id, "name": tool.name, "status": tool.status});
            if let (Some(input), Some(fields)) = (&tool.input, data.as_object_mut()) {
                fields.insert("input".to_owned(), tool_input(input.get()));
            }
            ("tool", line(&data))
        }
        EventKind::Retry(retry) => (
            "retry",
            line(
                &json!({"attempt": retry.attempt, "delay_ms": retry.delay_ms, "status": retry.status, "retracted": retry.retracted}),
            ),
        ),
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

fn tool_input(json: &str) -> Value {
    let whole = || serde_json::from_str(json).ok();
    let cut = || {
        let mut end = json.len().min(MAX_TOOL_INPUT_BYTES);
        while !json.is_char_boundary(end) {
            end -= 1;
        }
        Value::from(json.get(..end).unwrap_or_default())
    };
    if json.len() <= MAX_TOOL_INPUT_BYTES { whole().unwrap_or_else(cut) } else { cut() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventId;
    use crate::domain::frame::Tool;

    fn sent(kind: EventKind) -> String {
        let id = EventId { turn_id: "turn_0123456789abcdef0123456789abcdef".parse().unwrap(), n: 4 };
        encode(&Event { id, kind }, &"req_0123456789abcdef0123456789abcdef".parse().unwrap())
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
