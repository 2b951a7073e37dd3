//! Older versions of workspaces: which are kept, what branches take of them, and what is deleted of them. An object that a conversation names no
//! more is doomed only if no other conversation names it.

use super::branches::Fork;
use super::doomed::not_named_elsewhere;
use super::sql::{Sql, Value};
use super::{Store, StoreError, integer, json};
use crate::domain::{Millis, SessionId, TurnId};

impl<S: Sql> Store<S> {
    /// The oldest version of which everything is kept, and the current one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn kept_versions(&self, session_id: &SessionId) -> Result<(u64, u64), StoreError> {
        const KEPT: &str = "select oldest, version from workspaces where session_id = +?1";
        let row = self.sql.first(KEPT, &[Value::Text(session_id.as_str())])?;
        row.map_or(Ok((0, 0)), |row| Ok((row.count(0)?, row.count(1)?)))
    }

    /// The version of the files at the end of a turn, 0 if it told of none; nothing if the conversation has no such turn.
    ///
    /// # Errors
    /// SQLite's.
    pub fn files_version_of(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<Option<u64>, StoreError> {
        const VERSION: &str =
            "select coalesce(files ->> '$.version', 0) from turns where turn_id = +?1 and session_id = +?2";
        let row = self.sql.first(VERSION, &[Value::Text(turn_id.as_str()), Value::Text(session_id.as_str())])?;
        row.map(|row| Ok(row.count(0)?)).transpose()
    }

    /// Conversations with packs that only older versions need, and how many bytes deleting those frees at least; the most first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn bytes_of_older_versions(&self) -> Result<Vec<(SessionId, u64)>, StoreError> {
        const BYTES: &str = "select session_id, sum(bytes) as freed from workspace_packs \
             where to_version is not null and shared = 0 group by session_id order by freed desc";
        let rows = self.sql.query(BYTES, &[])?;
        rows.into_iter().map(|mut row| Ok((super::conversations::session_id(row.text(0)?)?, row.count(1)?))).collect()
    }

    /// Bytes of the current version's packs that no other conversation names and that are not among those of `keep`.
    ///
    /// # Errors
    /// SQLite's.
    pub fn bytes_replaced(&self, session_id: &SessionId, keep: &[u64]) -> Result<u64, StoreError> {
        const BYTES: &str = "select coalesce(sum(bytes), 0) from workspace_packs where session_id = +?1 and to_version is null \
             and shared = 0 and pack_no not in (select value from json_each(?2))";
        let keep = json(&keep)?;
        let values = [Value::Text(session_id.as_str()), Value::Text(&keep)];
        self.sql.first(BYTES, &values)?.map_or(Ok(0), |row| Ok(row.count(0)?))
    }

    /// Deletes the older versions of a workspace.
    ///
    /// # Errors
    /// SQLite's.
    pub fn drop_older_versions(&self, session_id: &SessionId, now: Millis) -> Result<(), StoreError> {
        const OLDEST: &str = "update workspaces set oldest = version where session_id = +?1";
        self.transaction(|| {
            let (_, version) = self.kept_versions(session_id)?;
            self.prune(session_id, version, now)?;
            Ok(self.sql.execute(OLDEST, &[Value::Text(session_id.as_str())])?)
        })
    }

    /// The oldest version to keep, so that `kept` different ones are, the current one included. A version that changed nothing counts for none.
    pub(super) fn oldest_to_keep(&self, session_id: &SessionId, kept: u64) -> Result<u64, StoreError> {
        const OLDEST: &str = "select distinct to_version from workspace_parts where session_id = +?1 and to_version is not null \
             order by to_version desc limit 1 offset +?2";
        let values = [Value::Text(session_id.as_str()), integer(kept.saturating_sub(1))];
        self.sql.first(OLDEST, &values)?.map_or(Ok(0), |row| Ok(row.count(0)?))
    }

    /// Deletes what no version from `oldest` on needs.
    pub(super) fn prune(&self, session_id: &SessionId, oldest: u64, now: Millis) -> Result<(), StoreError> {
        const PARTS: &str = "delete from workspace_parts where session_id = +?1 and to_version <= ?2";
        const PACKS: &str = "delete from workspace_packs where session_id = +?1 and to_version <= ?2";
        const DOOM: &str = concat!(
            "insert into doomed (object_key, since) select object_key, ?3 from workspace_packs as pack \
             where session_id = +?1 and to_version <= ?2 and ",
            not_named_elsewhere!("other.session_id <> pack.session_id"),
            " on conflict (object_key) do nothing"
        );
        let [id, oldest] = [Value::Text(session_id.as_str()), integer(oldest)];
        self.sql.execute(PARTS, &[id, oldest])?;
        self.sql.execute(DOOM, &[id, oldest, Value::Integer(now.get())])?;
        Ok(self.sql.execute(PACKS, &[id, oldest])?)
    }

    /// Copies the rows of a branch's version into a new conversation, and those of the versions before it if they are not too large.
    pub(super) fn copy_files(&self, fork: &Fork<'_>) -> Result<(), StoreError> {
        const BYTES: &str = "select coalesce(sum(octet_length(entries)), 0) from workspace_parts \
             where session_id = +?1 and from_version <= ?2 and to_version <= ?2";
        const WORKSPACE: &str = "insert into workspaces (session_id, version, oldest, files, bytes, saved_at) values (?1, ?2, ?3, ?4, ?5, ?6)";
        const SHARE: &str = "update workspace_packs set shared = 1 where session_id = +?1 and shared = 0 \
             and from_version <= ?2 and (to_version is null or to_version > ?3)";
        const PACKS: &str = "insert into workspace_packs (session_id, pack_no, from_version, to_version, object_key, bytes, shared) \
             select ?2, pack_no, from_version, iif(to_version > ?3, null, to_version), object_key, bytes, 1 from workspace_packs \
             where session_id = +?1 and from_version <= ?3 and (to_version is null or to_version > ?4)";
        const PARTS: &str = "insert into workspace_parts (session_id, first_path, from_version, to_version, entries) \
             select ?2, first_path, from_version, iif(to_version > ?3, null, to_version), entries from workspace_parts \
             where session_id = +?1 and from_version <= ?3 and (to_version is null or to_version > ?4)";
        let (kept, current) = self.kept_versions(fork.source)?;
        let version = fork.branch.files_version.unwrap_or(current);
        if version == 0 {
            return Ok(());
        }
        let (from, to) = (Value::Text(fork.source.as_str()), Value::Text(fork.session_id.as_str()));
        let bytes = self.sql.first(BYTES, &[from, integer(version)])?.map_or(Ok(0), |row| row.count(0))?;
        let oldest = integer(if bytes <= fork.max_index_bytes { kept } else { version });
        let (files, bytes) = self.totals_of_version(fork.source, version)?;
        let version = integer(version);
        self.sql.execute(WORKSPACE, &[to, version, oldest, files, bytes, Value::Integer(fork.now.get())])?;
        self.sql.execute(SHARE, &[from, version, oldest])?;
        self.sql.execute(PACKS, &[from, to, version, oldest])?;
        Ok(self.sql.execute(PARTS, &[from, to, version, oldest])?)
    }

    /// Makes a version the current one again, the one that is if absent. Nobody can name those behind it any more: they are deleted. Its number is
    /// two above the current one, because a container may hold a save under the number between.
    pub(super) fn rewind_files(
        &self,
        session_id: &SessionId,
        version: Option<u64>,
        now: Millis,
    ) -> Result<(), StoreError> {
        const DOOM: &str = concat!(
            "insert into doomed (object_key, since) select object_key, ?3 from workspace_packs as pack \
             where session_id = +?1 and from_version > ?2 and ",
            not_named_elsewhere!("other.session_id <> pack.session_id"),
            " on conflict (object_key) do nothing"
        );
        const PACKS: &str = "delete from workspace_packs where session_id = +?1 and from_version > ?2";
        const PARTS: &str = "delete from workspace_parts where session_id = +?1 and from_version > ?2";
        const OPEN_PACKS: &str =
            "update workspace_packs set to_version = null where session_id = +?1 and to_version > ?2";
        const OPEN_PARTS: &str =
            "update workspace_parts set to_version = null where session_id = +?1 and to_version > ?2";
        const CURRENT: &str = "update workspaces set version = ?2, files = ?3, bytes = ?4, saved_at = ?5, unsaved = null \
             where session_id = +?1";
        let (_, current) = self.kept_versions(session_id)?;
        if current == 0 {
            return Ok(());
        }
        let [id, at] = [Value::Text(session_id.as_str()), Value::Integer(now.get())];
        let version = version.unwrap_or(current);
        let (files, bytes) = self.totals_of_version(session_id, version)?;
        let version = integer(version);
        self.sql.execute(DOOM, &[id, version, at])?;
        for statement in [PACKS, PARTS, OPEN_PACKS, OPEN_PARTS] {
            self.sql.execute(statement, &[id, version])?;
        }
        Ok(self.sql.execute(CURRENT, &[id, integer(current + 2), files, bytes, at])?)
    }

    /// How many files a version has, and their bytes.
    fn totals_of_version(
        &self,
        session_id: &SessionId,
        version: u64,
    ) -> Result<(Value<'static>, Value<'static>), StoreError> {
        const CURRENT: &str = "select files, bytes from workspaces where session_id = +?1 and version = +?2";
        // An entry of a file has more columns than one of a folder or a link.
        const COUNTED: &str = "select count(*), coalesce(sum(entry.value ->> 2), 0) \
             from workspace_parts, json_each(workspace_parts.entries) as entry where session_id = +?1 and from_version <= ?2 \
             and (to_version is null or to_version > ?2) and json_array_length(entry.value) > 3";
        let values = [Value::Text(session_id.as_str()), integer(version)];
        let row = match self.sql.first(CURRENT, &values)? {
            None => self.sql.first(COUNTED, &values)?,
            row => row,
        };
        row.map_or(Ok((integer(0), integer(0))), |row| Ok((integer(row.count(0)?), integer(row.count(1)?))))
    }
}
