//! A request, parsed once: whom it speaks for, which account it is about, and the command that it is.
//! What has a body is parsed in two steps: `start_turn` and `update` read theirs.

use serde_json::Value;

use super::auth::{asks, authenticate};
use super::cursor;
use super::query::Target;
use super::route::Route;
use super::start_turn::QueryHead;
use super::update::UpdateHead;
use crate::account::command::Command;
use crate::config::Config;
use crate::domain::{AccountId, Millis, Words};
use crate::error::{ApiError, Code};
use crate::store::reads::Page;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

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
    /// What is known when its body is read.
    WithBody(Pending),
    /// `POST /purge-runs`, by the operator.
    StartPurgeRun,
    /// `GET /purge-runs`, by the operator.
    ListPurgeRuns,
}

/// A request whose body is yet to be read.
#[derive(Debug)]
pub enum Pending {
    /// `POST /query`.
    Query(QueryHead),
    /// `PATCH /conversations/{id}`.
    Update(UpdateHead),
}

impl Pending {
    /// Parses the body, none being one that is longer than it may be, and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        match self {
            Self::Query(head) => head.with_body(body),
            Self::Update(head) => head.with_body(body),
        }
    }
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
    let authorization = asks(&config.auth).then(|| (head.header)("authorization")).flatten();
    let principal = authenticate(&config.auth, target.host, authorization.as_deref(), head.now)?;
    let named = target.parameter("accountId").map(account).transpose()?;
    let about = |command| Ok(Asked::Command(principal.account(named.clone())?, command));
    match route {
        Route::Health => Ok(Asked::Health),
        Route::Query => {
            QueryHead::parse(head, config, principal, named).map(|head| Asked::WithBody(Pending::Query(head)))
        }
        Route::ListConversations => about(list(&target)?),
        Route::ReadConversation(session_id) => {
            let before = target.parameter("before").map(|id| message_number(&id)).transpose()?;
            about(Command::ReadConversation { session_id, before })
        }
        Route::UpdateConversation(session_id) => {
            UpdateHead::parse(head, principal, named, session_id).map(|head| Asked::WithBody(Pending::Update(head)))
        }
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
        Route::StorageStats => about(Command::StorageStats),
        Route::Purge => about(Command::Purge),
        Route::StartPurgeRun => principal.operator().map(|()| Asked::StartPurgeRun),
        Route::ListPurgeRuns => principal.operator().map(|()| Asked::ListPurgeRuns),
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
        Some(text) => {
            cursor::decode(&text).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))?
        }
        None => Page { after: None, skip: number("offset", 0, 0..=u32::MAX, "a number from 0")? },
    };
    let words = target.parameter("q").map(Words::try_from).transpose();
    let words = words.map_err(|rule| ApiError::parameter("q", &rule.to_string()))?;
    Ok(Command::ListConversations { limit, page, words })
}

/// The number in a message's id.
fn message_number(id: &str) -> Result<i64, ApiError> {
    let digits = id.strip_prefix("msg_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ApiError::parameter("before", "the id of a message, msg_<number>"))
}

/// Refuses a body that does not say that it is JSON.
pub(super) fn need_json(head: &Head<'_>) -> Result<(), ApiError> {
    let content_type = (head.header)("content-type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(Code::UnsupportedMediaType, "Send the body with `Content-Type: application/json`."))
}

/// The JSON object that a body is.
pub(super) fn json_object(body: &[u8]) -> Result<Value, ApiError> {
    let invalid = |detail: String| ApiError::new(Code::InvalidJson, detail);
    let text = std::str::from_utf8(body).map_err(|_| invalid("The body is not UTF-8.".to_owned()))?;
    let value: Value = serde_json::from_str(text).map_err(|e| invalid(format!("The body is not JSON: {e}.")))?;
    if value.is_object() { Ok(value) } else { Err(invalid("The body must be a JSON object.".to_owned())) }
}

/// The account that a request names in its body, in its URL, in both alike, or not at all.
pub(super) fn named_account(in_body: Option<Value>, in_url: Option<AccountId>) -> Result<Option<AccountId>, ApiError> {
    let invalid = |e: ApiError| ApiError::new(Code::InvalidAccount, e.detail);
    let in_body = text_field("accountId", in_body).map_err(invalid)?.map(account).transpose()?;
    match (in_body, in_url) {
        (Some(a), Some(b)) if a != b => {
            Err(ApiError::new(Code::InvalidAccount, "accountId differs between the body and the URL."))
        }
        (a, b) => Ok(a.or(b)),
    }
}

/// A field that is a text, null or absent.
pub(super) fn text_field(name: &str, value: Option<Value>) -> Result<Option<String>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ApiError::parameter(name, "a string")),
    }
}
