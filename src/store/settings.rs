//! What an operator has set of the account, and what was said of its budget.

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::{Store, StoreError, json};
use crate::domain::account::AccountSettings;

impl<S: Sql> Store<S> {
    /// What is set; none if nothing was ever.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn settings(&self) -> Result<Option<AccountSettings>, StoreError> {
        const READ: &str = "select settings from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        let text = row.map_or(Ok(None), |mut row| row.opt_text(0))?;
        text.map(|text| serde_json::from_str(&text).map_err(|e| unreadable("settings", &e))).transpose()
    }

    /// Stores what is set of an account whose id is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_settings(&self, settings: &AccountSettings) -> Result<(), StoreError> {
        const SET: &str = "update account set settings = ?1 where id = 1";
        Ok(self.sql.execute(SET, &[Value::Text(&json(settings)?)])?)
    }

    /// The periods that were warned of.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn warned(&self) -> Result<String, StoreError> {
        const READ: &str = "select warned from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        Ok(row.map_or(Ok(None), |mut row| row.opt_text(0))?.unwrap_or_default())
    }

    /// Stores the periods that were warned of.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_warned(&self, warned: &str) -> Result<(), StoreError> {
        const SET: &str = "update account set warned = ?1 where id = 1";
        Ok(self.sql.execute(SET, &[Value::Text(warned)])?)
    }

    /// The size of the database, in bytes.
    pub fn database_bytes(&self) -> u64 {
        self.sql.database_bytes()
    }
}
