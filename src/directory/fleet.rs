//! What a shard knows of its accounts at work, in memory: after a reset it knows an account again with that account's next report.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::fleet::{ContainerStage, EndedTurns, FleetReport, FleetSum, add_ended};
use crate::domain::{AccountId, Millis};

/// How long a report of running turns holds: an account whose turn does nothing but wait for a command reports nothing meanwhile.
pub const WORK_HOLDS: Duration = Duration::from_mins(15);
/// How long a report holds at all.
pub const REPORT_HOLDS: Duration = Duration::from_hours(2);
/// Accounts that a shard remembers; more are not counted.
pub const MAX_ACCOUNTS: usize = 20_000;
/// Ended turns are counted in parts of an hour, six of them.
const PART_MS: i64 = 10 * 60 * 1_000;
const PARTS: i64 = 6;

#[derive(Default)]
struct Part {
    ended: Vec<EndedTurns>,
    starts_failed: u64,
}

/// The accounts of a shard.
#[derive(Default)]
pub struct Fleet {
    accounts: RefCell<HashMap<AccountId, (Millis, FleetReport)>>,
    parts: RefCell<BTreeMap<i64, Part>>,
}

impl Fleet {
    /// Takes a report; returns the state of the account's container if that is news.
    pub fn take(&self, account_id: AccountId, mut report: FleetReport, now: Millis) -> Option<ContainerStage> {
        let part_no = now.get() / PART_MS;
        let mut parts = self.parts.borrow_mut();
        parts.retain(|no, _| *no > part_no - PARTS);
        let part = parts.entry(part_no).or_default();
        add_ended(&mut part.ended, &std::mem::take(&mut report.ended));
        part.starts_failed += std::mem::take(&mut report.starts_failed);
        let mut accounts = self.accounts.borrow_mut();
        if accounts.len() >= MAX_ACCOUNTS && !accounts.contains_key(&account_id) {
            accounts.retain(|_, (at, _)| now < at.plus(REPORT_HOLDS));
            if accounts.len() >= MAX_ACCOUNTS {
                return Some(report.container);
            }
        }
        let container = report.container;
        let before = accounts.insert(account_id, (now, report));
        (before.map(|(_, before)| before.container) != Some(container)).then_some(container)
    }

    /// Forgets an account.
    pub fn forget(&self, account_id: &AccountId) {
        self.accounts.borrow_mut().remove(account_id);
    }

    /// The sum over the accounts.
    pub fn sum(&self, now: Millis) -> FleetSum {
        let mut sum = FleetSum::default();
        let mut accounts = self.accounts.borrow_mut();
        accounts.retain(|_, (at, _)| now < at.plus(REPORT_HOLDS));
        for (at, report) in accounts.values() {
            sum.reporting += 1;
            if now < at.plus(WORK_HOLDS) {
                sum.at_work += u64::from(report.running > 0);
                sum.running += report.running;
                sum.queued += report.queued;
                sum.containers_starting += u64::from(report.container == ContainerStage::Starting);
            }
            sum.containers_running += u64::from(report.container == ContainerStage::Running);
            *sum.versions.entry(report.version.clone()).or_default() += 1;
        }
        let first = now.get() / PART_MS - PARTS;
        for (_, part) in self.parts.borrow().range(first + 1..) {
            add_ended(&mut sum.ended, &part.ended);
            sum.starts_failed += part.starts_failed;
        }
        sum
    }
}
