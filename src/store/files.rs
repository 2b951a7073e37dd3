//! What users see of a workspace: the files of its current version, overlaid with the inbox. A path that waits in the inbox is as it waits
//! there; one beneath a folder whose deletion waits is gone.

use super::conversations::unreadable;
use super::inbox::Waiting;
use super::sql::{Sql, Value};
use super::{Store, StoreError, integer};
use crate::domain::{Content, FilesPage, FrameRange, Millis, SessionId, StoredFile};
use crate::workspace::entry::{Entry, File, Kind};
use crate::workspace::index::for_each;

/// Which files a page holds.
#[derive(Debug, Clone, Copy)]
pub struct PageOf<'a> {
    /// What their paths begin with.
    pub prefix: &'a str,
    /// They come behind this path; the empty string is before all.
    pub after: &'a str,
    /// At most so many.
    pub limit: usize,
    /// Whether it tells where their bytes are.
    pub content: bool,
}

/// The inbox as it lies over the index, by its paths.
struct Overlay(Vec<Waiting>);

impl Overlay {
    fn get(&self, path: &str) -> Option<&Waiting> {
        let at = self.0.binary_search_by(|waiting| waiting.path.as_str().cmp(path)).ok()?;
        self.0.get(at)
    }

    fn hides(&self, path: &str) -> bool {
        let is_there = |path| self.get(path).is_some();
        is_there(path) || path.match_indices('/').any(|(at, _)| path.get(..=at).is_some_and(is_there))
    }
}

impl<S: Sql> Store<S> {
    /// One page of a conversation's files; none where there is no such conversation.
    ///
    /// # Errors
    /// SQLite's, or an unreadable part.
    pub fn files(&self, session_id: &SessionId, page: PageOf<'_>) -> Result<Option<FilesPage>, StoreError> {
        const HEAD: &str = "select coalesce(version, 0), saved_at, unsaved from conversations left join workspaces using (session_id) \
             where session_id = +?1";
        let Some(mut head) = self.sql.first(HEAD, &[Value::Text(session_id.as_str())])? else { return Ok(None) };
        let overlay = self.overlay(session_id)?;
        let keys = self.pack_keys(session_id)?;
        let wanted = |path: &str| path > page.after && path.starts_with(page.prefix);
        let uploads = overlay.0.iter().filter(|waiting| wanted(&waiting.path));
        let mut files: Vec<StoredFile> = uploads.filter_map(|waiting| uploaded(waiting, page.content)).collect();
        let mut from_index = 0;
        let begin = page.after.max(page.prefix);
        let mut part = match self.part_of(session_id, begin)? {
            None => self.part_after(session_id, "")?,
            part => part,
        };
        while let Some((first_path, entries)) = part {
            if from_index > page.limit || (first_path.as_str() > begin && !first_path.starts_with(page.prefix)) {
                break;
            }
            for_each(&entries, |entry| {
                let Entry { path, kind: Kind::File(file) } = entry else { return Ok(()) };
                if from_index <= page.limit && wanted(&path) && !overlay.hides(&path) {
                    from_index += 1;
                    files.push(packed(path, &file, &keys, page.content)?);
                }
                Ok(())
            })
            .map_err(|error| unreadable("part", &error))?;
            part = self.part_after(session_id, &first_path)?;
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let more = files.len() > page.limit;
        files.truncate(page.limit);
        Ok(Some(FilesPage {
            version: head.count(0)?,
            saved_at: head.opt_integer(1)?.map(Millis::new),
            unsaved: head.opt_text(2)?,
            next: files.last().filter(|_| more).map(|file| file.path.clone()),
            files,
        }))
    }

    /// One file; none where there is none.
    ///
    /// # Errors
    /// SQLite's, or an unreadable part.
    pub fn file(&self, session_id: &SessionId, path: &str) -> Result<Option<StoredFile>, StoreError> {
        let overlay = self.overlay(session_id)?;
        if let Some(waiting) = overlay.get(path) {
            return Ok(uploaded(waiting, true));
        }
        if overlay.hides(path) {
            return Ok(None);
        }
        let Some((_, entries)) = self.part_of(session_id, path)? else { return Ok(None) };
        find(&entries, path, &self.pack_keys(session_id)?)
    }

    /// One file of a version that is kept, without what waits in the inbox; none where there was none.
    ///
    /// # Errors
    /// SQLite's, or an unreadable part.
    pub fn file_at(&self, session_id: &SessionId, path: &str, version: u64) -> Result<Option<StoredFile>, StoreError> {
        const PART: &str = "select entries from workspace_parts where session_id = +?1 and first_path <= ?2 \
             and from_version <= ?3 and (to_version is null or to_version > ?3) order by first_path desc limit 1";
        const KEYS: &str = "select pack_no, object_key from workspace_packs where session_id = +?1 \
             and from_version <= ?2 and (to_version is null or to_version > ?2)";
        let (id, version) = (Value::Text(session_id.as_str()), integer(version));
        let Some(mut part) = self.sql.first(PART, &[id, Value::Text(path), version])? else { return Ok(None) };
        let rows = self.sql.query(KEYS, &[id, version])?;
        let keys: Result<Vec<_>, StoreError> =
            rows.into_iter().map(|mut row| Ok((row.count(0)?, row.text(1)?))).collect();
        find(&part.text(0)?, path, &keys?)
    }

    /// Whether the folder has anything in it.
    ///
    /// # Errors
    /// SQLite's, or an unreadable part.
    pub fn has_folder(&self, session_id: &SessionId, folder: &str) -> Result<bool, StoreError> {
        let page = PageOf { prefix: folder, after: "", limit: 1, content: false };
        if self.files(session_id, page)?.is_some_and(|page| !page.files.is_empty()) {
            return Ok(true);
        }
        // A folder without files is in the index alone.
        let overlay = self.overlay(session_id)?;
        let Some(name) = folder.strip_suffix('/') else { return Ok(false) };
        if overlay.get(folder).is_some() || overlay.hides(name) {
            return Ok(false);
        }
        let Some((_, entries)) = self.part_of(session_id, name)? else { return Ok(false) };
        let mut found = false;
        for_each(&entries, |entry| {
            found |= entry.path == name && entry.kind == Kind::Folder;
            Ok(())
        })
        .map_err(|error| unreadable("part", &error))?;
        Ok(found)
    }

    fn overlay(&self, session_id: &SessionId) -> Result<Overlay, StoreError> {
        let mut waiting = self.inbox_after(session_id, 0)?;
        waiting.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(Overlay(waiting))
    }

    fn pack_keys(&self, session_id: &SessionId) -> Result<Vec<(u64, String)>, StoreError> {
        Ok(self.current_packs(session_id)?.into_iter().map(|pack| (pack.no, pack.key)).collect())
    }
}

fn find(entries: &str, path: &str, keys: &[(u64, String)]) -> Result<Option<StoredFile>, StoreError> {
    let mut found = None;
    for_each(entries, |entry| {
        if let Entry { path: at, kind: Kind::File(file) } = entry
            && at == path
        {
            found = Some(packed(at, &file, keys, true)?);
        }
        Ok(())
    })
    .map_err(|error| unreadable("part", &error))?;
    Ok(found)
}

fn uploaded(waiting: &Waiting, content: bool) -> Option<StoredFile> {
    let upload = waiting.upload.as_ref()?;
    Some(StoredFile {
        path: waiting.path.clone(),
        size: upload.size,
        modified_at: waiting.modified_at,
        etag: upload.etag.clone(),
        crc32: None,
        content: content.then(|| Content::Object(upload.key.clone())),
    })
}

fn packed(path: String, file: &File, keys: &[(u64, String)], content: bool) -> Result<StoredFile, &'static str> {
    let frame = |segment: &crate::workspace::entry::Segment| {
        let key = keys.iter().find(|(no, _)| *no == segment.pack_no);
        let key = key.ok_or("a segment lies in a pack that is not stored")?.1.clone();
        Ok(FrameRange { key, offset: segment.offset, length: segment.length, raw_offset: segment.raw_offset })
    };
    let frames =
        if content { Some(file.segments.iter().map(frame).collect::<Result<_, &'static str>>()?) } else { None };
    Ok(StoredFile {
        path,
        size: file.size,
        modified_at: Millis::new(i64::try_from(file.modified_at).unwrap_or(i64::MAX)),
        etag: file.hash.clone(),
        crc32: Some(file.crc32),
        content: frames.map(Content::Frames),
    })
}
