//! The Durable Object's protocol: every command that a Worker may send to an account's object.

mod turn;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::branches::command::{ForkAsked, RewindTo};
use super::chat::command::ChatCommand;
use super::files::command::FilesCommand;
use super::manage::command::ManageCommand;
use super::schedules::command::SchedulesCommand;
use super::webhooks::command::WebhooksCommand;
use crate::domain::action::ActionsOf;
use crate::domain::price::Extras;
use crate::domain::{
    ActionId, EventId, Include, MetadataPatch, Page, RequestId, SdkSession, SearchTerms, SessionId, Title, TurnId,
    Usage,
};
pub use turn::{AnswerForm, DecideAction, LookUpAttachments, StartTurn};

/// A command with the request that it came from.
#[derive(Debug, Serialize)]
pub struct Envelope {
    /// The request's id, for the answer and the logs.
    pub request_id: RequestId,
    /// What is to be done.
    pub command: Command,
    /// Whether it is sent again, because the object was reset before it had answered. What it had done by then is not done twice.
    #[serde(skip)]
    pub again: bool,
}

impl Envelope {
    /// A command that is sent for the first time.
    #[must_use]
    pub const fn new(request_id: RequestId, command: Command) -> Self {
        Self { request_id, command, again: false }
    }

    /// Reads a command as a Worker of any version sent it. Fields that this version does not know are passed over.
    ///
    /// # Errors
    /// [`UnknownCommand`] if this version does not have the command: a deployment reaches Workers before objects.
    pub fn read(json: &str) -> Result<Self, UnknownCommand> {
        #[derive(Deserialize)]
        struct Sent<'a> {
            request_id: RequestId,
            #[serde(borrow)]
            command: &'a RawValue,
        }
        let sent: Sent<'_> = serde_json::from_str(json).map_err(|_| UnknownCommand { request_id: None })?;
        match serde_json::from_str(sent.command.get()) {
            Ok(command) => Ok(Self::new(sent.request_id, command)),
            Err(_) => Err(UnknownCommand { request_id: Some(sent.request_id) }),
        }
    }
}

/// A command that this version does not have.
#[derive(Debug)]
pub struct UnknownCommand {
    /// The request that it came with, if that can be read.
    pub request_id: Option<RequestId>,
}

/// What an account's object can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Admit a turn and run it.
    StartTurn(Box<StartTurn>),
    /// Look whether a turn with attachments can be admitted, and what files it names, before their bytes are moved.
    LookUpAttachments(Box<LookUpAttachments>),
    /// One page of the conversations.
    ListConversations {
        /// Most conversations on the page.
        limit: u32,
        /// The page: where it starts, and how many are skipped.
        page: Page,
        /// Lists only conversations whose title and messages hold all of these.
        words: Option<SearchTerms>,
    },
    /// One conversation with its newest messages. Counts as an access.
    ReadConversation {
        /// The conversation.
        session_id: SessionId,
        /// Only messages with a lower `seq`; the newest ones if absent.
        before: Option<i64>,
        /// Whether it comes with what its turns did.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        items: bool,
    },
    /// Change title and metadata. Counts as an access.
    UpdateConversation {
        /// The conversation.
        session_id: SessionId,
        /// The new title; the old one stays if absent.
        title: Option<Title>,
        /// The change of its metadata.
        metadata: Option<MetadataPatch>,
    },
    /// The event stream of a conversation's current or latest turn.
    FollowConversation {
        /// The conversation.
        session_id: SessionId,
        /// The last event that the client has.
        last_event_id: Option<EventId>,
        /// What the client wants to hear beside the default events.
        #[serde(skip_serializing_if = "Include::is_nothing", default)]
        include: Include,
    },
    /// The account's feed: what changes from now on.
    FollowAccount,
    /// End the queued and running turns of a conversation.
    CancelConversation {
        /// The conversation.
        session_id: SessionId,
        /// Why, for those who hear of their end.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        reason: Option<String>,
    },
    /// How full the model's context is.
    ReadContext {
        /// The conversation.
        session_id: SessionId,
    },
    /// Make a conversation of another's state.
    Fork(Box<ForkAsked>),
    /// Go back to a state of a conversation.
    Rewind {
        /// The conversation.
        session_id: SessionId,
        /// The state.
        to: RewindTo,
    },
    /// Delete a conversation, its turns and every trace of it.
    DeleteConversation {
        /// The conversation.
        session_id: SessionId,
    },
    /// Read or change the files of a conversation.
    Files {
        /// Which.
        session_id: SessionId,
        /// What.
        ask: FilesCommand,
    },
    /// Decide an action.
    DecideAction(Box<DecideAction>),
    /// The actions, oldest first.
    ListActions {
        /// Which.
        of: ActionsOf,
        /// At most so many.
        limit: u32,
    },
    /// One action.
    ReadAction {
        /// The action.
        action_id: ActionId,
    },
    /// A conversation's turns, newest first.
    ListTurns {
        /// The conversation.
        session_id: SessionId,
        /// Only those before this one; from the newest on if absent.
        before: Option<TurnId>,
        /// At most so many.
        limit: u32,
    },
    /// One turn.
    ReadTurn {
        /// The turn.
        turn_id: TurnId,
        /// Whether it comes with what it did.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        items: bool,
    },
    /// How much is stored.
    StorageStats,
    /// Start the container ahead of a query.
    Prewarm,
    /// Delete what is due.
    Purge,
    /// Delete what is due, for the directory, and report the oldest access that is left.
    Visit,
    /// Ask whether the container may call the model's API now.
    BeginCall(CallBegun),
    /// A call of the model's API has ended.
    EndCall(CallEnded),
    /// Something about the account as a whole.
    Manage(ManageCommand),
    /// A refused call of the model, as a Worker of version 1 reports it. Accepted and ignored.
    #[serde(skip_serializing)]
    NoteRefusal(IgnoredAny),
    /// Read or change the webhooks.
    Webhooks(WebhooksCommand),
    /// Read, change or run the schedules.
    Schedules(SchedulesCommand),
    /// Read or follow a conversation as a chat.
    Chat(ChatCommand),
}

impl Command {
    /// Whether it holds a user's content. The platform logs URLs, so such a command travels in the body.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        match self {
            Self::StartTurn(_)
            | Self::LookUpAttachments(_)
            | Self::UpdateConversation { .. }
            | Self::DecideAction(_)
            | Self::Files { .. }
            | Self::Fork(_)
            // One in the body knows when it is sent again.
            | Self::Rewind { .. } => true,
            Self::ListConversations { words, .. } => words.is_some(),
            Self::Manage(ask) => ask.has_content(),
            Self::Webhooks(ask) => ask.has_content(),
            Self::Schedules(ask) => ask.has_content(),
            Self::Chat(ask) => ask.has_content(),
            Self::CancelConversation { reason, .. } => reason.is_some(),
            Self::ReadConversation { .. }
            | Self::FollowConversation { .. }
            | Self::FollowAccount
            | Self::ReadContext { .. }
            | Self::DeleteConversation { .. }
            | Self::ListActions { .. }
            | Self::ReadAction { .. }
            | Self::ListTurns { .. }
            | Self::ReadTurn { .. }
            | Self::StorageStats
            | Self::Prewarm
            | Self::Purge
            | Self::Visit
            | Self::BeginCall(_)
            | Self::EndCall(_)
            | Self::NoteRefusal(_) => false,
        }
    }

    /// Whether a suspended account may not do it: it may be read, and operators and the platform have their ways.
    #[must_use]
    pub const fn needs_active_account(&self) -> bool {
        match self {
            Self::StartTurn(_)
            | Self::LookUpAttachments(_)
            | Self::Fork(_)
            | Self::Rewind { .. }
            | Self::UpdateConversation { .. }
            | Self::CancelConversation { .. }
            | Self::DeleteConversation { .. }
            | Self::DecideAction(_)
            | Self::Prewarm
            | Self::Purge
            | Self::BeginCall(_) => true,
            Self::Chat(ask) => ask.changes(),
            Self::Files { ask, .. } => ask.changes(),
            Self::Manage(ask) => ask.needs_active_account(),
            Self::Webhooks(ask) => ask.changes(),
            Self::Schedules(ask) => ask.changes(),
            Self::ListConversations { .. }
            | Self::ReadConversation { .. }
            | Self::FollowAccount
            | Self::ReadContext { .. }
            | Self::FollowConversation { .. }
            | Self::ListActions { .. }
            | Self::ReadAction { .. }
            | Self::ListTurns { .. }
            | Self::ReadTurn { .. }
            | Self::StorageStats
            | Self::Visit
            | Self::EndCall(_)
            | Self::NoteRefusal(_) => false,
        }
    }

    /// Whether it may be sent again if no response came. A turn that was started already is found by its request's id.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        match self {
            Self::NoteRefusal(_) => false,
            Self::Webhooks(ask) => ask.is_repeatable(),
            Self::Manage(ask) => ask.is_repeatable(),
            Self::StartTurn(_)
            | Self::LookUpAttachments(_)
            | Self::Fork(_)
            | Self::Rewind { .. }
            | Self::UpdateConversation { .. }
            | Self::CancelConversation { .. }
            | Self::DeleteConversation { .. }
            | Self::DecideAction(_)
            | Self::Prewarm
            | Self::BeginCall(_)
            | Self::EndCall(_)
            | Self::Chat(_)
            | Self::Files { .. }
            | Self::Schedules(_)
            | Self::ListConversations { .. }
            | Self::ReadConversation { .. }
            | Self::FollowAccount
            | Self::ReadContext { .. }
            | Self::FollowConversation { .. }
            | Self::ListActions { .. }
            | Self::ReadAction { .. }
            | Self::ListTurns { .. }
            | Self::ReadTurn { .. }
            | Self::StorageStats
            | Self::Purge
            | Self::Visit => true,
        }
    }
}

/// A call of the model's API before it leaves, as the gateway sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallBegun {
    /// The SDK's session that asks, as the container says; it decides only which of the running turns the call is counted for.
    #[serde(rename = "agent_session")]
    pub sdk_session: Option<SdkSession>,
    /// Whether the model answers it. Counting tokens is free.
    pub counts: bool,
}

/// A call of the model's API after its answer has passed, as the gateway saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallEnded {
    /// The turn that it was counted for.
    pub turn_id: TurnId,
    /// The status of the answer.
    pub status: u16,
    /// The model that answered.
    pub model: Option<String>,
    /// What it told of its tokens.
    pub usage: Usage,
    /// What else it told that has a price.
    #[serde(default, skip_serializing_if = "Extras::is_none")]
    pub extras: Extras,
    /// From the call to the end of its answer, in milliseconds.
    pub total_ms: u64,
    /// The seconds that a refusal asked to wait.
    pub retry_after_s: Option<u64>,
}
