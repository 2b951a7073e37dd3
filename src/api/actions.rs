//! Actions: which of them a request lists, and what it decides.

use serde_json::{Map, Value};

use super::answer_form::Preference;
use super::auth::Principal;
use super::body::{Fields, Head, is_deeper, need_json, not_json};
use super::include;
use super::problem::{ApiError, Code};
use super::query::Target;
use crate::account::command::{Command, DecideAction};
use crate::domain::action::{ActionsOf, Remember};
use crate::domain::content::{Bytes, MediaType};
use crate::domain::{AccountId, Action, ActionId, ActionStatus, Decision, Millis, SessionId};

/// Actions of a page, if the request does not say, and at most.
pub(super) const DEFAULT_LIMIT: u32 = 50;
pub(super) const MAX_LIMIT: u32 = 200;
/// Longest body of a decision, in bytes: the result of a tool at its largest, and the other fields.
pub const MAX_BODY_BYTES: usize = MAX_CONTENT_BYTES + 64 * 1024;
/// Longest result of a tool, and longest changed input of one, in bytes of JSON.
const MAX_CONTENT_BYTES: usize = 1024 * 1024;
/// Longest answers to a question, in bytes of JSON, and longest message of a denial, in bytes.
const MAX_ANSWERS_BYTES: usize = 64 * 1024;
const MAX_MESSAGE_BYTES: usize = 8 * 1024;
/// Deepest nesting of an input, of answers and of a result.
const MAX_DEPTH: usize = 64;
/// The fields of a decision.
const FIELDS: &[&str] =
    &["accountId", "stream", "decision", "input", "remember", "message", "answers", "content", "is_error", "include"];

/// A decision without its body.
#[derive(Debug)]
pub struct DecisionHead {
    principal: Principal,
    named: Option<AccountId>,
    action_id: ActionId,
    preference: Preference,
}

impl DecisionHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        principal: Principal,
        named: Option<AccountId>,
        action_id: ActionId,
    ) -> Result<Self, ApiError> {
        need_json(head)?;
        Ok(Self { principal, named, action_id, preference: Preference::of(head) })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "A decision has at most 1114112 bytes.");
        let body = body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(too_large)?;
        let fields = Fields::of(body, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let decision = decision(&fields)?;
        let answer = self.preference.form(Some(&fields))?;
        let include = include::of_body(fields.raw("include"))?;
        let decide = DecideAction { action_id: self.action_id, decision, answer, include };
        Ok((account_id, Command::DecideAction(Box::new(decide))))
    }
}

fn decision(fields: &Fields<'_>) -> Result<Decision, ApiError> {
    let word = fields.text("decision", 16, Code::InvalidParameter)?.unwrap_or_default();
    match word.as_str() {
        "allow" => {
            Ok(Decision::Allow { input: object(fields, "input", MAX_CONTENT_BYTES)?, remember: remember(fields)? })
        }
        "deny" => {
            let message = fields.text("message", MAX_MESSAGE_BYTES, Code::InvalidParameter)?;
            if message.as_ref().is_some_and(|message| message.len() > MAX_MESSAGE_BYTES) {
                return Err(ApiError::parameter("message", "at most 8192 bytes"));
            }
            Ok(Decision::Deny { message })
        }
        "answer" => {
            let answers = object(fields, "answers", MAX_ANSWERS_BYTES)?;
            let answers = answers.ok_or_else(|| ApiError::parameter("answers", "an object of answers"))?;
            Ok(Decision::Answer { answers })
        }
        "result" => {
            let is_error = match fields.raw("is_error") {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(ApiError::parameter("is_error", "true or false")),
            };
            Ok(Decision::Result { content: content(fields)?, is_error })
        }
        _ => Err(ApiError::parameter("decision", "one of allow, deny, answer, result")),
    }
}

fn remember(fields: &Fields<'_>) -> Result<Option<Remember>, ApiError> {
    match fields.text("remember", 16, Code::InvalidParameter)?.as_deref() {
        None => Ok(None),
        Some("conversation") => Ok(Some(Remember::Conversation)),
        Some(_) => Err(ApiError::parameter("remember", "`conversation`, or left out")),
    }
}

/// A field that is a JSON object.
fn object(fields: &Fields<'_>, name: &str, most: usize) -> Result<Option<Map<String, Value>>, ApiError> {
    let Some(raw) = fields.raw(name) else { return Ok(None) };
    if !raw.starts_with('{') || is_deeper(raw, MAX_DEPTH) {
        return Err(ApiError::parameter(name, "an object, nested at most 64 levels deep"));
    }
    if raw.len() > most {
        return Err(ApiError::parameter(name, &format!("at most {most} bytes")));
    }
    serde_json::from_str(raw).map(Some).map_err(|e| not_json(&e))
}

/// What a tool of the caller returned: a string, or text and image blocks.
fn content(fields: &Fields<'_>) -> Result<Value, ApiError> {
    let refused = |rule: &str| Err(ApiError::parameter("content", rule));
    let Some(raw) = fields.raw("content") else { return refused("a string, or a list of content blocks") };
    if raw.len() > MAX_CONTENT_BYTES || is_deeper(raw, MAX_DEPTH) {
        return refused("at most 1048576 bytes of JSON");
    }
    let content: Value = serde_json::from_str(raw).map_err(|e| not_json(&e))?;
    let is_block = |block: &Value| match block["type"].as_str() {
        Some("text") => block["text"].is_string(),
        Some("image") => is_image(&block["source"]),
        _ => false,
    };
    match &content {
        Value::String(_) => Ok(content),
        Value::Array(blocks) if blocks.iter().all(is_block) => Ok(content),
        _ => refused("a string, or a list of `text` blocks and of `image` blocks in base64"),
    }
}

/// An image that is there as a whole, in a type that the model's API takes.
fn is_image(source: &Value) -> bool {
    let text = |name: &str| source[name].as_str();
    let media_type = text("media_type").and_then(MediaType::parse).filter(|media_type| media_type.is_image());
    let data = text("data").and_then(Bytes::decode);
    text("type") == Some("base64")
        && data.is_some_and(|data| media_type.is_some() && MediaType::of(&data.0, true) == media_type)
}

/// Which actions `GET /actions` lists.
pub(super) fn list(target: &Target<'_>, limit: u32) -> Result<Command, ApiError> {
    let parameter = |name| target.parameter(name).map_err(|e| ApiError::parameter(name, e.rule()));
    let status = parameter("status")?.map(|word| {
        let rule = "one of pending, resolved, expired, cancelled";
        ActionStatus::parse(&word).ok_or_else(|| ApiError::parameter("status", rule))
    });
    let session_id = parameter("session_id")?
        .map(|id| SessionId::try_from(id).map_err(|e| ApiError::new(Code::InvalidSessionId, e.to_string())));
    let after = parameter("cursor")?
        .map(|text| cursor(&text).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave")));
    let of = ActionsOf { status: status.transpose()?, session_id: session_id.transpose()?, after: after.transpose()? };
    Ok(Command::ListActions { of, limit })
}

/// Where a page of actions ends.
pub(super) fn cursor_of(last: &Action) -> String {
    format!("{:x}.{}", last.created_at.get(), last.action_id)
}

fn cursor(text: &str) -> Option<(Millis, ActionId)> {
    let (ms, id) = text.split_once('.')?;
    let ms = i64::from_str_radix(ms, 16).ok().filter(|ms| *ms >= 0)?;
    Some((Millis::new(ms), id.parse().ok()?))
}

#[cfg(test)]
mod tests;
