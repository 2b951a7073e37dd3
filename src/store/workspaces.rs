//! Versions of workspaces: what a turn must stand on, and what a save writes. Version n is the rows with `from_version <= n` that have no
//! `to_version` or one above n.

use super::sql::{Sql, Value};
use super::turn_row::parsed;
use super::{Store, StoreError, integer, json};
use crate::domain::file::{TurnFiles, Unsaved};
use crate::domain::{Millis, SessionId, TurnId};
use crate::workspace::index::Part;

/// What is stored of a conversation's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stored {
    /// The current version; 0 if nothing was saved.
    pub version: u64,
    /// The last upload or deletion that waits for a turn; 0 if none does.
    pub inbox: u64,
}

/// A pack of the current version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pack {
    /// Its number.
    pub no: u64,
    /// Its key in the bucket.
    pub key: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A version of a workspace whose packs are in the bucket.
pub struct Save<'a> {
    /// The version that it was made from.
    pub base: u64,
    /// The last upload or deletion of the inbox that it holds.
    pub inbox: u64,
    /// How many files it has.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// The numbers of the stored packs that it goes on using.
    pub keep: &'a [u64],
    /// Its new packs.
    pub packs: &'a [Pack],
    /// Its whole index.
    pub parts: Vec<Part<'a>>,
    /// How many different versions are kept, this one included.
    pub kept_versions: u64,
    /// What the turn tells once it is committed.
    pub told: TurnFiles,
}

/// What the end of a turn stores of its files.
pub enum FilesEnd<'a> {
    /// The workspace stays as it is stored.
    Same,
    /// It could not be saved.
    Unsaved(Unsaved),
    /// A new version.
    Save(Box<Save<'a>>),
}

impl<S: Sql> Store<S> {
    /// What is stored of a conversation's files.
    ///
    /// # Errors
    /// SQLite's.
    pub fn stored_workspace(&self, session_id: &SessionId) -> Result<Stored, StoreError> {
        const STORED: &str = "select version, coalesce((select max(seq) from inbox where session_id = +?1), 0) \
             from workspaces where session_id = +?1";
        let row = self.sql.first(STORED, &[Value::Text(session_id.as_str())])?;
        row.map_or(Ok(Stored::default()), |row| Ok(Stored { version: row.count(0)?, inbox: row.count(1)? }))
    }

    /// The packs of the current version.
    ///
    /// # Errors
    /// SQLite's.
    pub fn current_packs(&self, session_id: &SessionId) -> Result<Vec<Pack>, StoreError> {
        const PACKS: &str = "select pack_no, object_key, bytes from workspace_packs \
             where session_id = +?1 and to_version is null order by pack_no";
        let rows = self.sql.query(PACKS, &[Value::Text(session_id.as_str())])?;
        rows.into_iter()
            .map(|mut row| Ok(Pack { no: row.count(0)?, key: row.text(1)?, bytes: row.count(2)? }))
            .collect()
    }

    /// The part of the current index behind the one that begins with `after`, with the path that it begins with; the first where `after` is
    /// empty, none at the end.
    ///
    /// # Errors
    /// SQLite's.
    pub fn part_after(&self, session_id: &SessionId, after: &str) -> Result<Option<(String, String)>, StoreError> {
        const NEXT: &str = "select first_path, entries from workspace_parts \
             where session_id = +?1 and first_path > ?2 and to_version is null order by first_path limit 1";
        let row = self.sql.first(NEXT, &[Value::Text(session_id.as_str()), Value::Text(after)])?;
        row.map(|mut row| Ok((row.text(0)?, row.text(1)?))).transpose()
    }

    /// The part of the current index in which `path` is, if it is in any.
    ///
    /// # Errors
    /// SQLite's.
    pub fn part_of(&self, session_id: &SessionId, path: &str) -> Result<Option<(String, String)>, StoreError> {
        const OF: &str = "select first_path, entries from workspace_parts \
             where session_id = +?1 and first_path <= ?2 and to_version is null order by first_path desc limit 1";
        let row = self.sql.first(OF, &[Value::Text(session_id.as_str()), Value::Text(path)])?;
        row.map(|mut row| Ok((row.text(0)?, row.text(1)?))).transpose()
    }

    /// Bytes of the account in the bucket that something names: packs of all kept versions, and uploads that no version holds yet.
    ///
    /// # Errors
    /// SQLite's.
    pub fn files_bytes(&self) -> Result<u64, StoreError> {
        const BYTES: &str = "select (select coalesce(sum(bytes), 0) from workspace_packs where shared = 0) \
             + (select coalesce(sum(bytes), 0) from (select distinct object_key, bytes from workspace_packs where shared = 1)) \
             + (select coalesce(sum(size), 0) from inbox)";
        self.sql.first(BYTES, &[])?.map_or(Ok(0), |row| Ok(row.count(0)?))
    }

    /// Stores what a turn's end says of the files, and returns what the turn tells of them. Belongs into the transaction that ends the turn.
    pub(super) fn end_files(
        &self,
        session_id: &SessionId,
        end: &FilesEnd<'_>,
        now: Millis,
    ) -> Result<Option<TurnFiles>, StoreError> {
        let version = self.stored_workspace(session_id)?.version;
        let reason = match end {
            FilesEnd::Same => {
                self.set_unsaved(session_id, None)?;
                // A conversation without files has nothing to tell of them.
                return Ok((version > 0).then(|| TurnFiles::unchanged(version)));
            }
            FilesEnd::Unsaved(reason) => *reason,
            FilesEnd::Save(save) if save.base != version => Unsaved::InvalidSave,
            FilesEnd::Save(save) if !self.are_doomed(save.packs)? => Unsaved::StorageUnavailable,
            FilesEnd::Save(save) => {
                self.commit_save(session_id, save, now)?;
                return Ok(Some(save.told.clone()));
            }
        };
        self.set_unsaved(session_id, Some(reason))?;
        Ok(Some(TurnFiles::unsaved(version, reason)))
    }

    /// What a turn has told of its files with all of its runs; `now` is what the last of them tells.
    pub(super) fn files_by_now(
        &self,
        session_id: &SessionId,
        turn_id: &TurnId,
        now: Option<TurnFiles>,
    ) -> Result<Option<TurnFiles>, StoreError> {
        let Some(before) = self.files_of(turn_id)? else { return Ok(now) };
        // A run that told of none left them as they were; a user may have deleted them meanwhile.
        let version = self.stored_workspace(session_id)?.version;
        Ok(Some(now.unwrap_or_else(|| TurnFiles::unchanged(version)).after(before)))
    }

    /// What a turn has told of its files so far: one that was parked, or has ended.
    ///
    /// # Errors
    /// SQLite's, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn files_of(&self, turn_id: &TurnId) -> Result<Option<TurnFiles>, StoreError> {
        const OF: &str = "select files from turns where turn_id = +?1";
        match self.sql.first(OF, &[Value::Text(turn_id.as_str())])? {
            Some(mut row) => parsed("files", row.opt_text(0)?),
            None => Ok(None),
        }
    }

    /// Why the last turn's files are not in the current version; nothing is written where that is known.
    fn set_unsaved(&self, session_id: &SessionId, reason: Option<Unsaved>) -> Result<(), StoreError> {
        const CLEAR: &str = "update workspaces set unsaved = null where session_id = +?1 and unsaved is not null";
        const SET: &str = "insert into workspaces (session_id, unsaved) values (?1, ?2) \
             on conflict (session_id) do update set unsaved = excluded.unsaved where unsaved is not excluded.unsaved";
        let id = Value::Text(session_id.as_str());
        match reason {
            None => Ok(self.sql.execute(CLEAR, &[id])?),
            Some(reason) => Ok(self.sql.execute(SET, &[id, Value::Text(reason.as_str())])?),
        }
    }

    fn commit_save(&self, session_id: &SessionId, save: &Save<'_>, now: Millis) -> Result<(), StoreError> {
        const COMMIT: &str = "insert into workspaces (session_id, version, files, bytes, saved_at, oldest) values (?1, ?2, ?3, ?4, ?5, ?6) \
             on conflict (session_id) do update set version = excluded.version, files = excluded.files, \
             bytes = excluded.bytes, saved_at = excluded.saved_at, oldest = max(oldest, excluded.oldest), unsaved = null";
        let version = save.base + 1;
        self.replace_parts(session_id, save, version)?;
        self.replace_packs(session_id, save, version)?;
        let oldest =
            if save.kept_versions <= 1 { version } else { self.oldest_to_keep(session_id, save.kept_versions)? };
        self.prune(session_id, oldest, now)?;
        self.forget_applied(session_id, save.inbox, now)?;
        let values = [
            Value::Text(session_id.as_str()),
            integer(version),
            integer(save.files),
            integer(save.bytes),
            Value::Integer(now.get()),
            integer(oldest),
        ];
        Ok(self.sql.execute(COMMIT, &values)?)
    }

    /// A part that begins with the same path and has the same entries stays.
    fn replace_parts(&self, session_id: &SessionId, save: &Save<'_>, version: u64) -> Result<(), StoreError> {
        const CURRENT: &str = "select first_path from workspace_parts where session_id = +?1 and to_version is null";
        const SAME: &str = "select 1 from workspace_parts \
             where session_id = +?1 and first_path = +?2 and to_version is null and entries = +?3";
        const CLOSE: &str = "update workspace_parts set to_version = ?3 where session_id = +?1 and to_version is null \
             and first_path in (select value from json_each(?2))";
        const DELETE: &str = "delete from workspace_parts where session_id = +?1 and to_version is null \
             and first_path in (select value from json_each(?2))";
        const ADD: &str = "insert into workspace_parts (session_id, first_path, from_version, entries) \
             values (?1, ?2, ?3, ?4)";
        let id = Value::Text(session_id.as_str());
        let rows = self.sql.query(CURRENT, &[id])?;
        let mut gone = rows.into_iter().map(|mut row| row.text(0)).collect::<Result<Vec<String>, _>>()?;
        let mut added = Vec::new();
        for part in &save.parts {
            let values = [id, Value::Text(&part.first_path), Value::Text(part.entries)];
            if gone.contains(&part.first_path) && self.sql.first(SAME, &values)?.is_some() {
                gone.retain(|path| *path != part.first_path);
            } else {
                added.push(part);
            }
        }
        if !gone.is_empty() {
            let paths = json(&gone)?;
            if save.kept_versions <= 1 {
                self.sql.execute(DELETE, &[id, Value::Text(&paths)])?;
            } else {
                self.sql.execute(CLOSE, &[id, Value::Text(&paths), integer(version)])?;
            }
        }
        for part in added {
            let values = [id, Value::Text(&part.first_path), integer(version), Value::Text(part.entries)];
            self.sql.execute(ADD, &values)?;
        }
        Ok(())
    }

    fn replace_packs(&self, session_id: &SessionId, save: &Save<'_>, version: u64) -> Result<(), StoreError> {
        const CLOSE: &str = "update workspace_packs set to_version = ?3 where session_id = +?1 and to_version is null \
             and pack_no not in (select value from json_each(?2))";
        const ADD: &str = "insert into workspace_packs (session_id, pack_no, from_version, object_key, bytes) \
             values (?1, ?2, ?3, ?4, ?5)";
        let id = Value::Text(session_id.as_str());
        self.sql.execute(CLOSE, &[id, Value::Text(&json(&save.keep)?), integer(version)])?;
        for pack in save.packs {
            let values = [id, integer(pack.no), integer(version), Value::Text(&pack.key), integer(pack.bytes)];
            self.sql.execute(ADD, &values)?;
        }
        self.forget_doomed(save.packs.iter().map(|pack| pack.key.as_str()))
    }

    /// Empties a workspace and its inbox under a new version, so that every container's copy is stale, and deletes the older versions. Returns
    /// whether there was anything.
    ///
    /// # Errors
    /// SQLite's.
    pub fn empty_workspace(&self, session_id: &SessionId, now: Millis) -> Result<bool, StoreError> {
        self.transaction(|| {
            let stored = self.stored_workspace(session_id)?;
            if stored == Stored::default() {
                return Ok(false);
            }
            let told = TurnFiles::unchanged(stored.version + 1);
            let nothing = Save {
                base: stored.version,
                inbox: stored.inbox,
                files: 0,
                bytes: 0,
                keep: &[],
                packs: &[],
                parts: Vec::new(),
                kept_versions: 1,
                told,
            };
            self.commit_save(session_id, &nothing, now)?;
            Ok(true)
        })
    }

    /// The sizes of a save's packs by their numbers, those that it keeps and its new ones; none where it keeps one that is not stored, or a new
    /// one has the number of a stored one.
    ///
    /// # Errors
    /// SQLite's.
    pub fn packs_of_save(
        &self,
        session_id: &SessionId,
        keep: &[u64],
        new: impl Iterator<Item = (u64, u64)>,
    ) -> Result<Option<Vec<(u64, u64)>>, StoreError> {
        const USED: &str = "select pack_no, bytes, to_version is null from workspace_packs where session_id = +?1";
        let (mut used, mut current) = (Vec::new(), Vec::new());
        for row in self.sql.query(USED, &[Value::Text(session_id.as_str())])? {
            used.push(row.count(0)?);
            if row.integer(2)? == 1 {
                current.push((row.count(0)?, row.count(1)?));
            }
        }
        let kept = keep.iter().map(|no| current.iter().find(|(known, _)| known == no).copied());
        let new = new.map(|(no, bytes)| (!used.contains(&no)).then_some((no, bytes)));
        Ok(kept.chain(new).collect())
    }
}
