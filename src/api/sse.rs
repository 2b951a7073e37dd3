//! Events as server-sent events (the WHATWG's `text/event-stream`): a name, one line of JSON, and of a turn's events an id.

use std::time::Duration;

use serde::Serialize;

use super::document::outcome;
use crate::account::feed::FeedEvent;
use crate::account::turn::events::{EventKind, TurnEvent};
use crate::domain::{Include, RequestId, SessionId, TurnId, TurnStatus};

/// How often a comment line goes out where nothing else does.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// The comment line.
pub const HEARTBEAT_LINE: &str = ": still here\n\n";

/// One event of a turn, as it is sent to a reader of `include` on the stream that answers `request_id`.
#[must_use]
pub fn encode(event: &TurnEvent, include: Include, request_id: &RequestId) -> String {
    let (name, data) = match &event.kind {
        EventKind::Turn { session_id, status, position } => {
            ("turn", line(&TurnData { turn_id: &event.id.turn_id, session_id, status: *status, position: *position }))
        }
        EventKind::Ended(turn) => match outcome(turn) {
            Ok(done) => ("done", line(&done)),
            Err(error) => ("error", line(&error.problem(request_id))),
        },
        EventKind::Paused(paused) => ("paused", line(paused.as_ref())),
        part => part.data(include).unwrap_or_default(),
    };
    format!("id: {}\nevent: {name}\ndata: {data}\n\n", event.id)
}

/// One event of an account's feed.
#[must_use]
pub fn encode_feed(event: &FeedEvent) -> String {
    let (name, data) = match event {
        FeedEvent::Snapshot(snapshot) => ("snapshot", line(snapshot)),
        FeedEvent::Turn(turn) => ("turn", line(turn)),
        FeedEvent::Conversation(conversation) => ("conversation", line(conversation)),
        FeedEvent::File(file) => ("file", line(file)),
        FeedEvent::Action(action) => ("action", line(action)),
        FeedEvent::Notice(notice) => ("notice", line(notice)),
    };
    format!("event: {name}\ndata: {data}\n\n")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EventId;
    use crate::domain::event::Delta;

    fn sent(kind: EventKind) -> String {
        let id = EventId { turn_id: "turn_0123456789abcdef0123456789abcdef".parse().unwrap(), n: 4 };
        encode(&TurnEvent { id, kind }, Include::NOTHING, &"req_0123456789abcdef0123456789abcdef".parse().unwrap())
    }

    #[test]
    fn an_event_is_pinned() {
        assert_eq!(
            sent(EventKind::Delta(Delta { text: "a\nb".to_owned() })),
            "id: turn_0123456789abcdef0123456789abcdef:4\nevent: delta\ndata: {\"text\":\"a\\nb\"}\n\n"
        );
    }
}
