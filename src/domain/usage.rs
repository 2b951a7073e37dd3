//! Tokens and costs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Tokens and cost of one turn alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Usage {
    /// Tokens sent, those from the cache left out.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// US dollars, as the SDK reckons them.
    pub cost_usd: f64,
}

/// What each of several models used, by name.
pub type ByModel = BTreeMap<String, Usage>;

/// How full the model's context was at the end of a turn, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ContextUse {
    /// What the history takes.
    pub tokens: u64,
    /// What the model's context holds.
    pub limit: u64,
    /// Where the agent compacts the history by itself; absent if it does not.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub auto_compact_at: Option<u64>,
}
