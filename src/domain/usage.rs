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
