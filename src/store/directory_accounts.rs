//! What a directory shard knows of accounts for operators: who there is, and who is being erased.

use super::StoreError;
use super::conversations::unreadable;
use super::directory::DirectoryStore;
use super::sql::{Row, Sql, Value};
use crate::domain::account::{
    AccountFilter, AccountStatus, Erasure, ErasureCounts, ErasureStatus, KnownContainer, ListedAccount,
};
use crate::domain::fleet::ContainerStage;
use crate::domain::{AccountId, ErasureId, Millis};

/// Rows that one page of a filtered list reads at most.
pub const MAX_SCAN: u32 = 1_000;

/// An erasure that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingErasure {
    /// Its id.
    pub erasure_id: ErasureId,
    /// Whose.
    pub account_id: AccountId,
    /// Whether the account itself stays.
    pub keep_account: bool,
    /// What is to be erased, if the account has said it.
    pub counts: Option<ErasureCounts>,
    /// How often it was tried.
    pub tries: u32,
}

impl<S: Sql> DirectoryStore<S> {
    /// Records when an account was active, or what its status is. One that is not known is registered.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn note(
        &self,
        account_id: &AccountId,
        at: Millis,
        active: bool,
        status: Option<AccountStatus>,
    ) -> Result<(), StoreError> {
        const NOTE: &str = "insert into accounts (account_id, oldest_access_at, created_at, last_active_at, status) \
             values (?1, ?2, ?2, iif(?3, ?2, null), coalesce(?4, 'active')) on conflict (account_id) do update set \
             created_at = coalesce(created_at, excluded.created_at), \
             last_active_at = iif(?3, max(coalesce(last_active_at, 0), ?2), last_active_at), status = coalesce(?4, status)";
        let status = status.map(AccountStatus::as_str);
        let values = [
            Value::Text(account_id.as_str()),
            Value::Integer(at.get()),
            Value::Integer(i64::from(active)),
            status.into(),
        ];
        Ok(self.sql().execute(NOTE, &values)?)
    }

    /// Records whether the container of an account that is known runs; nothing is written if that is what is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn set_container(&self, account_id: &AccountId, container: ContainerStage) -> Result<(), StoreError> {
        const SET: &str = "update accounts set container = ?2 where account_id = +?1 and container is not ?2";
        let word = if container == ContainerStage::Stopped { "stopped" } else { "running" };
        Ok(self.sql().execute(SET, &[Value::Text(account_id.as_str()), Value::Text(word)])?)
    }

    /// One page of the accounts, and the id behind which the next one begins, if there may be one.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn accounts(&self, filter: &AccountFilter) -> Result<(Vec<ListedAccount>, Option<String>), StoreError> {
        const PAGE: &str = "select account_id, status, created_at, last_active_at, container from accounts where account_id > ?1 \
             order by account_id limit +?2";
        let filters = filter.status.is_some() || filter.active_since.is_some();
        let scan = if filters { MAX_SCAN.max(filter.limit) } else { filter.limit };
        let rows = self.sql().query(PAGE, &[Value::Text(&filter.after), Value::Integer(i64::from(scan))])?;
        let scanned = rows.len();
        let (mut accounts, mut last) = (Vec::new(), None);
        for (at, row) in rows.into_iter().enumerate() {
            let account = listed(row)?;
            last = Some(account.account_id.as_str().to_owned());
            let fits = filter.status.is_none_or(|status| account.status == status)
                && filter.active_since.is_none_or(|since| account.last_active_at.is_some_and(|at| at >= since));
            if fits {
                accounts.push(account);
            }
            if accounts.len() == filter.limit as usize {
                let more = at + 1 < scanned || scanned == scan as usize;
                return Ok((accounts, last.filter(|_| more)));
            }
        }
        Ok((accounts, last.filter(|_| scanned == scan as usize)))
    }

    /// Begins an erasure, or finds the one of the account that goes on.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn begin_erasure(
        &self,
        erasure_id: ErasureId,
        account_id: &AccountId,
        keep_account: bool,
        now: Millis,
    ) -> Result<ErasureId, StoreError> {
        const OPEN: &str = "select erasure_id from erasures where account_id = +?1";
        const BEGIN: &str =
            "insert into erasures (erasure_id, account_id, keep_account, requested_at) values (?1, ?2, ?3, ?4)";
        const WIDEN: &str =
            "update erasures set keep_account = min(keep_account, ?2), next_at = 0 where account_id = +?1";
        let account = Value::Text(account_id.as_str());
        let keep = Value::Integer(i64::from(keep_account));
        if let Some(mut row) = self.sql().first(OPEN, &[account])? {
            // Whoever wants the account to go has it go, and it is tried at once.
            self.sql().execute(WIDEN, &[account, keep])?;
            return row.text(0)?.try_into().map_err(|e| unreadable("erasure_id", &e));
        }
        let id = Value::Text(erasure_id.as_str());
        self.sql().execute(BEGIN, &[id, account, keep, Value::Integer(now.get())])?;
        Ok(erasure_id)
    }

    /// The erasures that are due, at most `limit`: those that have waited longest.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn due_erasures(&self, now: Millis, limit: u32) -> Result<Vec<PendingErasure>, StoreError> {
        const DUE: &str = "select erasure_id, account_id, keep_account, counts, tries from erasures \
             where account_id is not null and next_at <= ?1 order by next_at, erasure_id limit +?2";
        let read = |mut row: Row| {
            Ok(PendingErasure {
                erasure_id: row.text(0)?.try_into().map_err(|e| unreadable("erasure_id", &e))?,
                account_id: row.text(1)?.try_into().map_err(|e| unreadable("account_id", &e))?,
                keep_account: row.integer(2)? != 0,
                counts: counts(row.opt_text(3)?)?,
                tries: u32::try_from(row.integer(4)?).unwrap_or(u32::MAX),
            })
        };
        let values = [Value::Integer(now.get()), Value::Integer(i64::from(limit))];
        self.sql().query(DUE, &values)?.into_iter().map(read).collect()
    }

    /// When the next erasure is due; none if none goes on.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn next_erasure(&self) -> Result<Option<Millis>, StoreError> {
        const NEXT: &str = "select min(next_at) from erasures where account_id is not null";
        Ok(self.sql().first(NEXT, &[])?.map_or(Ok(None), |row| row.opt_integer(0))?.map(Millis::new))
    }

    /// An erasure was tried and is not done: it is tried again then.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn put_off_erasure(&self, erasure_id: &ErasureId, at: Millis) -> Result<(), StoreError> {
        const PUT_OFF: &str = "update erasures set next_at = ?2, tries = tries + 1 where erasure_id = +?1";
        Ok(self.sql().execute(PUT_OFF, &[Value::Text(erasure_id.as_str()), Value::Integer(at.get())])?)
    }

    /// Forgets an account and what it has reported. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_account(&self, account_id: &AccountId) -> Result<(), StoreError> {
        const FORGET: &str = "delete from accounts where account_id = +?1";
        self.forget_report_of(account_id)?;
        Ok(self.sql().execute(FORGET, &[Value::Text(account_id.as_str())])?)
    }

    /// Stores what an erasure is about to erase.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn count_erasure(&self, erasure_id: &ErasureId, counts: &ErasureCounts) -> Result<(), StoreError> {
        const COUNT: &str = "update erasures set counts = ?2 where erasure_id = +?1";
        let counts = super::json(counts)?;
        Ok(self.sql().execute(COUNT, &[Value::Text(erasure_id.as_str()), Value::Text(&counts)])?)
    }

    /// An erasure has ended: the account's id goes, and unless the account stays, its row. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn end_erasure(&self, erasure: &PendingErasure, now: Millis) -> Result<(), StoreError> {
        const END: &str = "update erasures set account_id = null, erased_at = ?2 where erasure_id = +?1";
        self.sql().execute(END, &[Value::Text(erasure.erasure_id.as_str()), Value::Integer(now.get())])?;
        if erasure.keep_account { Ok(()) } else { self.forget_account(&erasure.account_id) }
    }

    /// Forgets receipts of before that moment.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_erasures_before(&self, at: Millis) -> Result<(), StoreError> {
        const FORGET: &str = "delete from erasures where erased_at < ?1";
        Ok(self.sql().execute(FORGET, &[Value::Integer(at.get())])?)
    }

    /// The receipt of an erasure, if it is this shard's.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn erasure(&self, erasure_id: &ErasureId) -> Result<Option<Erasure>, StoreError> {
        const ONE: &str = "select requested_at, erased_at, counts from erasures where erasure_id = +?1";
        let Some(mut row) = self.sql().first(ONE, &[Value::Text(erasure_id.as_str())])? else { return Ok(None) };
        let erased_at = row.opt_integer(1)?.map(Millis::new);
        Ok(Some(Erasure {
            erasure_id: erasure_id.clone(),
            status: if erased_at.is_some() { ErasureStatus::Done } else { ErasureStatus::Pending },
            requested_at: Millis::new(row.integer(0)?),
            erased_at,
            counts: counts(row.opt_text(2)?)?,
        }))
    }
}

fn listed(mut row: Row) -> Result<ListedAccount, StoreError> {
    let status = row.text(1)?;
    Ok(ListedAccount {
        account_id: row.text(0)?.try_into().map_err(|e| unreadable("account_id", &e))?,
        status: AccountStatus::parse(&status).ok_or_else(|| unreadable("status", &status))?,
        created_at: row.opt_integer(2)?.map(Millis::new),
        last_active_at: row.opt_integer(3)?.map(Millis::new),
        container: match row.opt_text(4)?.as_deref() {
            Some("running") => KnownContainer::Running,
            Some("stopped") => KnownContainer::Stopped,
            _ => KnownContainer::Unknown,
        },
    })
}

fn counts(stored: Option<String>) -> Result<Option<ErasureCounts>, StoreError> {
    stored.map(|text| serde_json::from_str(&text).map_err(|e| unreadable("counts", &e))).transpose()
}
