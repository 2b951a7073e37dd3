//! What a message of the agent tells of its turn.

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::document::UsageJson;
use super::super::problem::{ApiError, Problem};
use crate::domain::{RequestId, SessionId, Turn, TurnFiles, TurnId, TurnStatus};

/// The metadata of a message: as much of it as is known.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "UiMessageMetadata"))]
pub(in crate::api) struct Metadata<'a> {
    /// The turn, for `GET /turns/{turn_id}`.
    turn_id: &'a TurnId,
    /// Its conversation.
    session_id: &'a SessionId,
    /// Where it stands.
    status: TurnStatus,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    model: Option<&'a str>,
    /// What the turn used.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "UsageJson<'static>"))]
    usage: Option<UsageJson<'a>>,
    /// How long the agent worked, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u64"))]
    duration_ms: Option<u64>,
    /// What became of the conversation's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "TurnFiles"))]
    files: Option<&'a TurnFiles>,
    /// The caller's own notes about the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, String>"))]
    metadata: Option<&'a Map<String, Value>>,
    /// Why the turn did not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Problem<'static>"))]
    error: Option<Problem<'a>>,
}

impl<'a> Metadata<'a> {
    /// Of a turn that has not ended.
    pub fn begun(turn_id: &'a TurnId, session_id: &'a SessionId, status: TurnStatus) -> Self {
        let (model, usage, duration_ms, files, metadata, error) = (None, None, None, None, None, None);
        Self { turn_id, session_id, status, model, usage, duration_ms, files, metadata, error }
    }

    /// Of a turn as it stands; `error` is why it did not complete.
    pub fn of(turn: &'a Turn, error: Option<(&'a ApiError, &'a RequestId)>) -> Self {
        Self {
            model: turn.model.as_deref(),
            usage: turn.usage.map(|usage| UsageJson::of(usage, turn)),
            duration_ms: turn.duration_ms,
            files: turn.files.as_ref(),
            metadata: Some(&turn.metadata).filter(|metadata| !metadata.is_empty()),
            error: error.map(|(error, request_id)| error.problem(request_id)),
            ..Self::begun(&turn.turn_id, &turn.session_id, turn.status)
        }
    }

    /// As JSON.
    pub fn json(&self) -> String {
        // What is serialised here are structs and maps with text keys: that does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}
