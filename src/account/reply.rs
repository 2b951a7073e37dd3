//! What an account's object replies to a command.

use std::collections::BTreeMap;

use super::chat::command::ChatReply;
use super::feed::Feed;
use super::files::command::FilesReply;
use super::manage::command::ManageReply;
use super::schedules::command::SchedulesReply;
use super::turn::events::Subscription;
use super::webhooks::command::WebhooksReply;
use crate::domain::action::ActionsOf;
use crate::domain::{
    Action, ContextUse, Conversation, Messages, Page, PurgeOutcome, SearchTerms, SessionId, Turn, TurnId,
};

/// What turns did, each as a JSON array; none of one for which the answer has no room.
pub type ItemsOfTurns = BTreeMap<TurnId, Option<String>>;

/// The result of a command.
pub enum Reply<J> {
    /// A JSON document that SQLite wrote.
    Document(J),
    /// One page of the conversations.
    Listing {
        /// A JSON array that SQLite wrote.
        json: J,
        /// How many were asked for.
        limit: u32,
        /// What was searched for.
        words: Option<SearchTerms>,
        /// The page after it, if there is one.
        next: Option<Page>,
    },
    /// A conversation that SQLite did not write: it is too large, or only a part of it was asked for.
    Conversation {
        /// The conversation, without its messages.
        conversation: Box<Conversation>,
        /// Its newest messages, or the newest of those that were asked for.
        messages: Messages,
        /// What the turns of these messages did, if that was asked for.
        items: Option<ItemsOfTurns>,
    },
    /// A conversation as it is after a change.
    Updated(Box<Conversation>),
    /// A conversation that was made of another's state.
    Forked(Box<Conversation>),
    /// How full the model's context was at the end of the last turn, if that is known.
    Context(Option<ContextUse>),
    /// A turn, as it stands.
    Turn(Box<Turn>),
    /// A turn that has ended, with what it did.
    TurnWithItems {
        /// The turn.
        turn: Box<Turn>,
        /// A JSON array.
        items: String,
    },
    /// What changes in the account from now on.
    Feed(Feed),
    /// A turn that has ended, as the response to its query.
    Answer {
        /// The turn.
        turn: Box<Turn>,
        /// Whether an earlier request with the same key had made it.
        replayed: bool,
    },
    /// A turn that waits for somebody, as the response to its query.
    RequiresAction {
        /// The turn, with what it said so far.
        turn: Box<Turn>,
        /// What it waits for.
        actions: Vec<Action>,
        /// Whether an earlier request with the same key had made it.
        replayed: bool,
    },
    /// An action, as it stands.
    Action(Box<Action>),
    /// Some of the actions.
    Actions {
        /// Oldest first.
        actions: Vec<Action>,
        /// Which were asked for.
        of: ActionsOf,
        /// How many.
        limit: u32,
        /// Whether there are more.
        more: bool,
    },
    /// A turn that was admitted.
    Accepted {
        /// The turn, queued or running.
        turn: Box<Turn>,
        /// Whether an earlier request with the same key had made it.
        replayed: bool,
    },
    /// A turn's events.
    Events {
        /// The events that the client has missed, then those to come.
        subscription: Subscription,
        /// Whether an earlier request with the same key had made the turn.
        replayed: bool,
    },
    /// Some of a conversation's turns.
    Turns {
        /// Newest first.
        turns: Vec<Turn>,
        /// The conversation.
        session_id: SessionId,
        /// How many were asked for.
        limit: u32,
        /// Whether there are older ones.
        older: bool,
    },
    /// The turn has ended, and the client has its last event already.
    NothingFollows,
    /// What was asked of a conversation's files.
    Files(Box<FilesReply>),
    /// The conversation is gone.
    Deleted,
    /// How many turns were ended or asked to end.
    Cancelled(usize),
    /// Whether the container is being started ahead of a query.
    Prewarming {
        /// Whether this command began it.
        started: bool,
    },
    /// What was due is gone.
    Purged(PurgeOutcome),
    /// What a visit of the directory deleted and left.
    Visited(PurgeOutcome),
    /// The call is allowed and is counted for this turn.
    CallBegun(TurnId),
    /// The report was taken.
    Noted,
    /// What was asked of the account as a whole.
    Managed(Box<ManageReply>),
    /// What was asked of the webhooks.
    Webhooks(WebhooksReply),
    /// What was asked of the schedules.
    Schedules(SchedulesReply),
    /// What was asked of a chat.
    Chat(ChatReply),
}
