//! Typed queries over one object's SQLite database. All SQL of the product is here, as constants with bound values;
//! no decision is: the callers decide, inside [`Store::transaction`] if more than one statement must hold together.

pub mod actions;
pub mod audit;
pub mod branches;
mod cache;
mod chat;
pub mod container_use;
mod content;
pub mod conversations;
pub mod deliveries;
pub mod directory;
pub mod directory_accounts;
mod doomed;
pub mod files;
pub mod fleet;
pub mod inbox;
pub mod items;
mod keys;
pub mod messages;
pub mod outbox;
pub mod reads;
pub mod retention;
pub mod schedules;
pub mod schema;
pub mod search;
pub mod settings;
pub mod sql;
pub mod stats;
mod steering;
pub mod transactions;
pub mod transcripts;
pub mod transfer;
pub mod turn_list;
mod turn_row;
pub mod turns;
pub mod untold;
pub mod usage;
mod versions;
pub mod waiting;
pub mod webhooks;
pub mod workspaces;

use std::cell::Cell;

use cache::Cache;
use sql::{Sql, SqlError, Value};

use crate::domain::{AccountId, Millis};

/// Longest text in one row, in bytes. The platform's limit on a row is 2 MB and is not enforced locally.
pub const MAX_ROW_TEXT_BYTES: usize = 1_500_000;

/// A failure of storage. The detail is for the log only.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused a statement.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A stored value is not what this version wrote.
    #[error("stored {what} is unreadable: {value}")]
    Unreadable {
        /// The column or field.
        what: &'static str,
        /// A short description of it, never content.
        value: String,
    },
}

/// An account's database.
pub struct Store<S> {
    sql: S,
    cache: Cache,
    /// Whether there are tables.
    made: Cell<bool>,
    /// Whether events go to `WEBHOOK_URL`, too.
    operator_webhook: Cell<bool>,
    /// Deliveries that were dropped for want of room.
    dropped: Cell<usize>,
}

impl<S: Sql> Store<S> {
    /// Opens the database, and writes nothing if nothing is in it: an account that was only asked for takes no storage.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if a migration fails; the database then stays as it was.
    pub fn open(sql: S, now: Millis) -> Result<Self, StoreError> {
        let store = Self {
            sql,
            cache: Cache::default(),
            made: Cell::new(false),
            operator_webhook: Cell::new(false),
            dropped: Cell::new(0),
        };
        if schema::is_there(&store.sql)? {
            store.make(now)?;
        }
        Ok(store)
    }

    /// Whether there are tables. If there are none, call [`Store::make`] before any method that reads or writes rows.
    pub fn is_made(&self) -> bool {
        self.made.get()
    }

    /// Makes the tables, or brings them up to date.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if a migration fails; the database then stays as it was.
    pub fn make(&self, now: Millis) -> Result<(), StoreError> {
        schema::migrate(&self.sql, schema::ACCOUNT, now)?;
        self.made.set(true);
        Ok(())
    }

    /// Runs `f` as one transaction: committed on `Ok`, rolled back on `Err`. It must not await.
    ///
    /// # Errors
    /// What `f` returned, or the failure to commit.
    pub fn transaction<T, E: From<SqlError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let result = self.sql.transaction(f);
        if result.is_err() {
            self.cache.forget();
        }
        result
    }

    /// Clears the whole storage: every table, and the object's alarm.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if the platform refuses; then nothing is cleared.
    pub fn clear(&self) -> Result<(), StoreError> {
        self.cache.forget();
        self.sql.erase()?;
        self.made.set(false);
        Ok(())
    }

    /// Rows written since the object came into memory, as SQLite's cursors count them.
    pub fn rows_written(&self) -> u64 {
        self.sql.rows_written()
    }

    /// Writes the account's id on its first use.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn remember_account(&self, account_id: &AccountId) -> Result<(), StoreError> {
        const KNOWN: &str = "select 1 from account where id = 1";
        const REMEMBER: &str = "insert into account (id, account_id) values (1, ?1)";
        if self.cache.account.get() {
            return Ok(());
        }
        if self.sql.query(KNOWN, &[])?.is_empty() {
            self.sql.execute(REMEMBER, &[Value::Text(account_id.as_str())])?;
        }
        self.cache.account.set(true);
        Ok(())
    }

    /// The oldest last access of an account that is not registered; none if it is registered or has no conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn unregistered_since(&self) -> Result<Option<Millis>, StoreError> {
        const SINCE: &str = "select registered, (select last_accessed_at from conversations order by last_accessed_at limit 1) \
             from account where id = 1";
        if self.cache.registered.get() {
            return Ok(None);
        }
        let Some(row) = self.sql.first(SINCE, &[])? else { return Ok(None) };
        if row.integer(0)? == 0 {
            return Ok(row.opt_integer(1)?.map(Millis::new));
        }
        self.cache.registered.set(true);
        Ok(None)
    }

    /// Records whether the directory knows the account.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_registered(&self, registered: bool) -> Result<(), StoreError> {
        const SET: &str = "update account set registered = ?1 where id = 1 and registered is not ?1";
        self.cache.registered.set(false);
        Ok(self.sql.execute(SET, &[Value::Integer(i64::from(registered))])?)
    }

    /// Since when the container has been idle, as far as an alarm has recorded it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn container_idle_since(&self) -> Result<Option<Millis>, StoreError> {
        const READ: &str = "select container_idle_since from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        Ok(row.map_or(Ok(None), |row| row.opt_integer(0))?.map(Millis::new))
    }

    /// The token of the container that was started last, and whether its agent server has ever answered; none if none was started.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn agent_token(&self) -> Result<Option<(String, bool)>, StoreError> {
        const READ: &str = "select agent_token, agent_answered from account where id = 1";
        let Some(mut row) = self.sql.first(READ, &[])? else { return Ok(None) };
        let answered = row.integer(1)? != 0;
        Ok(row.opt_text(0)?.map(|token| (token, answered)))
    }

    /// Records that the agent server has answered, and since when its container runs, unless that is recorded.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_agent_answered(&self, since: Millis) -> Result<(), StoreError> {
        const SET: &str =
            "update account set agent_answered = 1, container_since = coalesce(container_since, ?1) where id = 1";
        Ok(self.sql.execute(SET, &[Value::Integer(since.get())])?)
    }

    /// Records the token that a container is about to be started with.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_agent_token(&self, token: &str) -> Result<(), StoreError> {
        const SET: &str = "update account set agent_token = ?1, agent_answered = 0 where id = 1";
        Ok(self.sql.execute(SET, &[Value::Text(token)])?)
    }

    /// Records since when the container has been idle; none if it does not run.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_container_idle_since(&self, since: Option<Millis>) -> Result<(), StoreError> {
        const WRITE: &str =
            "update account set container_idle_since = ?1 where id = 1 and container_idle_since is not ?1";
        Ok(self.sql.execute(WRITE, &[since.map(Millis::get).into()])?)
    }
}

/// A count as it is stored.
fn integer(n: u64) -> Value<'static> {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

/// A value as the JSON that is stored or bound.
fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| conversations::unreadable("value", &e))
}

/// Cuts `text` into pieces that fit a row each, at character boundaries. An empty text is one empty piece.
pub(crate) fn split_for_rows(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest.take()?;
        if whole.len() <= MAX_ROW_TEXT_BYTES {
            return Some(whole);
        }
        let mut cut = MAX_ROW_TEXT_BYTES;
        while !whole.is_char_boundary(cut) {
            cut -= 1;
        }
        let (piece, tail) = whole.split_at(cut);
        rest = Some(tail);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_a_row_and_join_to_the_whole() {
        for text in [String::new(), "short".to_owned(), "é".repeat(MAX_ROW_TEXT_BYTES)] {
            let cut: Vec<&str> = split_for_rows(&text).collect();
            assert!(cut.iter().all(|piece| piece.len() <= MAX_ROW_TEXT_BYTES));
            assert_eq!(cut.concat(), text);
            assert_eq!(cut.len(), text.len().div_ceil(MAX_ROW_TEXT_BYTES).max(1));
        }
    }
}
