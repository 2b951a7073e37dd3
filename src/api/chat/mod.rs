//! The AI SDK's protocol, version 1 of its UI message stream: a turn as chunks (`chunks`), a conversation as UI messages (`messages`), and what
//! the client sends (`request`, `parts`). All of it is made from the one union of events.

mod answers;
mod calls;
pub mod chunks;
mod json;
mod messages;
pub(super) mod metadata;
mod parts;
pub(super) mod request;

use super::answer::{Answer, Body};
use crate::account::chat::command::ChatReply;
use crate::domain::RequestId;
use chunks::Chunks;

/// What proxies and other clients know the protocol by.
const PROTOCOL: (&str, &str) = ("x-vercel-ai-ui-message-stream", "v1");

impl<J> Answer<J> {
    pub(super) fn of_chat(reply: ChatReply, request_id: &RequestId) -> Self {
        match reply {
            ChatReply::WayMade => Self::success(),
            ChatReply::NothingRuns => Self::empty(),
            ChatReply::Stream(stream) => {
                Self::new(200, "text/event-stream", Body::Chat(Chunks::new(*stream, request_id.clone())))
                    .with(PROTOCOL.0, PROTOCOL.1)
                    .with("x-accel-buffering", "no")
            }
            ChatReply::Messages(turns) => Self::new(200, "application/json", Body::Text(messages::of(&turns))),
        }
    }
}
