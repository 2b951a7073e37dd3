//! A turn: one query, its state, its end, and what it used. Its names are pinned: they are stored and sent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule::TurnTrigger;
use super::{ByModel, Millis, RequestId, SessionId, TurnFiles, TurnId, Usage};

/// The state of a turn. The last four are ends, and a turn has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum TurnStatus {
    /// Stored, and waiting for the turns before it.
    Queued,
    /// Given to the container.
    Running,
    /// Waiting for somebody's decision, with or without a process.
    RequiresAction,
    /// Answered.
    Completed,
    /// Ended by an error of the model, the SDK, the container's start or the time limit.
    Failed,
    /// Ended because somebody asked for it.
    Cancelled,
    /// Its container died under it; safe to send again.
    Interrupted,
}

impl TurnStatus {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::RequiresAction => "requires_action",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Reads the stored word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::RequiresAction,
            Self::Completed,
            Self::Failed,
            Self::Cancelled,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
    }

    /// Whether it is an end.
    #[must_use]
    pub const fn is_end(self) -> bool {
        !matches!(self, Self::Queued | Self::Running | Self::RequiresAction)
    }
}

/// Why a turn did not complete. Each has its status in `api/problem.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureCode {
    /// The SDK ended the turn with an error of its own, such as `error_max_turns`.
    AgentFailed,
    /// The platform has no container instance free.
    AtCapacity,
    /// A file that the turn attaches is gone, or is another by now.
    AttachmentNotFound,
    /// An attachment has more pages than the model takes.
    AttachmentTooLarge,
    /// The container did not start or does not answer.
    ContainerUnavailable,
    /// The model's API refused the credential.
    ModelAuthFailed,
    /// The model's API failed.
    ModelFailed,
    /// The model's API asked for fewer requests.
    ModelRateLimited,
    /// Somebody cancelled it.
    TurnCancelled,
    /// The container or the CLI died under it.
    TurnInterrupted,
    /// It ran longer than `TURN_TIMEOUT`.
    TurnTimeout,
    /// An attachment is not what it was taken for.
    UnsupportedAttachment,
    /// A part of the conversation's files is not in the bucket any more.
    WorkspaceDamaged,
    /// The bucket did not give the conversation's files.
    WorkspaceUnavailable,
    /// The answer does not match the turn's `output_schema`.
    OutputInvalid,
    /// The turn's `output_schema` is not a JSON Schema that the agent takes.
    InvalidOutputSchema,
    /// The `input_schema` of one of the turn's `tools` is not a JSON Schema that the agent takes.
    InvalidToolSchema,
    /// The account, or the turn, has spent what it may.
    BudgetExhausted,
}

/// How a turn failed, as its caller may know it. Never holds content, a stack or a credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The stable code.
    pub code: FailureCode,
    /// One sentence for the caller.
    pub detail: String,
    /// Seconds after which sending it again is sensible.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_s: Option<u64>,
}

impl Failure {
    /// A failure without advice about when to try again.
    #[must_use]
    pub fn new(code: FailureCode, detail: impl Into<String>) -> Self {
        Self { code, detail: shortened(detail.into()), retry_after_s: None }
    }
}

/// Longest reason for a cancellation, in characters.
pub const MAX_REASON_CHARS: usize = 256;

/// Longest detail of a failure or a refusal, in characters: it may quote what a container or a parser says.
pub const MAX_DETAIL_CHARS: usize = 500;

/// A detail, cut to [`MAX_DETAIL_CHARS`].
#[must_use]
pub fn shortened(mut detail: String) -> String {
    if let Some((last, _)) = detail.char_indices().nth(MAX_DETAIL_CHARS - 1)
        && detail.chars().count() > MAX_DETAIL_CHARS
    {
        detail.truncate(last);
        detail.push('…');
    }
    detail
}

/// A stored turn with everything that an answer tells of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its id.
    pub turn_id: TurnId,
    /// The conversation it belongs to.
    pub session_id: SessionId,
    /// Its state.
    pub status: TurnStatus,
    /// When it was stored.
    pub created_at: Millis,
    /// When it was given to the container.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub finished_at: Option<Millis>,
    /// The request that made it.
    pub request_id: RequestId,
    /// The answer's text, if it completed.
    pub response: Option<String>,
    /// Why it did not complete.
    pub error: Option<Failure>,
    /// The model that answered.
    pub model: Option<String>,
    /// What it used; absent if nothing is known.
    pub usage: Option<Usage>,
    /// Model calls it took.
    pub num_turns: Option<u32>,
    /// How long the agent worked on it, in milliseconds.
    pub duration_ms: Option<u64>,
    /// What became of its files; absent where files are not saved.
    pub files: Option<TurnFiles>,
    /// Why the model stopped, if not because it had said everything.
    pub stop_reason: Option<String>,
    /// What each model used, if there was more than one.
    pub by_model: Option<ByModel>,
    /// The caller's own notes about it.
    pub metadata: Map<String, Value>,
    /// Whether its answer is JSON that a schema of the caller describes.
    pub has_output: bool,
    /// The schedule whose run it is.
    pub trigger: Option<TurnTrigger>,
    /// The running turn that took its query in, whose answer and usage are there.
    pub steered_into: Option<TurnId>,
}

/// Where the time of a turn went, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// From its admission to its start.
    pub queue_ms: u64,
    /// From its start to its end.
    pub agent_ms: u64,
    /// From its admission to its end.
    pub total_ms: u64,
}

impl Turn {
    /// Where its time went; none before its end.
    #[must_use]
    pub fn timing(&self) -> Option<Timing> {
        let end = self.finished_at?;
        let start = self.started_at.unwrap_or(end);
        let ms = |from: Millis, to: Millis| u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX);
        Some(Timing {
            queue_ms: ms(self.created_at, start),
            agent_ms: ms(start, end),
            total_ms: ms(self.created_at, end),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_reads_back_from_its_word() {
        for word in ["queued", "running", "requires_action", "completed", "failed", "cancelled", "interrupted"] {
            let status = TurnStatus::parse(word);
            assert_eq!(status.map(TurnStatus::as_str), Some(word));
            assert_eq!(status.map(|s| serde_json::to_string(&s).unwrap()), Some(format!("\"{word}\"")));
        }
        assert_eq!(TurnStatus::parse("done"), None);
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let of = |text: String| Failure::new(FailureCode::AgentFailed, text).detail;
        assert_eq!(of("é".repeat(MAX_DETAIL_CHARS)), "é".repeat(MAX_DETAIL_CHARS));
        assert_eq!(of("é".repeat(32 * 1024)), format!("{}…", "é".repeat(MAX_DETAIL_CHARS - 1)));
    }

    #[test]
    fn a_stored_failure_is_pinned() {
        let failure = Failure { retry_after_s: Some(7), ..Failure::new(FailureCode::ModelRateLimited, "slow down") };
        let json = r#"{"code":"model_rate_limited","detail":"slow down","retry_after_s":7}"#;
        assert_eq!(serde_json::to_string(&failure).unwrap(), json);
        assert_eq!(serde_json::from_str::<Failure>(json).unwrap(), failure);
    }
}
