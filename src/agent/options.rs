//! The `options` of a turn, as the container's protocol has them. Never stored: they may hold the operator's secrets.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::options::ClientTool;
use crate::domain::{Effort, RawJson, Thinking};

/// The system prompt of a turn, as the agent server takes it: a string, or `{append}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SystemPrompt<'a> {
    /// Added to Claude Code's own.
    #[serde(rename = "append")]
    Append(&'a str),
    /// The whole prompt.
    #[serde(untagged)]
    Replace(&'a str),
}

/// The operator's rules, and those of the turn.
#[derive(Clone, Copy, Default)]
pub struct Rules<'a>(pub &'a [String], pub &'a [String]);

impl Rules<'_> {
    const fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }
}

impl Serialize for Rules<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().chain(self.1))
    }
}

/// What a turn runs with. The agent server chooses what is absent.
#[derive(Clone, Copy, Default, Serialize)]
pub struct RunOptions<'a> {
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// How much work the model puts into its answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Whether the model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinking: Option<Thinking>,
    /// The JSON Schema that the answer has to match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<&'a RawJson>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<SystemPrompt<'a>>,
    /// Most model calls of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// The only tools that exist, and rules for their use.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub allowed_tools: &'a [String],
    /// Tools that do not exist, and rules for what others must not do.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub disallowed_tools: &'a [String],
    /// The SDK's permission mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<&'static str>,
    /// The mode that an approved plan leads to; absent if none is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_plan: Option<&'static str>,
    /// Whether the agent may ask the user questions.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub questions: bool,
    /// Rules about calls that a person has to allow, in every mode.
    #[serde(skip_serializing_if = "Rules::is_empty")]
    pub ask_tools: Rules<'a>,
    /// Those of them that are the operator's, if the request brought some: only they are about calls that the mode would deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operator_ask_tools: Option<&'a [String]>,
    /// Rules about calls that are refused, in every mode.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub deny_tools: &'a [String],
    /// Tools that the caller runs.
    #[serde(skip_serializing_if = "<[ClientTool]>::is_empty")]
    pub client_tools: &'a [ClientTool],
    /// Most that the turn may cost, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// MCP servers by name, as one line of JSON; may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<&'a RawValue>,
    /// Whether the prompt is the CLI's own command to compact the conversation.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compact: bool,
    /// The trace that the turn belongs to, for what the agent runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<&'a str>,
}
