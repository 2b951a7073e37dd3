//! The JSON documents of the contract that SQLite does not write. Their fields are public.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::problem::ApiError;
#[cfg(test)]
use super::problem::Problem;
use crate::account::reply::ItemsOfTurns;
use crate::domain::metadata::RESERVED_KEY;
use crate::domain::{
    AccountId, Action, ByModel, ContextUse, Conversation, Message, Messages, Millis, RawJson, RequestId, Role, RunId,
    SessionId, Turn, TurnFiles, TurnId, TurnStatus, TurnTrigger, Usage,
};

/// The answer to a query whose turn completed, or the refusal that its failure is.
///
/// # Errors
/// The failure, where it did not complete.
pub fn outcome(turn: &Turn) -> Result<DoneJson<'_>, ApiError> {
    if let Some(failure) = &turn.error {
        return Err(failure.into());
    }
    if turn.status != TurnStatus::Completed {
        return Err(ApiError::internal());
    }
    Ok(DoneJson::of(turn))
}

/// The answer to a query whose turn requires action.
#[must_use]
pub fn requires_action<'a>(turn: &'a Turn, actions: &'a [Action]) -> DoneJson<'a> {
    DoneJson { status: Some(turn.status), actions: Some(actions), ..DoneJson::of(turn) }
}

impl<'a> DoneJson<'a> {
    fn of(turn: &'a Turn) -> Self {
        Self {
            success: true,
            status: None,
            actions: None,
            response: turn.response.as_deref().unwrap_or_default(),
            session_id: &turn.session_id,
            turn_id: &turn.turn_id,
            model: turn.model.as_deref(),
            usage: UsageJson::of(turn.usage.unwrap_or_default(), turn),
            num_turns: turn.num_turns,
            duration_ms: turn.duration_ms,
            files: turn.files.as_ref(),
            beside: Beside::of(turn),
        }
    }
}

/// A purge run that was started.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "PurgeRunStarted"))]
pub(super) struct RunStartedJson<'a> {
    /// Names it in `GET /purge-runs`.
    pub(super) run_id: &'a RunId,
}

/// Whether a container is started ahead of a query.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Prewarming"))]
pub(super) struct PrewarmingJson {
    /// Whether this call started it; false if it runs or starts already.
    pub(super) prewarming: bool,
}

/// How full the model's context was at the end of a conversation's last turn, in tokens. What is not known is null.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ConversationContext"))]
pub(super) struct ContextJson {
    /// What the history takes, with all that goes to the model beside it.
    tokens: Option<u64>,
    /// What the model's context holds.
    limit: Option<u64>,
    /// Where the agent compacts the history by itself.
    auto_compact_at: Option<u64>,
}

impl ContextJson {
    pub(super) fn of(context: Option<ContextUse>) -> Self {
        context.map_or_else(Self::default, |ContextUse { tokens, limit, auto_compact_at }| Self {
            tokens: Some(tokens),
            limit: Some(limit),
            auto_compact_at,
        })
    }
}

/// What a purge of one account deleted.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "PurgeResult"))]
pub(super) struct PurgedJson {
    /// How many conversations it deleted.
    pub(super) deleted: u64,
    /// How many steps failed: a batch that was rolled back, a copy that the container kept, a listing of the bucket. The log says which.
    pub(super) errors: u64,
}

/// The result of a completed turn, or the state of a turn that requires action.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "TurnResult"))]
pub struct DoneJson<'a> {
    /// Always true: a turn that failed is a problem document.
    success: bool,
    /// `requires_action`, if the turn has not ended and waits for a decision; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnStatus"))]
    status: Option<TurnStatus>,
    /// What the turn waits for, the oldest first; absent if it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Vec<Action>"))]
    actions: Option<&'a [Action]>,
    /// The agent's answer; of a turn that requires action, what it has said so far.
    response: &'a str,
    /// The turn's conversation.
    session_id: &'a SessionId,
    /// The turn, for `GET /turns/{turn_id}`.
    turn_id: &'a TurnId,
    /// The model that answered.
    model: Option<&'a str>,
    /// What the turn used.
    usage: UsageJson<'a>,
    /// How many times the agent called the model.
    num_turns: Option<u32>,
    /// How long the agent worked, in milliseconds.
    duration_ms: Option<u64>,
    /// What became of its conversation's files; absent if there are none, or the deployment saves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnFiles"))]
    files: Option<&'a TurnFiles>,
    #[serde(flatten)]
    beside: Beside<'a>,
}

/// What a turn used, and what of it each model did if there was more than one.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "TurnUsage"))]
pub(super) struct UsageJson<'a> {
    /// Tokens sent, those from the cache left out.
    input_tokens: u64,
    /// Tokens received.
    output_tokens: u64,
    /// Tokens read from the prompt cache.
    cache_read_input_tokens: u64,
    /// Tokens written to the prompt cache.
    cache_creation_input_tokens: u64,
    /// US dollars, as the SDK reckons them.
    cost_usd: f64,
    /// The same by model, if there was more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "ByModel"))]
    by_model: Option<&'a ByModel>,
}

impl<'a> UsageJson<'a> {
    pub(super) fn of(usage: Usage, turn: &'a Turn) -> Self {
        let Usage { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd } =
            usage;
        let by_model = turn.by_model.as_ref();
        Self { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd, by_model }
    }
}

/// What a turn tells if there is anything.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Beside<'a> {
    /// The value that `response` is the JSON of, if the query had an `output_schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Value"))]
    output: Option<RawJson>,
    /// Why the model stopped, if not because it had said everything (`end_turn`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    stop_reason: Option<&'a str>,
    /// The caller's own notes about the turn.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, String>"))]
    metadata: &'a Map<String, Value>,
    /// The schedule whose run it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnTrigger"))]
    trigger: Option<&'a TurnTrigger>,
    /// The running turn that took this one's message in, and whose answer this one has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnId"))]
    steered_into: Option<&'a TurnId>,
}

impl<'a> Beside<'a> {
    fn of(turn: &'a Turn) -> Self {
        Self {
            output: turn.response.as_deref().filter(|_| turn.has_output).and_then(RawJson::parse),
            stop_reason: turn.stop_reason.as_deref(),
            metadata: &turn.metadata,
            trigger: turn.trigger.as_ref(),
            steered_into: turn.steered_into.as_ref(),
        }
    }
}

/// A turn in its current state.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Turn"))]
pub(super) struct TurnJson<'a> {
    /// Names it.
    turn_id: &'a TurnId,
    /// Its conversation.
    session_id: &'a SessionId,
    /// Where it stands.
    status: TurnStatus,
    /// When it was stored.
    created_at: Millis,
    /// When the container took it; null before.
    started_at: Option<Millis>,
    /// When it ended; null before.
    finished_at: Option<Millis>,
    /// The agent's answer, if it completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    response: Option<&'a str>,
    /// Why it did not complete, if it ended otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Problem<'static>"))]
    error: Option<OwnedProblem<'a>>,
    /// What it used, if it has ended and that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "UsageJson<'static>"))]
    usage: Option<UsageJson<'a>>,
    /// What became of its conversation's files; absent if there are none, or the deployment saves none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnFiles"))]
    files: Option<&'a TurnFiles>,
    #[serde(flatten)]
    beside: Beside<'a>,
    /// With `include=items`, what the turn did, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Vec<super::openapi::events::Item>"))]
    items: Option<RawJson>,
}

impl<'a> TurnJson<'a> {
    pub(super) fn of(turn: &'a Turn) -> Self {
        Self {
            turn_id: &turn.turn_id,
            session_id: &turn.session_id,
            status: turn.status,
            created_at: turn.created_at,
            started_at: turn.started_at,
            finished_at: turn.finished_at,
            response: turn.response.as_deref(),
            error: turn
                .error
                .as_ref()
                .map(|failure| OwnedProblem { error: failure.into(), request_id: &turn.request_id }),
            usage: turn.usage.map(|usage| UsageJson::of(usage, turn)),
            files: turn.files.as_ref(),
            beside: Beside::of(turn),
            items: None,
        }
    }

    /// The turn with what it did, a JSON array.
    pub(super) fn with_items(turn: &'a Turn, items: &str) -> Self {
        Self { items: RawJson::parse(items), ..Self::of(turn) }
    }
}

/// A turn as `GET /turns/{turn_id}` returns it.
#[must_use]
pub fn turn_json(turn: &Turn) -> String {
    // What is serialised here are structs: that does not fail.
    serde_json::to_string(&TurnJson::of(turn)).unwrap_or_default()
}

/// A problem document inside of another one.
struct OwnedProblem<'a> {
    error: ApiError,
    request_id: &'a RequestId,
}

impl Serialize for OwnedProblem<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.error.problem(self.request_id).serialize(serializer)
    }
}

/// A turn that was stored and runs by itself.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "AcceptedTurn"))]
pub(super) struct AcceptedJson<'a> {
    /// The turn, for `GET /turns/{turn_id}`.
    pub(super) turn_id: &'a TurnId,
    /// Its conversation.
    pub(super) session_id: &'a SessionId,
    /// Where it stands.
    pub(super) status: TurnStatus,
}

/// Something is done.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Success"))]
pub(super) struct SuccessJson {
    /// Always true.
    pub(super) success: bool,
    /// How many turns `cancel` ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u32"))]
    pub(super) cancelled: Option<usize>,
}

/// A message of a conversation.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Message"))]
struct MessageJson<'a> {
    /// `msg_` and its number, which rises within the conversation.
    id: String,
    /// The turn that it belongs to.
    turn_id: &'a TurnId,
    /// Who wrote it.
    role: Role,
    /// Its text.
    content: &'a str,
    /// When it was stored.
    timestamp: Millis,
    /// The images and documents that came with it; absent if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Vec<crate::domain::content::Summary<'static>>"))]
    attachments: Option<&'a RawJson>,
}

/// A conversation; `GET /conversations/{session_id}` returns it with its messages.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Conversation"))]
pub(super) struct ConversationJson<'a> {
    /// Names it within its account.
    session_id: &'a SessionId,
    /// Its account.
    account_id: &'a AccountId,
    /// Its title: the beginning of its first prompt, until it is changed.
    title: &'a str,
    /// When its first turn was stored.
    created_at: Millis,
    /// When it was last read or a turn of it stored or ended.
    last_accessed_at: Millis,
    /// The caller's keys and the service's `message_count`.
    #[cfg_attr(test, schemars(with = "super::openapi::schemas::Metadata"))]
    metadata: serde_json::Map<String, Value>,
    /// The sum over its turns.
    usage: Usage,
    /// Its messages, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Vec<MessageJson<'static>>"))]
    messages: Option<Vec<MessageJson<'a>>>,
    /// With `include=items`, what the turns of these messages did, by their ids. A turn that only said its answer is not there, and one that
    /// this answer has no room for is null: `GET /turns/{turn_id}?include=items` returns its items.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, Option<Vec<super::openapi::events::Item>>>"))]
    items: Option<BTreeMap<&'a TurnId, Option<RawJson>>>,
}

impl<'a> ConversationJson<'a> {
    pub(super) fn of(
        account_id: &'a AccountId,
        conversation: &'a Conversation,
        messages: Option<&'a Messages>,
        items: Option<&'a ItemsOfTurns>,
    ) -> Self {
        let mut metadata = conversation.metadata.clone();
        metadata.insert(RESERVED_KEY.to_owned(), conversation.message_count.into());
        let message = |message: &'a Message| MessageJson {
            id: format!("msg_{}", message.seq),
            turn_id: &message.turn_id,
            role: message.role,
            content: &message.content,
            timestamp: message.timestamp,
            attachments: messages.and_then(|messages| messages.attachments.get(&message.seq)),
        };
        Self {
            session_id: &conversation.session_id,
            account_id,
            title: &conversation.title,
            created_at: conversation.created_at,
            last_accessed_at: conversation.last_accessed_at,
            metadata,
            usage: conversation.usage,
            messages: messages.map(|messages| messages.messages.iter().map(message).collect()),
            items: items.map(|items| {
                items.iter().map(|(turn_id, items)| (turn_id, items.as_deref().and_then(RawJson::parse))).collect()
            }),
        }
    }
}
