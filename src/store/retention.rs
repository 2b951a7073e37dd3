//! What is due: the conversations that nobody touched for longer than they are kept.

use super::conversations::session_id;
use super::sql::{Sql, Value};
use super::{Store, StoreError};
use crate::domain::{Millis, SessionId};

/// Most conversations that one transaction of a purge deletes.
pub const PURGE_BATCH: u32 = 200;

impl<S: Sql> Store<S> {
    /// The first [`PURGE_BATCH`] conversations whose last access lies before `cutoff`, oldest first,
    /// those with a queued or running turn left out.
    ///
    /// # Errors
    /// SQLite's, or an unreadable row.
    pub fn due_conversations(&self, cutoff: Millis) -> Result<Vec<SessionId>, StoreError> {
        const DUE: &str = "select session_id from conversations where last_accessed_at < ?1 \
             and session_id not in (select session_id from turns where finished_at is null) \
             order by last_accessed_at, session_id limit ?2";
        let values = [Value::Integer(cutoff.get()), Value::Integer(i64::from(PURGE_BATCH))];
        self.sql.query(DUE, &values)?.into_iter().map(|mut row| session_id(row.text(0)?)).collect()
    }

    /// The oldest last access of all conversations; none where there is no conversation.
    ///
    /// # Errors
    /// SQLite's.
    pub fn oldest_access(&self) -> Result<Option<Millis>, StoreError> {
        const OLDEST: &str = "select last_accessed_at from conversations order by last_accessed_at limit 1";
        let row = self.sql.first(OLDEST, &[])?;
        Ok(row.map(|row| row.integer(0)).transpose()?.map(Millis::new))
    }
}
