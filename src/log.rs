//! A line of the log: one JSON object with ids, counts and durations. It has no field for content or secrets, and none is ever put in.

pub mod point;

use serde::Serialize;

use crate::domain::{FailureCode, PurgeRun, RequestId, SessionId, TurnId, TurnStatus};

/// The severity of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Nothing went wrong.
    Info,
    /// Something went wrong and was handled.
    Warn,
    /// Something went wrong that an operator must look at.
    Error,
}

/// One line. A field that is not set is left out.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Line<'a> {
    /// What happened, as a word of `snake_case`.
    pub event: &'a str,
    /// The digest that stands for the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<&'a str>,
    /// The request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<&'a RequestId>,
    /// The trace that the request belongs to (W3C Trace Context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a SessionId>,
    /// The turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn_id: Option<&'a TurnId>,
    /// How the turn ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TurnStatus>,
    /// Why it did not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// How long it waited, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_ms: Option<u64>,
    /// How long it ran, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_ms: Option<u64>,
    /// Both together, or how long the event took, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u64>,
    /// Tokens sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
    /// Tokens read from the model's prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_read_input_tokens: Option<u64>,
    /// Tokens written to the model's prompt cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_creation_input_tokens: Option<u64>,
    /// What the turn's calls of the model cost, as the gateway counted them, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// The status of the model's API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Calls of the model that the gateway let through for the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_calls: Option<u32>,
    /// Whether a live process took the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<bool>,
    /// Whether the container was started for the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_container: Option<bool>,
    /// Rows that the object has written since it came into memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_written: Option<u64>,
    /// The agent server's own id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<&'a str>,
    /// Conversations that a purge deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<u64>,
    /// Steps of a purge that failed. Of sessions that a container did not forget, only the first has a line of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<u64>,
    /// Whether a purge goes on with the next alarm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more: Option<bool>,
    /// Whether nothing was left of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emptied: Option<bool>,
    /// The purge run, as one shard knows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<&'a PurgeRun>,
    /// What went wrong, in the words of whoever said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<&'a str>,
}

impl Line<'_> {
    /// The line as JSON.
    #[must_use]
    pub fn json(&self) -> String {
        // A struct of plain fields: serialising it does not fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_what_is_set_and_nothing_else() {
        let line = Line { event: "turn_ended", status: Some(TurnStatus::Failed), total_ms: Some(7), ..Line::default() };
        assert_eq!(line.json(), r#"{"event":"turn_ended","status":"failed","total_ms":7}"#);
    }
}
