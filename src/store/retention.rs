//! What is due: the conversations that nobody touched for longer than they are kept, and their deletion in batches.

use super::conversations::{sdk_session, session_id, unreadable};
use super::sql::{Sql, Value};
use super::{Store, StoreError};
use crate::domain::{Millis, SdkSession, SessionId};

/// Most conversations that one transaction of a purge deletes. A read that comes meanwhile waits for it: `npm run bench -- purge`
/// measures how long.
pub const PURGE_BATCH: u32 = 50;

/// What one transaction of a purge deleted.
pub struct PurgedBatch {
    /// How many conversations.
    pub conversations: u32,
    /// Their ids.
    pub session_ids: Vec<SessionId>,
    /// The SDK's sessions of those that had one.
    pub sdk_sessions: Vec<SdkSession>,
}

impl<S: Sql> Store<S> {
    /// Deletes the first [`PURGE_BATCH`] conversations whose last access lies before `cutoff`, oldest first, with their messages,
    /// turns and transcripts; those with a queued or running turn are left. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn purge_batch(&self, cutoff: Millis) -> Result<PurgedBatch, StoreError> {
        const DUE: &str = "select session_id from conversations where last_accessed_at < ?1 \
             and session_id not in (select session_id from turns where finished_at is null) \
             order by last_accessed_at, session_id limit +?2";
        // A list of ids is one bound value: the platform binds a hundred at most.
        const TURNS: &str = "delete from turns where turn_id in \
             (select turn_id from messages where session_id in (select value from json_each(?1)))";
        const CONVERSATIONS: &str = "delete from conversations where session_id in (select value from json_each(?1)) returning agent_session, message_count";
        let mut due: Vec<SessionId> = Vec::new();
        for mut row in self.sql.query(DUE, &[Value::Integer(cutoff.get()), Value::Integer(i64::from(PURGE_BATCH))])? {
            due.push(session_id(row.text(0)?)?);
        }
        if due.is_empty() {
            return Ok(PurgedBatch { conversations: 0, session_ids: due, sdk_sessions: Vec::new() });
        }
        let ids = serde_json::to_string(&due).map_err(|e| unreadable("session_id", &e))?;
        self.cache.forget_active();
        self.doom_files_of(&ids)?;
        self.forget_deliveries_of(&ids)?;
        self.sql.execute(TURNS, &[Value::Text(&ids)])?;
        let rows = self.sql.query(CONVERSATIONS, &[Value::Text(&ids)])?;
        let conversations = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut sdk_sessions = Vec::new();
        for mut row in rows {
            self.count(-1, -row.integer(1)?);
            sdk_sessions.extend(row.opt_text(0)?.map(sdk_session).transpose()?);
        }
        Ok(PurgedBatch { conversations, session_ids: due, sdk_sessions })
    }

    /// The first `limit` conversations whose last access lies before `cutoff`, of those with a turn that waits without a process, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn parked_before(&self, cutoff: Millis, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        const PARKED: &str = "select distinct session_id from turns join conversations using (session_id) \
             where finished_at is null and turns.status = 'requires_action' and parked <> 0 and last_accessed_at < ?1 \
             order by last_accessed_at, session_id limit +?2";
        let rows = self.sql.query(PARKED, &[Value::Integer(cutoff.get()), Value::Integer(i64::from(limit))])?;
        rows.into_iter().map(|mut row| session_id(row.text(0)?)).collect()
    }

    /// The oldest last access of all conversations; none if there is no conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn oldest_access(&self) -> Result<Option<Millis>, StoreError> {
        const OLDEST: &str = "select last_accessed_at from conversations order by last_accessed_at limit 1";
        let row = self.sql.first(OLDEST, &[])?;
        Ok(row.map(|row| row.integer(0)).transpose()?.map(Millis::new))
    }
}
