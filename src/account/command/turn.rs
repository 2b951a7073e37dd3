//! What a caller asks of a turn: a query, a decision, and the form of the answer.

use serde::{Deserialize, Serialize};

use crate::domain::{
    ActionId, Block, ChatMessageId, Decision, FilePath, IdempotencyKey, Include, SessionId, Title, TurnOptions,
};

/// The form in which the caller of a turn wants its response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerForm {
    /// Whole, when the turn has ended.
    Json,
    /// As server-sent events.
    Events,
    /// At once, with the turn's id.
    Accepted,
    /// As the AI SDK's stream of a UI message.
    Chat,
}

/// A query.
#[derive(Debug, Serialize, Deserialize)]
pub struct StartTurn {
    /// The conversation; a new one if absent or unknown.
    pub session_id: Option<SessionId>,
    /// What the user said.
    pub prompt: String,
    /// The blocks that say it, if some of them are no words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Vec<Block>>,
    /// The title that a new conversation gets.
    pub title: Title,
    /// What the caller asks of the agent.
    pub options: TurnOptions,
    /// The caller's key, and the hash of the request that it came with.
    pub idempotency: Option<(IdempotencyKey, String)>,
    /// How the answer is wanted.
    pub answer: AnswerForm,
    /// What the client wants to hear beside the default events.
    #[serde(skip_serializing_if = "Include::is_nothing", default)]
    pub include: Include,
}

/// A decision.
#[derive(Debug, Serialize, Deserialize)]
pub struct DecideAction {
    /// The action.
    pub action_id: ActionId,
    /// What is decided.
    pub decision: Decision,
    /// How the answer is wanted.
    pub answer: AnswerForm,
    /// What the events tell beside the default.
    #[serde(default)]
    pub include: Include,
}

/// What is to be known before the bytes of a turn's attachments are moved.
#[derive(Debug, Serialize, Deserialize)]
pub struct LookUpAttachments {
    /// The conversation; none for a new one.
    pub session_id: Option<SessionId>,
    /// The files that are asked for, at most as many as a query has blocks.
    pub paths: Vec<FilePath>,
    /// The caller's key, and the hash of the request that it came with.
    pub idempotency: Option<(IdempotencyKey, String)>,
    /// How the answer is wanted, if the key has made a turn already.
    pub answer: AnswerForm,
    /// What the events tell beside the default.
    #[serde(default)]
    pub include: Include,
    /// The message whose place the turn takes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub replaces: Option<ChatMessageId>,
}
