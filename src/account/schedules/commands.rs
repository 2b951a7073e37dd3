//! The commands about schedules.

use std::rc::Rc;

use super::command::{SchedulesCommand, SchedulesReply, SetSchedule, ShownSchedule};
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::reply::Reply;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::cron::Cron;
use crate::domain::schedule::{MAX_SCHEDULES, SHOWN_RUNS};
use crate::domain::{Millis, RequestId, ResourceName};
use crate::store::schedules::StoredSchedule;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(in crate::account) fn handle_schedules(
        self: &Rc<Self>,
        command: SchedulesCommand,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<SchedulesReply, AccountError> {
        Ok(match command {
            SchedulesCommand::List => {
                let schedules = self.store.schedules()?.into_iter();
                SchedulesReply::List(schedules.map(|schedule| self.shown(schedule)).collect::<Result<_, _>>()?)
            }
            SchedulesCommand::Read(name) => SchedulesReply::One(Box::new(self.shown(self.known_schedule(&name)?)?)),
            SchedulesCommand::Set(set) => SchedulesReply::One(Box::new(self.set_schedule(*set, now)?)),
            SchedulesCommand::Delete(name) => {
                self.store.delete_schedule(&name)?;
                SchedulesReply::Deleted
            }
            SchedulesCommand::Run(name) => {
                let (turn, scheduled_at) = self.run_now(&self.known_schedule(&name)?, request_id, again, now)?;
                SchedulesReply::Started { turn_id: turn.turn_id, session_id: turn.session_id, scheduled_at }
            }
            SchedulesCommand::Runs(name, limit) => {
                self.known_schedule(&name)?;
                SchedulesReply::Runs(self.store.runs(&name, limit)?)
            }
        })
    }

    /// The reply of an account that nothing is stored of; none if something is to be stored.
    pub(in crate::account) fn schedules_of_nothing(
        ask: &SchedulesCommand,
    ) -> Result<Option<Reply<S::Json>>, AccountError> {
        Ok(Some(Reply::Schedules(match ask {
            SchedulesCommand::Set(_) => return Ok(None),
            SchedulesCommand::List => SchedulesReply::List(Vec::new()),
            SchedulesCommand::Delete(_) => SchedulesReply::Deleted,
            SchedulesCommand::Read(_) | SchedulesCommand::Run(_) | SchedulesCommand::Runs(..) => {
                return Err(AccountError::NotFound);
            }
        })))
    }

    fn known_schedule(&self, name: &ResourceName) -> Result<StoredSchedule, AccountError> {
        self.store.schedule(name)?.ok_or(AccountError::NotFound)
    }

    fn set_schedule(self: &Rc<Self>, set: SetSchedule, now: Millis) -> Result<ShownSchedule, AccountError> {
        let refused = |parameter, rule| Err(AccountError::Refused { parameter, rule });
        let Ok(cron) = Cron::parse(&set.cron) else { return refused("cron", "an expression of five fields") };
        if self.runtime.utc_offset_s(&set.timezone, now).is_none() {
            return refused("timezone", "the name of a time zone, such as Europe/Berlin");
        }
        let least = i64::try_from(self.config.schedule_min_interval.as_secs() / 60).unwrap_or(i64::MAX);
        if cron.shortest_pause() < least {
            return refused("cron", "due times that are further apart: SCHEDULE_MIN_INTERVAL is 5 minutes by default");
        }
        let before = self.store.schedule(&set.name)?;
        if before.is_none() && self.store.schedule_count()?.count >= MAX_SCHEDULES {
            return refused("name", "an account has at most 32 schedules; delete one first");
        }
        let next = self.next_due(&set.timezone, &cron, now);
        if next.is_none() {
            return refused("cron", "a time that comes within nine years");
        }
        // A run that is due already is not lost by a change of something else.
        let is_same = |before: &&StoredSchedule| before.cron == set.cron && before.timezone == set.timezone;
        let due_at = before.as_ref().filter(is_same).and_then(|before| before.due_at).or(next).filter(|_| set.enabled);
        let schedule = StoredSchedule {
            name: set.name,
            cron: set.cron,
            timezone: set.timezone,
            query: set.query,
            options: set.options,
            session_id: set.session_id,
            missed: set.missed,
            enabled: set.enabled,
            paused: None,
            failures: 0,
            due_at,
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
        };
        self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            self.store.set_schedule(&schedule)
        })?;
        self.set_alarm()?;
        self.shown(schedule)
    }

    /// When a schedule is due next after a moment.
    pub(super) fn next_due(&self, timezone: &str, cron: &Cron, after: Millis) -> Option<Millis> {
        cron.next_after(after, &|at| self.runtime.utc_offset_s(timezone, at))
    }

    fn shown(&self, schedule: StoredSchedule) -> Result<ShownSchedule, AccountError> {
        let cron = schedule.times()?;
        let mut next_runs = Vec::with_capacity(SHOWN_RUNS);
        let mut next = schedule.due_at;
        while let Some(at) = next.filter(|_| next_runs.len() < SHOWN_RUNS) {
            next_runs.push(at);
            next = self.next_due(&schedule.timezone, &cron, at);
        }
        Ok(ShownSchedule { schedule, next_runs })
    }
}
