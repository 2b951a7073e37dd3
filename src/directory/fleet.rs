//! What operators are told of the accounts of a shard: the sum of what each has reported lately.

use std::time::Duration;

use super::Directory;
use super::command::DirectoryError;
use super::port::Runtime;
use crate::domain::fleet::{FleetReport, FleetSum};
use crate::domain::{AccountId, Millis};
use crate::store::fleet::Since;
use crate::store::sql::Sql;

/// How long a report of running turns holds: an account whose turn does nothing but wait for a command reports nothing meanwhile.
pub const WORK_HOLDS: Duration = Duration::from_mins(15);
/// How long a report holds at all.
pub const REPORT_HOLDS: Duration = Duration::from_hours(2);
/// Ended turns are counted in parts of an hour, six of them.
const PART_MS: i64 = 10 * 60 * 1_000;
const PARTS: i64 = 6;

impl<S: Sql + 'static, R: Runtime> Directory<S, R> {
    pub(super) fn take_report(&self, account_id: &AccountId, report: &FleetReport) -> Result<(), DirectoryError> {
        let now = self.runtime.now();
        let part = now.get() / PART_MS;
        let is_new_part = self.fleet_part.replace(part) != part;
        self.store.transaction(|| -> Result<(), DirectoryError> {
            if is_new_part {
                self.store.forget_reports(&since(now))?;
            }
            self.store.take_report(account_id, report, now, part)?;
            Ok(self.store.set_container(account_id, report.container)?)
        })
    }

    pub(super) fn fleet(&self) -> Result<FleetSum, DirectoryError> {
        Ok(self.store.fleet(&since(self.runtime.now()))?)
    }
}

fn since(now: Millis) -> Since {
    Since { reports: now.minus(REPORT_HOLDS), work: now.minus(WORK_HOLDS), part: now.get() / PART_MS - PARTS + 1 }
}
