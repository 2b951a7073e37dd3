//! A request, parsed once: whom it speaks for, which account it is about, and the command that it is.
//! What has a body is parsed in two steps: `start_turn`, `update` and `bodiless` read theirs.

use std::ops::RangeInclusive;

use super::answer_form::{Preference, idempotency_key};
use super::auth::permit;
use super::bodiless::BodilessHead;
pub use super::body::Head;
use super::body::account;
use super::chat::request as chat;
use super::files::{self, Conditions, FilesRequest};
use super::include;
use super::on_conversation::OnConversation;
use super::problem::{ApiError, Code};
use super::query::Target;
use super::route::{Found, Route};
use super::schedules::{self, ScheduleHead};
use super::start_turn::QueryHead;
use super::update::UpdateHead;
use super::webhooks::{self, WebhookHead};
use super::{console, cursor};
use crate::account::chat::command::ChatCommand;
use crate::account::command::Command;
use crate::account::files::command::FilesCommand;
use crate::account::schedules::command::SchedulesCommand;
use crate::account::webhooks::command::WebhooksCommand;
use crate::config::Config;
use crate::domain::{AccountId, Page, ResourceName, SearchTerms, SessionId, TurnId, WebhookEventId};

pub(super) const DEFAULT_LIMIT: u32 = 50;
pub(super) const MAX_LIMIT: u32 = 200;
pub(super) const DEFAULT_TURNS: u32 = 20;
pub(super) const MAX_TURNS: u32 = 100;

/// What a request asks for.
#[derive(Debug)]
pub enum Asked {
    /// `GET /health`.
    Health,
    /// `GET /` of a browser: the way to the console.
    Console,
    /// `OPTIONS` on a path with these methods.
    Options(&'static str),
    /// A command to an account's object.
    Command(AccountId, Command),
    /// The files of a conversation, whose bytes the Worker reads or writes itself.
    Files(AccountId, SessionId, FilesRequest),
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
    /// `POST /chat`.
    Chat(QueryHead),
    /// `PATCH /conversations/{id}`.
    Update(UpdateHead),
    /// What changes something and needs no body, or may do without.
    Bodiless(BodilessHead),
    /// `PUT /webhooks/{name}`.
    Webhook(WebhookHead),
    /// `PUT /schedules/{name}`.
    Schedule(ScheduleHead),
}

impl Pending {
    /// Parses the body, none being one that is longer than it may be, and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        match self {
            Self::Query(head) => head.with_body(body),
            Self::Chat(head) => chat::with_body(head, body),
            Self::Update(head) => head.with_body(body),
            Self::Bodiless(head) => head.with_body(body),
            Self::Webhook(head) => head.with_body(body),
            Self::Schedule(head) => head.with_body(body),
        }
    }
}

/// Parses what can be parsed without the body.
///
/// # Errors
/// The refusals of the contract.
#[expect(clippy::too_many_lines, reason = "one arm for each route")]
pub fn parse(head: &Head<'_>, config: &Config) -> Result<Asked, ApiError> {
    let target = Target::of(head.url);
    if head.method == "OPTIONS" {
        return Route::allow(target.path).map(Asked::Options);
    }
    if console::is_asked(head, target.path) {
        return Ok(Asked::Console);
    }
    let Found { access, route } = Route::find(head.method, target.path)?;
    let principal = permit(access, &config.auth, target.host, head.header, head.now)?;
    let route = route?;
    let named = target.parameter("accountId");
    let named = named.map_err(|e| ApiError::new(Code::InvalidAccount, format!("accountId: {}", e.rule())))?;
    let named = named.map(account).transpose()?;
    let about = |command| Ok(Asked::Command(principal.account(named.clone())?, command));
    let about_files = |session_id, request| Ok(Asked::Files(principal.account(named.clone())?, session_id, request));
    let bodiless = |command| {
        let head = BodilessHead::parse(head, principal.clone(), named.clone(), command);
        Ok(Asked::WithBody(Pending::Bodiless(head)))
    };
    let action = |action| {
        let head = BodilessHead::on_conversation(head, principal.clone(), named.clone(), action);
        Ok(Asked::WithBody(Pending::Bodiless(head)))
    };
    match route {
        Route::Health => Ok(Asked::Health),
        Route::Query => {
            QueryHead::parse(head, config, principal, named).map(|head| Asked::WithBody(Pending::Query(head)))
        }
        Route::Chat => {
            QueryHead::parse(head, config, principal, named).map(|head| Asked::WithBody(Pending::Chat(head)))
        }
        Route::FollowChat(session_id) => about(Command::Chat(ChatCommand::Follow(session_id))),
        Route::ReadChat(session_id) => about(Command::Chat(ChatCommand::Read(session_id))),
        Route::ListConversations => about(list(&target)?),
        Route::ReadConversation(session_id) => {
            let before = parameter(&target, "before")?.map(|id| message_number(&id)).transpose()?;
            about(Command::ReadConversation {
                session_id,
                before,
                items: include::of_document(parameter(&target, "include")?.as_deref())?,
            })
        }
        Route::UpdateConversation(session_id) => {
            UpdateHead::parse(head, principal, named, session_id).map(|head| Asked::WithBody(Pending::Update(head)))
        }
        Route::DeleteConversation(session_id) => bodiless(Command::DeleteConversation { session_id }),
        Route::CancelConversation(session_id) => action(OnConversation::Cancel(session_id)),
        Route::ForkConversation(session_id) => action(OnConversation::Fork(session_id)),
        Route::RewindConversation(session_id) => action(OnConversation::Rewind(session_id)),
        Route::CompactConversation(session_id) => {
            if config.credential.is_none() {
                return Err(ApiError::token_not_set());
            }
            action(OnConversation::Compact(session_id, Preference::of(head), idempotency_key(head)?))
        }
        Route::ReadContext(session_id) => about(Command::ReadContext { session_id }),
        Route::FollowConversation(session_id) => {
            let last = (head.header)("last-event-id").filter(|id| !id.is_empty());
            let last_event_id = last
                .map(|id| id.parse().map_err(|e| ApiError::parameter("Last-Event-ID", &format!("{e}"))))
                .transpose()?;
            let include = include::of_stream(parameter(&target, "include")?)?;
            about(Command::FollowConversation { session_id, last_event_id, include })
        }
        Route::FollowAccount => about(Command::FollowAccount),
        Route::ListTurns(session_id) => {
            let before = parameter(&target, "before")?.map(TurnId::try_from).transpose();
            let before = before.map_err(|rule| ApiError::parameter("before", &rule.to_string()))?;
            let limit = number(&target, "limit", DEFAULT_TURNS, 1..=MAX_TURNS, "a number from 1 to 100")?;
            about(Command::ListTurns { session_id, before, limit })
        }
        Route::ListFiles(session_id) => about_files(session_id, FilesRequest::list(head, &target)?),
        Route::ReadFile(session_id, path) => {
            about_files(session_id, FilesRequest::Read { path, conditions: Conditions::parse(head) })
        }
        Route::UploadFile(session_id, path) => about_files(session_id, FilesRequest::upload(head, path)?),
        Route::DeleteFiles(session_id, target) => {
            let ask = FilesCommand::Delete { target, precondition: files::precondition(head)? };
            bodiless(Command::Files { session_id, ask })
        }
        Route::ReadTurn(turn_id) => about(Command::ReadTurn {
            turn_id,
            items: include::of_document(parameter(&target, "include")?.as_deref())?,
        }),
        Route::Prewarm => bodiless(Command::Prewarm),
        Route::StorageStats => about(Command::StorageStats),
        Route::Purge => bodiless(Command::Purge),
        Route::ListWebhooks => about(Command::Webhooks(WebhooksCommand::List)),
        Route::ReadWebhook(name) => about(Command::Webhooks(WebhooksCommand::Read { name })),
        Route::SetWebhook(name) => {
            let head = WebhookHead::parse(head, config, principal, named, name)?;
            Ok(Asked::WithBody(Pending::Webhook(head)))
        }
        Route::DeleteWebhook(name) => bodiless(Command::Webhooks(WebhooksCommand::Delete { name })),
        Route::TestWebhook(name) => {
            bodiless(Command::Webhooks(WebhooksCommand::Test { name: webhooks::visible(&principal, name)? }))
        }
        Route::ListDeliveries(name) => about(deliveries(&target, webhooks::visible(&principal, name)?)?),
        Route::Redeliver(name, event_id) => {
            let name = webhooks::visible(&principal, name)?;
            bodiless(Command::Webhooks(WebhooksCommand::Redeliver { name, event_id }))
        }
        Route::ListSchedules => about(Command::Schedules(SchedulesCommand::List)),
        Route::ReadSchedule(name) => about(Command::Schedules(SchedulesCommand::Read(name))),
        Route::SetSchedule(name) => {
            let head = ScheduleHead::parse(head, config, principal, named, name)?;
            Ok(Asked::WithBody(Pending::Schedule(head)))
        }
        Route::DeleteSchedule(name) => bodiless(Command::Schedules(SchedulesCommand::Delete(name))),
        Route::RunSchedule(name) => bodiless(Command::Schedules(SchedulesCommand::Run(name))),
        Route::ListRuns(name) => about(runs(&target, name)?),
        Route::StartPurgeRun => Ok(Asked::StartPurgeRun),
        Route::ListPurgeRuns => Ok(Asked::ListPurgeRuns),
    }
}

/// A parameter of the URL.
fn parameter(target: &Target<'_>, name: &str) -> Result<Option<String>, ApiError> {
    target.parameter(name).map_err(|e| ApiError::parameter(name, e.rule()))
}

/// A parameter of the URL that is a number.
fn number(
    target: &Target<'_>,
    name: &str,
    default: u32,
    range: RangeInclusive<u32>,
    rule: &str,
) -> Result<u32, ApiError> {
    parameter(target, name)?.map_or(Ok(default), |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse().ok().filter(|number| digits && range.contains(number));
        parsed.ok_or_else(|| ApiError::parameter(name, rule))
    })
}

fn list(target: &Target<'_>) -> Result<Command, ApiError> {
    let limit = number(target, "limit", DEFAULT_LIMIT, 1..=MAX_LIMIT, "a number from 1 to 200")?;
    // Clients that are made from a description send the defaults as well.
    let skip = number(target, "offset", 0, 0..=u32::MAX, "a number from 0")?;
    let page = match parameter(target, "cursor")? {
        Some(_) if skip > 0 => {
            return Err(ApiError::parameter("cursor", "not together with offset"));
        }
        Some(text) => {
            cursor::decode(&text).ok_or_else(|| ApiError::parameter("cursor", "one that a Link header gave"))?
        }
        None => Page { after: None, skip },
    };
    let words = parameter(target, "q")?.map(SearchTerms::try_from).transpose();
    let words = words.map_err(|rule| ApiError::parameter("q", &rule.to_string()))?;
    Ok(Command::ListConversations { limit, page, words })
}

fn deliveries(target: &Target<'_>, name: ResourceName) -> Result<Command, ApiError> {
    let before = parameter(target, "before")?.map(WebhookEventId::try_from).transpose();
    let before = before.map_err(|rule| ApiError::parameter("before", &rule.to_string()))?;
    let most = webhooks::MAX_DELIVERIES;
    let limit = number(target, "limit", webhooks::DEFAULT_DELIVERIES, 1..=most, "a number from 1 to 200")?;
    Ok(Command::Webhooks(WebhooksCommand::Deliveries { name, before, limit }))
}

fn runs(target: &Target<'_>, name: ResourceName) -> Result<Command, ApiError> {
    let most = schedules::MAX_RUNS;
    let limit = number(target, "limit", schedules::DEFAULT_RUNS, 1..=most, "a number from 1 to 100")?;
    Ok(Command::Schedules(SchedulesCommand::Runs(name, limit)))
}

/// The number in a message's id.
fn message_number(id: &str) -> Result<i64, ApiError> {
    let digits = id.strip_prefix("msg_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ApiError::parameter("before", "the id of a message, msg_<number>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Millis;

    #[test]
    fn whoever_asks_for_the_methods_of_a_path_needs_no_key() {
        let allow = |path| match asked("OPTIONS", path, &[])? {
            Asked::Options(allow) => Ok(allow),
            other => panic!("{other:?}"),
        };
        assert_eq!(allow("/query?accountId=%ff"), Ok("POST, OPTIONS"));
        assert_eq!(allow("/conversations/-a"), Ok("GET, HEAD, PATCH, DELETE, OPTIONS"));
        assert_eq!(code(allow("/nowhere")), Code::NotFound);
    }

    const KEY: &str = "0123456789abcdef01234567";

    /// What a request with these headers asks for, where `KEY` lets in.
    fn asked(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<Asked, ApiError> {
        let config = Config::parse(|name| (name == "API_KEYS").then(|| KEY.to_owned())).unwrap();
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let url = format!("https://a.example{target}");
        parse(&Head { method, url: &url, header: &header, now: Millis::new(0) }, &config)
    }

    /// The account and the command of a request with a key and this body.
    fn sent(method: &str, target: &str, body: &str) -> Result<(String, Command), ApiError> {
        let authorization = format!("Bearer {KEY}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let (account_id, command) = match asked(method, target, &headers)? {
            Asked::Command(account_id, command) => (account_id, command),
            Asked::WithBody(pending) => pending.with_body(Some(body.as_bytes()))?,
            other => panic!("{other:?}"),
        };
        Ok((account_id.as_str().to_owned(), command))
    }

    fn code(refused: Result<impl std::fmt::Debug, ApiError>) -> Code {
        refused.unwrap_err().code
    }

    /// What acts on an account and needs no body.
    const BODILESS: [(&str, &str); 4] =
        [("POST", "/purge"), ("POST", "/prewarm"), ("DELETE", "/conversations/a"), ("POST", "/conversations/a/cancel")];

    #[test]
    fn the_account_that_a_body_names_counts_where_no_body_is_needed() {
        for (method, path) in BODILESS {
            assert_eq!(sent(method, path, "").unwrap().0, "default", "{path}");
            assert_eq!(sent(method, path, r#"{"accountId":"other","reason":"mine"}"#).unwrap().0, "other", "{path}");
            assert_eq!(sent(method, &format!("{path}?accountId=other"), "{}").unwrap().0, "other", "{path}");
            let both = format!("{path}?accountId=one");
            assert_eq!(code(sent(method, &both, r#"{"accountId":"other"}"#)), Code::InvalidAccount, "{path}");
            assert_eq!(code(sent(method, path, r#"{"accountId":"#)), Code::InvalidJson, "{path}");
            assert_eq!(code(sent(method, path, r#"{"accountId":7}"#)), Code::InvalidAccount, "{path}");
        }
    }

    #[test]
    fn a_body_that_is_not_needed_has_its_type_and_its_bound_as_any_other() {
        let authorization = format!("Bearer {KEY}");
        let pending = |method, path| match asked(method, path, &[("authorization", authorization.as_str())]) {
            Ok(Asked::WithBody(pending)) => pending,
            other => panic!("{other:?}"),
        };
        for (method, path) in BODILESS {
            assert!(pending(method, path).with_body(Some(b"")).is_ok(), "{path}");
            assert_eq!(
                code(pending(method, path).with_body(Some(b"accountId=b"))),
                Code::UnsupportedMediaType,
                "{path}"
            );
            assert_eq!(code(pending(method, path).with_body(None)), Code::BodyTooLarge, "{path}");
            let long = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
            assert_eq!(code(sent(method, path, &long)), Code::BodyTooLarge, "{path}");
        }
    }

    #[test]
    fn a_body_under_a_coding_is_refused() {
        let authorization = format!("Bearer {KEY}");
        let change = |coding| {
            let headers = [
                ("authorization", authorization.as_str()),
                ("content-type", "application/json"),
                ("content-encoding", coding),
            ];
            asked("PATCH", "/conversations/a", &headers)
        };
        for coding in ["gzip", "br", "identity, gzip"] {
            assert_eq!(code(change(coding)), Code::UnsupportedMediaType, "{coding}");
        }
        for coding in ["", "identity", "Identity"] {
            assert!(change(coding).is_ok(), "{coding}");
        }
    }

    #[test]
    fn whoever_may_not_ask_hears_that_first_and_not_what_is_wrong_with_a_conversations_id() {
        for (method, path) in
            [("GET", "/conversations/-a"), ("DELETE", "/conversations/-a"), ("POST", "/conversations/-a/cancel")]
        {
            assert_eq!(code(asked(method, path, &[])), Code::Unauthorized, "{method} {path}");
            assert_eq!(code(sent(method, path, "")), Code::InvalidSessionId, "{method} {path}");
        }
        assert_eq!(code(asked("GET", "/nowhere", &[])), Code::NotFound);
        assert_eq!(code(asked("PUT", "/purge", &[])), Code::MethodNotAllowed);
    }

    #[test]
    fn a_cursor_does_not_go_with_an_offset_but_with_its_default() {
        let page = |parameters: &str| match sent("GET", &format!("/conversations?{parameters}"), "")?.1 {
            Command::ListConversations { page, .. } => Ok::<Page, ApiError>(page),
            other => panic!("{other:?}"),
        };
        assert_eq!(page("cursor=1.a&offset=0").unwrap(), page("cursor=1.a").unwrap());
        assert_eq!(page("cursor=1.a&offset=1").unwrap_err().detail, "cursor: not together with offset");
        assert_eq!(code(page("cursor=1.a&offset=x")), Code::InvalidParameter);
        assert_eq!(page("offset=7").unwrap().skip, 7);
    }

    #[test]
    fn a_parameter_that_is_there_twice_is_refused_whichever_it_is() {
        for twice in ["limit=1&limit=999", "offset=0&offset=1", "q=a&q=b", "cursor=1.a&cursor=1.a", "limit=1&l%69mit=2"]
        {
            let refused = sent("GET", &format!("/conversations?{twice}"), "").unwrap_err();
            assert_eq!(refused.code, Code::InvalidParameter, "{twice}");
            assert!(refused.detail.ends_with("given once"), "{twice}: {}", refused.detail);
        }
        let before = sent("GET", "/conversations/a?before=msg_1&before=msg_2", "").unwrap_err();
        assert_eq!(before.detail, "before: given once");
        assert_eq!(code(sent("GET", "/conversations?accountId=a&accountId=b", "")), Code::InvalidAccount);
    }
}
