//! What became of the events in the outbox: the list of deliveries, their end without delivery, and their deletion.

use super::conversations::session_id;
use super::outbox::{event_id, kind, turn_id};
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError};
use crate::domain::webhook::{Delivery, DeliveryStatus};
use crate::domain::{Millis, WebhookEventId};

/// Most deliveries of an account, those included that have ended. Beyond it the oldest of these go first.
pub const MAX_DELIVERIES: usize = 10_000;
/// How many go at once.
const DROPPED_AT_ONCE: usize = 100;

impl<S: Sql> Store<S> {
    /// Ends what is pending for a webhook without another attempt.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn end_deliveries_to(&self, target: &str, now: Millis) -> Result<(), StoreError> {
        const END: &str = "update outbox set due_at = null, ended_at = ?2, last_status = null where target = +?1 and due_at is not null";
        self.sql.execute(END, &[Value::Text(target), Value::Integer(now.get())])?;
        self.drop_pending(|pending| pending.target == target);
        Ok(())
    }

    /// The deliveries to a webhook, newest first, at most `limit`, those before an event if one is named; and whether there are more.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn deliveries(
        &self,
        target: &str,
        before: Option<&WebhookEventId>,
        limit: u32,
    ) -> Result<(Vec<Delivery>, bool), StoreError> {
        const PAGE: &str = "select event_id, type, attempts, created_at, due_at, ended_at, last_status, last_error, \
             session_id, turn_id from outbox where target = +?1 and (?2 is null or seq < \
             (select seq from outbox where target = +?1 and event_id = +?2)) order by seq desc limit +?3";
        let values =
            [Value::Text(target), before.map(WebhookEventId::as_str).into(), Value::Integer(i64::from(limit) + 1)];
        let rows = self.sql.query(PAGE, &values)?;
        let more = rows.len() > limit as usize;
        let page: Result<_, _> = rows.into_iter().take(limit as usize).map(delivery_from).collect();
        Ok((page?, more))
    }

    /// Makes a delivery due anew, as if it had never been tried; whether there is one.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn redeliver(&self, target: &str, event_id: &WebhookEventId, now: Millis) -> Result<bool, StoreError> {
        const AGAIN: &str = "update outbox set due_at = ?3, ended_at = null, attempts = 0 \
             where target = +?1 and event_id = +?2 returning seq";
        let values = [Value::Text(target), Value::Text(event_id.as_str()), Value::Integer(now.get())];
        let found = self.sql.first(AGAIN, &values)?.is_some();
        self.cache.outbox.replace(None);
        Ok(found)
    }

    /// Deletes the deliveries that ended before `cutoff`. Belongs to the account's purge.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_deliveries(&self, cutoff: Millis) -> Result<(), StoreError> {
        const FORGET: &str = "delete from outbox where ended_at < +?1 returning seq";
        let gone = self.sql.query(FORGET, &[Value::Integer(cutoff.get())])?.len();
        self.count_rows(-i64::try_from(gone).unwrap_or(0));
        Ok(())
    }

    /// Deletes the ended deliveries of conversations that are being deleted; `ids` is a JSON array. What is pending goes when it has ended.
    pub(super) fn forget_deliveries_of(&self, ids: &str) -> Result<(), StoreError> {
        const FORGET: &str = "delete from outbox where due_at is null \
             and session_id in (select value from json_each(?1)) returning seq";
        self.load_outbox()?;
        if self.cache.outbox.borrow().as_ref().is_some_and(|outbox| outbox.rows == 0) {
            return Ok(());
        }
        let gone = self.sql.query(FORGET, &[Value::Text(ids)])?.len();
        self.count_rows(-i64::try_from(gone).unwrap_or(0));
        Ok(())
    }

    /// How many deliveries were dropped for want of room since it was last asked.
    pub fn take_dropped(&self) -> usize {
        self.dropped.take()
    }

    /// Whether there is a webhook, an event on its way to one, or a schedule: such an account is kept though it has no conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn is_automated(&self) -> Result<bool, StoreError> {
        let is_told = !self.webhooks()?.is_empty() || self.pending(|pending| !pending.is_empty())?;
        Ok(is_told || self.schedule_count()?.count > 0)
    }

    pub(super) fn make_room(&self) -> Result<(), StoreError> {
        // What has ended goes first; SQLite sorts false before true.
        const DROP: &str = "delete from outbox where seq in \
             (select seq from outbox order by due_at is not null, seq limit +?1) returning seq";
        if self.cache.outbox.borrow().as_ref().is_none_or(|outbox| outbox.rows <= MAX_DELIVERIES) {
            return Ok(());
        }
        let mut gone = Vec::with_capacity(DROPPED_AT_ONCE);
        for row in self.sql.query(DROP, &[Value::Integer(i64::try_from(DROPPED_AT_ONCE).unwrap_or(i64::MAX))])? {
            gone.push(row.integer(0)?);
        }
        self.drop_pending(|pending| gone.contains(&pending.seq));
        self.count_rows(-i64::try_from(gone.len()).unwrap_or(0));
        self.dropped.set(self.dropped.get() + gone.len());
        Ok(())
    }
}

fn delivery_from(mut row: Row) -> Result<Delivery, StoreError> {
    let last_status = row.opt_integer(6)?.and_then(|status| u16::try_from(status).ok());
    let next_attempt_at = row.opt_integer(4)?.map(Millis::new);
    Ok(Delivery {
        event_id: event_id(row.text(0)?)?,
        kind: kind(&row.text(1)?)?,
        status: match (next_attempt_at, last_status) {
            (Some(_), _) => DeliveryStatus::Pending,
            (None, Some(200..=299)) => DeliveryStatus::Delivered,
            (None, _) => DeliveryStatus::Dead,
        },
        attempts: u32::try_from(row.integer(2)?).unwrap_or(u32::MAX),
        created_at: Millis::new(row.integer(3)?),
        next_attempt_at,
        ended_at: row.opt_integer(5)?.map(Millis::new),
        last_status,
        last_error: row.opt_text(7)?,
        session_id: row.opt_text(8)?.map(session_id).transpose()?,
        turn_id: row.opt_text(9)?.map(turn_id).transpose()?,
    })
}
