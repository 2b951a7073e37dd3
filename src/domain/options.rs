//! What a turn's caller asks of the agent. It is stored with the turn.

use serde::{Deserialize, Serialize};

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
}
