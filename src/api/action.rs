//! `POST /conversations/{id}/cancel`, `/fork`, `/rewind` and `/compact`: what is done to a conversation, with what its body says of it.

use super::answer_form::Wanted;
use super::body::Fields;
use super::problem::{ApiError, Code};
use super::start_turn::request_hash;
use crate::account::branches::command::{ForkAsked, RewindTo};
use crate::account::command::{Command, StartTurn};
use crate::domain::conversation::MAX_TITLE_CHARS;
use crate::domain::id::{BadId, MAX_SESSION_BYTES};
use crate::domain::turn::MAX_REASON_CHARS;
use crate::domain::{SessionId, Title, TurnId, TurnKind, TurnOptions};

/// Longest instructions for compacting a conversation, in bytes.
pub const MAX_INSTRUCTIONS_BYTES: usize = 8 * 1024;
/// Bytes of a turn's id that are read: a longer string is none.
const MAX_TURN_ID_BYTES: usize = 64;

/// An action whose body is yet to be read.
#[derive(Debug)]
pub(super) enum Action {
    Cancel(SessionId),
    Fork(SessionId),
    Rewind(SessionId),
    Compact(SessionId, Wanted),
}

impl Action {
    /// The fields that its body may have.
    pub const fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Cancel(_) => &["accountId", "reason"],
            Self::Fork(_) => &["accountId", "at", "session_id", "title"],
            Self::Rewind(_) => &["accountId", "to", "before"],
            Self::Compact(..) => &["accountId", "instructions", "stream"],
        }
    }

    /// The command that it is; `fields` is none if it came without a body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn command(self, fields: Option<&Fields<'_>>) -> Result<Command, ApiError> {
        let text = |name, most, code| fields.map_or(Ok(None), |fields| fields.text(name, most, code));
        let turn = |name| turn_id(name, text(name, MAX_TURN_ID_BYTES, Code::InvalidParameter)?);
        match self {
            Self::Cancel(session_id) => {
                let rule = || ApiError::parameter("reason", "a string of at most 256 characters");
                let reason = text("reason", 4 * MAX_REASON_CHARS, Code::InvalidParameter).map_err(|_| rule())?;
                let reason = reason.filter(|reason| !reason.trim().is_empty());
                if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
                    return Err(rule());
                }
                Ok(Command::CancelConversation { session_id, reason })
            }
            Self::Fork(source) => {
                let session_id = text("session_id", MAX_SESSION_BYTES, Code::InvalidSessionId)?
                    .map(|id| id.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidSessionId, e.to_string())))
                    .transpose()?;
                let title = text("title", 4 * MAX_TITLE_CHARS, Code::InvalidParameter)?
                    .map(|title| Title::try_from(title).map_err(|rule| ApiError::parameter("title", rule)))
                    .transpose()?;
                Ok(Command::Fork(Box::new(ForkAsked { source, at: turn("at")?, session_id, title })))
            }
            Self::Rewind(session_id) => {
                let to = match (turn("to")?, turn("before")?) {
                    (Some(turn_id), None) => RewindTo::To(turn_id),
                    (None, Some(turn_id)) => RewindTo::Before(turn_id),
                    (Some(_), Some(_)) => return Err(ApiError::parameter("before", "not together with to")),
                    (None, None) => {
                        return Err(ApiError::parameter("to", "the id of a turn, unless there is one in before"));
                    }
                };
                Ok(Command::Rewind { session_id, to })
            }
            Self::Compact(session_id, wanted) => {
                let instructions = text("instructions", MAX_INSTRUCTIONS_BYTES, Code::InvalidParameter)?;
                let instructions = instructions.unwrap_or_default();
                if instructions.len() > MAX_INSTRUCTIONS_BYTES {
                    return Err(ApiError::parameter("instructions", "at most 8192 bytes"));
                }
                let answer = wanted.form(fields.and_then(|fields| fields.raw("stream")))?;
                let options = TurnOptions { kind: TurnKind::Compact, ..TurnOptions::default() };
                let prompt = options.kind.prompt_told(instructions.trim());
                let hash = request_hash(Some(&session_id), &prompt, &options);
                let idempotency = wanted.idempotency_key.map(|key| (key, hash));
                let title = Title::from_prompt(&prompt);
                let start = StartTurn { session_id: Some(session_id), prompt, title, options, idempotency, answer };
                Ok(Command::StartTurn(Box::new(start)))
            }
        }
    }
}

fn turn_id(name: &str, text: Option<String>) -> Result<Option<TurnId>, ApiError> {
    let read = text.map(TurnId::try_from).transpose();
    read.map_err(|rule| ApiError::parameter(name, &rule.to_string()))
}
