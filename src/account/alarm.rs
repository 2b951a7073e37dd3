//! The object's one alarm: what is done when it rings, and when it rings next.

use std::rc::Rc;
use std::time::Duration;

use super::error::AccountError;
use super::runtime::{Directory, Runtime};
use super::{Account, Deferred, wake};
use crate::agent::Container;
use crate::domain::TurnStatus;
use crate::domain::fleet::ContainerStage;
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// What the object's alarm does: looks after the turns, stops an idle container, tells the directory if that is still to do,
    /// and sets the next alarm. Returns the purge of what is due and the deletion of doomed objects, if there is anything to do.
    ///
    /// # Errors
    /// [`AccountError::Store`] if storage fails; the object's alarm is then set again.
    pub fn alarm(self: &Rc<Self>) -> Result<Option<Deferred<()>>, AccountError> {
        self.alarm.set(None);
        if !self.store.is_made() {
            return Ok(self.look_into_bucket_again());
        }
        self.wake_up()?;
        if let Some(looks) = self.orphan_looks.get().checked_sub(1) {
            self.look_for_orphans(looks);
        }
        self.store_calls()?;
        self.run_due_schedules(self.runtime.now())?;
        self.expire_actions(self.runtime.now())?;
        self.pump()?;
        let now = self.runtime.now();
        if self.is_prewarming() {
            self.idle_since.set(Some(now));
        } else if !self.agent.is_running() {
            // It stopped by itself: there is nothing to stop any more.
            self.container_stopped(now)?;
            self.report(now);
            if self.idle_since.take().is_some() {
                self.store.set_container_idle_since(None)?;
            }
        } else if self.turns.held_count() == 0 {
            let since = self.idle_since.get().or(self.store.container_idle_since()?).unwrap_or(now);
            self.idle_since.set(Some(since));
            if now >= since.plus(self.wake_limits().container_idle) {
                self.container_stops(now)?;
                self.agent.stop();
                self.report_with(ContainerStage::Stopped, now);
                self.idle_since.set(None);
                let total_ms = u64::try_from(now.since(since).as_millis()).ok();
                self.log(Level::Info, Line { event: "container_stopped", total_ms, ..Line::default() });
            }
            self.store.set_container_idle_since(self.idle_since.get())?;
        }
        self.register_soon()?;
        self.deliver()?;
        let purge = self.purge_by_alarm(now)?;
        let work = self.drain_behind(purge, now)?;
        self.set_alarm()?;
        Ok(work)
    }

    pub(super) fn set_alarm(&self) -> Result<(), AccountError> {
        let now = self.runtime.now();
        let mut reasons = wake::Reasons {
            turn_active: self.turns.held_count() > 0
                || !self.leaving.borrow().is_empty()
                || self.orphan_looks.get() > 0
                || self.ledger.has_pending()
                || self.has_turns_to_run()?,
            // While a turn runs, the container does not idle, whenever the one before has ended.
            container_idle_since: self.idle_since.get().filter(|_| self.turns.held_count() == 0),
            unregistered: self.store.unregistered_since()?.is_some(),
            purge: self.purge.get(),
            drain: self.next_drain(now)?,
            delivery: self.next_delivery(now)?,
            schedule: self.next_schedule(now)?,
            expiry: self.store.next_expiry()?,
            oldest_access: None,
        };
        let mut wake = wake::next_wake(reasons, self.wake_limits(), now);
        if wake::backstop_counts(wake, now) {
            reasons.oldest_access = self.store.oldest_access()?;
            wake = wake::next_wake(reasons, self.wake_limits(), now);
        }
        if let Some(at) = wake
            && wake::must_set(self.alarm.get(), at, now)
        {
            self.alarm.set(Some(at));
            self.runtime.set_alarm(at);
        }
        Ok(())
    }

    /// Whether turns run, or wait for their turn; those of a suspended account wait for nothing that an alarm brings.
    fn has_turns_to_run(&self) -> Result<bool, AccountError> {
        let active = self.store.active_turns()?;
        let suspended = self.settings()?.is_suspended();
        // One that waits for somebody without a process waits for no alarm but that of its expiry, and so do those behind it.
        let is_behind =
            |turn: &ActiveTurn| active.iter().any(|other| other.is_parked() && other.session_id == turn.session_id);
        let rests =
            |turn: &ActiveTurn| turn.is_parked() || turn.status == TurnStatus::Queued && (suspended || is_behind(turn));
        Ok(!active.iter().all(rests))
    }

    pub(super) fn wake_limits(&self) -> wake::Limits {
        let suspended = self.settings().is_ok_and(|settings| settings.is_suspended());
        let container_idle = if suspended { Duration::ZERO } else { self.config.container_idle };
        wake::Limits { container_idle, retention: self.retention().unwrap_or(self.config.retention) }
    }
}
