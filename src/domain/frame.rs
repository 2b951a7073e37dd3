//! The container's frames: what the agent server says about a turn, one JSON object a line (`agent-protocol.md`).
//! Unknown types and fields are passed over, so that a newer container does not break an older Worker.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::{AgentSession, FailureCode, Usage};

/// One line of a turn's stream.
#[derive(Debug)]
pub struct Frame {
    /// Its number, from 1 without a gap.
    pub n: u64,
    /// What it says.
    pub body: FrameBody,
}

/// What a frame says.
#[derive(Debug)]
pub enum FrameBody {
    /// The agent took the turn.
    Started(Started),
    /// A piece of the answer's text.
    Delta(Delta),
    /// A whole text block of the answer.
    Message(Message),
    /// A tool call began or ended.
    Tool(Tool),
    /// The model's API failed and is asked again.
    Retry(Retry),
    /// Entries of the SDK's transcript, in order.
    Transcript(Transcript),
    /// How the turn ended.
    Result(Box<TurnResult>),
    /// Nothing follows. A stream without it was cut.
    End,
    /// A type that this version does not know.
    Unknown,
}

/// See [`FrameBody::Started`].
#[derive(Debug, Deserialize)]
pub struct Started {
    /// The SDK's session of the conversation.
    pub agent_session: AgentSession,
    /// The agent server's own id, new with each start.
    pub instance: String,
    /// Whether a live process took it.
    pub warm: bool,
}

/// See [`FrameBody::Delta`].
#[derive(Debug, Deserialize)]
pub struct Delta {
    /// The piece.
    pub text: String,
}

/// See [`FrameBody::Message`].
#[derive(Debug, Deserialize)]
pub struct Message {
    /// The block.
    pub text: String,
}

/// See [`FrameBody::Tool`].
#[derive(Debug, Clone, Deserialize)]
pub struct Tool {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// `started`, `finished` or `failed`.
    pub status: String,
    /// The call's input, cut by the agent server.
    #[serde(default)]
    pub input: Option<Box<RawValue>>,
}

/// See [`FrameBody::Retry`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Retry {
    /// Which attempt comes next.
    pub attempt: u32,
    /// How long the SDK waits before it, in milliseconds.
    #[serde(default)]
    pub delay_ms: f64,
    /// The model's HTTP status, where there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// Whether text that was streamed of the current block does not stand any more.
    #[serde(default)]
    pub retracted: bool,
}

/// See [`FrameBody::Transcript`].
#[derive(Debug, Deserialize)]
pub struct Transcript {
    /// A subagent's own transcript, or the main one.
    #[serde(default)]
    pub subpath: Option<String>,
    /// The entries, byte for byte.
    pub entries: Vec<Box<RawValue>>,
}

/// The agent's word for how a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResultStatus {
    /// It has an answer.
    Completed,
    /// It has an error.
    Failed,
    /// It was cancelled.
    Cancelled,
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
    /// How many answers of the model it had.
    #[serde(default)]
    pub model_calls: Option<u32>,
    /// How long the agent worked, in milliseconds.
    #[serde(default)]
    pub duration_ms: f64,
}

/// An error of the agent, the model or the CLI.
#[derive(Debug, Deserialize)]
pub struct ResultError {
    /// One of the codes that the agent server may give.
    pub code: FailureCode,
    /// A sentence for the caller.
    #[serde(default)]
    pub message: String,
    /// Seconds after which the model's API wants to be asked again.
    #[serde(default)]
    pub retry_after: Option<f64>,
}

/// A line that is not a frame.
#[derive(Debug, Error)]
#[error("not a frame: {0}")]
pub struct BadFrame(#[from] serde_json::Error);

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
    /// [`BadFrame`] where the line is not JSON, has no number or type, or lacks a field of its type.
    pub fn parse(line: &str) -> Result<Self, BadFrame> {
        let Head { n, kind } = serde_json::from_str(line)?;
        let body = match kind.as_ref() {
            "started" => FrameBody::Started(serde_json::from_str(line)?),
            "delta" => FrameBody::Delta(serde_json::from_str(line)?),
            "message" => FrameBody::Message(serde_json::from_str(line)?),
            "tool" => FrameBody::Tool(serde_json::from_str(line)?),
            "retry" => FrameBody::Retry(serde_json::from_str(line)?),
            "transcript" => FrameBody::Transcript(serde_json::from_str(line)?),
            "result" => FrameBody::Result(Box::new(serde_json::from_str(line)?)),
            "end" => FrameBody::End,
            _ => FrameBody::Unknown,
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
        assert!(matches!(body(r#"{"n":2,"type":"delta","text":"4"}"#), FrameBody::Delta(d) if d.text == "4"));
        assert!(matches!(body(r#"{"n":3,"type":"message","text":"4"}"#), FrameBody::Message(m) if m.text == "4"));
        let tool = r#"{"n":4,"type":"tool","id":"t","name":"Bash","status":"started","input":{"command":"ls"}}"#;
        assert!(matches!(body(tool), FrameBody::Tool(t) if t.input.as_ref().unwrap().get() == r#"{"command":"ls"}"#));
        let retry = r#"{"n":5,"type":"retry","attempt":1,"delay_ms":512.5,"status":529}"#;
        assert!(matches!(body(retry), FrameBody::Retry(Retry { status: Some(529), retracted: false, .. })));
        assert!(matches!(body(r#"{"n":9,"type":"end"}"#), FrameBody::End));
    }

    #[test]
    fn transcript_entries_stay_as_they_are() {
        let line = r#"{"n":6,"type":"transcript","entries":[{"b":1.0, "a":"\u00e9"},{}]}"#;
        let FrameBody::Transcript(t) = body(line) else { panic!("not a transcript") };
        assert_eq!(t.subpath, None);
        assert_eq!(t.entries[0].get(), r#"{"b":1.0, "a":"\u00e9"}"#);
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
    fn an_unknown_type_is_passed_over_and_a_broken_line_is_not() {
        assert!(matches!(body(r#"{"n":8,"type":"poem","lines":3}"#), FrameBody::Unknown));
        assert!(Frame::parse("{\"n\":8").is_err());
        assert!(Frame::parse(r#"{"type":"delta","text":"x"}"#).is_err());
        assert!(Frame::parse(r#"{"n":8,"type":"delta"}"#).is_err());
    }
}
