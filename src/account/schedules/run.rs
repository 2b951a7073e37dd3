//! A schedule's runs. Each is a turn like any other, whose idempotency key is made of the due time: whatever is reset in between, a due time is
//! run once.

use std::rc::Rc;
use std::time::Duration;

use crate::account::command::{AnswerForm, StartTurn};
use crate::account::error::AccountError;
use crate::account::reply::Reply;
use crate::account::runtime::{Directory, Runtime};
use crate::account::{Account, Response};
use crate::agent::Container;
use crate::domain::schedule::{self, TurnTrigger};
use crate::domain::{IdempotencyKey, Include, Millis, RequestId, Title, Turn, TurnOptions, WebhookEventId};
use crate::log::{Level, Line};
use crate::store::schedules::StoredSchedule;
use crate::store::sql::Sql;

/// The hash of the request that a run is. Its key alone tells it from others.
const REQUEST_HASH: &str = "schedule";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// When the object wakes for a schedule; none if none is due, or the account is suspended.
    pub(in crate::account) fn next_schedule(&self, now: Millis) -> Result<Option<Millis>, AccountError> {
        if self.settings()?.is_suspended() {
            return Ok(None);
        }
        Ok(self.store.schedule_count()?.due_at.map(|at| at.max(now)))
    }

    /// Runs what is due, unless the account is suspended: what comes due meanwhile was missed.
    pub(in crate::account) fn run_due_schedules(self: &Rc<Self>, now: Millis) -> Result<(), AccountError> {
        if self.settings()?.is_suspended() || self.store.schedule_count()?.due_at.is_none_or(|due_at| due_at > now) {
            return Ok(());
        }
        for schedule in self.store.schedules()? {
            let Some(since) = schedule.due_at.filter(|at| *at <= now) else { continue };
            let cron = schedule.times()?;
            let offset = |at| self.runtime.utc_offset_s(&schedule.timezone, at);
            if let Some(at) = schedule::due(&cron, since, now, schedule.missed, &offset) {
                self.run_at(&schedule, at, now)?;
            } else {
                let why = "the account woke too late for it";
                self.log(Level::Warn, Line { event: "schedule_missed", error: Some(why), ..Line::default() });
            }
            // A failure may have paused it.
            if self.store.schedule(&schedule.name)?.is_some_and(|schedule| schedule.due_at.is_some()) {
                self.store.set_due(&schedule.name, cron.next_after(now, &offset))?;
            }
        }
        Ok(())
    }

    fn run_at(self: &Rc<Self>, schedule: &StoredSchedule, at: Millis, now: Millis) -> Result<(), AccountError> {
        if self.store.has_run(&schedule.name, at)? {
            // Storage failed right after it.
            return Ok(());
        }
        let trigger = TurnTrigger { schedule: schedule.name.clone(), scheduled_at: at };
        let key = IdempotencyKey::try_from(format!("schedule:{}:{}", schedule.name, at.get())).ok();
        let request_id = RequestId::new(self.runtime.uuid());
        let started = self.start_run(schedule, &trigger, key, &request_id, false, now);
        match started {
            Ok(turn) => Ok(self.store.add_run(&schedule.name, at, Ok(&turn.turn_id))?),
            Err(error @ (AccountError::Store(_) | AccountError::Bucket(_))) => Err(error),
            Err(refused) => {
                let code = match refused {
                    AccountError::QueueFull { .. } => "queue_full",
                    AccountError::ConversationBusy => "conversation_busy",
                    AccountError::ActionPending(_) => "action_pending",
                    AccountError::BudgetExhausted(_) => "budget_exhausted",
                    AccountError::StorageFull(_) => "storage_full",
                    AccountError::Suspended(_) => "account_suspended",
                    // A run has neither attachments nor files of its own, and nobody waits for it.
                    AccountError::Store(_)
                    | AccountError::Bucket(_)
                    | AccountError::NotFound
                    | AccountError::NoTurn
                    | AccountError::TooManyCalls
                    | AccountError::TooManyWait
                    | AccountError::Attachments(_)
                    | AccountError::ActionResolved(_)
                    | AccountError::DecisionsTooLarge
                    | AccountError::NothingAsked
                    | AccountError::DirectoryNotTold(_)
                    | AccountError::KeyReused
                    | AccountError::Refused { .. }
                    | AccountError::ConversationExists
                    | AccountError::BadImport(_)
                    | AccountError::ImportConflicts(_)
                    | AccountError::NoBranch(_)
                    | AccountError::Metadata(_)
                    | AccountError::Files(_)
                    | AccountError::EndUnseen => "internal",
                };
                let ids = [(); 2].map(|()| WebhookEventId::new(self.runtime.uuid()));
                self.log(Level::Warn, Line { event: "schedule_refused", error: Some(code), ..Line::default() });
                self.store.transaction(|| {
                    self.store.add_run(&schedule.name, at, Err(code))?;
                    self.store.run_failed(&trigger, None, code, ids, now)
                })?;
                self.deliver()
            }
        }
    }

    /// Runs a schedule because somebody asks for it.
    pub(super) fn run_now(
        self: &Rc<Self>,
        schedule: &StoredSchedule,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<(Turn, Millis), AccountError> {
        // It does not stand for the run of a due time.
        let mut free = now;
        while schedule.due_at == Some(free) || self.store.has_run(&schedule.name, free)? {
            free = free.plus(Duration::from_millis(1));
        }
        let trigger = TurnTrigger { schedule: schedule.name.clone(), scheduled_at: free };
        let turn = self.start_run(schedule, &trigger, None, request_id, again, now)?;
        let at = turn.trigger.as_ref().map_or(free, |trigger| trigger.scheduled_at);
        self.store.add_run(&schedule.name, at, Ok(&turn.turn_id))?;
        Ok((turn, at))
    }

    fn start_run(
        self: &Rc<Self>,
        schedule: &StoredSchedule,
        trigger: &TurnTrigger,
        key: Option<IdempotencyKey>,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<Turn, AccountError> {
        let start = StartTurn {
            session_id: schedule.session_id.clone(),
            prompt: schedule.query.clone(),
            content: None,
            title: Title::from_prompt(&schedule.query),
            options: TurnOptions { trigger: Some(trigger.clone()), ..schedule.options.clone() },
            idempotency: key.map(|key| (key, REQUEST_HASH.to_owned())),
            answer: AnswerForm::Accepted,
            include: Include::NOTHING,
            replaces: false,
        };
        match self.start_turn(&start, None, request_id, again, now)? {
            Response::Ready(Reply::Accepted { turn, .. }) => Ok(*turn),
            // It is asked to answer so.
            Response::Ready(_) | Response::Deferred(_) => Err(AccountError::EndUnseen),
        }
    }
}
