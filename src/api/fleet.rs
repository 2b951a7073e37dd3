//! All accounts at work, as a document.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::domain::TurnStatus;
use crate::domain::fleet::FleetSum;

/// `GET /fleet`.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Fleet"))]
pub struct FleetJson {
    accounts: AccountsJson,
    turns: TurnsJson,
    containers: ContainersJson,
    /// Accounts by the version of the code that they run.
    versions: BTreeMap<String, u64>,
    last_hour: LastHourJson,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FleetAccounts"))]
struct AccountsJson {
    /// Accounts that have reported in the last two hours.
    reporting: u64,
    /// Those of them with a turn that runs.
    at_work: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FleetTurns"))]
struct TurnsJson {
    /// Turns that run.
    running: u64,
    /// Turns that wait in the queues of their accounts.
    queued: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FleetContainers"))]
struct ContainersJson {
    running: u64,
    starting: u64,
    /// Starts that failed in the last hour.
    failed: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FleetLastHour"))]
struct LastHourJson {
    /// Turns that ended.
    turns: u64,
    completed: u64,
    cancelled: u64,
    failed: u64,
    interrupted: u64,
    /// The share of turns that failed or were interrupted, from 0 to 1.
    error_rate: f64,
    /// Those that failed, were interrupted or cancelled, by their code.
    codes: BTreeMap<String, u64>,
}

impl FleetJson {
    /// The document that tells this.
    #[must_use]
    pub fn of(sum: FleetSum) -> Self {
        let of = |status| sum.ended.iter().filter(|ended| ended.status == status).map(|ended| ended.turns).sum();
        let turns: u64 = sum.ended.iter().map(|ended| ended.turns).sum();
        let (failed, interrupted): (u64, u64) = (of(TurnStatus::Failed), of(TurnStatus::Interrupted));
        let mut codes = BTreeMap::new();
        for ended in &sum.ended {
            let Some(code) = ended.code else { continue };
            let word = serde_json::to_value(code).ok().and_then(|word| word.as_str().map(str::to_owned));
            *codes.entry(word.unwrap_or_default()).or_default() += ended.turns;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of turns")]
        let error_rate = (failed + interrupted) as f64 / turns.max(1) as f64;
        let (completed, cancelled) = (of(TurnStatus::Completed), of(TurnStatus::Cancelled));
        Self {
            accounts: AccountsJson { reporting: sum.reporting, at_work: sum.at_work },
            turns: TurnsJson { running: sum.running, queued: sum.queued },
            containers: ContainersJson {
                running: sum.containers_running,
                starting: sum.containers_starting,
                failed: sum.starts_failed,
            },
            versions: sum.versions,
            last_hour: LastHourJson { turns, completed, cancelled, failed, interrupted, error_rate, codes },
        }
    }
}
