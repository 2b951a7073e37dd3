//! The use cases of one shard of the directory: it knows the accounts, and goes through those that are due, page by page, by alarm.
//! It never opens an account that is not due, and never depends on how many there are.

pub mod command;
mod erasures;
pub mod fleet;
pub mod port;
pub mod shards;

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{StreamExt, stream};

use command::{Command, DirectoryError, Reply};
use erasures::ERASE_RETRY;
use port::{Runtime, Unreachable};

use crate::digest;
use crate::domain::{Millis, PurgeOutcome, RunId, Trigger};
use crate::log::{Level, Line};
use crate::store::directory::{DirectoryEntry, DirectoryStore, OpenRun};
use crate::store::sql::Sql;

/// Accounts that are visited at once: the platform lets an object wait for six answers.
pub const VISITS_AT_ONCE: usize = 6;
/// Accounts between two places that a run saves. A shard that is reset visits at most so many again.
pub const PAGE: u32 = 30;
/// Tries to visit an account, and the pause after the first; it doubles.
pub const VISIT_TRIES: u32 = 3;
const VISIT_PAUSE: Duration = Duration::from_millis(500);
/// How long an account may take to answer: a slice of its purge, and the wait for one that runs already.
const VISIT_LIMIT: Duration = Duration::from_mins(1);
/// How long one alarm goes on; the next goes on with what is left.
pub const RUN_SLICE: Duration = Duration::from_secs(10);
/// When a shard looks again after a run whose alarm was lost.
pub const RUN_WATCH: Duration = Duration::from_secs(15);
/// Pause before a run goes on whose storage failed.
const STORAGE_RETRY: Duration = Duration::from_mins(1);

/// One shard.
pub struct Directory<S, R> {
    store: DirectoryStore<S>,
    runtime: R,
    retention: Duration,
    /// The part of an hour in which a report came last.
    fleet_part: Cell<i64>,
}

impl<S: Sql + 'static, R: Runtime> Directory<S, R> {
    /// The shard whose database `store` is.
    pub fn new(store: DirectoryStore<S>, runtime: R, retention: Duration) -> Self {
        Self { store, runtime, retention, fleet_part: Cell::new(0) }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// [`DirectoryError`] if storage fails.
    pub fn handle(&self, command: Command) -> Result<Reply, DirectoryError> {
        match command {
            Command::Register { account_id, oldest_access_at } => {
                self.store.register(&account_id, oldest_access_at)?;
                Ok(Reply::Registered)
            }
            Command::StartRun { run_id, trigger } => self.start_run(run_id, trigger).map(Reply::Running),
            Command::ListRuns => Ok(Reply::Runs(self.store.runs()?)),
            Command::Note { account_id, active, status } => {
                self.store.note(&account_id, self.runtime.now(), active, status)?;
                Ok(Reply::Registered)
            }
            Command::ListAccounts(filter) => {
                let (accounts, next) = self.store.accounts(&filter)?;
                Ok(Reply::Accounts { accounts, next })
            }
            Command::Report { account_id, report } => {
                self.take_report(&account_id, &report)?;
                Ok(Reply::Registered)
            }
            Command::Forget { account_id } => {
                self.store.transaction(|| self.store.forget_account(&account_id))?;
                Ok(Reply::Registered)
            }
            Command::ReadFleet => Ok(Reply::Fleet(self.fleet()?)),
            Command::Erase { erasure_id, account_id, keep_account } => {
                self.store.forget_report_of(&account_id)?;
                self.begin_erasure(erasure_id, &account_id, keep_account).map(Reply::Erasing)
            }
            Command::Audit(entry) => {
                let forget_before = self.runtime.now().minus(erasures::RECEIPTS);
                self.store.transaction(|| self.store.add_audit(&entry, forget_before))?;
                Ok(Reply::Registered)
            }
            Command::ListAudit { before, limit } => Ok(Reply::Audit(self.store.audit(before, limit)?)),
            Command::ReadErasure(erasure_id) => Ok(Reply::Erasure(self.store.erasure(&erasure_id)?)),
        }
    }

    /// Starts a run, or joins the one that goes on; the alarm does its work.
    fn start_run(&self, run_id: RunId, trigger: Trigger) -> Result<RunId, DirectoryError> {
        let now = self.runtime.now();
        let running = self.store.transaction(|| -> Result<RunId, DirectoryError> {
            if let Some(open) = self.store.open_run()? {
                return Ok(open.run.run_id);
            }
            let cutoff = now.minus(self.retention);
            let mut open = OpenRun::new(run_id, trigger, now, cutoff);
            open.run.accounts_due = self.store.count_due(cutoff)?;
            self.store.save_run(&open)?;
            self.store.forget_old_runs()?;
            Ok(open.run.run_id)
        })?;
        self.runtime.set_alarm(now);
        Ok(running)
    }

    /// What the shard's alarm does: goes on with the erasures that are due, and with the run for up to [`RUN_SLICE`].
    pub async fn alarm(self: Rc<Self>) {
        let began = self.runtime.now();
        let erased = self.go_on_erasing().await;
        let purged = self.go_on(began).await;
        let now = self.runtime.now();
        // What has begun while this alarm was at work is in the rows as well: the alarm that it set is replaced here.
        let run = match purged.and_then(|()| Ok(self.store.open_run()?.map(|_| now))) {
            Ok(run) => run,
            Err(error) => Some(self.stalled(Level::Error, "purge_run_stalled", STORAGE_RETRY, &error)),
        };
        let erasure = match erased.and_then(|()| Ok(self.store.next_erasure()?)) {
            Ok(erasure) => erasure.map(|at| at.max(now)),
            Err(error) => Some(self.stalled(Level::Error, "erasure_stalled", ERASE_RETRY, &error)),
        };
        if let Some(at) = [run, erasure].into_iter().flatten().min() {
            self.runtime.set_alarm(at);
        }
    }

    /// Something failed; when to look again.
    fn stalled(&self, level: Level, event: &'static str, pause: Duration, error: &DirectoryError) -> Millis {
        let why = error.to_string();
        self.runtime.log(level, &Line { event, error: Some(&why), ..Line::default() });
        self.runtime.now().plus(pause)
    }

    /// Visits page after page, until the run or its slice ends.
    async fn go_on(&self, began: Millis) -> Result<(), DirectoryError> {
        let Some(mut open) = self.store.open_run()? else { return Ok(()) };
        self.runtime.set_alarm(began.plus(RUN_WATCH));
        while self.runtime.now().since(began) < RUN_SLICE {
            let page = self.store.next_due(&open, PAGE)?;
            let visits: Vec<_> = stream::iter(page)
                .map(|entry| async { (self.visit(&entry).await, entry) })
                .buffer_unordered(VISITS_AT_ONCE)
                .collect()
                .await;
            if self.record(&mut open, visits)? {
                self.log_end(&open);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Stores what a page of visits gave, and the run's new place; returns whether the run has ended with it.
    fn record(
        &self,
        open: &mut OpenRun,
        visits: Vec<(Option<PurgeOutcome>, DirectoryEntry)>,
    ) -> Result<bool, DirectoryError> {
        let is_last = visits.len() < PAGE as usize;
        self.store.transaction(|| -> Result<(), DirectoryError> {
            for (visit, entry) in visits {
                match visit {
                    Some(visit) => {
                        let due = visit.oldest_access_at.is_some_and(|oldest| oldest < open.cutoff);
                        if due && visit.errors > 0 {
                            open.run.accounts_failed += 1;
                        } else {
                            open.run.accounts_done += 1;
                        }
                        open.run.conversations_deleted += visit.deleted;
                        match visit.oldest_access_at {
                            None => self.store.drop_account(&entry)?,
                            // What is left over by then is the account's own alarm's; the next run looks at it.
                            Some(_) if due => {}
                            Some(oldest) => self.store.move_account(&entry, oldest)?,
                        }
                    }
                    None => open.run.accounts_failed += 1,
                }
                let place = (entry.oldest_access_at, entry.account_id.into());
                if place > open.passed {
                    open.passed = place;
                }
            }
            open.run.finished_at = is_last.then(|| self.runtime.now());
            Ok(self.store.save_run(open)?)
        })?;
        Ok(is_last)
    }

    /// What an account answers, if it does so in time.
    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, Unreachable>>) -> Result<T, Unreachable> {
        match select(Box::pin(answer), Box::pin(self.runtime.sleep(VISIT_LIMIT))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(Unreachable("no answer in time".to_owned())),
        }
    }

    /// Visits an account until it answers; none if it does not.
    async fn visit(&self, entry: &DirectoryEntry) -> Option<PurgeOutcome> {
        let mut pause = VISIT_PAUSE;
        let mut last = Unreachable(String::new());
        for again in (0..VISIT_TRIES).rev() {
            match self.in_time(self.runtime.visit(&entry.account_id)).await {
                Ok(visit) => return Some(visit),
                Err(error) => last = error,
            }
            if again > 0 {
                self.runtime.sleep(pause).await;
                pause *= 2;
            }
        }
        let (account, why) = (digest::account(entry.account_id.as_str()), last.to_string());
        let line = Line { event: "visit_failed", account: Some(&account), error: Some(&why), ..Line::default() };
        self.runtime.log(Level::Warn, &line);
        None
    }

    fn log_end(&self, open: &OpenRun) {
        let run = &open.run;
        let line = Line {
            event: "purge_run_ended",
            run: Some(run),
            rows_written: Some(self.store.rows_written()),
            total_ms: u64::try_from(self.runtime.now().since(run.started_at).as_millis()).ok(),
            ..Line::default()
        };
        self.runtime.log(if run.accounts_failed > 0 { Level::Warn } else { Level::Info }, &line);
    }
}
