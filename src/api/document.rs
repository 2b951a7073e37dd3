//! The JSON documents of the contract that SQLite does not write. Their fields are public.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::problem::ApiError;
use crate::domain::metadata::RESERVED_KEY;
use crate::domain::{
    AccountId, Conversation, Message, Millis, RequestId, Role, RunId, SessionId, Turn, TurnId, TurnStatus, Usage,
};

/// The answer to a query whose turn completed, or the refusal that its failure is.
///
/// # Errors
/// The failure, where it did not complete.
pub fn outcome(turn: &Turn) -> Result<DoneJson<'_>, ApiError> {
    if let Some(failure) = &turn.error {
        return Err(failure.into());
    }
    if turn.status != TurnStatus::Completed {
        return Err(ApiError::internal());
    }
    Ok(DoneJson {
        success: true,
        response: turn.response.as_deref().unwrap_or_default(),
        session_id: &turn.session_id,
        turn_id: &turn.turn_id,
        model: turn.model.as_deref(),
        usage: turn.usage.unwrap_or_default(),
        num_turns: turn.num_turns,
        duration_ms: turn.duration_ms,
    })
}

/// A started purge run.
#[derive(Serialize)]
pub(super) struct RunStartedJson<'a> {
    pub(super) run_id: &'a RunId,
}

/// Whether a container is started ahead of a query.
#[derive(Serialize)]
pub(super) struct PrewarmingJson {
    pub(super) prewarming: bool,
}

/// What a purge deleted.
#[derive(Serialize)]
pub(super) struct PurgedJson {
    pub(super) deleted: u64,
    pub(super) errors: u64,
}

/// The answer to a query.
#[derive(Debug, Serialize)]
pub struct DoneJson<'a> {
    success: bool,
    response: &'a str,
    session_id: &'a SessionId,
    turn_id: &'a TurnId,
    model: Option<&'a str>,
    usage: Usage,
    num_turns: Option<u32>,
    duration_ms: Option<u64>,
}

/// A turn as it stands.
#[derive(Serialize)]
pub(super) struct TurnJson<'a> {
    turn_id: &'a TurnId,
    session_id: &'a SessionId,
    status: TurnStatus,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<OwnedProblem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
}

impl<'a> TurnJson<'a> {
    pub(super) fn of(turn: &'a Turn) -> Self {
        Self {
            turn_id: &turn.turn_id,
            session_id: &turn.session_id,
            status: turn.status,
            created_at: turn.created_at.get(),
            started_at: turn.started_at.map(crate::domain::Millis::get),
            finished_at: turn.finished_at.map(crate::domain::Millis::get),
            response: turn.response.as_deref(),
            error: turn
                .error
                .as_ref()
                .map(|failure| OwnedProblem { error: failure.into(), request_id: &turn.request_id }),
            usage: turn.usage,
        }
    }
}

/// A problem document inside of another one.
struct OwnedProblem<'a> {
    error: ApiError,
    request_id: &'a RequestId,
}

impl Serialize for OwnedProblem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.error.problem(self.request_id).serialize(serializer)
    }
}

/// A turn that was admitted.
#[derive(Serialize)]
pub(super) struct AcceptedJson<'a> {
    pub(super) turn_id: &'a TurnId,
    pub(super) session_id: &'a SessionId,
    pub(super) status: TurnStatus,
}

/// Something is done.
#[derive(Serialize)]
pub(super) struct SuccessJson {
    pub(super) success: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cancelled: Option<usize>,
}

#[derive(Serialize)]
struct MessageJson<'a> {
    id: String,
    turn_id: &'a TurnId,
    role: Role,
    content: &'a str,
    timestamp: Millis,
}

/// A conversation, with its messages where they belong to it.
#[derive(Serialize)]
pub(super) struct ConversationJson<'a> {
    session_id: &'a SessionId,
    account_id: &'a AccountId,
    title: &'a str,
    created_at: Millis,
    last_accessed_at: Millis,
    metadata: serde_json::Map<String, Value>,
    usage: Usage,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<MessageJson<'a>>>,
}

impl<'a> ConversationJson<'a> {
    pub(super) fn of(
        account_id: &'a AccountId,
        conversation: &'a Conversation,
        messages: Option<&'a [Message]>,
    ) -> Self {
        let mut metadata = conversation.metadata.clone();
        metadata.insert(RESERVED_KEY.to_owned(), conversation.message_count.into());
        let message = |message: &'a Message| MessageJson {
            id: format!("msg_{}", message.seq),
            turn_id: &message.turn_id,
            role: message.role,
            content: &message.content,
            timestamp: message.timestamp,
        };
        Self {
            session_id: &conversation.session_id,
            account_id,
            title: &conversation.title,
            created_at: conversation.created_at,
            last_accessed_at: conversation.last_accessed_at,
            metadata,
            usage: conversation.usage,
            messages: messages.map(|messages| messages.iter().map(message).collect()),
        }
    }
}
