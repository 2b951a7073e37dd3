//! A request, parsed once: whom it speaks for, which account it is about, and the command that it is.

use serde::Deserialize;
use serde_json::Value;

use super::auth::{Principal, authenticate};
use super::cursor;
use super::query::Target;
use super::route::Route;
use crate::account::command::{AnswerForm, Command, StartTurn};
use crate::config::Config;
use crate::digest;
use crate::domain::{AccountId, IdempotencyKey, Millis, SessionId, Title, TurnOptions};
use crate::error::{ApiError, Code};
use crate::store::reads::Page;

/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Longest body that is read: a prompt of [`MAX_PROMPT_BYTES`] of which every byte is escaped to six, and the other fields.
pub const MAX_BODY_BYTES: usize = 6 * MAX_PROMPT_BYTES + 256 * 1024;
/// Longest system prompt of a request, in bytes.
pub const MAX_SYSTEM_PROMPT_BYTES: usize = 64 * 1024;
/// Bytes of the digest that stands for a request.
const REQUEST_HASH_BYTES: usize = 16;
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;
const MAX_MODEL_BYTES: usize = 128;
const MAX_TURNS_RANGE: std::ops::RangeInclusive<u64> = 1..=1_000;

/// A request before its body is read.
pub struct Head<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its absolute URL.
    pub url: &'a str,
    /// Its headers, by lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// When it came.
    pub now: Millis,
}

/// What a request asks for.
#[derive(Debug)]
pub enum Asked {
    /// `GET /health`.
    Health,
    /// A command to an account's object.
    Command(AccountId, Command),
    /// A query, whose body is yet to be read.
    Query(QueryHead),
}

/// A query without its body.
#[derive(Debug)]
pub struct QueryHead {
    principal: Principal,
    named: Option<AccountId>,
    wants_events: bool,
    respond_async: bool,
    idempotency_key: Option<IdempotencyKey>,
}

/// Parses what can be parsed without the body.
///
/// # Errors
/// The refusals of the contract.
pub fn parse(head: &Head<'_>, config: &Config) -> Result<Asked, ApiError> {
    let target = Target::of(head.url);
    let route = Route::parse(head.method, target.path)?;
    if route == Route::Health {
        return Ok(Asked::Health);
    }
    let authorization = (head.header)("authorization");
    let principal = authenticate(&config.auth, target.host, authorization.as_deref(), head.now)?;
    let named = target.parameter("accountId").map(account).transpose()?;
    let about = |command| Ok(Asked::Command(principal.account(named.clone())?, command));
    match route {
        Route::Health => Ok(Asked::Health),
        Route::Query => query_head(head, config, principal, named).map(Asked::Query),
        Route::ListConversations => about(list(&target)?),
        Route::ReadConversation(session_id) => about(Command::ReadConversation { session_id }),
        Route::DeleteConversation(session_id) => about(Command::DeleteConversation { session_id }),
        Route::CancelConversation(session_id) => about(Command::CancelConversation { session_id }),
        Route::FollowConversation(session_id) => {
            let last = (head.header)("last-event-id").filter(|id| !id.is_empty());
            let last_event_id = last
                .map(|id| id.parse().map_err(|e| ApiError::parameter("Last-Event-ID", &format!("{e}"))))
                .transpose()?;
            about(Command::FollowConversation { session_id, last_event_id })
        }
        Route::ReadTurn(turn_id) => about(Command::ReadTurn { turn_id }),
    }
}

fn account(text: String) -> Result<AccountId, ApiError> {
    text.try_into().map_err(|e: crate::domain::id::BadId| ApiError::new(Code::InvalidAccount, e.to_string()))
}

fn list(target: &Target<'_>) -> Result<Command, ApiError> {
    let number = |name: &str, default: u32, range: std::ops::RangeInclusive<u32>, rule: &str| {
        target.parameter(name).map_or(Ok(default), |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = text.parse().ok().filter(|number| digits && range.contains(number));
            parsed.ok_or_else(|| ApiError::parameter(name, rule))
        })
    };
    let limit = number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT, "a number from 1 to 200")?;
    let page = match target.parameter("cursor") {
        Some(_) if target.parameter("offset").is_some() => {
            return Err(ApiError::parameter("cursor", "not together with offset"));
        }
        Some(text) => Page::After(
            cursor::decode(&text).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))?,
        ),
        None => Page::Offset(number("offset", 0, 0..=u32::MAX, "a number from 0")?),
    };
    Ok(Command::ListConversations { limit, page })
}

fn query_head(
    head: &Head<'_>,
    config: &Config,
    principal: Principal,
    named: Option<AccountId>,
) -> Result<QueryHead, ApiError> {
    if config.credential.is_none() {
        return Err(ApiError::token_not_set());
    }
    let content_type = (head.header)("content-type").unwrap_or_default();
    if !is_json(&content_type) {
        return Err(ApiError::new(Code::UnsupportedMediaType, "Send the body with `Content-Type: application/json`."));
    }
    let length = (head.header)("content-length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_BODY_BYTES) {
        return Err(prompt_too_large());
    }
    let accepts_events = (head.header)("accept").is_some_and(|accept| {
        accept
            .split(',')
            .any(|kind| kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream"))
    });
    let respond_async = (head.header)("prefer")
        .is_some_and(|prefer| prefer.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("respond-async")));
    let idempotency_key = (head.header)("idempotency-key")
        .map(|key| key.try_into().map_err(|e| ApiError::parameter("Idempotency-Key", &format!("{e}"))))
        .transpose()?;
    Ok(QueryHead { principal, named, wants_events: accepts_events, respond_async, idempotency_key })
}

fn is_json(content_type: &str) -> bool {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// The refusal of a prompt, or of a body that cannot hold an allowed one.
#[must_use]
pub fn prompt_too_large() -> ApiError {
    ApiError::new(Code::PromptTooLarge, "A prompt has at most 1 MiB (1048576 bytes of UTF-8).")
}

/// The body of `POST /query`. Every field is read as any JSON, so that a wrong type is named.
#[derive(Deserialize)]
struct QueryBody {
    query: Option<Value>,
    prompt: Option<Value>,
    #[serde(rename = "accountId")]
    account_id: Option<Value>,
    session_id: Option<Value>,
    stream: Option<Value>,
    model: Option<Value>,
    system_prompt: Option<Value>,
    max_turns: Option<Value>,
}

impl QueryHead {
    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: &[u8]) -> Result<(AccountId, Command), ApiError> {
        let invalid = |detail: String| ApiError::new(Code::InvalidJson, detail);
        let text = std::str::from_utf8(body).map_err(|_| invalid("The body is not UTF-8.".to_owned()))?;
        // An array would be read as the fields in their order.
        if !text.trim_start().starts_with('{') {
            return Err(invalid("The body must be a JSON object.".to_owned()));
        }
        let body: QueryBody = serde_json::from_str(text)
            .map_err(|e| invalid(format!("The body is not the JSON object it should be: {e}.")))?;
        let in_body = text_field("accountId", body.account_id)
            .map_err(|e| ApiError::new(Code::InvalidAccount, e.detail))?
            .map(account)
            .transpose()?;
        let named = match (in_body, self.named) {
            (Some(a), Some(b)) if a != b => {
                return Err(ApiError::new(Code::InvalidAccount, "accountId differs between the body and the URL."));
            }
            (a, b) => a.or(b),
        };
        let account_id = self.principal.account(named)?;
        let session_id = text_field("session_id", body.session_id)
            .map_err(|e| ApiError::new(Code::InvalidSessionId, e.detail))?
            .map(|id| {
                id.try_into()
                    .map_err(|e: crate::domain::id::BadId| ApiError::new(Code::InvalidSessionId, e.to_string()))
            })
            .transpose()?;
        let prompt = text_field("query", body.query)?.or(text_field("prompt", body.prompt)?);
        let prompt = prompt
            .filter(|prompt| !prompt.trim().is_empty())
            .ok_or_else(|| ApiError::new(Code::NoPrompt, "No prompt provided"))?;
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(prompt_too_large());
        }
        let options = options(body.model, body.system_prompt, body.max_turns)?;
        let streams = match body.stream {
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

fn text_field(name: &str, value: Option<Value>) -> Result<Option<String>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::parameter(name, "a string")),
    }
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
