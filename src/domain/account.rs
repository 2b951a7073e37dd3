//! An account as its operator sees it: whether it may work, what it may use, and notes about it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ledger::{Day, Spent};
use super::limits::{Limits, SetLimits};
use super::{AccountId, ErasureId, MetadataPatch, Millis};

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

/// A change of what an operator has set. What is absent stays; what is null goes back to what holds for all accounts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountChange {
    /// Whether the account may work.
    pub status: Option<AccountStatus>,
    /// Why it may not.
    pub reason: Option<String>,
    /// Limits that are set; all of them go first if `clears_limits`.
    pub limits: SetLimits,
    /// Whether the limits that were set before go.
    pub clears_limits: bool,
    /// Limits that are those of all accounts again, by name.
    #[serde(default)]
    pub taken_back: Vec<String>,
    /// How long its conversations are kept; 0 is as those of all accounts.
    pub retention_days: Option<u32>,
    /// The change of the notes.
    pub metadata: Option<MetadataPatch>,
}

/// Which accounts are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountFilter {
    /// Only those behind this id, in the order of ids.
    pub after: String,
    /// At most so many.
    pub limit: u32,
    /// Only those of this status.
    pub status: Option<AccountStatus>,
    /// Only those that were active since.
    pub active_since: Option<Millis>,
}

/// An account as the directory lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "AccountSummary"))]
pub struct ListedAccount {
    /// Its id.
    pub account_id: AccountId,
    /// Whether it may work.
    pub status: AccountStatus,
    /// When the directory first heard of it; null for an account older than this field.
    pub created_at: Option<Millis>,
    /// The last day on which it ran a turn: the moment of that day's first query; null for one from before that was kept.
    pub last_active_at: Option<Millis>,
    /// Whether its container runs, as it told last.
    #[serde(default)]
    pub container: KnownContainer,
}

/// Whether a container runs, as far as that is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum KnownContainer {
    /// It does.
    Running,
    /// It does not.
    Stopped,
    /// The account has not told yet.
    #[default]
    Unknown,
}

/// An account as a whole.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Account"))]
pub struct Overview {
    /// Its id.
    pub account_id: AccountId,
    /// Whether it may work.
    pub status: AccountStatus,
    /// Why it may not.
    pub reason: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// Those of the limits that are set for this account.
    pub set_limits: SetLimits,
    /// How many days its conversations are kept after their last access.
    pub retention_days: u64,
    /// The operator's own notes.
    pub metadata: Map<String, Value>,
    /// How many conversations it has.
    pub conversations: u64,
    /// Turns that are queued or running.
    pub turns_open: u64,
    /// What it has used.
    pub usage: UsageNow,
    /// What it stores.
    pub bytes: StoredBytes,
    /// Whether its container runs.
    pub container: ContainerState,
    /// The last day on which it ran a turn.
    pub last_active_day: Option<Day>,
}

/// What an account has used lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct UsageNow {
    /// In this day of UTC.
    pub today: Spent,
    /// In this month.
    pub month: Spent,
}

/// What an account stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct StoredBytes {
    /// In its database.
    pub database: u64,
    /// In the bucket.
    pub files: u64,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ContainerState {
    /// It does.
    Running,
    /// It does not.
    Stopped,
}

/// How much an erasure erased.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ErasureCounts {
    /// Conversations.
    pub conversations: u64,
    /// Messages.
    pub messages: u64,
    /// Turns.
    pub turns: u64,
    /// Bytes of the database.
    pub database_bytes: u64,
    /// Bytes of files in the bucket.
    pub files_bytes: u64,
}

/// How far an account has come with its erasure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureStep {
    /// What there is, or was, to erase.
    pub counts: ErasureCounts,
    /// Whether nothing is left.
    pub done: bool,
}

/// Whether an erasure has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ErasureStatus {
    /// It goes on.
    Pending,
    /// Nothing is left.
    Done,
}

/// The receipt of an erasure. It holds nothing of what was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Erasure {
    /// Its id.
    pub erasure_id: ErasureId,
    /// Whether it has ended.
    pub status: ErasureStatus,
    /// When it was asked for.
    pub requested_at: Millis,
    /// When nothing was left; null before.
    pub erased_at: Option<Millis>,
    /// What was erased; null before it is known.
    pub counts: Option<ErasureCounts>,
}
