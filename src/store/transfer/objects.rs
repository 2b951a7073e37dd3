//! The files of an import. A line that stands for an object of the bucket is stored with the key under which its bytes were put; an index is
//! believed only if every segment lies in a pack that came.

use std::collections::HashMap;

use super::import::{ImportRules, session, text};
use super::line::{BadLine, Fields, bad, read_fields};
use super::tables::{PACK, UPLOAD};
use crate::domain::file::{
    KEPT_VERSIONS, MAX_INBOX, MAX_INDEX_PART_BYTES, MAX_PACK_BYTES, MAX_PACKS, is_etag, is_path,
};
use crate::domain::transfer::ObjectOf;
use crate::domain::{Millis, SessionId};
use crate::store::sql::{Row, Sql, Value};
use crate::store::{Store, json};
use crate::workspace::entry::Kind;
use crate::workspace::index;

/// Most packs that a conversation's rows may name: those of all kept versions.
const MAX_PACK_ROWS: u64 = MAX_PACKS as u64 * KEPT_VERSIONS;

/// The packs of a conversation: their sizes and versions by their numbers.
type Packs = HashMap<u64, u64>;

impl<S: Sql> Store<S> {
    /// Whether an object's line is passed over, as the others of its conversation are.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn passes_object_over(&self, line: &str, rules: &ImportRules) -> Result<bool, BadLine> {
        self.passes_over(&session(&read_fields(line)?)?, rules)
    }

    /// The size of the object that a line stands for, if it is of the conversation that is being imported.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn object_size(&self, line: &str, max_upload_bytes: u64) -> Result<u64, BadLine> {
        let fields = read_fields(line)?;
        self.need_importing(&session(&fields)?)?;
        let most = if is_pack(&fields)? { MAX_PACK_BYTES } else { max_upload_bytes };
        let size = fields.get("size").and_then(|size| size.get().parse().ok());
        size.filter(|size| *size <= most)
            .ok_or_else(|| bad("size: a number of bytes that a file of this deployment may have"))
    }

    /// Stores a line whose object is in the bucket. Returns false if its key is not doomed, or was doomed at `expired_at` or before and may be
    /// deleted at this moment. Belongs into a transaction.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn import_object(&self, line: &str, object: &ObjectOf, expired_at: Millis) -> Result<bool, BadLine> {
        const IS_DOOMED: &str = "select 1 from doomed where object_key = +?1 and since > ?2";
        let doomed = [Value::Text(&object.key), Value::Integer(expired_at.get())];
        if self.sql.first(IS_DOOMED, &doomed)?.is_none() {
            return Ok(false);
        }
        if self.object_size(line, object.size)? != object.size {
            return Err(bad("size: not that of its bytes"));
        }
        let fields = read_fields(line)?;
        let table = if is_pack(&fields)? { PACK } else { UPLOAD };
        self.insert_line(&table, &fields, Some(&object.key))?;
        self.forget_doomed([object.key.as_str()].into_iter())?;
        Ok(true)
    }

    /// Sees to it that all of an imported conversation's files read back. If none of their bytes came, it has no files.
    pub(super) fn end_files_of_import(&self, id: &SessionId) -> Result<(), BadLine> {
        const ROW: &str =
            "select version, files, bytes, inbox_seq, oldest, unsaved, saved_at from workspaces where session_id = +?1";
        const STRAYS: &str = "select 1 from workspace_parts where session_id = +?1 union all \
             select 1 from workspace_packs where session_id = +?1 union all select 1 from inbox where session_id = +?1 limit 1";
        const PART: &str = "select first_path, from_version, to_version, entries from workspace_parts \
             where session_id = +?1 and (first_path, from_version) > (?2, ?3) order by first_path, from_version limit 1";
        let session_id = Value::Text(id.as_str());
        let Some(mut row) = self.sql.first(ROW, &[session_id])? else {
            let stray = self.sql.first(STRAYS, &[session_id])?.is_some();
            return if stray { Err(bad("files without a workspace")) } else { Ok(()) };
        };
        let (version, files, bytes) = (count(&row, 0)?, count(&row, 1)?, count(&row, 2)?);
        let (inbox_seq, oldest) = (count(&row, 3)?, count(&row, 4)?);
        if row
            .opt_text(5)?
            .is_some_and(|word| serde_json::from_value::<crate::domain::file::Unsaved>(word.into()).is_err())
            || row.opt_integer(6)?.is_some_and(|at| at < 0)
            || oldest > version
        {
            return Err(bad("workspace: not such as a conversation may have"));
        }
        self.check_inbox(id, inbox_seq)?;
        let packs = self.packs_of_import(id, version)?;
        let (mut after, mut from) = (String::new(), -1);
        let (mut last_path, mut sums) = (String::new(), (0_u64, 0_u64));
        while let Some(mut part) = self.sql.first(PART, &[session_id, Value::Text(&after), Value::Integer(from)])? {
            let (first_path, entries) = (part.text(0)?, part.text(3)?);
            check_versions(&part, version)?;
            if entries.len() > MAX_INDEX_PART_BYTES {
                return Err(bad("entries: longer than a part may be"));
            }
            let is_current = part.opt_integer(2)?.is_none();
            let mut own_last = String::new();
            let (mut first, mut is_missing, mut own) = (None, false, (0_u64, 0_u64));
            let read = index::for_each(&entries, |entry| {
                if !own_last.is_empty() && entry.path.as_bytes() <= own_last.as_bytes() {
                    return Err("its paths do not ascend");
                }
                first.get_or_insert_with(|| entry.path.clone());
                if let Kind::File(file) = &entry.kind {
                    own = (own.0 + 1, own.1.saturating_add(file.size));
                    for segment in &file.segments {
                        match packs.get(&segment.pack_no) {
                            None => is_missing = true,
                            Some(size) if segment.offset + segment.length > *size => {
                                return Err("a segment lies outside of its pack");
                            }
                            Some(_) => {}
                        }
                    }
                }
                own_last = entry.path;
                Ok(())
            });
            read.map_err(|error| bad(error.to_string()))?;
            if is_missing {
                // What an export without bytes says of files is no more than a list of them.
                return if packs.is_empty() { self.drop_files_of(id) } else { Err(bad("bytes of files are missing")) };
            }
            if first.as_ref() != Some(&first_path) {
                return Err(bad("first_path: not that of its entries"));
            }
            if is_current {
                if !last_path.is_empty() && first_path <= last_path {
                    return Err(bad("files: parts overlap"));
                }
                last_path = own_last;
                sums = (sums.0 + own.0, sums.1.saturating_add(own.1));
            }
            (after, from) = (first_path, part.integer(1)?);
        }
        if sums == (files, bytes) { Ok(()) } else { Err(bad("workspace: its sums are not those of its files")) }
    }

    fn packs_of_import(&self, id: &SessionId, version: u64) -> Result<Packs, BadLine> {
        const PACKS: &str =
            "select pack_no, from_version, to_version, bytes from workspace_packs where session_id = +?1 limit +?2";
        let most = i64::try_from(MAX_PACK_ROWS + 1).unwrap_or(i64::MAX);
        let rows = self.sql.query(PACKS, &[Value::Text(id.as_str()), Value::Integer(most)])?;
        if rows.len() as u64 > MAX_PACK_ROWS {
            return Err(bad("pack: more than a conversation may have"));
        }
        let read = |row: &Row| {
            check_versions(row, version)?;
            Ok((count(row, 0)?, count(row, 3)?))
        };
        rows.iter().map(read).collect()
    }

    fn check_inbox(&self, id: &SessionId, inbox_seq: u64) -> Result<(), BadLine> {
        const COUNT: &str = "select count(*), coalesce(min(seq), 1), coalesce(max(seq), 0), coalesce(min(modified_at), 0), \
             count(distinct seq) from inbox where session_id = +?1";
        let Some(row) = self.sql.first(COUNT, &[Value::Text(id.as_str())])? else { return Ok(()) };
        let wrong = || bad("upload or deletion: not such as a conversation may have");
        if row.count(0)? > MAX_INBOX || count(&row, 1)? == 0 || count(&row, 2)? > inbox_seq {
            return Err(wrong());
        }
        if count(&row, 3).is_err() || row.count(4)? != row.count(0)? {
            return Err(wrong());
        }
        for waiting in self.inbox_after(id, 0).map_err(|_| wrong())? {
            let of_file = is_path(&waiting.path);
            let fits = match &waiting.upload {
                Some(upload) => of_file && is_etag(&upload.etag),
                None => of_file || waiting.path.strip_suffix('/').is_some_and(is_path),
            };
            if !fits {
                return Err(wrong());
            }
        }
        Ok(())
    }

    fn drop_files_of(&self, id: &SessionId) -> Result<(), BadLine> {
        const WORKSPACE: &str = "delete from workspaces where session_id = +?1";
        const PARTS: &str = "delete from workspace_parts where session_id = +?1";
        const INBOX: &str = "delete from inbox where session_id = +?1";
        self.doom_files_of(&json(&[id])?)?;
        for statement in [WORKSPACE, PARTS, INBOX] {
            self.sql.execute(statement, &[Value::Text(id.as_str())])?;
        }
        Ok(())
    }
}

fn is_pack(fields: &Fields<'_>) -> Result<bool, BadLine> {
    match text(fields, "type")? {
        kind if kind == PACK.line => Ok(true),
        kind if kind == UPLOAD.line => Ok(false),
        _ => Err(bad("a `bytes` line without a `pack` or `upload` line before it")),
    }
}

/// A number that counts something.
fn count(row: &Row, at: usize) -> Result<u64, BadLine> {
    let number = row.integer(at)?;
    u64::try_from(number).ok().filter(|number| *number <= 1 << 53).ok_or_else(|| bad("a number is none"))
}

/// The versions of a row, which are its second and its third column.
fn check_versions(row: &Row, current: u64) -> Result<(), BadLine> {
    let from = count(row, 1)?;
    let to = if row.opt_integer(2)?.is_some() { Some(count(row, 2)?) } else { None };
    let fits = (1..=current).contains(&from) && to.is_none_or(|to| from < to && to <= current);
    if fits { Ok(()) } else { Err(bad("from_version, to_version: not those of the workspace")) }
}
