//! A conversation's turns, newest first, a page at a time.

use super::conversations::unreadable;
use super::messages::MAX_MESSAGE_BYTES_PER_ANSWER;
use super::sql::{Sql, Value};
use super::{Store, StoreError};
use crate::domain::{SessionId, Turn, TurnId};

/// Some turns of a conversation.
pub struct TurnPage {
    /// Newest first.
    pub turns: Vec<Turn>,
    /// Whether there are older ones.
    pub older: bool,
}

impl<S: Sql> Store<S> {
    /// A conversation's turns before the one that has its prompt at `seq`, newest first: at most `limit`, and only as many as have
    /// [`MAX_MESSAGE_BYTES_PER_ANSWER`] of answers; one that is larger comes alone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn turns_before(&self, session_id: &SessionId, seq: i64, limit: u32) -> Result<TurnPage, StoreError> {
        // Each turn has its prompt in the conversation, whose messages have an index.
        const IDS: &str = "select turn_id from messages where session_id = +?1 and seq < ?2 and part = 0 and role = 'user' \
             order by seq desc limit +?3";
        let id = Value::Text(session_id.as_str());
        let rows = self.sql.query(IDS, &[id, Value::Integer(seq), Value::Integer(i64::from(limit) + 1)])?;
        let (mut page, mut bytes) = (TurnPage { turns: Vec::new(), older: false }, 0);
        for mut row in rows {
            let turn_id = row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))?;
            let Some(turn) = self.turn(&turn_id)? else { continue };
            bytes += turn.response.as_ref().map_or(0, |response| i64::try_from(response.len()).unwrap_or(i64::MAX));
            let is_full = page.turns.len() == usize::try_from(limit).unwrap_or(usize::MAX);
            if is_full || (bytes > MAX_MESSAGE_BYTES_PER_ANSWER && !page.turns.is_empty()) {
                page.older = true;
                break;
            }
            page.turns.push(turn);
        }
        Ok(page)
    }

    /// Where a turn's prompt is among the messages of this conversation; none if it is not one of its turns.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn seq_of(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<Option<i64>, StoreError> {
        const SEQ: &str = "select seq from turns where turn_id = +?1 and session_id = +?2";
        let row = self.sql.first(SEQ, &[Value::Text(turn_id.as_str()), Value::Text(session_id.as_str())])?;
        row.map(|row| Ok(row.integer(0)?)).transpose()
    }
}
