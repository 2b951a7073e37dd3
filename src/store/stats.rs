//! How much is stored. The totals are counted once, when somebody first asks, and then kept in memory by every statement that
//! changes them: asking costs the same with 100 conversations and 100,000, and a turn writes no row for it.

use std::time::Duration;

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::{Store, StoreError};
use crate::domain::Millis;
use crate::domain::account::ErasureCounts;
use crate::domain::time::DAY;

/// Conversations of the account and their messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Totals {
    conversations: i64,
    messages: i64,
}

impl<S: Sql> Store<S> {
    /// The answer of `GET /storage-stats`. Age is counted from the last access, as retention counts it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn storage_stats(&self, retention: Duration, now: Millis) -> Result<S::Json, StoreError> {
        const STATS: &str = "select cast(json_object('total_conversations', cast(?1 as integer), \
             'oldest_conversation_age_days', (select round(max(?4 - last_accessed_at, 0) / 86400000.0, 6) \
             from conversations order by last_accessed_at limit 1), \
             'conversations_ready_to_purge', (select count(*) from conversations where last_accessed_at < ?5 \
             and session_id not in (select session_id from turns where finished_at is null)), \
             'retention_policy_days', cast(?6 as integer), 'total_messages', cast(?2 as integer), \
             'database_bytes', cast(?3 as integer)) as blob)";
        let totals = self.totals()?;
        let retention_days = i64::try_from(retention.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX);
        let document = self.sql.document(
            STATS,
            &[
                Value::Integer(totals.conversations),
                Value::Integer(totals.messages),
                Value::Integer(i64::try_from(self.sql.database_bytes()).unwrap_or(i64::MAX)),
                Value::Integer(now.get()),
                Value::Integer(now.minus(retention).get()),
                Value::Integer(retention_days),
            ],
        )?;
        document.map(|document| document.json).ok_or_else(|| unreadable("stats", &"no row"))
    }

    /// [`Store::storage_stats`] of an account without tables.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn storage_stats_of_nothing(&self, retention: Duration) -> Result<S::Json, StoreError> {
        const STATS: &str = "select cast(json_object('total_conversations', 0, 'oldest_conversation_age_days', null, \
             'conversations_ready_to_purge', 0, 'retention_policy_days', cast(?1 as integer), 'total_messages', 0, \
             'database_bytes', 0) as blob)";
        let retention_days = i64::try_from(retention.as_secs() / DAY.as_secs()).unwrap_or(i64::MAX);
        let document = self.sql.document(STATS, &[Value::Integer(retention_days)])?;
        document.map(|document| document.json).ok_or_else(|| unreadable("stats", &"no row"))
    }

    /// What there is of the account, for its overview and its erasure.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn counts(&self) -> Result<ErasureCounts, StoreError> {
        const TURNS: &str = "select count(*) from turns";
        let totals = self.totals()?;
        let count = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(ErasureCounts {
            conversations: count(totals.conversations),
            messages: count(totals.messages),
            turns: self.sql.first(TURNS, &[])?.map_or(Ok(0), |row| row.count(0))?,
            database_bytes: self.sql.database_bytes(),
            files_bytes: self.files_bytes()?,
        })
    }

    fn totals(&self) -> Result<Totals, StoreError> {
        const COUNT: &str = "select count(*), coalesce(sum(message_count), 0) from conversations";
        if let Some(totals) = self.cache.totals.get() {
            return Ok(totals);
        }
        let row = self.sql.first(COUNT, &[])?.ok_or_else(|| unreadable("totals", &"no row"))?;
        let totals = Totals { conversations: row.integer(0)?, messages: row.integer(1)? };
        self.cache.totals.set(Some(totals));
        Ok(totals)
    }

    /// Adds to the totals. If the transaction around it fails, they are counted anew.
    pub(super) fn count(&self, conversations: i64, messages: i64) {
        let more = |totals: Totals| Totals {
            conversations: totals.conversations + conversations,
            messages: totals.messages + messages,
        };
        self.cache.totals.set(self.cache.totals.get().map(more));
    }
}
