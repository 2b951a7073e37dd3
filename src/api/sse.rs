//! A turn's events as server-sent events (the WHATWG's `text/event-stream`): an id, a name, one line of JSON.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::document::outcome;
use crate::account::turn::events::{EventKind, Retry, TurnEvent};
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
        EventKind::Retry(Retry { attempt, delay_ms, status, retracted }) => {
            let (attempt, delay_ms, status, retracted) = (*attempt, *delay_ms, *status, *retracted);
            ("retry", line(&RetryData { attempt, delay_ms, status, retracted }))
        }
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

/// `turn`: the turn's status, when it is queued, when it runs, and first on a stream that is opened later.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "TurnEvent"))]
pub(super) struct TurnData<'a> {
    /// The turn.
    turn_id: &'a TurnId,
    /// Its conversation.
    session_id: &'a SessionId,
    /// Where it stands.
    status: TurnStatus,
    /// How many turns of the account run or wait before it.
    position: usize,
}

/// `delta`: a piece of the answer's text.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "DeltaEvent"))]
pub(super) struct DeltaData<'a> {
    /// The piece.
    text: &'a str,
}

/// `message`: a whole block of text, which repeats the deltas before it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "MessageEvent"))]
pub(super) struct MessageData<'a> {
    /// Always `assistant`.
    role: Role,
    /// The block.
    content: &'a str,
}

/// `tool`: a tool call began or ended.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ToolEvent"))]
pub(super) struct ToolData<'a> {
    /// Names the call: the same when it starts and ends.
    id: &'a str,
    /// The tool's name.
    name: &'a str,
    /// `started`, `finished` or `failed`.
    status: &'a str,
    /// The call's input, with `started`; if its JSON is longer than 2 KiB, a string with the beginning of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    input: Option<ToolInput<'a>>,
}

/// `retry`: the model's API failed and is asked again.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "RetryEvent"))]
pub(super) struct RetryData {
    /// Which attempt comes next.
    attempt: u32,
    /// How long the SDK waits before it, in milliseconds.
    delay_ms: f64,
    /// The model's HTTP status, if it sent one.
    status: Option<u16>,
    /// Whether the deltas since the last `message` are void: the model's stream broke and starts over.
    retracted: bool,
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
