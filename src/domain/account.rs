//! An account as its operator sees it: whether it may work, what it may use, and notes about it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::limits::SetLimits;

/// Longest reason of a suspension, in characters.
pub const MAX_REASON_CHARS: usize = 200;
/// The retention that may be set for one account, in days.
pub const RETENTION_DAYS: std::ops::RangeInclusive<u32> = 1..=36_500;

/// Whether an account may work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum AccountStatus {
    /// It may.
    #[default]
    Active,
    /// It may be read and nothing else.
    Suspended,
}

impl AccountStatus {
    /// Reads the word of a request or of a row.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "active" => Some(Self::Active),
            "suspended" => Some(Self::Suspended),
            _ => None,
        }
    }

    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

/// What an operator has set of an account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountSettings {
    /// Whether it may work.
    pub status: AccountStatus,
    /// Why it may not, for its user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it may use.
    pub limits: SetLimits,
    /// How many days its conversations are kept; as those of all accounts if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<u32>,
    /// The operator's own notes.
    pub metadata: Map<String, Value>,
}

impl AccountSettings {
    /// Whether it may not work.
    #[must_use]
    pub fn is_suspended(&self) -> bool {
        self.status == AccountStatus::Suspended
    }
}
