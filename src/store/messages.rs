//! Messages: written whole, in as many rows as a text needs, and read back whole.

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::{MAX_ROW_TEXT_BYTES, Store, StoreError, split_for_rows};
use crate::domain::{Message, Messages, Millis, Role, SessionId, TurnId};

/// Most messages that one answer holds: the newest.
pub const MAX_MESSAGES_PER_ANSWER: u32 = 1_000;
/// Most bytes of messages that one answer holds; a message that is larger comes alone. An answer is in memory twice.
pub const MAX_MESSAGE_BYTES_PER_ANSWER: i64 = 1024 * 1024;

impl<S: Sql> Store<S> {
    /// Stores a message at its `seq`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn insert_message(&self, session_id: &SessionId, message: &Message) -> Result<(), StoreError> {
        const INSERT: &str = "insert into messages (session_id, seq, part, turn_id, role, content, timestamp) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        for (part, content) in (0_i64..).zip(split_for_rows(&message.content)) {
            self.sql.execute(
                INSERT,
                &[
                    Value::Text(session_id.as_str()),
                    Value::Integer(message.seq),
                    Value::Integer(part),
                    Value::Text(message.turn_id.as_str()),
                    Value::Text(message.role.as_str()),
                    Value::Text(content),
                    Value::Integer(message.timestamp.get()),
                ],
            )?;
        }
        Ok(())
    }

    /// The text at `seq`; none if there is no message.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn message_text(&self, session_id: &SessionId, seq: i64) -> Result<Option<String>, StoreError> {
        const TEXT: &str = "select content from messages where session_id = +?1 and seq = +?2 order by part";
        let rows = self.sql.query(TEXT, &[Value::Text(session_id.as_str()), Value::Integer(seq)])?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut text = String::new();
        for mut row in rows {
            text.push_str(&row.text(0)?);
        }
        Ok(Some(text))
    }

    /// The newest messages with a `seq` below `before`, within the bounds of one answer.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn messages_before(&self, session_id: &SessionId, before: i64) -> Result<Messages, StoreError> {
        const FROM: &str = "select seq, part, turn_id, role, content, timestamp from messages \
             where session_id = +?1 and seq < ?2 and seq > ?3 order by seq, part";
        let id = Value::Text(session_id.as_str());
        let too_old = self.newest_left_out(session_id, before)?;
        let rows = self.sql.query(FROM, &[id, Value::Integer(before), Value::Integer(too_old)])?;
        let mut messages: Vec<Message> = Vec::new();
        for mut row in rows {
            let (seq, content) = (row.integer(0)?, row.text(4)?);
            if row.integer(1)? > 0
                && let Some(message) = messages.last_mut().filter(|message| message.seq == seq)
            {
                message.content.push_str(&content);
                continue;
            }
            let role = row.text(3)?;
            messages.push(Message {
                seq,
                turn_id: row.text(2)?.try_into().map_err(|e| unreadable("turn_id", &e))?,
                role: Role::parse(&role).ok_or_else(|| unreadable("role", &role))?,
                content,
                timestamp: Millis::new(row.integer(5)?),
            });
        }
        let (attachments, cut) = self.attachments_of(session_id, &mut messages)?;
        Ok(Messages { messages, attachments, older: cut || too_old > 0 })
    }

    /// The newest message below `before` that one answer does not hold any more; 0 if it holds them all.
    fn newest_left_out(&self, session_id: &SessionId, before: i64) -> Result<i64, StoreError> {
        // What an answer holds, one more, and the further parts of its messages: each part but a message's last fills a row.
        #[expect(clippy::cast_possible_wrap, reason = "a megabyte and a half")]
        const ROWS: i64 = MAX_MESSAGES_PER_ANSWER as i64 + 2 + MAX_MESSAGE_BYTES_PER_ANSWER / MAX_ROW_TEXT_BYTES as i64;
        const LEFT_OUT: &str = "select seq from (select seq, max(seq) over () as newest, \
             sum(part = 0) over newest_first as messages, sum(size) over newest_first as bytes \
             from (select seq, part, octet_length(content) as size from messages where session_id = +?1 and seq < ?2 \
             order by seq desc, part desc limit +?3) window newest_first as (order by seq desc, part desc)) \
             where seq < newest and (messages > ?4 or bytes > ?5) order by seq desc limit 1";
        let values = [
            Value::Text(session_id.as_str()),
            Value::Integer(before),
            Value::Integer(ROWS),
            Value::Integer(i64::from(MAX_MESSAGES_PER_ANSWER)),
            Value::Integer(MAX_MESSAGE_BYTES_PER_ANSWER),
        ];
        Ok(self.sql.first(LEFT_OUT, &values)?.map_or(Ok(0), |row| row.integer(0))?)
    }

    /// The turn of the conversation's newest query.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn latest_turn_of(&self, session_id: &SessionId) -> Result<Option<TurnId>, StoreError> {
        const LATEST: &str = "select turn_id from messages where session_id = +?1 order by seq desc limit 1";
        let row = self.sql.first(LATEST, &[Value::Text(session_id.as_str())])?;
        row.map(|mut row| row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))).transpose()
    }
}
