//! The names that a chat's client gave to the messages of a conversation. They are stored with the options of the turns.

use super::conversations::unreadable;
use super::messages::MAX_MESSAGES_PER_ANSWER;
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError};
use crate::domain::{ChatMessageId, SessionId, TurnId};

/// The turns of a conversation's newest messages, and the names of these, or of one of them.
const NAMED: &str = "select turn_id, options ->> '$.chat' as name from (select turn_id from messages \
     where session_id = +?1 and part = 0 and role = 'user' order by seq desc limit +?2) join turns using (turn_id) \
     where options <> '{}' and name = coalesce(?3, name)";

impl<S: Sql> Store<S> {
    /// The turn of the message with this name, if it is among the newest of the conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn turn_of_chat_message(
        &self,
        session_id: &SessionId,
        id: &ChatMessageId,
    ) -> Result<Option<TurnId>, StoreError> {
        let found = self.chat_messages_named(session_id, Value::Text(id.as_str()))?;
        Ok(found.into_iter().next().map(|(turn_id, _)| turn_id))
    }

    /// The turns of the conversation's newest messages with the names of these; not of those that have none.
    ///
    /// # Errors
    /// As [`Store::turn_of_chat_message`].
    pub fn chat_messages(&self, session_id: &SessionId) -> Result<Vec<(TurnId, ChatMessageId)>, StoreError> {
        self.chat_messages_named(session_id, Value::Null)
    }

    fn chat_messages_named(
        &self,
        session_id: &SessionId,
        name: Value<'_>,
    ) -> Result<Vec<(TurnId, ChatMessageId)>, StoreError> {
        let limit = Value::Integer(i64::from(MAX_MESSAGES_PER_ANSWER));
        let rows = self.sql.query(NAMED, &[Value::Text(session_id.as_str()), limit, name])?;
        let pair = |mut row: Row| {
            let turn_id = row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))?;
            Ok((turn_id, row.text(1)?.try_into().map_err(|e| unreadable("chat", &e))?))
        };
        rows.into_iter().map(pair).collect()
    }
}
