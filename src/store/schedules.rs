//! The account's schedules and their runs.

use super::conversations::{session_id, unreadable};
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, json};
use crate::domain::cron::Cron;
use crate::domain::schedule::{MAX_FAILURES, Missed, ScheduleRun, TurnTrigger};
use crate::domain::webhook::Event;
use crate::domain::{
    EventType, Millis, ResourceName, SessionId, Turn, TurnId, TurnOptions, TurnStatus, WebhookEventId,
};

/// Runs that are kept of a schedule.
pub const MAX_RUNS: u32 = 100;

/// A schedule as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSchedule {
    /// Its name.
    pub name: ResourceName,
    /// When it is due.
    pub cron: String,
    /// The zone of these times.
    pub timezone: String,
    /// What is asked.
    pub query: String,
    /// What is asked of the agent.
    pub options: TurnOptions,
    /// The conversation that goes on; a new one with each run if absent.
    pub session_id: Option<SessionId>,
    /// What becomes of a run that was missed.
    pub missed: Missed,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// Why it is paused, if it is.
    pub paused: Option<String>,
    /// Runs that failed in a row.
    pub failures: u32,
    /// When it is due next; none if it is disabled or paused.
    pub due_at: Option<Millis>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last written.
    pub updated_at: Millis,
}

impl StoredSchedule {
    /// Its times, which were checked when it was stored.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] if this version cannot read them.
    pub fn times(&self) -> Result<Cron, StoreError> {
        Cron::parse(&self.cron).map_err(|e| unreadable("cron", &e))
    }
}

/// How many schedules there are, and when the first is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleCount {
    /// How many.
    pub count: usize,
    /// When the first is due; none if none will be.
    pub due_at: Option<Millis>,
}

macro_rules! columns {
    () => {
        "select name, cron, timezone, query, options, session_id, missed, enabled, paused, failures, due_at, created_at, \
         updated_at from schedules"
    };
}

impl<S: Sql> Store<S> {
    /// How many schedules there are, and when the first is due. Asked with every alarm, and so kept in memory.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn schedule_count(&self) -> Result<ScheduleCount, StoreError> {
        const COUNT: &str = "select count(*), min(due_at) from schedules";
        if let Some(count) = self.cache.schedules.get() {
            return Ok(count);
        }
        let Some(row) = self.sql.first(COUNT, &[])? else { return Ok(ScheduleCount { count: 0, due_at: None }) };
        let count = usize::try_from(row.count(0)?).unwrap_or(usize::MAX);
        let count = ScheduleCount { count, due_at: row.opt_integer(1)?.map(Millis::new) };
        self.cache.schedules.set(Some(count));
        Ok(count)
    }

    /// Every schedule, by name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn schedules(&self) -> Result<Vec<StoredSchedule>, StoreError> {
        const ALL: &str = concat!(columns!(), " order by name");
        self.sql.query(ALL, &[])?.into_iter().map(schedule_from).collect()
    }

    /// One schedule; none if there is none of that name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn schedule(&self, name: &ResourceName) -> Result<Option<StoredSchedule>, StoreError> {
        const ONE: &str = concat!(columns!(), " where name = +?1");
        self.sql.first(ONE, &[Value::Text(name.as_str())])?.map(schedule_from).transpose()
    }

    /// Stores a schedule in place of the one of its name.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_schedule(&self, schedule: &StoredSchedule) -> Result<(), StoreError> {
        const SET: &str = "insert or replace into schedules (name, cron, timezone, query, options, session_id, missed, \
             enabled, paused, failures, due_at, created_at, updated_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        self.cache.schedules.set(None);
        let values = [
            Value::Text(schedule.name.as_str()),
            Value::Text(&schedule.cron),
            Value::Text(&schedule.timezone),
            Value::Text(&schedule.query),
            Value::Text(&json(&schedule.options)?),
            schedule.session_id.as_ref().map(SessionId::as_str).into(),
            Value::Text(schedule.missed.as_str()),
            Value::Integer(i64::from(schedule.enabled)),
            schedule.paused.as_deref().into(),
            Value::Integer(i64::from(schedule.failures)),
            schedule.due_at.map(Millis::get).into(),
            Value::Integer(schedule.created_at.get()),
            Value::Integer(schedule.updated_at.get()),
        ];
        Ok(self.sql.execute(SET, &values)?)
    }

    /// Deletes a schedule with the list of its runs. The turns stay with their conversations.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn delete_schedule(&self, name: &ResourceName) -> Result<(), StoreError> {
        const SCHEDULE: &str = "delete from schedules where name = +?1";
        const RUNS: &str = "delete from schedule_runs where name = +?1";
        self.transaction(|| {
            self.cache.schedules.set(None);
            self.sql.execute(SCHEDULE, &[Value::Text(name.as_str())])?;
            Ok(self.sql.execute(RUNS, &[Value::Text(name.as_str())])?)
        })
    }

    /// Sets when a schedule is due next.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_due(&self, name: &ResourceName, due_at: Option<Millis>) -> Result<(), StoreError> {
        const SET: &str = "update schedules set due_at = ?2 where name = +?1";
        self.cache.schedules.set(None);
        Ok(self.sql.execute(SET, &[Value::Text(name.as_str()), due_at.map(Millis::get).into()])?)
    }

    /// Adds a run to a schedule's list: its turn, or the reason why there is none.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn add_run(
        &self,
        name: &ResourceName,
        scheduled_at: Millis,
        run: Result<&TurnId, &str>,
    ) -> Result<(), StoreError> {
        const ADD: &str =
            "insert or replace into schedule_runs (name, scheduled_at, turn_id, failure) values (?1, ?2, ?3, ?4)";
        const FORGET: &str = "delete from schedule_runs where name = +?1 and scheduled_at <= \
             (select scheduled_at from schedule_runs where name = +?1 order by scheduled_at desc limit 1 offset +?2)";
        let name = Value::Text(name.as_str());
        let (turn_id, failure) = (run.ok().map(TurnId::as_str), run.err());
        self.sql.execute(ADD, &[name, Value::Integer(scheduled_at.get()), turn_id.into(), failure.into()])?;
        Ok(self.sql.execute(FORGET, &[name, Value::Integer(i64::from(MAX_RUNS))])?)
    }

    /// Whether a due time is in a schedule's list of runs.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn has_run(&self, name: &ResourceName, scheduled_at: Millis) -> Result<bool, StoreError> {
        const RUN: &str = "select 1 from schedule_runs where name = +?1 and scheduled_at = +?2";
        let values = [Value::Text(name.as_str()), Value::Integer(scheduled_at.get())];
        Ok(self.sql.first(RUN, &values)?.is_some())
    }

    /// A schedule's runs, the latest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn runs(&self, name: &ResourceName, limit: u32) -> Result<Vec<ScheduleRun>, StoreError> {
        const RUNS: &str = "select scheduled_at, schedule_runs.turn_id, turns.session_id, turns.status, failure \
             from schedule_runs left join turns using (turn_id) where name = +?1 order by scheduled_at desc limit +?2";
        let read = |mut row: Row| {
            let status = row.opt_text(3)?;
            let status = status.map(|word| TurnStatus::parse(&word).ok_or_else(|| unreadable("status", &word)));
            Ok(ScheduleRun {
                scheduled_at: Millis::new(row.integer(0)?),
                turn_id: row.opt_text(1)?.map(|id| id.try_into().map_err(|e| unreadable("turn_id", &e))).transpose()?,
                session_id: row.opt_text(2)?.map(session_id).transpose()?,
                status: status.transpose()?,
                failure: row.opt_text(4)?,
            })
        };
        let values = [Value::Text(name.as_str()), Value::Integer(i64::from(limit))];
        self.sql.query(RUNS, &values)?.into_iter().map(read).collect()
    }

    /// Counts the end of a turn that is a schedule's run. Belongs into the transaction that ends it.
    pub(super) fn end_run(&self, turn: &Turn) -> Result<(), StoreError> {
        let Some(trigger) = &turn.trigger else { return Ok(()) };
        let code = turn.error.as_ref().map(|error| json(&error.code)).transpose()?;
        let code = code.as_deref().map_or("", |code| code.trim_matches('"'));
        match turn.status {
            TurnStatus::Completed => self.run_completed(&trigger.schedule),
            TurnStatus::Failed | TurnStatus::Interrupted => {
                let ids =
                    [WebhookEventId::beside_turn(&turn.turn_id, 'f'), WebhookEventId::beside_turn(&turn.turn_id, 'e')];
                self.run_failed(trigger, Some(turn), code, ids, turn.finished_at.unwrap_or(turn.created_at))
            }
            TurnStatus::Cancelled | TurnStatus::Queued | TurnStatus::Running | TurnStatus::RequiresAction => Ok(()),
        }
    }

    fn run_completed(&self, name: &ResourceName) -> Result<(), StoreError> {
        const RESET: &str = "update schedules set failures = 0 where name = +?1 and failures > 0";
        Ok(self.sql.execute(RESET, &[Value::Text(name.as_str())])?)
    }

    /// Counts a run that failed, and pauses the schedule after [`MAX_FAILURES`] in a row. Tells the webhooks of both, under these ids.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn run_failed(
        &self,
        trigger: &TurnTrigger,
        turn: Option<&Turn>,
        code: &str,
        [failed, paused]: [WebhookEventId; 2],
        now: Millis,
    ) -> Result<(), StoreError> {
        const COUNT: &str = "update schedules set failures = failures + 1 where name = +?1 returning failures";
        const PAUSE: &str =
            "update schedules set paused = 'failures', due_at = null where name = +?1 and paused is null";
        let name = Value::Text(trigger.schedule.as_str());
        let Some(row) = self.sql.first(COUNT, &[name])? else { return Ok(()) };
        let tell = |event_id, kind| {
            let mut more = serde_json::Map::new();
            more.insert("schedule".to_owned(), trigger.schedule.as_str().into());
            more.insert("scheduled_at".to_owned(), trigger.scheduled_at.get().into());
            more.insert("code".to_owned(), code.into());
            let (session_id, turn_id) = (turn.map(|turn| &turn.session_id), turn.map(|turn| &turn.turn_id));
            self.tell(&Event { event_id, kind, created_at: now, session_id, turn_id, more })
        };
        tell(failed, EventType::ScheduleFailed)?;
        if row.integer(0)? >= i64::from(MAX_FAILURES) {
            self.cache.schedules.set(None);
            self.sql.execute(PAUSE, &[name])?;
            tell(paused, EventType::SchedulePaused)?;
        }
        Ok(())
    }
}

fn schedule_from(mut row: Row) -> Result<StoredSchedule, StoreError> {
    let missed = row.text(6)?;
    Ok(StoredSchedule {
        name: row.text(0)?.try_into().map_err(|e| unreadable("name", &e))?,
        cron: row.text(1)?,
        timezone: row.text(2)?,
        query: row.text(3)?,
        options: serde_json::from_str(&row.text(4)?).map_err(|e| unreadable("options", &e))?,
        session_id: row.opt_text(5)?.map(session_id).transpose()?,
        missed: Missed::parse(&missed).ok_or_else(|| unreadable("missed", &missed))?,
        enabled: row.integer(7)? != 0,
        paused: row.opt_text(8)?,
        failures: u32::try_from(row.integer(9)?).unwrap_or(u32::MAX),
        due_at: row.opt_integer(10)?.map(Millis::new),
        created_at: Millis::new(row.integer(11)?),
        updated_at: Millis::new(row.integer(12)?),
    })
}
