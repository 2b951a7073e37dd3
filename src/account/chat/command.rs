//! What is asked of a conversation as a chat, whose messages have the names that its client gave them.

use serde::{Deserialize, Serialize};

use crate::account::turn::events::{EventKind, Subscription};
use crate::domain::{ChatMessageId, RawJson, SessionId, Turn};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatCommand {
    /// Take a message and all that came after it out of the conversation, for another one in its place. If the conversation has none of this
    /// name, nothing is taken out.
    MakeWay(SessionId, ChatMessageId),
    /// The stream of the turn that runs or waits, from its beginning.
    Follow(SessionId),
    /// The messages.
    Read(SessionId),
}

impl ChatCommand {
    /// Whether it changes the conversation.
    #[must_use]
    pub const fn changes(&self) -> bool {
        matches!(self, Self::MakeWay(..))
    }

    /// The reply of an account that nothing is stored of.
    pub(in crate::account) const fn reply_of_nothing(&self) -> ChatReply {
        match self {
            Self::MakeWay(..) => ChatReply::WayMade,
            Self::Follow(_) => ChatReply::NothingRuns,
            Self::Read(_) => ChatReply::Messages(Vec::new()),
        }
    }
}

/// What comes of it.
pub enum ChatReply {
    /// The message is gone, or was not there.
    WayMade,
    /// No turn runs or waits.
    NothingRuns,
    /// A turn's events.
    Stream(Subscription),
    /// The questions with their answers, oldest first.
    Messages(Vec<ChatTurn>),
}

/// A question with its answer.
pub struct ChatTurn {
    /// The turn.
    pub turn: Turn,
    /// The client's name for the question, if it gave it one.
    pub message: Option<ChatMessageId>,
    /// What the user said.
    pub said: String,
    /// What came with it: an array of summaries.
    pub attachments: Option<RawJson>,
    /// What the turn did, if it has ended.
    pub told: Vec<EventKind>,
}
