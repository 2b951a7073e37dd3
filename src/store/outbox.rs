//! The outbox: events on their way to webhooks. They are written in the transaction of the change that they tell of, so that none is lost and
//! none is invented; an event without a webhook that takes it writes nothing.

use super::conversations::{session_id, unreadable};
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, json};
use crate::domain::webhook::Event;
use crate::domain::{EventType, Millis, SessionId, Turn, TurnId, TurnStatus, WebhookEventId};

/// How many attempts of an event the later ones of its conversation wait for, at the same webhook. An endpoint that refuses one event for
/// good does not hold up the others for days.
pub const ORDERED_ATTEMPTS: u32 = 3;
/// The target that the operator's webhook is.
pub const OPERATOR: &str = "";

/// A delivery that has not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Its place in the outbox.
    pub seq: i64,
    /// The webhook's name; [`OPERATOR`] for the operator's.
    pub target: String,
    /// The conversation whose events come in order.
    pub session_id: Option<SessionId>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub due_at: Millis,
}

/// What the object keeps in memory of the outbox.
#[derive(Debug, Clone, Default)]
pub(super) struct Outbox {
    /// What is pending, in the order of the events.
    pending: Vec<Pending>,
    /// How many rows there are.
    pub(super) rows: usize,
}

/// What is sent of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The event's id.
    pub event_id: WebhookEventId,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub created_at: Millis,
    /// The fields of `data` besides the ids of the account, the conversation and the turn.
    pub more: serde_json::Map<String, serde_json::Value>,
    /// The conversation that it is about.
    pub session_id: Option<SessionId>,
    /// The turn that it is about.
    pub turn_id: Option<TurnId>,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It is delivered.
    Delivered,
    /// It is tried again then.
    Again(Millis),
    /// It is not tried again.
    Dead,
}

impl<S: Sql> Store<S> {
    /// Whether `WEBHOOK_URL` is set: each event then goes there, too.
    pub fn set_operator_webhook(&self, is_set: bool) {
        self.operator_webhook.set(is_set);
    }

    /// Writes an event for each webhook that takes it. Belongs into the transaction of what it tells of.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn tell(&self, event: &Event<'_>) -> Result<(), StoreError> {
        let webhooks = self.webhooks()?;
        let own = webhooks.iter().map(|stored| &stored.webhook).filter(|webhook| webhook.takes(event.kind));
        let operators = self.operator_webhook.get().then_some(OPERATOR);
        for target in own.map(|webhook| webhook.name.as_str()).chain(operators) {
            self.tell_one(target, event)?;
        }
        Ok(())
    }

    /// Tells of the end of a turn. Belongs into the transaction that ends it.
    pub(super) fn tell_end(&self, turn: &Turn) -> Result<(), StoreError> {
        let Some(kind) = EventType::of_end(turn.status) else { return Ok(()) };
        let mut more = serde_json::Map::new();
        more.insert("status".to_owned(), turn.status.as_str().into());
        if let Some(error) = &turn.error {
            more.insert("code".to_owned(), serde_json::to_value(error.code).unwrap_or_default());
        }
        self.tell(&Event {
            event_id: WebhookEventId::of_turn(&turn.turn_id),
            kind,
            created_at: turn.finished_at.unwrap_or(turn.created_at),
            session_id: Some(&turn.session_id),
            turn_id: Some(&turn.turn_id),
            more,
        })
    }

    /// Tells of the end of the running turns of a conversation that is about to be deleted with them.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn tell_deleted(&self, session_id: &SessionId, now: Millis) -> Result<(), StoreError> {
        for turn in self.active_turns()?.into_iter().filter(|turn| turn.session_id == *session_id) {
            if let Some(turn) = self.turn(&turn.turn_id)? {
                self.tell_end(&Turn { status: TurnStatus::Cancelled, finished_at: Some(now), ..turn })?;
            }
        }
        Ok(())
    }

    /// Writes an event for one webhook, whatever that takes.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn tell_one(&self, target: &str, event: &Event<'_>) -> Result<(), StoreError> {
        const INSERT: &str = "insert into outbox (event_id, type, target, session_id, turn_id, data, created_at, due_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) returning seq";
        self.load_outbox()?;
        let due_at = self.behind_earlier(target, event)?;
        let row = self.sql.first(
            INSERT,
            &[
                Value::Text(event.event_id.as_str()),
                Value::Text(event.kind.as_str()),
                Value::Text(target),
                event.session_id.map(SessionId::as_str).into(),
                event.turn_id.map(TurnId::as_str).into(),
                Value::Text(&json(&event.more)?),
                Value::Integer(event.created_at.get()),
                Value::Integer(due_at.get()),
            ],
        )?;
        let seq = row.map_or(Ok(0), |row| row.integer(0))?;
        let (target, session_id) = (target.to_owned(), event.session_id.cloned());
        if let Some(outbox) = self.cache.outbox.borrow_mut().as_mut() {
            outbox.pending.push(Pending { seq, target, session_id, attempts: 0, due_at });
            outbox.rows += 1;
        }
        self.make_room()
    }

    /// When an event is due: when the earlier ones of its conversation are that are tried again.
    fn behind_earlier(&self, target: &str, event: &Event<'_>) -> Result<Millis, StoreError> {
        let earlier = self.pending(|pending| {
            let of_conversation = |earlier: &&Pending| {
                earlier.target == target
                    && earlier.session_id.as_ref() == event.session_id
                    && earlier.session_id.is_some()
                    && earlier.attempts < ORDERED_ATTEMPTS
            };
            pending.iter().filter(of_conversation).map(|earlier| earlier.due_at).max()
        })?;
        Ok(earlier.map_or(event.created_at, |due_at| due_at.max(event.created_at)))
    }

    pub(super) fn load_outbox(&self) -> Result<(), StoreError> {
        const PENDING: &str =
            "select seq, target, session_id, attempts, due_at from outbox where due_at is not null order by seq";
        const ROWS: &str = "select count(*) from outbox";
        if self.cache.outbox.borrow().is_some() {
            return Ok(());
        }
        let read = |mut row: Row| {
            Ok(Pending {
                seq: row.integer(0)?,
                target: row.text(1)?,
                session_id: row.opt_text(2)?.map(session_id).transpose()?,
                attempts: u32::try_from(row.integer(3)?).unwrap_or(u32::MAX),
                due_at: Millis::new(row.integer(4)?),
            })
        };
        let pending = self.sql.query(PENDING, &[])?.into_iter().map(read).collect::<Result<_, StoreError>>()?;
        let rows = self.sql.first(ROWS, &[])?.map_or(Ok(0), |row| row.count(0))?;
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.cache.outbox.replace(Some(Outbox { pending, rows }));
        Ok(())
    }

    /// Looks at what is pending.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn pending<T>(&self, look: impl FnOnce(&[Pending]) -> T) -> Result<T, StoreError> {
        self.load_outbox()?;
        Ok(look(self.cache.outbox.borrow().as_ref().map_or(&[], |outbox| &outbox.pending)))
    }

    /// What is sent of a pending delivery; none if it has ended or is gone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn envelope(&self, seq: i64) -> Result<Option<Envelope>, StoreError> {
        const ONE: &str = "select event_id, type, created_at, data, turn_id, session_id from outbox where seq = +?1 and due_at is not null";
        let Some(mut row) = self.sql.first(ONE, &[Value::Integer(seq)])? else { return Ok(None) };
        Ok(Some(Envelope {
            event_id: event_id(row.text(0)?)?,
            kind: kind(&row.text(1)?)?,
            created_at: Millis::new(row.integer(2)?),
            more: serde_json::from_str(&row.text(3)?).map_err(|e| unreadable("data", &e))?,
            turn_id: row.opt_text(4)?.map(turn_id).transpose()?,
            session_id: row.opt_text(5)?.map(session_id).transpose()?,
        }))
    }

    /// Records what an attempt came to, with the status of its response or the reason why there is none.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn attempted(
        &self,
        seq: i64,
        attempt: Attempt,
        answer: Result<u16, &'static str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        const RECORD: &str = "update outbox set attempts = attempts + 1, due_at = ?2, ended_at = ?3, last_status = ?4, \
             last_error = ?5 where seq = +?1 and due_at is not null";
        const FORGET: &str = "delete from outbox where seq = +?1 and session_id is not null and due_at is null \
             and not exists (select 1 from conversations where conversations.session_id = outbox.session_id) \
             returning seq";
        const PUT_OFF: &str = "update outbox set due_at = ?2 where seq = +?1";
        self.transaction(|| {
            let again = if let Attempt::Again(at) = attempt { Some(at) } else { None };
            let ended = if again.is_some() { None } else { Some(now) };
            self.sql.execute(
                RECORD,
                &[
                    Value::Integer(seq),
                    again.map(Millis::get).into(),
                    ended.map(Millis::get).into(),
                    answer.ok().map(i64::from).into(),
                    answer.err().into(),
                ],
            )?;
            let Some(at) = again else {
                self.drop_pending(|pending| pending.seq == seq);
                // Its conversation may have been deleted, which left the delivery for what it was still to do.
                let gone = self.sql.query(FORGET, &[Value::Integer(seq)])?.len();
                self.count_rows(-i64::try_from(gone).unwrap_or(0));
                return Ok(());
            };
            for later in self.put_off_behind(seq, at) {
                self.sql.execute(PUT_OFF, &[Value::Integer(later), Value::Integer(at.get())])?;
            }
            Ok(())
        })
    }

    /// Sets when a delivery is tried again, and when those are that come behind it in its conversation; returns these.
    fn put_off_behind(&self, seq: i64, at: Millis) -> Vec<i64> {
        let mut outbox = self.cache.outbox.borrow_mut();
        let Some(pending) = outbox.as_mut().map(|outbox| &mut outbox.pending) else { return Vec::new() };
        let Some(index) = pending.iter().position(|one| one.seq == seq) else { return Vec::new() };
        let Some((earlier, later)) = pending.get_mut(index..).and_then(<[Pending]>::split_first_mut) else {
            return Vec::new();
        };
        earlier.attempts += 1;
        earlier.due_at = at;
        if earlier.attempts >= ORDERED_ATTEMPTS || earlier.session_id.is_none() {
            return Vec::new();
        }
        let behind = |one: &&mut Pending| {
            one.target == earlier.target && one.session_id == earlier.session_id && one.due_at < at
        };
        let put_off = |one: &mut Pending| {
            one.due_at = at;
            one.seq
        };
        later.iter_mut().filter(behind).map(put_off).collect()
    }

    pub(super) fn drop_pending(&self, is_gone: impl Fn(&Pending) -> bool) {
        if let Some(outbox) = self.cache.outbox.borrow_mut().as_mut() {
            outbox.pending.retain(|pending| !is_gone(pending));
        }
    }

    pub(super) fn count_rows(&self, more: i64) {
        if let Some(outbox) = self.cache.outbox.borrow_mut().as_mut() {
            let rows = i64::try_from(outbox.rows).unwrap_or(i64::MAX).saturating_add(more);
            outbox.rows = usize::try_from(rows).unwrap_or(0);
        }
    }
}

pub(super) fn event_id(text: String) -> Result<WebhookEventId, StoreError> {
    text.try_into().map_err(|e| unreadable("event_id", &e))
}

pub(super) fn turn_id(text: String) -> Result<TurnId, StoreError> {
    text.try_into().map_err(|e| unreadable("turn_id", &e))
}

pub(super) fn kind(word: &str) -> Result<EventType, StoreError> {
    EventType::parse(word).ok_or_else(|| unreadable("type", &word))
}
