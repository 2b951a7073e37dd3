//! The JSON documents of the contract that SQLite does not write. Their fields are public.

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::problem::ApiError;
#[cfg(test)]
use super::problem::Problem;
use crate::domain::metadata::RESERVED_KEY;
use crate::domain::{
    AccountId, Conversation, Message, Millis, RequestId, Role, RunId, SessionId, Turn, TurnFiles, TurnId, TurnStatus,
    Usage,
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
        files: turn.files.as_ref(),
    })
}

/// A purge run that was started.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "PurgeRunStarted"))]
pub(super) struct RunStartedJson<'a> {
    /// Names it in `GET /purge-runs`.
    pub(super) run_id: &'a RunId,
}

/// Whether a container is started ahead of a query.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Prewarming"))]
pub(super) struct PrewarmingJson {
    /// Whether this call started it; false if it runs or starts already.
    pub(super) prewarming: bool,
}

/// What a purge of one account deleted.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "PurgeResult"))]
pub(super) struct PurgedJson {
    /// How many conversations it deleted.
    pub(super) deleted: u64,
    /// How many it could not delete; the log names them.
    pub(super) errors: u64,
}

/// The result of a turn that completed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "TurnResult"))]
pub struct DoneJson<'a> {
    /// Always true: a turn that did not complete is a problem document.
    success: bool,
    /// The agent's answer.
    response: &'a str,
    /// The turn's conversation.
    session_id: &'a SessionId,
    /// The turn, for `GET /turns/{turn_id}`.
    turn_id: &'a TurnId,
    /// The model that answered.
    model: Option<&'a str>,
    /// What the turn used.
    usage: Usage,
    /// How many times the agent called the model.
    num_turns: Option<u32>,
    /// How long the agent worked, in milliseconds.
    duration_ms: Option<u64>,
    /// What became of its conversation's files; absent if there are none, or the deployment saves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnFiles"))]
    files: Option<&'a TurnFiles>,
}

/// A turn in its current state.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Turn"))]
pub(super) struct TurnJson<'a> {
    /// Names it.
    turn_id: &'a TurnId,
    /// Its conversation.
    session_id: &'a SessionId,
    /// Where it stands.
    status: TurnStatus,
    /// When it was stored.
    created_at: Millis,
    /// When the container took it; null before.
    started_at: Option<Millis>,
    /// When it ended; null before.
    finished_at: Option<Millis>,
    /// The agent's answer, if it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    response: Option<&'a str>,
    /// Why it did not complete, if it ended otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Problem<'static>"))]
    error: Option<OwnedProblem<'a>>,
    /// What it used, if it has ended and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Usage"))]
    usage: Option<Usage>,
    /// What became of its conversation's files; absent if there are none, or the deployment saves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnFiles"))]
    files: Option<&'a TurnFiles>,
}

impl<'a> TurnJson<'a> {
    pub(super) fn of(turn: &'a Turn) -> Self {
        Self {
            turn_id: &turn.turn_id,
            session_id: &turn.session_id,
            status: turn.status,
            created_at: turn.created_at,
            started_at: turn.started_at,
            finished_at: turn.finished_at,
            response: turn.response.as_deref(),
            error: turn
                .error
                .as_ref()
                .map(|failure| OwnedProblem { error: failure.into(), request_id: &turn.request_id }),
            usage: turn.usage,
            files: turn.files.as_ref(),
        }
    }
}

/// A turn as `GET /turns/{turn_id}` returns it.
#[must_use]
pub fn turn_json(turn: &Turn) -> String {
    // What is serialised here are structs: that does not fail.
    serde_json::to_string(&TurnJson::of(turn)).unwrap_or_default()
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

/// A turn that was stored and runs by itself.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "AcceptedTurn"))]
pub(super) struct AcceptedJson<'a> {
    /// The turn, for `GET /turns/{turn_id}`.
    pub(super) turn_id: &'a TurnId,
    /// Its conversation.
    pub(super) session_id: &'a SessionId,
    /// Where it stands.
    pub(super) status: TurnStatus,
}

/// Something is done.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Success"))]
pub(super) struct SuccessJson {
    /// Always true.
    pub(super) success: bool,
    /// How many turns `cancel` ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u32"))]
    pub(super) cancelled: Option<usize>,
}

/// A message of a conversation.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Message"))]
struct MessageJson<'a> {
    /// `msg_` and its number, which rises within the conversation.
    id: String,
    /// The turn that it belongs to.
    turn_id: &'a TurnId,
    /// Who wrote it.
    role: Role,
    /// Its text.
    content: &'a str,
    /// When it was stored.
    timestamp: Millis,
}

/// A conversation; `GET /conversations/{session_id}` returns it with its messages.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Conversation"))]
pub(super) struct ConversationJson<'a> {
    /// Names it within its account.
    session_id: &'a SessionId,
    /// Its account.
    account_id: &'a AccountId,
    /// Its title: the beginning of its first prompt, until it is changed.
    title: &'a str,
    /// When its first turn was stored.
    created_at: Millis,
    /// When it was last read or a turn of it stored or ended.
    last_accessed_at: Millis,
    /// The caller's keys and the service's `message_count`.
    #[cfg_attr(test, schemars(with = "super::openapi::schemas::Metadata"))]
    metadata: serde_json::Map<String, Value>,
    /// The sum over its turns.
    usage: Usage,
    /// Its messages, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Vec<MessageJson<'static>>"))]
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
