//! A directory shard's protocol: every command that a Worker or an account's object may send to it.

use serde::{Deserialize, Serialize};

use crate::domain::{AccountId, Millis, PurgeRun, RunId, Trigger};
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
}

/// Why a shard did not do it. The detail is for the log.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
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
