//! How long the account's container ran and how much the account stored, by day: the part of the ledger that no call of the model makes.

use super::sql::{Sql, Value};
use super::{Store, StoreError, integer};
use crate::domain::Millis;
use crate::domain::ledger::{ContainerUse, Day};

impl<S: Sql> Store<S> {
    /// Since when the container runs, as far as that is not in the ledger.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn container_since(&self) -> Result<Option<Millis>, StoreError> {
        const READ: &str = "select container_since from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        Ok(row.map_or(Ok(None), |row| row.opt_integer(0))?.map(Millis::new))
    }

    /// The container runs no more: what it ran is in the ledger.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn end_container(&self, uses: &[(Day, ContainerUse)]) -> Result<(), StoreError> {
        const END: &str = "update account set container_since = null where id = 1";
        self.transaction(|| {
            self.add_container_use(uses)?;
            Ok(self.sql.execute(END, &[])?)
        })
    }

    /// Adds to the ledger. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn add_container_use(&self, uses: &[(Day, ContainerUse)]) -> Result<(), StoreError> {
        const ADD: &str = "insert into container_use (day, ms, stored_bytes) values (?1, ?2, ?3) on conflict (day) do update set \
             ms = ms + excluded.ms, stored_bytes = coalesce(excluded.stored_bytes, stored_bytes)";
        for (day, used) in uses {
            let stored = used.stored_bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
            self.sql.execute(ADD, &[Value::Integer(day.get()), integer(used.ms), stored.into()])?;
            self.note_active(*day)?;
        }
        Ok(())
    }

    /// What the ledger has from the one day to the other, both included.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn container_use(&self, from: Day, to: Day) -> Result<Vec<(Day, ContainerUse)>, StoreError> {
        const READ: &str = "select day, ms, stored_bytes from container_use where day between ?1 and ?2 order by day";
        let rows = self.sql.query(READ, &[Value::Integer(from.get()), Value::Integer(to.get())])?;
        let read = |row: super::sql::Row| {
            let stored_bytes = row.opt_integer(2)?.map(|bytes| u64::try_from(bytes).unwrap_or(0));
            Ok((Day::new(row.integer(0)?), ContainerUse { ms: row.count(1)?, stored_bytes }))
        };
        rows.into_iter().map(read).collect()
    }
}
