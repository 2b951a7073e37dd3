//! Turns that wait for somebody: what is stored when one begins to wait, when it gives up its process, and when it goes on.

use super::actions::ActionKept;
use super::sql::{Sql, Value};
use super::turn_row::parsed;
use super::usage::LedgerEntry;
use super::workspaces::FilesEnd;
use super::{Store, StoreError, integer, json, split_for_rows};
use crate::domain::webhook::Event;
use crate::domain::{
    Action, ActionStatus, ByModel, ContextUse, ContinueBy, EventType, Millis, SdkSession, SessionId, TurnId, Usage,
    WebhookEventId,
};

/// What a turn has used before it was parked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spent {
    /// Tokens and cost.
    pub usage: Option<Usage>,
    /// Model calls.
    pub num_turns: u32,
    /// How long the agent worked, in milliseconds.
    pub duration_ms: u64,
    /// The same by model, if there was more than one.
    pub by_model: ByModel,
}

/// What a turn has behind it when it goes on, or when an object takes it up.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behind {
    /// What is added to the numbers of its frames.
    pub first_n: u64,
    /// The number of the last event whose item is stored.
    pub items_n: u64,
    /// The number of the event with which it began to wait the last time; 0 if it never did.
    pub waits_from: u64,
    /// What it has used before.
    pub spent: Spent,
}

/// A turn's question, with what the turn has said up to it.
pub struct Asking<'a> {
    /// The action.
    pub action: &'a Action,
    /// The number of its frame.
    pub frame: u64,
    /// The lines of the turn's transcript that are not stored yet.
    pub transcript: &'a str,
    /// The items that are not stored yet, the action's own among them, as JSON values with commas in between.
    pub items: &'a str,
    /// The SDK's session, if the agent has said it.
    pub sdk_session: Option<&'a SdkSession>,
    /// The queued turns whose messages it has taken in by now: its transcript has them.
    pub steered: &'a [TurnId],
}

/// A turn that gives up its process.
pub struct Parked<'a> {
    /// The turn.
    pub turn_id: &'a TurnId,
    /// Its conversation.
    pub session_id: &'a SessionId,
    /// How it goes on.
    pub by: ContinueBy,
    /// The lines of its transcript that are not stored yet.
    pub transcript: &'a str,
    /// The items that are not stored yet.
    pub items: &'a str,
    /// The number of its last event, which tells that it is paused.
    pub last_n: u64,
    /// The SDK's session, if the agent has said it.
    pub sdk_session: Option<&'a SdkSession>,
    /// How full the model's context is, if the agent has said it.
    pub context: Option<ContextUse>,
    /// The model that answered.
    pub model: Option<&'a str>,
    /// What it has used up to now.
    pub spent: &'a Spent,
    /// What is added to the ledger.
    pub usage: &'a LedgerEntry,
    /// What becomes of its files; absent if files are not saved.
    pub files: Option<FilesEnd<'a>>,
    /// The queued turns whose messages it has taken in.
    pub steered: &'a [TurnId],
    /// The moment.
    pub now: Millis,
}

impl<S: Sql> Store<S> {
    /// Stores a question of a turn with all that came before it, and that the turn waits. Returns the action as it is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn ask(&self, asking: &Asking<'_>) -> Result<ActionKept, StoreError> {
        const WAITS: &str = "update turns set frames_stored = ?2, items_n = ?3, \
             waits_from = iif(?4 and waiting_since is null, ?3, waits_from), \
             waiting_since = iif(?4 and waiting_since is null, ?5, waiting_since), \
             status = iif(?4 and status = 'running', 'requires_action', status) \
             where turn_id = +?1 and finished_at is null";
        const SESSION: &str =
            "update conversations set agent_session = ?2 where session_id = +?1 and agent_session is not ?2";
        let Asking { action, frame, transcript, items, sdk_session, steered } = asking;
        self.transaction(|| {
            let kept = self.insert_action(action)?;
            if !kept.is_new {
                return Ok(kept);
            }
            self.append_transcript(&action.session_id, transcript)?;
            self.append_items(&action.session_id, &action.turn_id, items)?;
            self.cache.forget_active();
            self.sql.execute(
                WAITS,
                &[
                    Value::Text(action.turn_id.as_str()),
                    integer(*frame),
                    integer(action.n),
                    Value::Integer(i64::from(action.status == ActionStatus::Pending)),
                    Value::Integer(action.created_at.get()),
                ],
            )?;
            if let Some(session) = sdk_session {
                self.sql.execute(SESSION, &[Value::Text(action.session_id.as_str()), Value::Text(session.as_str())])?;
            }
            self.keep_steered(steered, &action.turn_id)?;
            if action.status == ActionStatus::Pending {
                self.tell_action(action, EventType::TurnRequiresAction, action.created_at)?;
            }
            Ok(kept)
        })
    }

    /// Tells the webhooks of an action. Belongs into the transaction of what happens to it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn tell_action(&self, action: &Action, kind: EventType, now: Millis) -> Result<(), StoreError> {
        let mut more = serde_json::Map::new();
        more.insert("action_id".to_owned(), action.action_id.as_str().into());
        more.insert("kind".to_owned(), action.kind.as_str().into());
        if let Some(tool) = &action.tool {
            more.insert("tool".to_owned(), tool.as_str().into());
        }
        self.tell(&Event {
            event_id: WebhookEventId::of_action(&action.action_id, kind == EventType::ActionExpired),
            kind,
            created_at: now,
            session_id: Some(&action.session_id),
            turn_id: Some(&action.turn_id),
            more,
        })
    }

    /// All that a turn with a process waited for is decided and told to it. Until it goes on, it is stored as one that has waited since then.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn answered(&self, turn_id: &TurnId) -> Result<(), StoreError> {
        const ANSWERED: &str = "update turns set status = 'running' where turn_id = +?1 and status = 'requires_action'";
        self.cache.forget_active();
        Ok(self.sql.execute(ANSWERED, &[Value::Text(turn_id.as_str())])?)
    }

    /// Whether somebody gave leave for something that happens outside in what a turn waited for last: once that is told, nobody knows whether it has
    /// happened.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn gives_leave(&self, turn_id: &TurnId) -> Result<bool, StoreError> {
        const GIVES: &str = "select 1 from actions join turns using (turn_id) where turn_id = +?1 and n >= waits_from and case kind \
             when 'permission' then decision ->> '$.decision' = 'allow' when 'elicitation' then decision ->> '$.decision' = 'answer' end limit 1";
        Ok(self.sql.first(GIVES, &[Value::Text(turn_id.as_str())])?.is_some())
    }

    /// A turn goes on with the action of that number while it waits for others: if it was the first of them, it is told no more.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn let_go(&self, turn_id: &TurnId, n: u64) -> Result<(), StoreError> {
        const LET_GO: &str = "update turns set waits_from = ?2 + 1 where turn_id = +?1 and finished_at is null \
             and ?2 = (select min(n) from actions where actions.turn_id = +?1 and n >= waits_from)";
        Ok(self.sql.execute(LET_GO, &[Value::Text(turn_id.as_str()), integer(n)])?)
    }

    /// A turn that waited runs again: one that is held goes on where it is, one that was parked in a run of its own. `items` are told in between,
    /// the last of which has the number `last_n`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn go_on(
        &self,
        (turn_id, session_id): (&TurnId, &SessionId),
        now: Millis,
        told: Option<(&str, u64)>,
    ) -> Result<(), StoreError> {
        const GO_ON: &str = "update turns set status = 'running', waited_ms = waited_ms + max(0, ?2 - coalesce(waiting_since, ?2)), \
             waiting_since = null, first_n = coalesce(?3, first_n), items_n = coalesce(?3, items_n) \
             where turn_id = +?1 and finished_at is null and waiting_since is not null";
        self.transaction(|| {
            self.cache.forget_active();
            if let Some((items, _)) = told {
                self.append_items(session_id, turn_id, items)?;
            }
            let last_n = told.and_then(|(_, n)| i64::try_from(n).ok());
            let values = [Value::Text(turn_id.as_str()), Value::Integer(now.get()), last_n.into()];
            Ok(self.sql.execute(GO_ON, &values)?)
        })
    }

    /// A turn gives up its process. Returns whether it is still there.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn park(&self, parked: &Parked<'_>) -> Result<bool, StoreError> {
        const PARK: &str = "update turns set status = 'requires_action', parked = ?2, first_n = ?3, items_n = ?3, frames_stored = 0, \
             instance = null, model = coalesce(?4, model), usage = ?5, num_turns = ?6, duration_ms = ?7, by_model = ?8, \
             waiting_since = coalesce(waiting_since, ?9), files = ?10 where turn_id = +?1 and finished_at is null";
        let usage = parked.spent.usage.as_ref().map(json).transpose()?;
        let by_model = Some(&parked.spent.by_model).filter(|models| models.len() > 1).map(json).transpose()?;
        let context = parked.context.as_ref().map(json).transpose()?;
        self.transaction(|| {
            self.add_usage(parked.usage)?;
            if self.session_of_active(parked.turn_id)?.is_none() {
                return Ok(false);
            }
            let files = match &parked.files {
                Some(files) => self.end_files(parked.session_id, files, parked.now)?,
                None => None,
            };
            let files = self.files_by_now(parked.session_id, parked.turn_id, files)?;
            let files = files.as_ref().map(json).transpose()?;
            self.keep_steered(parked.steered, parked.turn_id)?;
            self.append_transcript(parked.session_id, parked.transcript)?;
            self.append_items(parked.session_id, parked.turn_id, parked.items)?;
            self.cache.forget_active();
            self.sql.execute(
                PARK,
                &[
                    Value::Text(parked.turn_id.as_str()),
                    Value::Integer(parked.by.stored()),
                    integer(parked.last_n),
                    parked.model.into(),
                    usage.as_deref().into(),
                    Value::Integer(i64::from(parked.spent.num_turns)),
                    integer(parked.spent.duration_ms),
                    by_model.as_deref().into(),
                    Value::Integer(parked.now.get()),
                    files.as_deref().into(),
                ],
            )?;
            self.record_turn_end(
                parked.session_id,
                parked.sdk_session,
                None,
                Usage::default(),
                context.as_deref(),
                parked.now,
            )?;
            Ok(true)
        })
    }

    /// What a turn has behind it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn behind(&self, turn_id: &TurnId) -> Result<Behind, StoreError> {
        const BEHIND: &str = "select first_n, items_n, waits_from, usage, coalesce(num_turns, 0), coalesce(duration_ms, 0), by_model \
             from turns where turn_id = +?1 and finished_at is null";
        let Some(mut row) = self.sql.first(BEHIND, &[Value::Text(turn_id.as_str())])? else {
            return Ok(Behind::default());
        };
        Ok(Behind {
            first_n: row.count(0)?,
            items_n: row.count(1)?,
            waits_from: row.count(2)?,
            spent: Spent {
                usage: parsed("usage", row.opt_text(3)?)?,
                num_turns: u32::try_from(row.count(4)?).unwrap_or(u32::MAX),
                duration_ms: row.count(5)?,
                by_model: parsed("by_model", row.opt_text(6)?)?.unwrap_or_default(),
            },
        })
    }

    /// Adds items behind those that are stored, in rows of their own.
    pub(super) fn append_items(&self, session_id: &SessionId, turn_id: &TurnId, items: &str) -> Result<(), StoreError> {
        const PARTS: &str = "select count(*) from turn_items where session_id = +?1 and turn_id = +?2";
        const INSERT: &str = "insert into turn_items (session_id, turn_id, part, items) values (?1, ?2, ?3, ?4)";
        if items.is_empty() {
            return Ok(());
        }
        let turn = [Value::Text(session_id.as_str()), Value::Text(turn_id.as_str())];
        let parts = self.sql.first(PARTS, &turn)?.map_or(Ok(0), |row| row.integer(0))?;
        let comma = if parts > 0 { "," } else { "" };
        for (part, piece) in (parts..).zip(split_for_rows(&format!("{comma}{items}"))) {
            self.sql.execute(INSERT, &[turn[0], turn[1], Value::Integer(part), Value::Text(piece)])?;
        }
        Ok(())
    }
}
