//! A directory shard's rows: the accounts with a lower bound of their oldest access, and the purge runs with their place.

use super::StoreError;
use super::conversations::unreadable;
use super::schema;
use super::sql::{Row, Sql, SqlError, Value};
use crate::domain::{AccountId, Millis, PurgeRun, RunId, Trigger};

/// Runs that a shard remembers; older ones are deleted when a run starts.
pub const MAX_RUNS_KEPT: u32 = 60;

/// A directory shard's database.
pub struct DirectoryStore<S> {
    sql: S,
}

/// An account as the directory knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its id.
    pub account_id: AccountId,
    /// No conversation of it was last accessed before this.
    pub oldest_access_at: Millis,
    /// How often it was registered.
    pub revision: i64,
}

/// A purge run that has not finished.
pub struct OpenRun {
    /// The run, as an operator sees it.
    pub run: PurgeRun,
    /// Accounts whose oldest access is before this are due.
    pub cutoff: Millis,
    /// The last account that was passed, by oldest access and id.
    pub passed: (Millis, String),
}

impl OpenRun {
    /// A run that starts now, at the first account.
    #[must_use]
    pub fn new(run_id: RunId, trigger: Trigger, now: Millis, cutoff: Millis) -> Self {
        let run = PurgeRun {
            run_id,
            trigger,
            started_at: now,
            finished_at: None,
            accounts_due: 0,
            accounts_done: 0,
            accounts_failed: 0,
            conversations_deleted: 0,
        };
        Self { run, cutoff, passed: (Millis::new(-1), String::new()) }
    }
}

macro_rules! runs {
    ($which:literal) => {
        concat!(
            "select run_id, started_by, started_at, finished_at, accounts_due, accounts_done, accounts_failed, ",
            "conversations_deleted, cutoff, passed_access_at, passed_account_id from purge_runs ",
            $which
        )
    };
}

impl<S: Sql> DirectoryStore<S> {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if a migration fails; the database then stays as it was.
    pub fn open(sql: S, now: Millis) -> Result<Self, StoreError> {
        schema::migrate(&sql, schema::DIRECTORY, now)?;
        Ok(Self { sql })
    }

    pub(super) const fn sql(&self) -> &S {
        &self.sql
    }

    /// Runs `f` as one transaction: committed on `Ok`, rolled back on `Err`. It must not await.
    ///
    /// # Errors
    /// What `f` returned, or the failure to commit.
    pub fn transaction<T, E: From<SqlError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.sql.transaction(f)
    }

    /// Rows written since the shard came into memory, as SQLite's cursors count them.
    pub fn rows_written(&self) -> u64 {
        self.sql.rows_written()
    }

    /// Registers an account. One that is registered keeps its lower bound if that is lower.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn register(&self, account_id: &AccountId, oldest_access_at: Millis) -> Result<(), StoreError> {
        const REGISTER: &str = "insert into accounts (account_id, oldest_access_at) values (?1, ?2) \
             on conflict (account_id) do update set revision = revision + 1, \
             oldest_access_at = min(oldest_access_at, excluded.oldest_access_at)";
        let values = [Value::Text(account_id.as_str()), Value::Integer(oldest_access_at.get())];
        Ok(self.sql.execute(REGISTER, &values)?)
    }

    /// Moves an account's lower bound, unless the account was registered again meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn move_account(&self, entry: &DirectoryEntry, oldest_access_at: Millis) -> Result<(), StoreError> {
        const MOVE: &str = "update accounts set oldest_access_at = ?3 where account_id = +?1 and revision = +?2";
        let id = Value::Text(entry.account_id.as_str());
        let values = [id, Value::Integer(entry.revision), Value::Integer(oldest_access_at.get())];
        Ok(self.sql.execute(MOVE, &values)?)
    }

    /// Drops an account, unless it was registered again meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn drop_account(&self, entry: &DirectoryEntry) -> Result<(), StoreError> {
        const DROP: &str = "delete from accounts where account_id = +?1 and revision = +?2";
        let values = [Value::Text(entry.account_id.as_str()), Value::Integer(entry.revision)];
        Ok(self.sql.execute(DROP, &values)?)
    }

    /// How many accounts are due at `cutoff`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn count_due(&self, cutoff: Millis) -> Result<u64, StoreError> {
        const COUNT: &str = "select count(*) from accounts where oldest_access_at < ?1";
        let row = self.sql.first(COUNT, &[Value::Integer(cutoff.get())])?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?)
    }

    /// The next due accounts that a run has not passed, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn next_due(&self, open: &OpenRun, limit: u32) -> Result<Vec<DirectoryEntry>, StoreError> {
        const NEXT: &str = "select account_id, oldest_access_at, revision from accounts where oldest_access_at < ?1 \
             and (oldest_access_at, account_id) > (?2, ?3) order by oldest_access_at, account_id limit +?4";
        let (at, id) = &open.passed;
        let values = [
            Value::Integer(open.cutoff.get()),
            Value::Integer(at.get()),
            Value::Text(id),
            Value::Integer(i64::from(limit)),
        ];
        let read = |mut row: Row| {
            Ok(DirectoryEntry {
                account_id: row.text(0)?.try_into().map_err(|e| unreadable("account_id", &e))?,
                oldest_access_at: Millis::new(row.integer(1)?),
                revision: row.integer(2)?,
            })
        };
        self.sql.query(NEXT, &values)?.into_iter().map(read).collect()
    }

    /// The run that has not finished, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn open_run(&self) -> Result<Option<OpenRun>, StoreError> {
        const OPEN: &str = runs!("where finished_at is null limit 1");
        self.sql.first(OPEN, &[])?.map(open_run_from).transpose()
    }

    /// Stores a run where it stands.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn save_run(&self, open: &OpenRun) -> Result<(), StoreError> {
        const SAVE: &str = "insert into purge_runs (run_id, started_by, started_at, finished_at, accounts_due, accounts_done, \
             accounts_failed, conversations_deleted, cutoff, passed_access_at, passed_account_id) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) on conflict (run_id) do update set \
             finished_at = excluded.finished_at, accounts_done = excluded.accounts_done, \
             accounts_failed = excluded.accounts_failed, conversations_deleted = excluded.conversations_deleted, \
             passed_access_at = excluded.passed_access_at, passed_account_id = excluded.passed_account_id";
        let run = &open.run;
        Ok(self.sql.execute(
            SAVE,
            &[
                Value::Text(run.run_id.as_str()),
                Value::Text(run.trigger.as_str()),
                Value::Integer(run.started_at.get()),
                run.finished_at.map(Millis::get).into(),
                count(run.accounts_due),
                count(run.accounts_done),
                count(run.accounts_failed),
                count(run.conversations_deleted),
                Value::Integer(open.cutoff.get()),
                Value::Integer(open.passed.0.get()),
                Value::Text(&open.passed.1),
            ],
        )?)
    }

    /// Forgets the runs before the newest [`MAX_RUNS_KEPT`].
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_old_runs(&self) -> Result<(), StoreError> {
        const FORGET: &str = "delete from purge_runs where finished_at is not null and run_id <= \
             (select run_id from purge_runs order by run_id desc limit 1 offset +?1)";
        Ok(self.sql.execute(FORGET, &[Value::Integer(i64::from(MAX_RUNS_KEPT))])?)
    }

    /// The runs that are remembered, newest first.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn runs(&self) -> Result<Vec<PurgeRun>, StoreError> {
        const NEWEST_FIRST: &str = runs!("order by run_id desc");
        self.sql.query(NEWEST_FIRST, &[])?.into_iter().map(|row| Ok(open_run_from(row)?.run)).collect()
    }
}

fn open_run_from(mut row: Row) -> Result<OpenRun, StoreError> {
    let trigger = row.text(1)?;
    let run = PurgeRun {
        run_id: row.text(0)?.try_into().map_err(|e| unreadable("run_id", &e))?,
        trigger: Trigger::parse(&trigger).ok_or_else(|| unreadable("started_by", &trigger))?,
        started_at: Millis::new(row.integer(2)?),
        finished_at: row.opt_integer(3)?.map(Millis::new),
        accounts_due: row.count(4)?,
        accounts_done: row.count(5)?,
        accounts_failed: row.count(6)?,
        conversations_deleted: row.count(7)?,
    };
    Ok(OpenRun { run, cutoff: Millis::new(row.integer(8)?), passed: (Millis::new(row.integer(9)?), row.text(10)?) })
}

fn count(n: u64) -> Value<'static> {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}
