//! What the account reports of its work to the directory: when something has changed that operators see, and else at
//! most once a minute while it works. Nobody waits for a report, and one that does not arrive is not sent again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::Account;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::fleet::{ContainerStage, EndedTurns, FleetReport, add_ended};
use crate::domain::{Millis, Turn, TurnStatus};
use crate::store::sql::Sql;

/// Time between two reports of an account in which nothing but numbers has changed.
pub const REPORT_EVERY: Duration = Duration::from_mins(1);

/// What is to be reported, and what was.
#[derive(Default)]
pub(super) struct Fleet {
    ended: RefCell<Vec<EndedTurns>>,
    starts_failed: Cell<u64>,
    /// When the last report was sent, whether it told of running turns, and of which container.
    told: Cell<Option<(Millis, bool, ContainerStage)>>,
    /// Since when calls of the model end without a pause between two turns.
    busy_since: Cell<Option<Millis>>,
}

impl Fleet {
    /// Counts a turn that has ended.
    pub fn count(&self, turn: &Turn) {
        let ended = EndedTurns { status: turn.status, code: turn.error.as_ref().map(|error| error.code), turns: 1 };
        add_ended(&mut self.ended.borrow_mut(), &[ended]);
    }

    /// Counts a start of the container that has failed.
    pub fn count_failed_start(&self) {
        self.starts_failed.set(self.starts_failed.get() + 1);
    }
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// A call of the model has ended: a turn that runs for longer than a minute is reported while it runs.
    pub(super) fn report_long_work(&self) {
        let now = self.runtime.now();
        match self.fleet.busy_since.get() {
            None => self.fleet.busy_since.set(Some(now)),
            Some(since) if now >= since.plus(REPORT_EVERY) => self.report(now),
            Some(_) => {}
        }
    }

    /// Reports, if it is time.
    pub(super) fn report(&self, now: Millis) {
        let container = if self.agent.is_running() { ContainerStage::Running } else { ContainerStage::Stopped };
        self.report_with(container, now);
    }

    /// Reports that the container has come to this, if that is new or it is time.
    pub(super) fn report_with(&self, container: ContainerStage, now: Millis) {
        let running = self.turns.running_count();
        if running == 0 {
            self.fleet.busy_since.set(None);
        }
        let told = self.fleet.told.get();
        let is_due = told.is_none_or(|(at, ..)| now >= at.plus(REPORT_EVERY));
        let counts = !self.fleet.ended.borrow().is_empty() || self.fleet.starts_failed.get() > 0;
        let changes = told.map_or(container != ContainerStage::Stopped, |(_, was_at_work, was)| {
            (was_at_work && running == 0) || was != container
        });
        if !changes && !(is_due && (counts || running > 0)) {
            return;
        }
        let queued = if self.store.is_made() { self.store.active_turns().unwrap_or_default() } else { Vec::new() };
        let queued = queued.iter().filter(|turn| turn.status == TurnStatus::Queued).count();
        let report = FleetReport {
            running: u64::try_from(running).unwrap_or(u64::MAX),
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            container,
            starts_failed: self.fleet.starts_failed.take(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ended: self.fleet.ended.take(),
        };
        self.fleet.told.set(Some((now, running > 0, container)));
        let sent = self.runtime.report(&self.id, report);
        self.runtime.spawn(async move { drop(sent.await) });
    }
}
