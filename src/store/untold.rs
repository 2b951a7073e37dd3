//! What the directory of accounts has not yet heard of this account, and which of its shards is told. It is stored with what there is to tell, so
//! that nothing goes untold because the object was reset.

use super::sql::{Sql, Value};
use super::{Store, StoreError};
use crate::domain::ledger::Day;

/// What the directory has not yet heard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Untold {
    /// That the account was active on its last active day.
    pub active: bool,
    /// Its status.
    pub status: bool,
}

impl Untold {
    const ACTIVE: i64 = 1;
    const STATUS: i64 = 2;

    /// Whether there is anything to tell.
    #[must_use]
    pub const fn any(self) -> bool {
        self.active || self.status
    }

    const fn bits(self) -> i64 {
        (if self.active { Self::ACTIVE } else { 0 }) | (if self.status { Self::STATUS } else { 0 })
    }
}

impl<S: Sql> Store<S> {
    /// What the directory has not yet heard.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn untold(&self) -> Result<Untold, StoreError> {
        const READ: &str = "select untold from account where id = 1";
        if let Some(untold) = self.cache.untold.get() {
            return Ok(untold);
        }
        let bits = self.sql.first(READ, &[])?.map_or(Ok(0), |row| row.integer(0))?;
        let untold = Untold { active: bits & Untold::ACTIVE != 0, status: bits & Untold::STATUS != 0 };
        self.cache.untold.set(Some(untold));
        Ok(untold)
    }

    /// The directory is to hear this, too.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_untold(&self, more: Untold) -> Result<(), StoreError> {
        const SET: &str = "update account set untold = untold | ?1 where id = 1 and untold & ?1 <> ?1";
        self.cache.untold.set(None);
        Ok(self.sql.execute(SET, &[Value::Integer(more.bits())])?)
    }

    /// The directory has heard this.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_told(&self, told: Untold) -> Result<(), StoreError> {
        const SET: &str = "update account set untold = untold & ~?1 where id = 1 and untold & ?1 <> 0";
        self.cache.untold.set(None);
        Ok(self.sql.execute(SET, &[Value::Integer(told.bits())])?)
    }

    /// The account was active on that day: the directory is to hear it, once a day.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn note_active(&self, day: Day) -> Result<(), StoreError> {
        const NOTE: &str = "update account set active_day = ?1, untold = untold | ?2 \
             where id = 1 and (active_day is null or active_day < ?1)";
        if self.cache.active_day.get() >= Some(day) {
            return Ok(());
        }
        self.cache.untold.set(None);
        self.sql.execute(NOTE, &[Value::Integer(day.get()), Value::Integer(Untold::ACTIVE)])?;
        // Without the account's row, nothing was noted.
        if self.cache.account.get() {
            self.cache.active_day.set(Some(day));
        }
        Ok(())
    }

    /// The last day on which the account was active.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn active_day(&self) -> Result<Option<Day>, StoreError> {
        const READ: &str = "select active_day from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        Ok(row.map_or(Ok(None), |row| row.opt_integer(0))?.map(Day::new))
    }

    /// The directory's shard that knows the account, if that is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn shard(&self) -> Result<Option<u32>, StoreError> {
        const READ: &str = "select shard from account where id = 1";
        if let Some(shard) = self.cache.shard.get() {
            return Ok(Some(shard));
        }
        let stored = self.sql.first(READ, &[])?.map_or(Ok(None), |row| row.opt_integer(0))?;
        let shard = stored.and_then(|shard| u32::try_from(shard).ok());
        self.cache.shard.set(shard);
        Ok(shard)
    }

    /// Stores which of the directory's shards is told of the account.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_shard(&self, shard: u32) -> Result<(), StoreError> {
        const SET: &str = "update account set shard = ?1 where id = 1";
        self.cache.shard.set(None);
        Ok(self.sql.execute(SET, &[Value::Integer(i64::from(shard))])?)
    }

    /// What is to be reported to the directory, as the account has stored it; none if there is nothing.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn unreported(&self) -> Result<Option<String>, StoreError> {
        const READ: &str = "select unreported from account where id = 1";
        Ok(self.sql.first(READ, &[])?.map_or(Ok(None), |mut row| row.opt_text(0))?)
    }

    /// Stores what is to be reported to the directory.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_unreported(&self, unreported: Option<&str>) -> Result<(), StoreError> {
        const SET: &str = "update account set unreported = ?1 where id = 1";
        Ok(self.sql.execute(SET, &[unreported.into()])?)
    }
}
