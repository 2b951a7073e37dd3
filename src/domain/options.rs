//! What a turn's caller asks of the agent. It is stored with the turn.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schedule::TurnTrigger;
use super::trace::TraceParent;
use super::{ChatMessageId, RawJson};

/// How much work the model puts into its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Effort {
    /// Quick and short.
    Low,
    /// Between quick and thorough.
    Medium,
    /// Thorough.
    High,
    /// Beyond `high`.
    XHigh,
    /// As much as the model can.
    Max,
}

impl Effort {
    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }
}

/// Whether the model thinks before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Thinking {
    /// It does.
    On,
    /// It does not.
    Off,
}

impl Thinking {
    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// What happens to a query whose conversation has a turn running.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum WhenBusy {
    /// It waits for the turns before it.
    #[default]
    Queue,
    /// The running turn takes it in between two steps; if it cannot any more, it waits.
    Steer,
    /// The running turn is cancelled, and it runs next.
    Interrupt,
    /// It is refused.
    Reject,
}

impl WhenBusy {
    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "queue" => Self::Queue,
            "steer" => Self::Steer,
            "interrupt" => Self::Interrupt,
            "reject" => Self::Reject,
            _ => return None,
        })
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_queue(&self) -> bool {
        matches!(self, Self::Queue)
    }
}

/// What a turn does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum TurnKind {
    /// It answers a query.
    #[default]
    Query,
    /// It compacts the conversation's history.
    Compact,
}

/// What the history tells of a turn that compacts, before its instructions: the CLI's own command.
const COMPACT: &str = "/compact";

impl TurnKind {
    /// The turn's message, as the conversation shows it.
    #[must_use]
    pub fn prompt_told(self, prompt: &str) -> String {
        match self {
            Self::Query => prompt.to_owned(),
            Self::Compact if prompt.is_empty() => COMPACT.to_owned(),
            Self::Compact => format!("{COMPACT} {prompt}"),
        }
    }

    /// The turn's prompt, as the container takes it, of the message that the conversation shows.
    #[must_use]
    pub fn prompt_given(self, told: &str) -> &str {
        match self {
            Self::Query => told,
            Self::Compact => told.strip_prefix(COMPACT).unwrap_or(told).trim_start(),
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_query(&self) -> bool {
        matches!(self, Self::Query)
    }
}

/// A message of a chat, as its client sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChatMessage {
    /// The client's name for it.
    pub id: ChatMessageId,
}

impl TurnOptions {
    /// Whether it asks nothing of the agent that another turn of the conversation may not have asked.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let (metadata, when_busy, chat) = (self.metadata.clone(), self.when_busy, self.chat.clone());
        *self == Self { metadata, when_busy, chat, traceparent: self.traceparent.clone(), ..Self::default() }
    }
}

/// A tool that the caller runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClientTool {
    /// Its name, for the model and for the actions.
    #[cfg_attr(test, schemars(regex(pattern = "^[a-zA-Z0-9_-]{1,64}$")))]
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its input.
    #[cfg_attr(test, schemars(with = "serde_json::Map<String, Value>"))]
    pub input_schema: RawJson,
}

/// What the caller asked of the agent for one turn, and was allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnOptions {
    /// The model's name; the operator's or the SDK's default if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// How much work the model puts into its answers; the model's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effort: Option<Effort>,
    /// Takes the place of the system prompt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_prompt: Option<String>,
    /// Most model calls of the turn.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_turns: Option<u32>,
    /// Whether the model thinks before it answers; the model's own default if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thinking: Option<Thinking>,
    /// The JSON Schema that the answer has to match.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub output_schema: Option<RawJson>,
    /// The caller's own notes about the turn.
    #[serde(skip_serializing_if = "Map::is_empty", default)]
    pub metadata: Map<String, Value>,
    /// Tools that the caller runs.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub tools: Vec<ClientTool>,
    /// Rules about calls that a person has to allow.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub ask_tools: Vec<String>,
    /// Rules about calls that are refused.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub deny_tools: Vec<String>,
    /// Whether the agent may ask the user questions; as the operator says if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub questions: Option<bool>,
    /// Whether the agent makes a plan and waits for its approval before it changes anything.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub plan: bool,
    /// What happens if the conversation has a turn running.
    #[serde(skip_serializing_if = "WhenBusy::is_queue", default)]
    pub when_busy: WhenBusy,
    /// What the turn does.
    #[serde(skip_serializing_if = "TurnKind::is_query", default)]
    pub kind: TurnKind,
    /// The schedule whose run the turn is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub trigger: Option<TurnTrigger>,
    /// The message of a chat that it answers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub chat: Option<ChatMessage>,
    /// The trace that its request belongs to.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<TraceParent>,
}
