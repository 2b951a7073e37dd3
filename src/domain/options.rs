//! What a turn runs with: what its caller asks for, which is stored with it, and what the agent server is told, which never is.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the caller asked of the agent for one turn, and was allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnOptions {
    /// The model's name; the operator's or the SDK's default where absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// Takes the place of the system prompt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_prompt: Option<String>,
    /// Most model calls of the turn.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_turns: Option<u32>,
}

/// The system prompt of a turn, as the agent server takes it: a text, or `{append}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum SystemPrompt<'a> {
    /// Added to Claude Code's own.
    #[serde(rename = "append")]
    Append(&'a str),
    /// The whole prompt.
    #[serde(untagged)]
    Replace(&'a str),
}

/// The `options` of `agent-protocol.md`. What is absent is the agent server's to choose.
#[derive(Clone, Copy, Default, Serialize)]
pub struct RunOptions<'a> {
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<&'a str>,
    /// The system prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_prompt: Option<SystemPrompt<'a>>,
    /// Most model calls of the turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_turns: Option<u32>,
    /// The only tools there are, and rules for their use.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub allowed_tools: &'a [String],
    /// Tools that are not there, and rules for what others must not do.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub disallowed_tools: &'a [String],
    /// The SDK's permission mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permission_mode: Option<&'static str>,
    /// US dollars that the turn may cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_budget_usd: Option<f64>,
    /// MCP servers by name, on one line; may hold secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcp_servers: Option<&'a RawValue>,
}
