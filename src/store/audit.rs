//! A directory shard's part of the audit.

use super::StoreError;
use super::conversations::unreadable;
use super::directory::DirectoryStore;
use super::sql::{Row, Sql, Value};
use crate::domain::audit::{AuditAction, AuditEntry};
use crate::domain::{AccountId, Millis};

impl<S: Sql> DirectoryStore<S> {
    /// Adds an entry, and forgets those of before that moment.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn add_audit(&self, entry: &AuditEntry, forget_before: Millis) -> Result<(), StoreError> {
        const ADD: &str = "insert into audit (at, actor, action, target, request_id) values (?1, ?2, ?3, ?4, ?5)";
        // They are in the order of time: the old ones are the first.
        const FORGET: &str = "delete from audit where seq <= coalesce((select max(seq) from (select seq, at from audit order by seq limit 100) \
             where at < ?1), 0)";
        self.sql().execute(
            ADD,
            &[
                Value::Integer(entry.at.get()),
                Value::Text(&entry.actor),
                Value::Text(entry.action.as_str()),
                entry.target.as_ref().map(AccountId::as_str).into(),
                Value::Text(entry.request_id.as_str()),
            ],
        )?;
        Ok(self.sql().execute(FORGET, &[Value::Integer(forget_before.get())])?)
    }

    /// Entries with a lower number than `before`, newest first, each with its number.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn audit(&self, before: i64, limit: u32) -> Result<Vec<(i64, AuditEntry)>, StoreError> {
        const PAGE: &str =
            "select seq, at, actor, action, target, request_id from audit where seq < ?1 order by seq desc limit +?2";
        let read = |mut row: Row| {
            let action = row.text(3)?;
            let target = row.opt_text(4)?.map(AccountId::try_from).transpose();
            let entry = AuditEntry {
                at: Millis::new(row.integer(1)?),
                actor: row.text(2)?,
                action: AuditAction::parse(&action).ok_or_else(|| unreadable("action", &action))?,
                target: target.map_err(|e| unreadable("target", &e))?,
                request_id: row.text(5)?.try_into().map_err(|e| unreadable("request_id", &e))?,
            };
            Ok((row.integer(0)?, entry))
        };
        let values = [Value::Integer(before), Value::Integer(i64::from(limit))];
        self.sql().query(PAGE, &values)?.into_iter().map(read).collect()
    }
}
