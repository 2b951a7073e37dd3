//! Queries that a running turn takes in: which wait for that, and how they end with the turn that did.

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::turns::TurnEnd;
use super::{Store, StoreError, json};
use crate::domain::{SessionId, TurnId};

impl<S: Sql> Store<S> {
    /// The queued turns of a conversation that its running turn may take in, in the order of the queue: none that it took in before it was parked.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn steering_turns(&self, session_id: &SessionId) -> Result<Vec<TurnId>, StoreError> {
        const STEERING: &str = "select turn_id from turns where finished_at is null and status = 'queued' \
             and session_id = +?1 and steered_into is null and json_extract(options, '$.when_busy') = 'steer' order by ordinal";
        let rows = self.sql.query(STEERING, &[Value::Text(session_id.as_str())])?;
        rows.into_iter().map(|mut row| row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))).collect()
    }

    /// Keeps which queued turns of its conversation a turn has taken in that goes on: they stay queued, do not run, and end with it. Belongs into the
    /// transaction that stores the transcript which has their messages.
    pub(super) fn keep_steered(&self, steered: &[TurnId], into: &TurnId) -> Result<(), StoreError> {
        const KEEP: &str = "update turns set steered_into = ?2 where turn_id = +?1 and status = 'queued' and steered_into is null \
             and session_id = (select session_id from turns where turn_id = +?2)";
        for turn_id in steered {
            self.sql.execute(KEEP, &[Value::Text(turn_id.as_str()), Value::Text(into.as_str())])?;
        }
        Ok(())
    }

    /// The queued turns that a turn has taken in so far, as they were kept.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn kept_steered(&self, into: &TurnId) -> Result<Vec<TurnId>, StoreError> {
        const KEPT: &str = "select turn_id from turns where finished_at is null and status = 'queued' and steered_into = +?1 order by ordinal";
        let rows = self.sql.query(KEPT, &[Value::Text(into.as_str())])?;
        rows.into_iter().map(|mut row| row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))).collect()
    }

    /// Ends queued turns with the turn of their conversation that took their messages in. One that has ended, or is of another
    /// conversation, stays as it is. Belongs into the transaction that ends that turn.
    pub(super) fn end_steered(
        &self,
        steered: &[TurnId],
        into: &TurnId,
        end: &TurnEnd<'_>,
        frees_key: bool,
    ) -> Result<(), StoreError> {
        const END: &str = "update turns set status = ?3, finished_at = ?4, error = ?5, steered_into = ?2, message_n = 0, end_n = 1 \
             where turn_id = +?1 and status = 'queued' and session_id = (select session_id from turns where turn_id = +?2) \
             returning turn_id";
        if steered.is_empty() {
            return Ok(());
        }
        let error = end.error.map(json).transpose()?;
        self.cache.forget_active();
        for turn_id in steered {
            let ended = self.sql.first(
                END,
                &[
                    Value::Text(turn_id.as_str()),
                    Value::Text(into.as_str()),
                    Value::Text(end.status.as_str()),
                    Value::Integer(end.finished_at.get()),
                    error.as_deref().into(),
                ],
            )?;
            if ended.is_some()
                && let Some(turn) = self.turn(turn_id)?
            {
                self.tell_end(&turn)?;
                if frees_key {
                    self.free_key(turn_id)?;
                }
            }
        }
        Ok(())
    }

    /// Moves the turns at a place of the queue, and those behind, by one; returns the place.
    pub(super) fn make_room_in_queue(&self, place: i64) -> Result<i64, StoreError> {
        const MOVE: &str = "update turns set ordinal = ordinal + 1 where finished_at is null and ordinal >= +?1";
        self.cache.forget_active();
        self.sql.execute(MOVE, &[Value::Integer(place)])?;
        Ok(place)
    }
}
