//! What the client answers in a message of the agent's: approvals, and the outputs of calls that are its own. Nothing else of it is read.

use serde_json::value::RawValue;

use super::super::body::{Fields, is_deeper, not_json};
use super::super::problem::{ApiError, Code};
use super::json::elements;
use crate::account::chat::command::{ChatAnswer, ChatAnswers};
use crate::domain::{ActionId, SessionId, TurnId};

/// Most answers of one message.
const MAX_ANSWERS: usize = 256;
/// Longest word of a part, in bytes: a state, or the id of a call.
const MAX_WORD_BYTES: usize = 256;
/// Longest reason of a denial, and longest output, in bytes of JSON; its deepest nesting.
const MAX_REASON_BYTES: usize = 8 * 1024;
const MAX_OUTPUT_BYTES: usize = 1024 * 1024;
const MAX_DEPTH: usize = 64;

/// The fields of a part and of its approval that are read.
const PART: &[&str] = &["type", "state", "toolCallId", "approval", "output", "errorText", "providerExecuted"];
const APPROVAL: &[&str] = &["id", "approved", "reason"];

/// The answers in a message of this turn; none if there are none.
pub(super) fn answers(
    message: &Fields<'_>,
    turn_id: &str,
    session_id: &SessionId,
) -> Result<Option<ChatAnswers>, ApiError> {
    let Ok(turn_id) = turn_id.parse::<TurnId>() else { return Ok(None) };
    let (mut answers, mut steps) = (Vec::new(), 0_u32);
    for (index, raw) in elements(message.raw("parts").unwrap_or_default()).into_iter().enumerate() {
        let refused = |rule: &str| ApiError::parameter("messages", &format!("parts[{index}]: {rule}"));
        let part = Fields::of(raw.get().as_bytes(), PART).map_err(|_| refused("a part of a UI message"))?;
        if part.raw("type") == Some("\"step-start\"") {
            steps = steps.saturating_add(1);
            continue;
        }
        answers.extend(answer(&part, &refused)?);
        if answers.len() > MAX_ANSWERS {
            return Err(ApiError::parameter("messages", "at most 256 answers"));
        }
    }
    let asked = ChatAnswers { session_id: session_id.clone(), turn_id, has_steps: steps, answers };
    Ok(Some(asked).filter(|asked| !asked.answers.is_empty()))
}

fn answer(part: &Fields<'_>, refused: &impl Fn(&str) -> ApiError) -> Result<Option<ChatAnswer>, ApiError> {
    let is_own = part.raw("providerExecuted") != Some("true");
    let (given, is_error) = match part.raw("state") {
        Some("\"approval-responded\"") => return approval(part, refused).map(Some),
        Some("\"output-available\"") if is_own => ("output", false),
        Some("\"output-error\"") if is_own => ("errorText", true),
        _ => return Ok(None),
    };
    let Some(tool_call_id) = part.text("toolCallId", MAX_WORD_BYTES, Code::InvalidParameter)? else { return Ok(None) };
    let raw = part.raw(given).unwrap_or("\"\"");
    if raw.len() > MAX_OUTPUT_BYTES || is_deeper(raw, MAX_DEPTH) {
        return Err(refused("an output has at most 1048576 bytes of JSON, nested at most 64 levels deep"));
    }
    let output = serde_json::from_str(raw).map_err(|e| not_json(&e))?;
    Ok(Some(ChatAnswer::Output { tool_call_id, output, is_error }))
}

fn approval(part: &Fields<'_>, refused: &impl Fn(&str) -> ApiError) -> Result<ChatAnswer, ApiError> {
    let wrong = || refused("an approval has the id that it was asked with, and approved: true or false");
    let raw: &RawValue = serde_json::from_str(part.raw("approval").unwrap_or_default()).map_err(|_| wrong())?;
    let fields = Fields::of(raw.get().as_bytes(), APPROVAL).map_err(|_| wrong())?;
    let id = fields.text("id", MAX_WORD_BYTES, Code::InvalidParameter)?;
    let action_id = id.and_then(|id| id.parse::<ActionId>().ok()).ok_or_else(wrong)?;
    let approved = match fields.raw("approved") {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(wrong()),
    };
    let reason = fields.text("reason", MAX_REASON_BYTES, Code::InvalidParameter)?.filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > MAX_REASON_BYTES) {
        return Err(refused("a reason has at most 8192 bytes"));
    }
    Ok(ChatAnswer::Approval { action_id, approved, reason })
}
