//! Replies into HTTP answers: statuses of success, headers and bodies. The fields are the public contract's.

use serde::Serialize;

use super::chat::chunks::Chunks;
use super::document::{
    AcceptedJson, ContextJson, ConversationJson, PrewarmingJson, PurgedJson, RunStartedJson, SuccessJson, TurnJson,
    outcome, requires_action,
};
use super::managed::Document;
use super::problem::{ApiError, Code};
use super::{actions, content, cursor, links, managed};
use crate::account::error::AccountError;
use crate::account::feed::Feed;
use crate::account::files::command::FilesReply;
use crate::account::reply::Reply;
use crate::account::turn::events::Subscription;
use crate::domain::{AccountId, ActionId, ActionStatus, RequestId, RunId, SessionId, Turn};

/// A body on its way out.
pub enum Body<J> {
    /// A JSON text.
    Text(String),
    /// A JSON text made by SQLite.
    Document(J),
    /// Server-sent events.
    Events(Subscription),
    /// Server-sent events of an account's feed.
    Feed(Feed),
    /// Chunks of the AI SDK.
    Chat(Chunks),
    /// None.
    Nothing,
}

/// An HTTP answer.
pub struct Answer<J> {
    /// Its status.
    pub status: u16,
    /// Its media type; empty if it has none.
    pub content_type: &'static str,
    /// Its headers besides `content-type`, and besides `cache-control`, `x-content-type-options` and `x-request-id`, which every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Body<J>,
}

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream";
/// The header that names the turn of a model's call to the gateway.
pub const TURN_HEADER: &str = "x-turn-id";
/// `Cache-Control` of every answer: each is of one account, or of one moment.
pub const CACHE_CONTROL: &str = "no-store";

impl<J> Answer<J> {
    pub(super) fn new(status: u16, content_type: &'static str, body: Body<J>) -> Self {
        Self { status, content_type, headers: Vec::new(), body }
    }

    /// An answer whose body is `value`.
    #[must_use]
    pub fn json(status: u16, value: &impl Serialize) -> Self {
        // What is serialised here are structs and maps with text keys: that does not fail.
        let text = serde_json::to_string(value).unwrap_or_default();
        Self::new(status, JSON, Body::Text(text))
    }

    /// An answer whose JSON is written already.
    #[must_use]
    pub fn written(json: String) -> Self {
        Self::new(200, JSON, Body::Text(json))
    }

    /// An answer of lines of JSON.
    #[must_use]
    pub fn lines(body: Body<J>) -> Self {
        Self::new(200, managed::NDJSON, body)
    }

    /// The answer that tells of a started purge run.
    #[must_use]
    pub fn run_started(run_id: &RunId) -> Self {
        Self::json(202, &RunStartedJson { run_id })
    }

    pub(super) fn success() -> Self {
        Self::json(200, &SuccessJson { success: true, cancelled: None })
    }

    /// An answer without a body.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(204, "", Body::Nothing)
    }

    /// The same with a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// A refusal as a problem document.
    #[must_use]
    pub fn refusal(error: &ApiError, request_id: &RequestId) -> Self {
        let mut answer = Self::json(error.code.status(), &error.problem(request_id));
        answer.content_type = "application/problem+json";
        if let Some(seconds) = error.retry_after_s {
            answer = answer.with("retry-after", seconds.to_string());
        }
        if let Some((policy, left)) = error.exceeded.as_ref().and_then(|exceeded| exceeded.rate_limit()) {
            answer = answer.with("ratelimit-policy", policy).with("ratelimit", left);
        } else if error.code == Code::RateLimited {
            // The binding tells neither its limit nor what is left of it.
            answer = answer.with("ratelimit", "\"queries\";r=0");
        }
        if let Some(allow) = error.allow {
            answer = answer.with("allow", allow);
        }
        if let Some(size) = error.file_size {
            answer = answer.with("content-range", format!("bytes */{size}"));
        }
        if error.code == Code::Unauthorized {
            answer = answer.with("www-authenticate", "Bearer");
        }
        answer
    }

    /// The answer that carries a reply.
    #[must_use]
    pub fn of(reply: Reply<J>, account_id: &AccountId, request_id: &RequestId) -> Self {
        match reply {
            Reply::Document(json) => Self::new(200, JSON, Body::Document(json)),
            Reply::Listing { json, limit, words, next } => {
                let answer = Self::new(200, JSON, Body::Document(json));
                match next.as_ref().and_then(cursor::encode) {
                    Some(cursor) => answer.with("link", links::next(account_id, limit, words.as_ref(), &cursor)),
                    None => answer,
                }
            }
            Reply::Conversation { conversation, messages, items } => {
                let body = ConversationJson::of(account_id, &conversation, Some(&messages), items.as_ref());
                let answer = Self::json(200, &body);
                match messages.messages.first().filter(|_| messages.older) {
                    Some(first) => answer.with("link", links::prev(account_id, &conversation.session_id, first.seq)),
                    None => answer,
                }
            }
            Reply::Updated(conversation) => {
                Self::json(200, &ConversationJson::of(account_id, &conversation, None, None))
            }
            Reply::Forked(conversation) => {
                Self::json(201, &ConversationJson::of(account_id, &conversation, None, None))
                    .with("location", links::conversation(&conversation.session_id))
            }
            Reply::Context(context) => Self::json(200, &ContextJson::of(context)),
            Reply::Turn(turn) => Self::json(200, &TurnJson::of(&turn)),
            Reply::TurnWithItems { turn, items } => Self::json(200, &TurnJson::with_items(&turn, &items)),
            Reply::Feed(feed) => Self::new(200, EVENT_STREAM, Body::Feed(feed)),
            Reply::Turns { turns, session_id, limit, older } => {
                let answer = Self::json(200, &turns.iter().map(TurnJson::of).collect::<Vec<_>>());
                match turns.last().filter(|_| older) {
                    Some(last) => {
                        answer.with("link", links::older_turns(account_id, &session_id, limit, &last.turn_id))
                    }
                    None => answer,
                }
            }
            Reply::Answer { turn, replayed } => {
                let answer = match outcome(&turn) {
                    Ok(done) => Self::json(200, &done),
                    Err(error) => Self::refusal(&error, request_id),
                };
                answer.of_turn(&turn, replayed)
            }
            Reply::RequiresAction { turn, actions, replayed } => {
                Self::json(200, &requires_action(&turn, &actions)).of_turn(&turn, replayed)
            }
            Reply::Action(action) => Self::json(200, &action),
            Reply::Actions { actions, of, limit, more } => {
                let answer = Self::json(200, &actions);
                match actions.last().filter(|_| more) {
                    Some(last) => {
                        answer.with("link", links::next_actions(account_id, &of, limit, &actions::cursor_of(last)))
                    }
                    None => answer,
                }
            }
            Reply::Accepted { turn, replayed } => {
                let (turn_id, session_id, status) = (&turn.turn_id, &turn.session_id, turn.status);
                let accepted = AcceptedJson { turn_id, session_id, status };
                Self::json(202, &accepted)
                    .with("location", format!("/turns/{turn_id}"))
                    .with("preference-applied", "respond-async")
                    .of_turn(&turn, replayed)
            }
            Reply::Events { subscription, replayed } => {
                let answer = Self::new(200, EVENT_STREAM, Body::Events(subscription));
                if replayed { answer.with("idempotent-replayed", "true") } else { answer }
            }
            // What ends an `EventSource`, which would ask again for ever.
            Reply::NothingFollows => Self::empty(),
            // The others are for the Worker, which makes the response of them.
            Reply::Files(reply) if *reply == FilesReply::Deleted => {
                Self::json(200, &SuccessJson { success: true, cancelled: None })
            }
            Reply::Files(reply) => Self::json(200, &reply),
            Reply::Purged(visit) => Self::json(200, &PurgedJson { deleted: visit.deleted, errors: visit.errors }),
            Reply::Visited(visit) => Self::json(200, &visit),
            Reply::Prewarming { started } => Self::json(202, &PrewarmingJson { prewarming: started }),
            Reply::CallBegun(turn_id) => {
                Self::new(200, JSON, Body::Text(String::new())).with(TURN_HEADER, turn_id.as_str())
            }
            Reply::Deleted | Reply::Noted => Self::success(),
            Reply::Webhooks(reply) => Self::of_webhooks(&reply, account_id),
            Reply::Schedules(reply) => Self::of_schedules(&reply),
            Reply::Chat(reply) => Self::of_chat(reply, request_id),
            Reply::Managed(reply) => {
                let Document { status, content_type, text, link } = managed::document(*reply, account_id);
                let answer = Self::new(status, content_type, Body::Text(text));
                match link {
                    Some(link) => answer.with("link", link),
                    None => answer,
                }
            }
            Reply::Cancelled(count) => Self::json(200, &SuccessJson { success: true, cancelled: Some(count) }),
        }
    }

    fn of_turn(self, turn: &Turn, replayed: bool) -> Self {
        let answer = if replayed { self.with("idempotent-replayed", "true") } else { self };
        match turn.timing() {
            Some(timing) => answer.with(
                "server-timing",
                format!("queue;dur={}, agent;dur={}, total;dur={}", timing.queue_ms, timing.agent_ms, timing.total_ms),
            ),
            None => answer,
        }
    }
}

impl From<&AccountError> for ApiError {
    fn from(error: &AccountError) -> Self {
        match error {
            AccountError::NotFound | AccountError::NoTurn => Self::not_found(),
            AccountError::QueueFull { depth } => Self::new(
                Code::QueueFull,
                format!("{depth} turns of this account are waiting already. Try again later."),
            ),
            AccountError::BudgetExhausted(exceeded) => {
                let name = exceeded.name.as_str();
                let detail = format!("This account has used up `{name}`. Try again after `resets_at`.");
                let retry_after_s = exceeded.retry_after_s;
                Self { exceeded: Some(Box::new(*exceeded)), retry_after_s, ..Self::new(Code::BudgetExhausted, detail) }
            }
            AccountError::StorageFull(exceeded) => {
                let detail =
                    "This account stores as much as it may (`storage_bytes`). Delete conversations or files first.";
                Self { exceeded: Some(Box::new(*exceeded)), ..Self::new(Code::AccountFull, detail) }
            }
            AccountError::TooManyCalls => {
                Self::new(Code::RateLimited, "As many calls of the model are open as a turn may have.")
            }
            AccountError::Suspended(reason) => Self::new(
                Code::AccountSuspended,
                reason.as_deref().unwrap_or("This account is suspended: it can only be read."),
            ),
            AccountError::TooManyWait => Self::new(
                Code::QueueFull,
                "Too many requests wait for this turn already. Ask GET /turns/{id} for its end, or try again later.",
            ),
            AccountError::ConversationBusy => Self::new(
                Code::ConversationBusy,
                "A turn of this conversation is queued or running. Wait for its end, or cancel it first.",
            ),
            AccountError::DecisionsTooLarge => Self::new(
                Code::BodyTooLarge,
                "The decisions for this turn may have at most 16 MiB together. Send a shorter result.",
            ),
            AccountError::NothingAsked => Self::new(
                Code::ConversationBusy,
                "This message is not waiting for an answer. Load the messages again with GET /chat/{session_id}/messages.",
            ),
            AccountError::ActionPending(ids) => {
                let ids: Vec<&str> = ids.iter().map(ActionId::as_str).collect();
                let detail = format!(
                    "The conversation's turn waits for a decision on {}. Decide it first, or cancel the turn.",
                    ids.join(", ")
                );
                Self::new(Code::ActionPending, detail)
            }
            AccountError::ActionResolved(action) => Self::new(
                Code::ActionResolved,
                match &action.decision {
                    Some(decision) if action.status == ActionStatus::Resolved => {
                        format!("This action was decided before: {}.", decision.word())
                    }
                    _ => format!("This action cannot be decided any more: it is {}.", action.status.as_str()),
                },
            ),
            AccountError::Attachments(error) => content::too_large(error),
            AccountError::KeyReused => Self::new(
                Code::IdempotencyKeyReused,
                "This Idempotency-Key was used for a different request. Use a new key for each request.",
            ),
            AccountError::Refused { parameter, rule } => Self::parameter(parameter, rule),
            AccountError::ConversationExists => {
                Self::new(Code::ConversationExists, "A conversation with this session_id is there already.")
            }
            AccountError::BadImport(why) => Self::new(Code::InvalidParameter, why.clone()),
            AccountError::ImportConflicts(ids) => {
                let ids: Vec<&str> = ids.iter().map(SessionId::as_str).collect();
                let detail = format!("{} conversations of the import already exist: {}", ids.len(), ids.join(" "));
                Self::new(Code::ConversationExists, detail)
            }
            AccountError::NoBranch(why) => Self::from(*why),
            AccountError::Metadata(rule) => Self::parameter("metadata", &rule.to_string()),
            AccountError::EndUnseen => Self::new(
                Code::Internal,
                "The service lost track of this turn, which is stored and continues. GET /conversations/{session_id}/turns shows how it ends.",
            ),
            AccountError::Files(refusal) => Self::from(*refusal),
            AccountError::Store(_) | AccountError::Bucket(_) => Self::internal(),
        }
    }
}

#[cfg(test)]
mod tests;
