//! Turns: the queue in their partial index, and their ends.

use super::conversations::{sdk_session, session_id, unreadable};
use super::sql::{Row, Sql, Value};
use super::turn_row::{parsed, request_id, status, turn_from, turn_id};
use super::usage::counts;
use super::{Store, StoreError, json};
use crate::domain::ledger::Counted;
use crate::domain::{
    ByModel, ContinueBy, Failure, IdempotencyKey, Millis, RawJson, RequestId, SdkSession, SessionId, Turn, TurnFiles,
    TurnId, TurnOptions, TurnStatus, Usage,
};

/// A turn as it is admitted.
pub struct NewTurn<'a> {
    /// Its id.
    pub turn_id: &'a TurnId,
    /// Its conversation.
    pub session_id: &'a SessionId,
    /// The place of its query among the conversation's messages.
    pub seq: i64,
    /// Its place in the queue: above every active turn's.
    pub queue_position: i64,
    /// The request that made it.
    pub request_id: &'a RequestId,
    /// The caller's key and the hash of the request it came with.
    pub idempotency: Option<(&'a IdempotencyKey, &'a str)>,
    /// What was asked of the agent.
    pub options: &'a TurnOptions,
    /// When it was admitted.
    pub created_at: Millis,
    /// When it was started; none if it has to wait.
    pub started_at: Option<Millis>,
    /// The agent server that it is given to, if that is known.
    pub instance: Option<&'a str>,
}

/// A turn that is queued or running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveTurn {
    /// Its id.
    pub turn_id: TurnId,
    /// Its conversation.
    pub session_id: SessionId,
    /// Its place in the queue.
    pub queue_position: i64,
    /// Queued or running.
    pub status: TurnStatus,
    /// When it was started.
    pub started_at: Option<Millis>,
    /// How it goes on, if it was parked; it is again running, then, or waits without a process.
    pub parked: Option<ContinueBy>,
    /// Since when it waits for somebody. One that is running and has this is told what was decided, and has not said that it goes on.
    pub waiting_since: Option<Millis>,
    /// For how long it has waited before, in milliseconds.
    pub waited_ms: i64,
}

impl ActiveTurn {
    /// Whether it waits for somebody without a process.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.status == TurnStatus::RequiresAction && self.parked.is_some()
    }

    /// From when on its time limit counts, at a moment at which it does not wait.
    #[must_use]
    pub fn counts_from(&self, now: Millis) -> Millis {
        Millis::new(self.started_at.unwrap_or(now).get().saturating_add(self.waited_ms))
    }
}

/// What a turn needs to run, beside its conversation.
pub struct TurnWork {
    /// Its query's text.
    pub prompt: String,
    /// Its query's blocks, if some of them are no words.
    pub content: Option<RawJson>,
    /// What was asked of the agent.
    pub options: TurnOptions,
    /// The number of the last frame whose transcript is stored.
    pub frames_stored: u64,
    /// The agent server that it was given to last; none if it was given to none.
    pub instance: Option<String>,
}

/// What an active turn goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The SDK's session of its conversation; none before the conversation's first turn has begun.
    pub sdk_session: Option<SdkSession>,
    /// Whether its conversation's history has attachments.
    pub has_attachments: bool,
    /// The rules by which calls of its conversation run unasked.
    pub grants: Vec<RawJson>,
}

/// The numbers of the events that are told of a turn after its end: those that they had for whoever heard them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastEvents {
    /// That of the `message` which its answer is.
    pub message: u64,
    /// That of its end.
    pub end: u64,
}

/// How a turn ended.
pub struct TurnEnd<'a> {
    /// One of the four ends.
    pub status: TurnStatus,
    /// Why it did not complete.
    pub error: Option<&'a Failure>,
    /// The model that answered.
    pub model: Option<&'a str>,
    /// What it used.
    pub usage: Option<Usage>,
    /// Model calls it took.
    pub num_turns: Option<u32>,
    /// How long the agent worked, in milliseconds.
    pub duration_ms: Option<u64>,
    /// When it ended.
    pub finished_at: Millis,
    /// The numbers of its last events.
    pub last_events: LastEvents,
    /// What the gateway counted of it; absent if that is nothing.
    pub counted: Option<Counted>,
    /// Why the model stopped, if that is worth telling.
    pub stop_reason: Option<&'a str>,
    /// What each model used, if there was more than one.
    pub by_model: Option<&'a ByModel>,
}

/// What is stored with the end of a turn in its own row.
#[derive(Default)]
pub(super) struct WithEnd<'a> {
    /// What became of its files.
    pub files: Option<&'a TurnFiles>,
    /// Its items, if they are few.
    pub items: Option<&'a str>,
}

/// What an answer tells of the options that a turn was asked with: the caller's notes, whether there is a schema, and the schedule. Most have none.
macro_rules! asked {
    () => {
        "iif(options = '{}', null, options -> '$.metadata'), \
         iif(options = '{}', 0, json_type(options, '$.output_schema') is not null), \
         iif(options = '{}', null, options -> '$.trigger')"
    };
}

impl<S: Sql> Store<S> {
    /// Every queued or running turn, in the order of the queue.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn active_turns(&self) -> Result<Vec<ActiveTurn>, StoreError> {
        const ACTIVE: &str = "select turn_id, session_id, ordinal, status, started_at, parked, waiting_since, waited_ms from turns \
             where finished_at is null order by ordinal";
        if let Some(turns) = self.cache.active() {
            return Ok(turns);
        }
        let read = |mut row: Row| {
            Ok(ActiveTurn {
                turn_id: turn_id(row.text(0)?)?,
                session_id: session_id(row.text(1)?)?,
                queue_position: row.integer(2)?,
                status: status(&row.text(3)?)?,
                started_at: row.opt_integer(4)?.map(Millis::new),
                parked: ContinueBy::parse(row.integer(5)?),
                waiting_since: row.opt_integer(6)?.map(Millis::new),
                waited_ms: row.integer(7)?,
            })
        };
        let turns: Vec<ActiveTurn> =
            self.sql.query(ACTIVE, &[])?.into_iter().map(read).collect::<Result<_, StoreError>>()?;
        self.cache.set_active(&turns);
        Ok(turns)
    }

    /// Stores a turn: running if it need not wait, else queued.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn insert_turn(&self, turn: &NewTurn<'_>) -> Result<(), StoreError> {
        const INSERT: &str = "insert into turns (turn_id, session_id, seq, ordinal, status, request_id, idempotency_key, \
             request_hash, options, created_at, started_at, instance) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let status = if turn.started_at.is_some() { TurnStatus::Running } else { TurnStatus::Queued };
        let options = json(turn.options)?;
        let (key, hash) = turn.idempotency.unzip();
        self.sql.execute(
            INSERT,
            &[
                Value::Text(turn.turn_id.as_str()),
                Value::Text(turn.session_id.as_str()),
                Value::Integer(turn.seq),
                Value::Integer(turn.queue_position),
                Value::Text(status.as_str()),
                Value::Text(turn.request_id.as_str()),
                key.map(IdempotencyKey::as_str).into(),
                hash.into(),
                Value::Text(&options),
                Value::Integer(turn.created_at.get()),
                turn.started_at.map(Millis::get).into(),
                turn.instance.into(),
            ],
        )?;
        self.cache.admitted(ActiveTurn {
            turn_id: turn.turn_id.clone(),
            session_id: turn.session_id.clone(),
            queue_position: turn.queue_position,
            status,
            started_at: turn.started_at,
            parked: None,
            waiting_since: None,
            waited_ms: 0,
        });
        Ok(())
    }

    /// Moves a queued turn to running; `instance` is the agent server that it is given to, if that is known.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn start_turn(&self, turn_id: &TurnId, now: Millis, instance: Option<&str>) -> Result<(), StoreError> {
        const START: &str = "update turns set status = 'running', started_at = ?2, instance = ?3 \
             where turn_id = +?1 and status = 'queued'";
        self.cache.forget_active();
        Ok(self.sql.execute(START, &[Value::Text(turn_id.as_str()), Value::Integer(now.get()), instance.into()])?)
    }

    /// Records the agent server that an active turn is about to be given to.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_instance(&self, turn_id: &TurnId, instance: Option<&str>) -> Result<(), StoreError> {
        const SET: &str = "update turns set instance = ?2 where turn_id = +?1 and finished_at is null";
        Ok(self.sql.execute(SET, &[Value::Text(turn_id.as_str()), instance.into()])?)
    }

    /// What an active turn needs to run; none if it is gone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn turn_work(&self, turn_id: &TurnId) -> Result<Option<TurnWork>, StoreError> {
        const WORK: &str = "select content, options, frames_stored, instance, session_id from turns join messages using (session_id, seq) \
             where turns.turn_id = +?1 and finished_at is null order by part";
        let mut work: Option<TurnWork> = None;
        for mut row in self.sql.query(WORK, &[Value::Text(turn_id.as_str())])? {
            let part = row.text(0)?;
            if let Some(work) = &mut work {
                work.prompt.push_str(&part);
                continue;
            }
            let options = serde_json::from_str(&row.text(1)?).map_err(|e| unreadable("options", &e))?;
            let content = self.content_of(&session_id(row.text(4)?)?, turn_id)?;
            let (frames_stored, instance) = (row.count(2)?, row.opt_text(3)?);
            work = Some(TurnWork { prompt: part, content, options, frames_stored, instance });
        }
        Ok(work)
    }

    /// What an active turn goes on from; none if the turn has ended or is gone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn origin_of(&self, turn_id: &TurnId) -> Result<Option<Origin>, StoreError> {
        const OF: &str = "select agent_session, attachment_bytes > 0, grants from turns join conversations using (session_id) \
             where turn_id = +?1 and finished_at is null";
        let row = self.sql.first(OF, &[Value::Text(turn_id.as_str())])?;
        row.map(|mut row| {
            let has_attachments = row.integer(1)? != 0;
            let grants = parsed("grants", row.opt_text(2)?)?.unwrap_or_default();
            Ok(Origin { sdk_session: row.opt_text(0)?.map(sdk_session).transpose()?, has_attachments, grants })
        })
        .transpose()
    }

    /// Records that the transcript of every frame up to the `n`-th is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_frames_stored(&self, turn_id: &TurnId, n: u64) -> Result<(), StoreError> {
        const SET: &str = "update turns set frames_stored = ?2 where turn_id = +?1";
        let n = Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        Ok(self.sql.execute(SET, &[Value::Text(turn_id.as_str()), n])?)
    }

    /// Ends an active turn: returns it as it is stored then, without an answer, and its query's `seq`; or none if it has ended
    /// or is gone, and then nothing was written.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn end_turn(&self, turn_id: &TurnId, end: &TurnEnd<'_>) -> Result<Option<(Turn, i64)>, StoreError> {
        self.end_turn_with(turn_id, end, &WithEnd::default())
    }

    /// The same, with what else is stored in its row.
    pub(super) fn end_turn_with(
        &self,
        turn_id: &TurnId,
        end: &TurnEnd<'_>,
        with: &WithEnd<'_>,
    ) -> Result<Option<(Turn, i64)>, StoreError> {
        const END: &str = concat!(
            "update turns set status = ?2, finished_at = ?3, error = ?4, model = ?5, usage = ?6, num_turns = ?7, duration_ms = ?8, \
             message_n = ?9, end_n = ?10, files = ?11, stop_reason = ?12, by_model = ?13, items = ?14, counted = coalesce(?15, counted), transcript_seq = iif(started_at is null, null, \
             coalesce((select max(transcripts.seq) from transcripts where transcripts.session_id = turns.session_id), 0)) \
             where turn_id = +?1 and finished_at is null returning session_id, seq, created_at, started_at, request_id, steered_into, ",
            asked!()
        );
        let error = end.error.map(json).transpose()?;
        let usage = end.usage.as_ref().map(json).transpose()?;
        let told = with.files.map(json).transpose()?;
        let by_model = end.by_model.map(json).transpose()?;
        let counted = end.counted.as_ref().map(counts);
        let row = self.sql.first(
            END,
            &[
                Value::Text(turn_id.as_str()),
                Value::Text(end.status.as_str()),
                Value::Integer(end.finished_at.get()),
                error.as_deref().into(),
                end.model.into(),
                usage.as_deref().into(),
                end.num_turns.map(i64::from).into(),
                end.duration_ms.and_then(|ms| i64::try_from(ms).ok()).into(),
                i64::try_from(end.last_events.message).ok().into(),
                i64::try_from(end.last_events.end).ok().into(),
                told.as_deref().into(),
                end.stop_reason.into(),
                by_model.as_deref().into(),
                with.items.into(),
                counted.as_deref().into(),
            ],
        )?;
        let Some(mut row) = row else { return Ok(None) };
        self.cache.ended(turn_id);
        let turn = Turn {
            turn_id: turn_id.clone(),
            session_id: session_id(row.text(0)?)?,
            status: end.status,
            created_at: Millis::new(row.integer(2)?),
            started_at: row.opt_integer(3)?.map(Millis::new),
            finished_at: Some(end.finished_at),
            request_id: request_id(row.text(4)?)?,
            response: None,
            error: end.error.cloned(),
            model: end.model.map(str::to_owned),
            usage: end.usage,
            num_turns: end.num_turns,
            duration_ms: end.duration_ms,
            files: with.files.cloned(),
            stop_reason: end.stop_reason.map(str::to_owned),
            by_model: end.by_model.cloned(),
            steered_into: row.opt_text(5)?.map(super::turn_row::turn_id).transpose()?,
            metadata: parsed("metadata", row.opt_text(6)?)?.unwrap_or_default(),
            has_output: row.integer(7)? != 0,
            trigger: parsed("trigger", row.opt_text(8)?)?,
        };
        Ok(Some((turn, row.integer(1)?)))
    }

    /// The conversation of a turn that is stored and has not ended.
    pub(super) fn session_of_active(&self, turn_id: &TurnId) -> Result<Option<SessionId>, StoreError> {
        let mut active = self.active_turns()?.into_iter();
        Ok(active.find(|turn| turn.turn_id == *turn_id).map(|turn| turn.session_id))
    }

    /// One turn with its answer.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn turn(&self, turn_id: &TurnId) -> Result<Option<Turn>, StoreError> {
        const ONE: &str = concat!(
            "select turn_id, session_id, status, created_at, started_at, finished_at, request_id, error, model, usage, num_turns, \
             duration_ms, seq, files, stop_reason, by_model, steered_into, ",
            asked!(),
            " from turns where turn_id = +?1"
        );
        let Some(mut row) = self.sql.first(ONE, &[Value::Text(turn_id.as_str())])? else { return Ok(None) };
        let mut turn = turn_from(&mut row)?;
        turn.response = match &turn.steered_into {
            _ if turn.status != TurnStatus::Completed => None,
            Some(into) => self.turn(into)?.and_then(|into| into.response),
            None => self.message_text(&turn.session_id, row.integer(12)? + 1)?,
        };
        Ok(Some(turn))
    }

    /// The numbers of a turn's last events; none if they are not known.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn last_events(&self, turn_id: &TurnId) -> Result<Option<LastEvents>, StoreError> {
        const OF: &str = "select message_n, end_n from turns where turn_id = +?1 and end_n is not null";
        let row = self.sql.first(OF, &[Value::Text(turn_id.as_str())])?;
        row.map(|row| Ok(LastEvents { message: row.count(0)?, end: row.count(1)? })).transpose()
    }
}
