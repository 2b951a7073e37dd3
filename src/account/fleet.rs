//! What the account reports of its work to the directory: when something has changed that operators see, and else at
//! most once a minute while it works. Turns that end within that minute are stored until the alarm reports them. Nobody waits for a report, and
//! one that does not arrive is not sent again.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Account;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::fleet::{ContainerStage, EndedTurns, FleetReport, add_ended};
use crate::domain::{Millis, Turn, TurnStatus};
use crate::log::{Level, Line};
use crate::store::sql::Sql;

/// Time between two reports of an account in which nothing but numbers has changed.
pub const REPORT_EVERY: Duration = Duration::from_mins(1);

/// What has happened since the last report.
#[derive(Default, Serialize, Deserialize)]
struct Unreported {
    ended: Vec<EndedTurns>,
    starts_failed: u64,
}

/// What is to be reported, and what was.
#[derive(Default)]
pub(super) struct Fleet {
    unreported: RefCell<Unreported>,
    /// Whether what an object before this one had to report is in `unreported`.
    recalled: Cell<bool>,
    /// Whether the database has anything to report, and whether that is all of it.
    stored: Cell<bool>,
    stale: Cell<bool>,
    /// When the last report was sent, whether it told of running turns, and of which container.
    told: Cell<Option<(Millis, bool, ContainerStage)>>,
    /// Since when calls of the model end without a pause between two turns.
    busy_since: Cell<Option<Millis>>,
}

impl Fleet {
    /// Counts a turn that has ended.
    pub fn count(&self, turn: &Turn) {
        let ended = EndedTurns { status: turn.status, code: turn.error.as_ref().map(|error| error.code), turns: 1 };
        add_ended(&mut self.unreported.borrow_mut().ended, &[ended]);
        self.stale.set(true);
    }

    /// Counts a start of the container that has failed.
    pub fn count_failed_start(&self) {
        self.unreported.borrow_mut().starts_failed += 1;
        self.stale.set(true);
    }

    /// Drops what it has of a database that was cleared.
    pub fn forget(&self) {
        self.unreported.take();
        self.stored.set(false);
    }

    /// Whether anything has happened since the last report.
    fn counts(&self) -> bool {
        let unreported = self.unreported.borrow();
        !unreported.ended.is_empty() || unreported.starts_failed > 0
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
        self.recall_unreported();
        let told = self.fleet.told.get();
        let is_due = told.is_none_or(|(at, ..)| now >= at.plus(REPORT_EVERY));
        let counts = self.fleet.counts();
        let changes = told.map_or(container != ContainerStage::Stopped, |(_, was_at_work, was)| {
            (was_at_work && running == 0) || was != container
        });
        if !changes && !(is_due && (counts || running > 0)) {
            return self.keep_unreported();
        }
        let queued = if self.store.is_made() { self.store.active_turns().unwrap_or_default() } else { Vec::new() };
        let queued = queued.iter().filter(|turn| turn.status == TurnStatus::Queued).count();
        let Unreported { ended, starts_failed } = self.fleet.unreported.take();
        let report = FleetReport {
            running: u64::try_from(running).unwrap_or(u64::MAX),
            queued: u64::try_from(queued).unwrap_or(u64::MAX),
            container,
            starts_failed,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ended,
        };
        self.keep_unreported();
        self.fleet.told.set(Some((now, running > 0, container)));
        let sent = self.runtime.report(self.shard(), &self.id, report);
        self.runtime.spawn(async move { drop(sent.await) });
    }
    /// When what has happened since the last report is to be reported; none if that is nothing.
    pub(super) fn next_report(&self, now: Millis) -> Option<Millis> {
        self.recall_unreported();
        let at = self.fleet.told.get().map_or(now, |(at, ..)| at.plus(REPORT_EVERY));
        self.fleet.counts().then_some(at)
    }

    /// Takes what an object before this one had to report, once.
    fn recall_unreported(&self) {
        if !self.store.is_made() || self.fleet.recalled.replace(true) {
            return;
        }
        // A number of turns is not worth a failure.
        let Some(text) = self.store.unreported().ok().flatten() else { return };
        self.fleet.stored.set(true);
        let before: Unreported = serde_json::from_str(&text).unwrap_or_default();
        let mut unreported = self.fleet.unreported.borrow_mut();
        add_ended(&mut unreported.ended, &before.ended);
        unreported.starts_failed += before.starts_failed;
    }

    /// Has the database hold what is to be reported, and nothing else.
    fn keep_unreported(&self) {
        let counts = self.fleet.counts();
        let is_kept = if counts { !self.fleet.stale.get() } else { !self.fleet.stored.get() };
        if is_kept || !self.store.is_made() {
            return;
        }
        let text = counts.then(|| serde_json::to_string(&*self.fleet.unreported.borrow()).unwrap_or_default());
        match self.store.set_unreported(text.as_deref()) {
            Ok(()) => {
                self.fleet.stale.set(false);
                self.fleet.stored.set(counts);
            }
            Err(error) => {
                let why = error.to_string();
                self.log(Level::Warn, Line { event: "report_not_stored", error: Some(&why), ..Line::default() });
            }
        }
    }
}
