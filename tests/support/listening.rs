//! Readers of a staged account's events, and what of them would go over the wire.

use std::rc::Rc;

use super::session;
use super::stage::Stage;
use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::feed::Feed;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::turn::events::{Subscription, TurnEvent};
use claude_agent_service::api::sse;
use claude_agent_service::domain::{EventId, Include, RequestId, TurnId};
use futures_util::{FutureExt, Stream, StreamExt};
use serde_json::Value;
use uuid::Uuid;

/// A reader of a conversation's events, and all that it has heard.
pub struct Reader {
    subscription: Subscription,
    pub text: String,
    /// The number of the last event that it has.
    pub last: u64,
}

impl Reader {
    /// Reads on; false once the stream has ended.
    pub fn read(&mut self) -> bool {
        let id = RequestId::new(Uuid::nil());
        let include = self.subscription.include();
        loop {
            match self.subscription.next().now_or_never() {
                Some(Some(event)) => {
                    self.last = event.id.n;
                    self.text += &sse::encode(&event, include, &id);
                }
                Some(None) => return false,
                None => return true,
            }
        }
    }

    /// What it hears in all.
    pub fn heard(mut self) -> String {
        self.read();
        self.text
    }
}

impl Stage {
    /// A reader of the conversation's latest turn after that event; none if nothing follows.
    pub fn reader(&self, session_id: &str, last: Option<(&TurnId, u64)>, include: Include) -> Option<Reader> {
        let last_event_id = last.map(|(turn_id, n)| EventId { turn_id: turn_id.clone(), n });
        match self.handle(Command::FollowConversation { session_id: session(session_id), last_event_id, include }) {
            Ok(Response::Ready(Reply::Events { subscription, .. })) => {
                Some(Reader { subscription, text: String::new(), last: last.map_or(0, |(_, n)| n) })
            }
            Ok(Response::Ready(Reply::NothingFollows)) => None,
            _ => panic!("neither events nor their end"),
        }
    }

    pub fn feed(&self) -> Feed {
        match self.handle(Command::FollowAccount) {
            Ok(Response::Ready(Reply::Feed(feed))) => feed,
            _ => panic!("no feed"),
        }
    }

    /// The items of a turn; none of one that has not ended.
    pub fn items(&self, turn_id: &TurnId) -> Option<Vec<Value>> {
        match self.handle(Command::ReadTurn { turn_id: turn_id.clone(), items: true }) {
            Ok(Response::Ready(Reply::TurnWithItems { items, .. })) => Some(serde_json::from_str(&items).unwrap()),
            Ok(Response::Ready(Reply::Turn(_))) => None,
            _ => panic!("no turn"),
        }
    }
}

/// What a feed has told so far, each as its name and its data.
pub fn told(feed: &mut Feed) -> Vec<(String, Value)> {
    let events = ready(feed);
    events.iter().flat_map(|event| events_of(&sse::encode_feed(event))).map(|event| (event.name, event.data)).collect()
}

/// What a stream has now.
pub fn ready<T>(stream: &mut (impl Stream<Item = Rc<T>> + Unpin)) -> Vec<Rc<T>> {
    std::iter::from_fn(|| stream.next().now_or_never().flatten()).collect()
}

/// One event of a stream's text.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    pub n: Option<u64>,
    pub name: String,
    pub data: Value,
}

/// The events of a stream's text, read as the standard says.
pub fn events_of(text: &str) -> Vec<Sent> {
    let event = |block: &str| {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        Sent {
            n: field("id").map(|id| id.rsplit(':').next().unwrap().parse().unwrap()),
            name: field("event").unwrap().to_owned(),
            data: serde_json::from_str(field("data").unwrap()).unwrap(),
        }
    };
    text.split("\n\n").filter(|block| !block.is_empty()).map(event).collect()
}

/// The names of the events of a stream's text.
pub fn names(text: &str) -> Vec<String> {
    events_of(text).into_iter().map(|event| event.name).collect()
}

/// The numbers of events.
pub fn numbers(events: &[Rc<TurnEvent>]) -> Vec<u64> {
    events.iter().map(|event| event.id.n).collect()
}
