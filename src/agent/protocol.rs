//! The container's frames: what the agent server says about a turn, one JSON object a line (`container/README.md`).
//! Unknown types and fields are passed over, so that a newer container does not break an older Worker. What the agent can reach
//! can be made to say anything: numbers are clamped, names and sentences are cut, and the line's own bound holds for texts.

pub mod action;
mod told;
mod transcript;
mod workspace;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use thiserror::Error;

use action::{ActionAsked, ActionLetGo};

pub use transcript::{BadTranscript, MAX_ENTRY_BYTES, Transcript, TranscriptPart};
pub use workspace::{
    BaseHeld, OfferedPack, SaveOffer, TURNS_FEATURE, WORKSPACE_FEATURE, WantedWorkspace, WorkspaceFrame,
};

use crate::domain::event::EventKind;
use crate::domain::{ByModel, ContextUse, ContinueBy, FailureCode, SdkSession, TurnId, Usage};

/// The largest number of a frame; those of events that are no frame lie above it.
pub const MAX_FRAME_NUMBER: u64 = 1 << 50;
/// Longest name or id of a model or a tool, in characters; the rest is cut off.
const MAX_NAME_CHARS: usize = 200;
/// Longest sentence about an error, in characters; the rest is cut off.
pub const MAX_MESSAGE_CHARS: usize = 500;
/// Most tokens of one kind, and milliseconds, of one turn: far above any turn, and a sum of many fits storage.
const MAX_TOKENS: u64 = 10_000_000_000;
const MAX_MS: f64 = 1e10;
/// Most US dollars of one turn.
const MAX_COST_USD: f64 = 1e5;
/// Most models of which one turn tells what it used; the others are left out.
const MAX_MODELS: usize = 16;
/// Most turns that one takes in: more are never offered, since no more wait. One that was taken in and is left out here would run again.
pub const MAX_STEERED: usize = 128;
/// Longest wait that is passed on, in seconds: a day.
pub const MAX_RETRY_AFTER_S: f64 = 86_400.0;

/// One line of a turn's stream.
#[derive(Debug)]
pub struct Frame {
    /// Its number: it rises from 1. If a turn says more than the agent server keeps, pieces of text and tool calls are forgotten
    /// there, and a reader that attaches late finds gaps.
    pub n: u64,
    /// What it says.
    pub body: FrameBody,
}

/// What a frame says.
#[derive(Debug)]
pub enum FrameBody {
    /// The agent took the turn.
    Started(Started),
    /// Something that the turn's followers hear.
    Event(EventKind),
    /// The turns whose messages this one has taken in.
    Steered(Vec<TurnId>),
    /// Entries of the SDK's transcript, in order.
    Transcript(Transcript),
    /// A part of an entry that is too long for one frame.
    TranscriptPart(TranscriptPart),
    /// The turn waits for somebody.
    Action(Box<ActionAsked>),
    /// It does not wait for that any more.
    ActionResolved(ActionLetGo),
    /// How the turn ended.
    Result(Box<TurnResult>),
    /// What became of the turn's files.
    Workspace(WorkspaceFrame),
    /// Nothing follows. A stream without it was cut.
    End,
    /// A type that this version does not know.
    Unknown,
}

/// See [`FrameBody::Started`].
#[derive(Debug, Deserialize)]
pub struct Started {
    /// The SDK's session of the conversation.
    #[serde(rename = "agent_session")]
    pub sdk_session: SdkSession,
    /// Whether a live process took it.
    pub warm: bool,
}

/// The agent's word for how a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// The turn has an answer.
    Completed,
    /// The turn has an error.
    Failed,
    /// The turn was cancelled.
    Cancelled,
    /// The turn is parked, and goes on when what it waits for is decided.
    RequiresAction,
}

/// See [`FrameBody::Result`].
#[derive(Debug, Deserialize)]
pub struct TurnResult {
    /// How it ended.
    pub status: ResultStatus,
    /// All the assistant's text blocks, joined by blank lines.
    #[serde(default)]
    pub text: String,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<ResultError>,
    /// The model that answered.
    #[serde(default)]
    pub model: Option<String>,
    /// Tokens of this turn alone.
    #[serde(default)]
    pub usage: Usage,
    /// Cost of this turn alone, in US dollars.
    #[serde(default)]
    pub cost_usd: f64,
    /// What the SDK calls turns in it; one that was cancelled may have had more answers of the model.
    #[serde(default)]
    pub num_turns: u32,
    /// How long the agent worked, in milliseconds.
    #[serde(default)]
    pub duration_ms: f64,
    /// Why the model stopped.
    #[serde(default)]
    pub stop_reason: Option<String>,
    /// Tokens and cost by model.
    #[serde(default)]
    pub by_model: ByModel,
    /// How full the model's context is.
    #[serde(default)]
    pub context: Option<ContextUse>,
    /// How a parked turn goes on.
    #[serde(default)]
    pub continue_by: Option<ContinueBy>,
}

/// An error of the agent, the model or the CLI.
#[derive(Debug, Deserialize)]
pub struct ResultError {
    /// One of the codes that the agent server may give; `agent_failed` for one that this version does not know.
    #[serde(deserialize_with = "code")]
    pub code: FailureCode,
    /// A sentence for the caller.
    #[serde(default)]
    pub message: String,
    /// Seconds after which the model's API wants to be asked again.
    #[serde(default)]
    pub retry_after: Option<f64>,
}

/// Cuts a string to `max_chars` characters.
pub fn cut(text: &mut String, max_chars: usize) {
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
}

fn clamp_tokens(usage: &mut Usage) {
    for tokens in [
        &mut usage.input_tokens,
        &mut usage.output_tokens,
        &mut usage.cache_read_input_tokens,
        &mut usage.cache_creation_input_tokens,
    ] {
        *tokens = MAX_TOKENS.min(*tokens);
    }
}

impl TurnResult {
    fn bound(mut self) -> Self {
        if let Some(model) = &mut self.model {
            cut(model, MAX_NAME_CHARS);
        }
        if let Some(error) = &mut self.error {
            cut(&mut error.message, MAX_MESSAGE_CHARS);
            error.retry_after = error.retry_after.map(|seconds| seconds.clamp(0.0, MAX_RETRY_AFTER_S));
        }
        clamp_tokens(&mut self.usage);
        self.by_model = std::mem::take(&mut self.by_model).into_iter().take(MAX_MODELS).map(bounded_use).collect();
        if let Some(reason) = &mut self.stop_reason {
            cut(reason, MAX_NAME_CHARS);
        }
        if let Some(context) = &mut self.context {
            for tokens in [&mut context.tokens, &mut context.limit].into_iter().chain(&mut context.auto_compact_at) {
                *tokens = MAX_TOKENS.min(*tokens);
            }
        }
        self.cost_usd = self.cost_usd.clamp(0.0, MAX_COST_USD);
        self.duration_ms = self.duration_ms.clamp(0.0, MAX_MS);
        self
    }
}

/// What one model used.
fn bounded_use((mut model, mut usage): (String, Usage)) -> (String, Usage) {
    cut(&mut model, MAX_NAME_CHARS);
    clamp_tokens(&mut usage);
    usage.cost_usd = usage.cost_usd.clamp(0.0, MAX_COST_USD);
    (model, usage)
}

/// Reads a `steered` frame.
fn steered(line: &str) -> Result<Vec<TurnId>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Steered {
        turn_ids: Vec<TurnId>,
    }
    let Steered { mut turn_ids } = serde_json::from_str(line)?;
    turn_ids.truncate(MAX_STEERED);
    Ok(turn_ids)
}

fn code<'de, D: Deserializer<'de>>(text: D) -> Result<FailureCode, D::Error> {
    let text = String::deserialize(text)?;
    let known = FailureCode::deserialize(serde::de::value::StringDeserializer::<D::Error>::new(text));
    Ok(known.unwrap_or(FailureCode::AgentFailed))
}

/// A line that is not a frame.
#[derive(Debug, Error)]
#[error("not a frame: {0}")]
pub struct BadFrame(#[from] serde_json::Error);

impl BadFrame {
    /// A line that breaks a rule of its type.
    fn of(rule: &str) -> Self {
        Self(serde_json::Error::custom(rule))
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    n: u64,
    #[serde(rename = "type", borrow)]
    kind: std::borrow::Cow<'a, str>,
}

impl Frame {
    /// Reads one line.
    ///
    /// # Errors
    /// [`BadFrame`] if the line is not JSON, has no number or type, or lacks a field of its type.
    pub fn parse(line: &str) -> Result<Self, BadFrame> {
        let Head { n, kind } = serde_json::from_str(line)?;
        if n > MAX_FRAME_NUMBER {
            return Err(serde_json::Error::custom("its number is too large").into());
        }
        let body = match kind.as_ref() {
            "started" => FrameBody::Started(serde_json::from_str(line)?),
            "steered" => FrameBody::Steered(steered(line)?),
            "transcript" => FrameBody::Transcript(serde_json::from_str(line)?),
            "transcript_part" => FrameBody::TranscriptPart(serde_json::from_str(line)?),
            "result" => FrameBody::Result(Box::new(serde_json::from_str::<TurnResult>(line)?.bound())),
            "workspace" => FrameBody::Workspace(WorkspaceFrame::parse(line)?),
            "end" => FrameBody::End,
            "action" => FrameBody::Action(Box::new(ActionAsked::parse(line)?)),
            "action_resolved" => FrameBody::ActionResolved(ActionLetGo::parse(line)?),
            kind => told::event(kind, line)?.map_or(FrameBody::Unknown, FrameBody::Event),
        };
        Ok(Self { n, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(line: &str) -> FrameBody {
        Frame::parse(line).unwrap().body
    }

    #[test]
    fn frames_are_pinned() {
        let started = r#"{"n":1,"type":"started","agent_session":"0b5f9a3e-6f0a-4c57-9c3e-0d9a3a5a0001","instance":"i","warm":true}"#;
        assert!(matches!(body(started), FrameBody::Started(Started { warm: true, .. })));
        let delta = body(r#"{"n":2,"type":"delta","text":"4"}"#);
        assert!(matches!(delta, FrameBody::Event(EventKind::Delta(delta)) if delta.text == "4"));
        let steered = r#"{"n":5,"type":"steered","turn_ids":["turn_0123456789abcdef0123456789abcdef"]}"#;
        assert!(matches!(body(steered), FrameBody::Steered(turns) if turns.len() == 1));
        assert!(matches!(body(r#"{"n":9,"type":"end"}"#), FrameBody::End));
    }

    #[test]
    fn a_result_carries_the_error_and_the_usage() {
        let line = r#"{"n":7,"type":"result","status":"failed","subtype":"success","text":"","error":{"code":"model_rate_limited","message":"slow","http_status":429,"retry_after":7},"model":"m","usage":{"input_tokens":3,"output_tokens":1,"cache_read_input_tokens":0,"cache_creation_input_tokens":2},"cost_usd":0.5,"num_turns":1,"duration_ms":12}"#;
        let FrameBody::Result(r) = body(line) else { panic!("not a result") };
        assert_eq!(r.status, ResultStatus::Failed);
        assert_eq!(r.usage.cache_creation_input_tokens, 2);
        let error = r.error.unwrap();
        assert_eq!((error.code, error.retry_after), (FailureCode::ModelRateLimited, Some(7.0)));
    }

    #[test]
    fn numbers_that_storage_cannot_hold_are_clamped() {
        let line = r#"{"n":7,"type":"result","status":"failed","error":{"code":"model_sulks","message":"m","retry_after":1e99},"usage":{"input_tokens":18446744073709551615,"output_tokens":4},"cost_usd":1e300,"num_turns":4294967295,"duration_ms":-0.5}"#;
        let FrameBody::Result(r) = body(line) else { panic!("not a result") };
        assert_eq!((r.usage.input_tokens, r.usage.output_tokens), (MAX_TOKENS, 4));
        assert_eq!((r.cost_usd.to_string(), r.duration_ms.to_string()), ("100000".into(), "0".into()));
        let error = r.error.unwrap();
        assert_eq!((error.code, error.retry_after), (FailureCode::AgentFailed, Some(MAX_RETRY_AFTER_S)));
        assert!(Frame::parse(r#"{"n":18446744073709551615,"type":"end"}"#).is_err());
        assert!(Frame::parse(r#"{"n":7,"type":"result","status":"completed","num_turns":-1}"#).is_err());
    }

    #[test]
    fn names_and_sentences_are_cut() {
        let long = "é".repeat(9_000);
        let result = format!(
            r#"{{"n":4,"type":"result","status":"failed","model":"{long}","stop_reason":"{long}","error":{{"code":"model_failed","message":"{long}"}}}}"#
        );
        let FrameBody::Result(result) = body(&result) else { panic!("not a result") };
        for text in [result.model, result.stop_reason] {
            assert_eq!(text.unwrap().chars().count(), MAX_NAME_CHARS);
        }
        assert_eq!(result.error.unwrap().message.chars().count(), MAX_MESSAGE_CHARS);
    }

    #[test]
    fn what_a_result_tells_beside_its_answer_is_bounded() {
        let models: Vec<String> = (0..40).map(|n| format!(r#""m{n:02}":{{"input_tokens":{}}}"#, u64::MAX)).collect();
        let line = format!(
            r#"{{"n":7,"type":"result","status":"completed","output":{{"a":1}},"by_model":{{{}}},"context":{{"tokens":{},"limit":9}}}}"#,
            models.join(","),
            u64::MAX
        );
        let FrameBody::Result(r) = body(&line) else { panic!("not a result") };
        assert_eq!((r.by_model.len(), r.by_model["m00"].input_tokens), (MAX_MODELS, MAX_TOKENS));
        let context = r.context.unwrap();
        assert_eq!((context.tokens, context.limit, context.auto_compact_at), (MAX_TOKENS, 9, None));
        let turns = vec![r#""turn_0123456789abcdef0123456789abcdef""#; 200].join(",");
        let steered = body(&format!(r#"{{"n":7,"type":"steered","turn_ids":[{turns}]}}"#));
        assert!(matches!(steered, FrameBody::Steered(turns) if turns.len() == MAX_STEERED));
        assert!(Frame::parse(r#"{"n":7,"type":"steered","turn_ids":["turn_1"]}"#).is_err());
    }

    #[test]
    fn an_unknown_type_is_passed_over_and_a_broken_line_is_not() {
        assert!(matches!(body(r#"{"n":8,"type":"poem","lines":3}"#), FrameBody::Unknown));
        assert!(Frame::parse("{\"n\":8").is_err());
        assert!(Frame::parse(r#"{"type":"delta","text":"x"}"#).is_err());
        assert!(Frame::parse(r#"{"n":8,"type":"delta"}"#).is_err());
    }
}
