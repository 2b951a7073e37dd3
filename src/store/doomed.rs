//! Keys of the bucket whose objects are to be deleted. A key is here from before its object is put until a version or the inbox names it, and
//! again from when nothing names it any more until its object is deleted.

use super::sql::{Sql, Value};
use super::workspaces::Pack;
use super::{Store, StoreError, json};
use crate::domain::Millis;

/// The condition that no other row names the object of a row `pack`: the others are those for which `$other` holds. Only rows that a fork has made or
/// copied can be among them.
macro_rules! not_named_elsewhere {
    ($other:literal) => {
        concat!(
            "(pack.shared = 0 or not exists (select 1 from workspace_packs as other \
             where other.object_key = pack.object_key and other.shared = 1 and ",
            $other,
            "))"
        )
    };
}

pub(super) use not_named_elsewhere;

impl<S: Sql> Store<S> {
    /// Dooms keys that are about to be put.
    ///
    /// # Errors
    /// SQLite's.
    pub fn doom(&self, keys: &[String], now: Millis) -> Result<(), StoreError> {
        const DOOM: &str = "insert into doomed (object_key, since) select value, ?2 from json_each(?1) where true \
             on conflict (object_key) do nothing";
        Ok(self.sql.execute(DOOM, &[Value::Text(&json(&keys)?), Value::Integer(now.get())])?)
    }

    /// Dooms whatever the conversations in a JSON array of ids name and no other does, to be deleted at once: nobody may read it any more. Belongs
    /// into the transaction that deletes them.
    pub(super) fn doom_files_of(&self, session_ids: &str) -> Result<(), StoreError> {
        const DOOM: &str = concat!(
            "insert into doomed (object_key, since) \
             select object_key, 0 from workspace_packs as pack where session_id in (select value from json_each(?1)) and ",
            not_named_elsewhere!("other.session_id not in (select value from json_each(?1))"),
            " union select object_key, 0 from inbox where object_key is not null \
             and session_id in (select value from json_each(?1)) \
             on conflict (object_key) do update set since = 0"
        );
        Ok(self.sql.execute(DOOM, &[Value::Text(session_ids)])?)
    }

    /// Whether each of these packs is doomed, as one that was put and is not yet named is.
    pub(super) fn are_doomed(&self, packs: &[Pack]) -> Result<bool, StoreError> {
        const COUNT: &str = "select count(*) from doomed where object_key in (select value from json_each(?1))";
        let keys: Vec<&str> = packs.iter().map(|pack| pack.key.as_str()).collect();
        let row = self.sql.first(COUNT, &[Value::Text(&json(&keys)?)])?;
        Ok(row.map_or(Ok(0), |row| row.count(0))? == u64::try_from(keys.len()).unwrap_or(u64::MAX))
    }

    /// Takes keys out: their objects are deleted, or something names them.
    ///
    /// # Errors
    /// SQLite's.
    pub fn forget_doomed<'a>(&self, keys: impl Iterator<Item = &'a str>) -> Result<(), StoreError> {
        const FORGET: &str = "delete from doomed where object_key in (select value from json_each(?1))";
        let keys: Vec<&str> = keys.collect();
        if keys.is_empty() {
            return Ok(());
        }
        Ok(self.sql.execute(FORGET, &[Value::Text(&json(&keys)?)])?)
    }

    /// Keys that were doomed at `since` or before, the oldest first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn doomed_since(&self, since: Millis, limit: usize) -> Result<Vec<String>, StoreError> {
        const DUE: &str = "select object_key from doomed where since <= ?1 order by since, object_key limit +?2";
        let limit = Value::Integer(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows = self.sql.query(DUE, &[Value::Integer(since.get()), limit])?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?)).collect()
    }

    /// When the key was doomed that is first to be deleted; none where none is.
    ///
    /// # Errors
    /// SQLite's.
    pub fn first_doomed(&self) -> Result<Option<Millis>, StoreError> {
        const FIRST: &str = "select min(since) from doomed";
        let row = self.sql.first(FIRST, &[])?;
        Ok(row.map(|row| row.opt_integer(0)).transpose()?.flatten().map(Millis::new))
    }

    /// Those of these keys that a version or the inbox names.
    ///
    /// # Errors
    /// SQLite's.
    pub fn named(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        const NAMED: &str = "select value from json_each(?1) where value in (select object_key from workspace_packs) \
             or value in (select object_key from inbox where object_key is not null)";
        self.keys(NAMED, keys)
    }

    /// Those of these keys that nothing names and that are not doomed.
    ///
    /// # Errors
    /// SQLite's.
    pub fn unknown(&self, keys: &[String]) -> Result<Vec<String>, StoreError> {
        const UNKNOWN: &str = "select value from json_each(?1) where value not in (select object_key from workspace_packs) \
             and value not in (select object_key from inbox where object_key is not null) \
             and value not in (select object_key from doomed)";
        self.keys(UNKNOWN, keys)
    }

    /// Those of these keys that nothing names and that are not doomed, or were at `since` or before.
    ///
    /// # Errors
    /// SQLite's.
    pub fn due_or_unknown(&self, keys: &[String], since: Millis) -> Result<Vec<String>, StoreError> {
        const DUE: &str = "select value from json_each(?1) where value not in (select object_key from workspace_packs) \
             and value not in (select object_key from inbox where object_key is not null) \
             and value not in (select object_key from doomed where since > ?2)";
        let rows = self.sql.query(DUE, &[Value::Text(&json(&keys)?), Value::Integer(since.get())])?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?)).collect()
    }

    fn keys(&self, statement: &'static str, keys: &[String]) -> Result<Vec<String>, StoreError> {
        let rows = self.sql.query(statement, &[Value::Text(&json(&keys)?)])?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?)).collect()
    }
}
