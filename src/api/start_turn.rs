//! `POST /query`: a turn to be started.

use serde_json::Value;

use super::auth::Principal;
use super::request::{Head, json_object, named_account, need_json, text_field};
use crate::account::command::{AnswerForm, Command, StartTurn};
use crate::config::Config;
use crate::digest;
use crate::domain::id::BadId;
use crate::domain::{AccountId, IdempotencyKey, SessionId, Title, TurnOptions};
use crate::error::{ApiError, Code};

/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Longest body that is read: a prompt of [`MAX_PROMPT_BYTES`] of which every byte is escaped to six, and the other fields.
pub const MAX_BODY_BYTES: usize = 6 * MAX_PROMPT_BYTES + 256 * 1024;
/// Longest system prompt of a request, in bytes.
pub const MAX_SYSTEM_PROMPT_BYTES: usize = 64 * 1024;
/// Bytes of the digest that stands for a request.
const REQUEST_HASH_BYTES: usize = 16;
const MAX_MODEL_BYTES: usize = 128;
const MAX_TURNS_RANGE: std::ops::RangeInclusive<u64> = 1..=1_000;

/// A query without its body.
#[derive(Debug)]
pub struct QueryHead {
    principal: Principal,
    named: Option<AccountId>,
    wants_events: bool,
    respond_async: bool,
    idempotency_key: Option<IdempotencyKey>,
}

impl QueryHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        config: &Config,
        principal: Principal,
        named: Option<AccountId>,
    ) -> Result<Self, ApiError> {
        if config.credential.is_none() {
            return Err(ApiError::token_not_set());
        }
        need_json(head)?;
        let length = (head.header)("content-length").and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY_BYTES) {
            return Err(prompt_too_large());
        }
        let accepts_events = (head.header)("accept").is_some_and(|accept| {
            accept
                .split(',')
                .any(|kind| kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream"))
        });
        let respond_async = (head.header)("prefer").is_some_and(|prefer| {
            prefer.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("respond-async"))
        });
        let idempotency_key = (head.header)("idempotency-key")
            .map(|key| key.try_into().map_err(|e| ApiError::parameter("Idempotency-Key", &format!("{e}"))))
            .transpose()?;
        Ok(Self { principal, named, wants_events: accepts_events, respond_async, idempotency_key })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let mut body = json_object(body.ok_or_else(prompt_too_large)?)?;
        let mut field = |name: &str| body.get_mut(name).map(Value::take);
        let account_id = self.principal.account(named_account(field("accountId"), self.named)?)?;
        let session_id = text_field("session_id", field("session_id"))
            .map_err(|e| ApiError::new(Code::InvalidSessionId, e.detail))?
            .map(|id| id.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidSessionId, e.to_string())))
            .transpose()?;
        let prompt = text_field("query", field("query"))?.or(text_field("prompt", field("prompt"))?);
        let prompt = prompt
            .filter(|prompt| !prompt.trim().is_empty())
            .ok_or_else(|| ApiError::new(Code::NoPrompt, "No prompt provided"))?;
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(prompt_too_large());
        }
        let options = options(field("model"), field("system_prompt"), field("max_turns"))?;
        let streams = match field("stream") {
            None | Some(Value::Null) => self.wants_events,
            Some(Value::Bool(stream)) => stream,
            Some(_) => return Err(ApiError::parameter("stream", "true or false")),
        };
        let answer = match (self.respond_async, streams) {
            (true, _) => AnswerForm::Accepted,
            (false, true) => AnswerForm::Events,
            (false, false) => AnswerForm::Json,
        };
        let idempotency = self.idempotency_key.map(|key| (key, request_hash(session_id.as_ref(), &prompt, &options)));
        let title = Title::from_prompt(&prompt);
        let start = StartTurn { session_id, prompt, title, options, idempotency, answer };
        Ok((account_id, Command::StartTurn(Box::new(start))))
    }
}

/// The refusal of a prompt, or of a body that cannot hold an allowed one.
fn prompt_too_large() -> ApiError {
    ApiError::new(Code::PromptTooLarge, "A prompt has at most 1 MiB (1048576 bytes of UTF-8).")
}

fn options(
    model: Option<Value>,
    system_prompt: Option<Value>,
    max_turns: Option<Value>,
) -> Result<TurnOptions, ApiError> {
    let model = text_field("model", model)?;
    if model.as_ref().is_some_and(|model| model.is_empty() || model.len() > MAX_MODEL_BYTES || !model.is_ascii()) {
        return Err(ApiError::parameter("model", "the name of a model, at most 128 ASCII characters"));
    }
    let system_prompt = text_field("system_prompt", system_prompt)?;
    if system_prompt.as_ref().is_some_and(|prompt| prompt.len() > MAX_SYSTEM_PROMPT_BYTES) {
        return Err(ApiError::parameter("system_prompt", "at most 65536 bytes"));
    }
    let max_turns = match max_turns {
        None | Some(Value::Null) => None,
        Some(value) => {
            let turns = value.as_u64().filter(|turns| MAX_TURNS_RANGE.contains(turns));
            let turns = turns.and_then(|turns| u32::try_from(turns).ok());
            Some(turns.ok_or_else(|| ApiError::parameter("max_turns", "a whole number from 1 to 1000"))?)
        }
    };
    Ok(TurnOptions { model, system_prompt, max_turns })
}

/// What makes two requests the same for an idempotency key: all that decides what the agent does.
fn request_hash(session_id: Option<&SessionId>, prompt: &str, options: &TurnOptions) -> String {
    let what = serde_json::to_string(&(session_id, prompt, options)).unwrap_or_default();
    digest::hex(&what, REQUEST_HASH_BYTES)
}
