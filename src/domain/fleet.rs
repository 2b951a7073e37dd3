//! What operators are told of all accounts at work: the sum of what each account reports while it works.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{FailureCode, TurnStatus};

/// What becomes of an account's container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ContainerStage {
    /// It runs.
    Running,
    /// It has been asked for.
    Starting,
    /// It does not run.
    #[default]
    Stopped,
}

impl ContainerStage {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Starting => "starting",
            Self::Stopped => "stopped",
        }
    }
}

/// Turns that ended in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTurns {
    /// How.
    pub status: TurnStatus,
    /// Why they did not complete.
    pub code: Option<FailureCode>,
    /// How many.
    pub turns: u64,
}

/// What one account reports.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetReport {
    /// Turns that run.
    pub running: u64,
    /// Turns that wait in the queue.
    pub queued: u64,
    /// Its container.
    pub container: ContainerStage,
    /// Starts of its container that have failed since the report before.
    pub starts_failed: u64,
    /// The version of its code.
    pub version: String,
    /// Turns that have ended since the report before.
    pub ended: Vec<EndedTurns>,
}

/// The sum over accounts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSum {
    /// Accounts that have reported lately.
    pub reporting: u64,
    /// Those of them with a turn that runs.
    pub at_work: u64,
    /// Turns that run.
    pub running: u64,
    /// Turns that wait in the queue.
    pub queued: u64,
    /// Containers that run.
    pub containers_running: u64,
    /// Containers that have been asked for.
    pub containers_starting: u64,
    /// Starts of containers that failed in the last hour.
    pub starts_failed: u64,
    /// Accounts by the version of their code.
    pub versions: BTreeMap<String, u64>,
    /// Turns that ended in the last hour.
    pub ended: Vec<EndedTurns>,
}

impl FleetSum {
    /// Adds what another part of the directory knows.
    pub fn add(&mut self, other: Self) {
        self.reporting += other.reporting;
        self.at_work += other.at_work;
        self.running += other.running;
        self.queued += other.queued;
        self.containers_running += other.containers_running;
        self.containers_starting += other.containers_starting;
        self.starts_failed += other.starts_failed;
        for (version, accounts) in other.versions {
            *self.versions.entry(version).or_default() += accounts;
        }
        add_ended(&mut self.ended, &other.ended);
    }
}

/// Adds turns to those that ended in the same way.
pub fn add_ended(sum: &mut Vec<EndedTurns>, more: &[EndedTurns]) {
    for ended in more {
        match sum.iter_mut().find(|known| (known.status, known.code) == (ended.status, ended.code)) {
            Some(known) => known.turns += ended.turns,
            None => sum.push(*ended),
        }
    }
}
