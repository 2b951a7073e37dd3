//! A directory shard's protocol: every command that a Worker or an account's object may send to it.

use serde::{Deserialize, Serialize};

use crate::domain::account::{AccountFilter, AccountStatus, Erasure, ListedAccount};
use crate::domain::audit::AuditEntry;
use crate::domain::fleet::{FleetReport, FleetSum};
use crate::domain::{AccountId, ErasureId, Millis, PurgeRun, RunId, Trigger};
use crate::store::StoreError;

/// What a shard can be asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Register an account.
    Register {
        /// The account.
        account_id: AccountId,
        /// No conversation of it was last accessed before this.
        oldest_access_at: Millis,
    },
    /// Start a purge run, or join the one that goes on.
    StartRun {
        /// The id that a new run gets.
        run_id: RunId,
        /// Who starts it.
        trigger: Trigger,
    },
    /// Tell the runs that are remembered.
    ListRuns,
    /// Record that an account was active, or what its status is.
    Note {
        /// The account.
        account_id: AccountId,
        /// Whether it runs a turn.
        active: bool,
        /// Its status, if that has changed.
        status: Option<AccountStatus>,
    },
    /// Forget an account of which nothing is left.
    Forget {
        /// The account.
        account_id: AccountId,
    },
    /// Take what an account reports.
    Report {
        /// The account.
        account_id: AccountId,
        /// What it is at.
        report: FleetReport,
    },
    /// The sum of what accounts report.
    ReadFleet,
    /// One page of the accounts.
    ListAccounts(AccountFilter),
    /// Begin an erasure, or join the one of the account that goes on.
    Erase {
        /// The id that a new erasure gets.
        erasure_id: ErasureId,
        /// Whose data.
        account_id: AccountId,
        /// Whether the account itself stays.
        keep_account: bool,
    },
    /// The receipt of an erasure.
    ReadErasure(ErasureId),
    /// Add to the audit.
    Audit(AuditEntry),
    /// One page of the audit, newest first.
    ListAudit {
        /// Only entries with a lower number.
        before: i64,
        /// At most so many.
        limit: u32,
    },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// The account is known.
    Registered,
    /// That run goes on.
    Running(RunId),
    /// The runs, newest first.
    Runs(Vec<PurgeRun>),
    /// Some of the accounts, in the order of their ids.
    Accounts {
        /// The accounts.
        accounts: Vec<ListedAccount>,
        /// The id behind which the next page begins, if there may be one.
        next: Option<String>,
    },
    /// The sum of what accounts report.
    Fleet(FleetSum),
    /// That erasure goes on.
    Erasing(ErasureId),
    /// The receipt; none if it is another shard's.
    Erasure(Option<Erasure>),
    /// Entries of the audit, each with its number.
    Audit(Vec<(i64, AuditEntry)>),
}

/// Why a shard did not do it. The detail is for the log.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An account did not answer, or not as it should.
    #[error("{0}")]
    Account(String),
    /// A shard did not answer, or not as it should.
    #[error("shard {shard}: {error}")]
    Shard {
        /// The shard's number.
        shard: u32,
        /// What went wrong.
        error: String,
    },
}

impl From<crate::store::sql::SqlError> for DirectoryError {
    fn from(error: crate::store::sql::SqlError) -> Self {
        Self::Store(error.into())
    }
}
