//! The inbox of a workspace: what users uploaded and deleted since its current version. The container applies it before the next turn, in the
//! order of `seq`, which rises for good within a conversation; the save of that turn takes it in.

use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, integer};
use crate::domain::file::{MAX_INBOX, Target};
use crate::domain::{FilePath, Millis, SessionId, Title};

/// A row of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The path of a file, or of a folder with a `/` at its end.
    pub path: String,
    /// Its place.
    pub seq: u64,
    /// What was uploaded; none for a deletion.
    pub upload: Option<Upload>,
    /// When it came.
    pub modified_at: Millis,
}

/// An upload that is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its key in the bucket.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
}

impl<S: Sql> Store<S> {
    /// What waits behind `after`, in its order.
    ///
    /// # Errors
    /// SQLite's.
    pub fn inbox_after(&self, session_id: &SessionId, after: u64) -> Result<Vec<Waiting>, StoreError> {
        const AFTER: &str = "select path, seq, object_key, size, etag, modified_at from inbox \
             where session_id = +?1 and seq > ?2 order by seq";
        let rows = self.sql.query(AFTER, &[Value::Text(session_id.as_str()), integer(after)])?;
        rows.into_iter().map(waiting).collect()
    }

    /// Whether another row fits, beside or in place of that of `path`.
    ///
    /// # Errors
    /// SQLite's.
    pub fn inbox_has_room(&self, session_id: &SessionId, path: &str) -> Result<bool, StoreError> {
        const OTHERS: &str = "select count(*) from inbox where session_id = +?1 and path <> ?2";
        let row = self.sql.first(OTHERS, &[Value::Text(session_id.as_str()), Value::Text(path)])?;
        Ok(row.map_or(Ok(0), |row| row.count(0))? < MAX_INBOX)
    }

    /// Stores an upload whose object is in the bucket, in the conversation of that id, which is made, with that title, where there is none.
    /// Returns false where its
    /// key is not doomed, or was doomed at `expired_at` or before and may be deleted at this moment; its object is then deleted, for good.
    ///
    /// # Errors
    /// SQLite's.
    pub fn commit_upload(
        &self,
        (session_id, title): (&SessionId, Option<&Title>),
        path: &FilePath,
        upload: &Upload,
        expired_at: Millis,
        now: Millis,
    ) -> Result<bool, StoreError> {
        const IS_DOOMED: &str = "select 1 from doomed where object_key = +?1 and since > ?2";
        let key = std::slice::from_ref(&upload.key);
        let doomed = [Value::Text(&upload.key), Value::Integer(expired_at.get())];
        if self.sql.first(IS_DOOMED, &doomed)?.is_none() {
            // Sent twice, it is stored already.
            let is_stored = !self.named(key)?.is_empty();
            if !is_stored {
                self.doom(key, now)?;
            }
            return Ok(is_stored);
        }
        self.transaction(|| {
            self.open_for_upload(session_id, title, path, now)?;
            self.put_in_inbox(session_id, path.as_str(), Some(upload), now)?;
            self.forget_doomed([upload.key.as_str()].into_iter())?;
            Ok(true)
        })
    }

    /// Stores the deletion of a file or a folder; uploads in the folder do not wait any more.
    ///
    /// # Errors
    /// SQLite's.
    pub fn delete_in_inbox(&self, session_id: &SessionId, target: &Target, now: Millis) -> Result<(), StoreError> {
        const DOOM: &str = "insert into doomed (object_key, since) select object_key, ?3 from inbox \
             where session_id = +?1 and path > ?2 and substr(path, 1, length(?2)) = ?2 and object_key is not null \
             on conflict (object_key) do nothing";
        const DELETE: &str =
            "delete from inbox where session_id = +?1 and path > ?2 and substr(path, 1, length(?2)) = ?2";
        let path = String::from(target.clone());
        self.transaction(|| {
            if matches!(target, Target::Folder(_)) {
                let (id, path) = (Value::Text(session_id.as_str()), Value::Text(&path));
                self.sql.execute(DOOM, &[id, path, Value::Integer(now.get())])?;
                self.sql.execute(DELETE, &[id, path])?;
            }
            self.put_in_inbox(session_id, &path, None, now)
        })
    }

    fn put_in_inbox(
        &self,
        session_id: &SessionId,
        path: &str,
        upload: Option<&Upload>,
        now: Millis,
    ) -> Result<(), StoreError> {
        const NEXT: &str = "insert into workspaces (session_id, inbox_seq) values (?1, 1) \
             on conflict (session_id) do update set inbox_seq = inbox_seq + 1 returning inbox_seq";
        const DOOM: &str = "insert into doomed (object_key, since) select object_key, ?3 from inbox \
             where session_id = +?1 and path = +?2 and object_key is not null on conflict (object_key) do nothing";
        const PUT: &str = "insert or replace into inbox (session_id, path, seq, object_key, size, etag, modified_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        let (id, path, at) = (Value::Text(session_id.as_str()), Value::Text(path), Value::Integer(now.get()));
        let row = self.sql.first(NEXT, &[id])?;
        let seq = row.map_or(Ok(1), |row| row.count(0))?;
        self.sql.execute(DOOM, &[id, path, at])?;
        let values = [
            id,
            path,
            integer(seq),
            upload.map(|upload| upload.key.as_str()).into(),
            upload.map_or(Value::Null, |upload| integer(upload.size)),
            upload.map(|upload| upload.etag.as_str()).into(),
            at,
        ];
        Ok(self.sql.execute(PUT, &values)?)
    }

    /// Forgets what a save holds; the uploads among it are doomed.
    pub(super) fn forget_applied(&self, session_id: &SessionId, seq: u64, now: Millis) -> Result<(), StoreError> {
        const DOOM: &str = "insert into doomed (object_key, since) select object_key, ?3 from inbox \
             where session_id = +?1 and seq <= ?2 and object_key is not null on conflict (object_key) do nothing";
        const DELETE: &str = "delete from inbox where session_id = +?1 and seq <= ?2";
        let (id, seq) = (Value::Text(session_id.as_str()), integer(seq));
        self.sql.execute(DOOM, &[id, seq, Value::Integer(now.get())])?;
        Ok(self.sql.execute(DELETE, &[id, seq])?)
    }

    /// Makes the conversation of an upload where there is none; its title is the file's path, if it is given none. Its messages begin at 2, so that its first turn is
    /// not taken for the one that makes it.
    fn open_for_upload(
        &self,
        session_id: &SessionId,
        title: Option<&Title>,
        path: &FilePath,
        now: Millis,
    ) -> Result<(), StoreError> {
        const OPEN: &str = "insert into conversations (session_id, title, created_at, last_accessed_at, next_seq) \
             values (?1, ?2, ?3, ?3, 2) on conflict (session_id) do nothing returning 1";
        let title = title.cloned().unwrap_or_else(|| Title::from_prompt(path.as_str()));
        let values = [Value::Text(session_id.as_str()), Value::Text(title.as_str()), Value::Integer(now.get())];
        if self.sql.first(OPEN, &values)?.is_some() {
            self.count(1, 0);
        }
        Ok(())
    }
}

fn waiting(mut row: Row) -> Result<Waiting, StoreError> {
    let upload = match row.opt_text(2)? {
        Some(key) => Some(Upload { key, size: row.count(3)?, etag: row.text(4)? }),
        None => None,
    };
    Ok(Waiting { path: row.text(0)?, seq: row.count(1)?, upload, modified_at: Millis::new(row.integer(5)?) })
}
