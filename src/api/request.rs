//! A request, parsed once: whom it speaks for, which account it is about, and the command that it is.
//! What has a body is parsed in two steps: `start_turn`, `update` and `bodiless` read theirs.

use super::accounts::{self, Audited, ChangeHead, OperatorAsks};
use super::actions::{self, DecisionHead};
use super::answer_form::{Preference, idempotency_key};
use super::auth::{Principal, actor, permit};
use super::bodiless::BodilessHead;
pub use super::body::Head;
use super::body::account;
use super::chat::request as chat;
use super::files::{self, Conditions, FilesRequest};
use super::include;
use super::on_conversation::OnConversation;
use super::parameters::{number, parameter};
use super::problem::{ApiError, Code};
use super::query::Target;
use super::route::{Found, Route};
use super::schedules::{self, ScheduleHead};
use super::start_turn::QueryHead;
use super::tokens::TokenHead;
use super::update::UpdateHead;
use super::usage;
use super::webhooks::{self, WebhookHead};
use super::{console, cursor};
use crate::account::chat::command::ChatCommand;
use crate::account::command::Command;
use crate::account::files::command::FilesCommand;
use crate::account::manage::command::ManageCommand;
use crate::account::schedules::command::SchedulesCommand;
use crate::account::webhooks::command::WebhooksCommand;
use crate::config::Config;
use crate::domain::audit::AuditAction;
use crate::domain::trace::TraceParent;
use crate::domain::transfer::ExportPlace;
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
    /// The same, and what is written into the audit if its body is no reason to refuse it.
    AuditedBody(Pending, Audited),
    /// A change that is written into the audit before.
    Audited(Audited, Box<Asked>),
    /// `POST /tokens`, by the operator, and what of it is written into the audit but for the account, which the body names.
    Token(TokenHead, Audited),
    /// What is asked of the directory.
    Operator(OperatorAsks),
    /// `GET /export`, and where it begins.
    Export(AccountId, Option<ExportPlace>),
    /// `POST /import`, whether an operator asks, and whether an earlier one goes on.
    Import(AccountId, (bool, bool)),
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
    /// `PATCH /accounts/{id}`.
    Change(ChangeHead),
    /// `PUT /webhooks/{name}`.
    Webhook(WebhookHead),
    /// `PUT /schedules/{name}`.
    Schedule(ScheduleHead),
    /// `POST /actions/{id}`.
    Decision(DecisionHead),
}

impl Pending {
    /// Parses the body, none being one that is longer than it may be, and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        match self {
            Self::Query(mut head) => traced(head.traceparent.take(), head.with_body(body)),
            Self::Chat(mut head) => traced(head.traceparent.take(), chat::with_body(head, body)),
            Self::Update(head) => head.with_body(body),
            Self::Bodiless(head) => head.with_body(body),
            Self::Change(head) => head.with_body(body),
            Self::Webhook(head) => head.with_body(body),
            Self::Schedule(head) => head.with_body(body),
            Self::Decision(head) => head.with_body(body),
        }
    }
}

/// The turn that is asked for, with its trace: it decides nothing of what makes two requests the same.
fn traced(
    trace: Option<TraceParent>,
    asked: Result<(AccountId, Command), ApiError>,
) -> Result<(AccountId, Command), ApiError> {
    let (account_id, mut command) = asked?;
    if let Command::StartTurn(start) = &mut command {
        start.options.traceparent = trace;
    }
    Ok((account_id, command))
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
        Route::ListActions => {
            let (default, most) = (actions::DEFAULT_LIMIT, actions::MAX_LIMIT);
            let limit = number(&target, "limit", default, 1..=most, "a number from 1 to 200")?;
            about(actions::list(&target, limit)?)
        }
        Route::ReadAction(action_id) => about(Command::ReadAction { action_id }),
        Route::DecideAction(action_id) => {
            let head = DecisionHead::parse(head, principal, named, action_id)?;
            Ok(Asked::WithBody(Pending::Decision(head)))
        }
        Route::FollowAccount => about(Command::FollowAccount),
        Route::ListTurns(session_id) => {
            let before = turn_id(&target, "before")?;
            let limit = number(&target, "limit", DEFAULT_TURNS, 1..=MAX_TURNS, "a number from 1 to 100")?;
            about(Command::ListTurns { session_id, before, limit })
        }
        Route::ListFiles(session_id) => about_files(session_id, FilesRequest::list(head, &target)?),
        Route::ReadFile(session_id, path) => {
            let at = turn_id(&target, "at")?;
            about_files(session_id, FilesRequest::Read { path, at, conditions: Conditions::parse(head) })
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
        Route::ReadUsage => about(Command::Manage(usage::parse(head, &target)?)),
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
        of_operators => operators_ask(of_operators, head, &target, &principal, named, config),
    }
}

/// A parameter that is true or false; false if it is absent.
fn flag(target: &Target<'_>, name: &'static str) -> Result<bool, ApiError> {
    match parameter(target, name)?.as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(ApiError::parameter(name, "true or false")),
    }
}

/// What a request of an operator asks for, or one to erase an account.
fn operators_ask(
    route: Route,
    head: &Head<'_>,
    target: &Target<'_>,
    principal: &Principal,
    named: Option<AccountId>,
    config: &Config,
) -> Result<Asked, ApiError> {
    let audit = |action, target| Audited { actor: actor(principal, &config.auth, head.header), action, target };
    let audited = |action, target, asked| Ok(Asked::Audited(audit(action, target), Box::new(asked)));
    match route {
        Route::ReadFleet => Ok(Asked::Operator(OperatorAsks::Fleet)),
        Route::ListAudit => accounts::audit(target).map(Asked::Operator),
        Route::MakeToken => Ok(Asked::Token(TokenHead::parse(head, config)?, audit(AuditAction::MakeToken, None))),
        Route::ListAccounts => accounts::list(target).map(Asked::Operator),
        Route::ListAccountsUsage => accounts::usage(target, head.now).map(Asked::Operator),
        Route::ReadAccount(account_id) => Ok(Asked::Command(account_id, Command::Manage(ManageCommand::Overview))),
        Route::ChangeAccount(account_id) => {
            let change = Pending::Change(ChangeHead::parse(head, account_id.clone())?);
            Ok(Asked::AuditedBody(change, audit(AuditAction::ChangeAccount, Some(account_id))))
        }
        Route::EraseAccount(account_id) => {
            let keep_account = flag(target, "keep_account")?;
            let erase = OperatorAsks::Erase { account_id: account_id.clone(), keep_account, by_itself: false };
            audited(AuditAction::EraseAccount, Some(account_id), Asked::Operator(erase))
        }
        Route::Export => {
            let after = parameter(target, "cursor")?.map(SessionId::try_from).transpose();
            let after = after.map_err(|_| ApiError::parameter("cursor", "the session_id of an `end` line"))?;
            let files = match parameter(target, "files")?.as_deref() {
                None | Some("list") => false,
                Some("inline") => true,
                Some(_) => return Err(ApiError::parameter("files", "list or inline")),
            };
            let after = after.map(String::from).unwrap_or_default();
            let place = Some(ExportPlace { after, files, ..ExportPlace::default() });
            Ok(Asked::Export(principal.account(named)?, place))
        }
        Route::Import => {
            let account_id = principal.account(named)?;
            let import =
                Asked::Import(account_id.clone(), (*principal == Principal::Operator, flag(target, "resume")?));
            audited(AuditAction::ImportAccount, Some(account_id), import)
        }
        Route::EraseOwnAccount => {
            // A key speaks for any account: what it erases is never the one that goes without saying.
            if named.is_none() && *principal == Principal::Operator {
                return Err(ApiError::new(Code::InvalidAccount, "accountId: name the account to erase in the URL"));
            }
            let by_itself = *principal != Principal::Operator;
            let account_id = principal.account(named)?;
            let erase = OperatorAsks::Erase { account_id: account_id.clone(), keep_account: true, by_itself };
            audited(AuditAction::EraseAccount, Some(account_id), Asked::Operator(erase))
        }
        Route::ReadErasure(erasure_id) => {
            // Whoever began the erasure has its id, which nobody guesses, and the receipt names no account.
            principal.account(named)?;
            Ok(Asked::Operator(OperatorAsks::ReadErasure(erasure_id)))
        }
        Route::StartPurgeRun => audited(AuditAction::StartPurgeRun, None, Asked::StartPurgeRun),
        Route::ListPurgeRuns => Ok(Asked::ListPurgeRuns),
        // The others are not operators'.
        _ => Err(ApiError::not_found()),
    }
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

/// The turn that a parameter names.
fn turn_id(target: &Target<'_>, name: &'static str) -> Result<Option<TurnId>, ApiError> {
    let named = parameter(target, name)?.map(TurnId::try_from).transpose();
    named.map_err(|rule| ApiError::parameter(name, &rule.to_string()))
}

/// The number in a message's id.
fn message_number(id: &str) -> Result<i64, ApiError> {
    let digits = id.strip_prefix("msg_").filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    let number = digits.and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| ApiError::parameter("before", "the id of a message, msg_<number>"))
}

#[cfg(test)]
mod tests;
