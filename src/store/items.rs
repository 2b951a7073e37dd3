//! What turns did: their items, as JSON values with commas in between. A few are stored with their turn, which writes no row more.

use super::sql::{Sql, Value};
use super::{Store, StoreError, split_for_rows};
use crate::domain::{SessionId, TurnId};

/// Longest items that are stored in the turn's own row, in bytes.
pub const MAX_INLINE_ITEMS_BYTES: usize = 2 * 1024;

/// Items of a turn, by where they are stored.
pub(super) fn inline(items: &str) -> Option<&str> {
    Some(items).filter(|items| (1..=MAX_INLINE_ITEMS_BYTES).contains(&items.len()))
}

impl<S: Sql> Store<S> {
    /// Stores the items of a turn that are too long for its own row.
    pub(super) fn insert_items(&self, session_id: &SessionId, turn_id: &TurnId, items: &str) -> Result<(), StoreError> {
        const INSERT: &str = "insert into turn_items (session_id, turn_id, part, items) values (?1, ?2, ?3, ?4)";
        if items.len() <= MAX_INLINE_ITEMS_BYTES {
            return Ok(());
        }
        let (session_id, turn_id) = (Value::Text(session_id.as_str()), Value::Text(turn_id.as_str()));
        for (part, piece) in (0_i64..).zip(split_for_rows(items)) {
            self.sql.execute(INSERT, &[session_id, turn_id, Value::Integer(part), Value::Text(piece)])?;
        }
        Ok(())
    }

    /// The stored items of a turn; empty if there are none.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn items(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<String, StoreError> {
        const ITEMS: &str = "select -1 as part, items from turns where turn_id = +?2 and items is not null \
             union all select part, items from turn_items where session_id = +?1 and turn_id = +?2 order by part";
        let values = [Value::Text(session_id.as_str()), Value::Text(turn_id.as_str())];
        let mut items = String::new();
        for mut row in self.sql.query(ITEMS, &values)? {
            items.push_str(&row.text(1)?);
        }
        Ok(items)
    }

    /// The stored items of a turn as a JSON array, of which one row besides is in memory at a time.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn items_as_list(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<String, StoreError> {
        const NEXT: &str = "select part, items from (select -1 as part, items from turns where turn_id = +?2 and items is not null \
             union all select part, items from turn_items where session_id = +?1 and turn_id = +?2) \
             where part > ?3 order by part limit 1";
        let bytes = usize::try_from(self.items_bytes(session_id, turn_id)?).unwrap_or_default();
        let (mut list, mut after) = (String::with_capacity(bytes + 2), -2);
        list.push('[');
        let [session_id, turn_id] = [Value::Text(session_id.as_str()), Value::Text(turn_id.as_str())];
        while let Some(mut row) = self.sql.first(NEXT, &[session_id, turn_id, Value::Integer(after)])? {
            after = row.integer(0)?;
            list.push_str(&row.text(1)?);
        }
        list.push(']');
        Ok(list)
    }

    /// The bytes of a turn's stored items.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn items_bytes(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<u64, StoreError> {
        const BYTES: &str = "select coalesce((select octet_length(items) from turns where turn_id = +?2), 0) \
             + coalesce((select sum(octet_length(items)) from turn_items where session_id = +?1 and turn_id = +?2), 0)";
        let values = [Value::Text(session_id.as_str()), Value::Text(turn_id.as_str())];
        Ok(self.sql.first(BYTES, &values)?.map_or(Ok(0), |row| row.count(0))?)
    }
}
