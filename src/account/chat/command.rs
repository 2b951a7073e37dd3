//! What is asked of a conversation as a chat, whose messages have the names that its client gave them.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::account::turn::events::{EventKind, Subscription};
use crate::domain::{Action, ActionId, ActionKind, ChatMessageId, Decision, RawJson, SessionId, Turn, TurnId};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatCommand {
    /// What Workers sent ahead of a turn in the place of another, before the turn's own command took that out. Accepted and ignored.
    #[serde(skip_serializing)]
    MakeWay(IgnoredAny),
    /// The stream of the turn that runs or waits, from its beginning.
    Follow(SessionId),
    /// The messages.
    Read(SessionId),
    /// Answer what a turn waits for, and hear how it goes on.
    Answer(Box<ChatAnswers>),
}

/// What a client answers in a message of the agent's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChatAnswers {
    /// The conversation.
    pub session_id: SessionId,
    /// The message's turn.
    pub turn_id: TurnId,
    /// How many steps the client has of it: what it hears begins with the last of them.
    pub has_steps: u32,
    /// The answers.
    pub answers: Vec<ChatAnswer>,
}

/// An answer, before it is known what is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatAnswer {
    /// Leave is given or denied.
    Approval {
        /// What asks for it.
        action_id: ActionId,
        /// Whether it is given.
        approved: bool,
        /// What the agent is told if it is not.
        reason: Option<String>,
    },
    /// The output of a call.
    Output {
        /// The call.
        tool_call_id: String,
        /// A string, content blocks, or what else the client has; for a question, its answers.
        output: Value,
        /// Whether the call failed.
        is_error: bool,
    },
}

impl ChatAnswer {
    /// Whether it is about this action.
    pub(in crate::account) fn is_about(&self, action: &Action) -> bool {
        match self {
            Self::Approval { action_id, .. } => *action_id == action.action_id,
            Self::Output { tool_call_id, .. } => {
                matches!(action.kind, ActionKind::Tool | ActionKind::Question)
                    && action.tool_call_id.as_ref() == Some(tool_call_id)
            }
        }
    }

    /// What it decides; none if it is no answer to what is asked.
    pub(in crate::account) fn decision(&self, kind: ActionKind) -> Option<Decision> {
        match (self, kind) {
            (Self::Approval { approved: true, .. }, _) => Some(Decision::Allow { input: None, remember: None }),
            (Self::Approval { reason, .. }, _) => Some(Decision::Deny { message: reason.clone() }),
            (Self::Output { output, is_error: true, .. }, ActionKind::Question) => {
                Some(Decision::Deny { message: output.as_str().map(str::to_owned) })
            }
            (Self::Output { output, .. }, ActionKind::Question) => {
                let answers = output.get("answers").unwrap_or(output).as_object();
                answers.map(|answers| Decision::Answer { answers: answers.clone() })
            }
            (Self::Output { output, is_error, .. }, _) => {
                Some(Decision::Result { content: content(output), is_error: *is_error })
            }
        }
        .filter(|decision| decision.answers(kind))
    }
}

/// What the agent is told of an output: a string and content blocks as they are, any other value as its JSON.
fn content(output: &Value) -> Value {
    let is_block = |block: &Value| match block["type"].as_str() {
        Some("text") => block["text"].is_string(),
        Some("image") => block["source"].is_object(),
        _ => false,
    };
    match output {
        Value::String(_) => output.clone(),
        Value::Array(blocks) if !blocks.is_empty() && blocks.iter().all(is_block) => output.clone(),
        other => Value::String(other.to_string()),
    }
}

impl ChatCommand {
    /// Whether it holds a user's content.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        matches!(self, Self::Answer(_))
    }

    /// Whether it changes the conversation.
    #[must_use]
    pub const fn changes(&self) -> bool {
        matches!(self, Self::Answer(_))
    }

    /// The reply of an account that nothing is stored of; none if there can be none.
    pub(in crate::account) const fn reply_of_nothing(&self) -> Option<ChatReply> {
        match self {
            Self::MakeWay(_) => Some(ChatReply::WayMade),
            Self::Follow(_) => Some(ChatReply::NothingRuns),
            Self::Read(_) => Some(ChatReply::Messages(Vec::new())),
            Self::Answer(_) => None,
        }
    }
}

/// What comes of it.
pub enum ChatReply {
    /// The reply to [`ChatCommand::MakeWay`].
    WayMade,
    /// No turn runs or waits.
    NothingRuns,
    /// A turn's events.
    Stream(Box<ChatStream>),
    /// The questions with their answers, oldest first.
    Messages(Vec<ChatTurn>),
}

/// A turn's events up to its end, or to where it waits for somebody.
pub struct ChatStream {
    /// The events.
    pub events: Subscription,
    /// The turn's actions, as they stand.
    pub actions: Vec<Action>,
    /// How many steps the client has of the message, if it has the message.
    pub has_steps: Option<u32>,
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
    /// What the turn did, if it has ended or waits for somebody.
    pub told: Vec<EventKind>,
    /// Its actions, as they stand.
    pub actions: Vec<Action>,
}
