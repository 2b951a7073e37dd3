//! A request, parsed once: whom it speaks for, which account it is about, and the command that it is.
//! What has a body is parsed in two steps: `start_turn` and `update` read theirs.

use super::auth::authenticate;
pub use super::body::Head;
use super::body::account;
use super::cursor;
use super::query::Target;
use super::route::Route;
use super::start_turn::QueryHead;
use super::update::UpdateHead;
use crate::account::command::Command;
use crate::config::Config;
use crate::domain::{AccountId, Words};
use crate::error::{ApiError, Code};
use crate::store::reads::Page;

const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

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
    let principal = authenticate(&config.auth, target.host, head.header, head.now)?;
    let named = target.only_parameter("accountId");
    let named = named.map_err(|e| ApiError::new(Code::InvalidAccount, format!("accountId: {}", e.rule())))?;
    let named = named.map(account).transpose()?;
    let about = |command| Ok(Asked::Command(principal.account(named.clone())?, command));
    match route {
        Route::Health => Ok(Asked::Health),
        Route::Query => {
            QueryHead::parse(head, config, principal, named).map(|head| Asked::WithBody(Pending::Query(head)))
        }
        Route::ListConversations => about(list(&target)?),
        Route::ReadConversation(session_id) => {
            let before = parameter(&target, "before")?.map(|id| message_number(&id)).transpose()?;
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
        Route::Prewarm => about(Command::Prewarm),
        Route::StorageStats => about(Command::StorageStats),
        Route::Purge => about(Command::Purge),
        Route::StartPurgeRun => principal.operator().map(|()| Asked::StartPurgeRun),
        Route::ListPurgeRuns => principal.operator().map(|()| Asked::ListPurgeRuns),
    }
}

/// A parameter of the URL.
fn parameter(target: &Target<'_>, name: &str) -> Result<Option<String>, ApiError> {
    target.parameter(name).map_err(|e| ApiError::parameter(name, e.rule()))
}

fn list(target: &Target<'_>) -> Result<Command, ApiError> {
    let number = |name: &str, default: u32, range: std::ops::RangeInclusive<u32>, rule: &str| {
        parameter(target, name)?.map_or(Ok(default), |text| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let parsed = text.parse().ok().filter(|number| digits && range.contains(number));
            parsed.ok_or_else(|| ApiError::parameter(name, rule))
        })
    };
    let limit = number("limit", DEFAULT_LIMIT, 1..=MAX_LIMIT, "a number from 1 to 200")?;
    let page = match parameter(target, "cursor")? {
        Some(_) if parameter(target, "offset")?.is_some() => {
            return Err(ApiError::parameter("cursor", "not together with offset"));
        }
        Some(text) => {
            cursor::decode(&text).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))?
        }
        None => Page { after: None, skip: number("offset", 0, 0..=u32::MAX, "a number from 0")? },
    };
    let words = parameter(target, "q")?.map(Words::try_from).transpose();
    let words = words.map_err(|rule| ApiError::parameter("q", &rule.to_string()))?;
    Ok(Command::ListConversations { limit, page, words })
}

/// The number in a message's id.
fn message_number(id: &str) -> Result<i64, ApiError> {
    let digits = id.strip_prefix("msg_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ApiError::parameter("before", "the id of a message, msg_<number>"))
}
