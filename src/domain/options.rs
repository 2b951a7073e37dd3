//! What a turn's caller asks of the agent. It is stored with the turn.

use serde::{Deserialize, Serialize};

/// What the caller asked of the agent for one turn, and was allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnOptions {
    /// The model's name; the operator's or the SDK's default if absent.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub model: Option<String>,
    /// Takes the place of the system prompt.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub system_prompt: Option<String>,
    /// Most model calls of the turn.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub max_turns: Option<u32>,
}
