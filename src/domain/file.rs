//! Files of a workspace: the rules of their paths, what stands for their content, and what a turn tells of them.
//! Values and limits only. Paths are compared by their bytes, as SQLite compares them.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest path, in bytes.
pub const MAX_PATH_BYTES: usize = 1_024;
/// Longest segment of a path, in bytes.
pub const MAX_SEGMENT_NAME_BYTES: usize = 255;
/// A pack is closed when it has reached this size, in bytes.
pub const PACK_BYTES: u64 = 16 * 1024 * 1024;
/// A larger file is cut into segments of this size, in bytes, each in a frame of its own.
pub const SEGMENT_BYTES: u64 = 1024 * 1024;
/// Largest pack, in bytes: one that was closed by a segment that does not compress.
pub const MAX_PACK_BYTES: u64 = PACK_BYTES + 2 * SEGMENT_BYTES;
/// Most packs of one version of a workspace.
pub const MAX_PACKS: usize = 128;
/// Largest index, in bytes.
pub const MAX_INDEX_BYTES: u64 = 16 * 1024 * 1024;
/// Largest part of an index, in bytes.
pub const MAX_INDEX_PART_BYTES: usize = 1024 * 1024;
/// Changes that a turn names; of the rest it tells the number.
pub const MAX_CHANGES_LISTED: usize = 100;
/// Uploads and deletions of a conversation that may wait for its next turn.
pub const MAX_INBOX: u64 = 500;
/// Versions of a workspace that are kept for branches, the current one included.
pub const KEPT_VERSIONS: u64 = 32;
/// Characters of a file's hash: the first 128 bits of its SHA-256 as base64url without padding.
pub const HASH_CHARS: usize = 22;
/// Longest entity tag of an upload, in bytes.
pub const MAX_ETAG_BYTES: usize = 64;
/// Most files that one page of a listing holds.
pub const MAX_FILES_PER_PAGE: u32 = 1_000;

/// A path that breaks a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a path is relative and has at most 1024 bytes; none of its segments is empty, `.` or `..`, has a control character \
     or more than 255 bytes"
)]
pub struct BadPath;

/// Whether a string is the path of a file, a folder or a link within a workspace.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && name.len() <= MAX_SEGMENT_NAME_BYTES;
    path.len() <= MAX_PATH_BYTES && path.split('/').all(is_name) && !path.bytes().any(|byte| byte.is_ascii_control())
}

/// The path of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

#[cfg(test)]
impl schemars::JsonSchema for FilePath {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FilePath".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // No segment is empty, `.` or `..`, or has a control character.
        let pattern = "^(?!\\.{1,2}(/|$))[^/\\u0000-\\u001f\\u007f]{1,255}(/(?!\\.{1,2}(/|$))[^/\\u0000-\\u001f\\u007f]{1,255})*$";
        schemars::json_schema!({"type": "string", "pattern": pattern, "maxLength": MAX_PATH_BYTES, "description": BadPath.to_string()})
    }
}

impl FilePath {
    /// The path as a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FilePath {
    type Error = BadPath;
    fn try_from(path: String) -> Result<Self, BadPath> {
        if is_path(&path) { Ok(Self(path)) } else { Err(BadPath) }
    }
}

impl std::str::FromStr for FilePath {
    type Err = BadPath;
    fn from_str(path: &str) -> Result<Self, BadPath> {
        Self::try_from(path.to_owned())
    }
}

impl From<FilePath> for String {
    fn from(path: FilePath) -> Self {
        path.0
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a deletion names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    /// One file.
    File(FilePath),
    /// A folder with everything in it. Its path is written with a `/` at its end.
    Folder(FilePath),
    /// The whole workspace: the empty path.
    Everything,
}

impl TryFrom<String> for Target {
    type Error = BadPath;
    fn try_from(mut path: String) -> Result<Self, BadPath> {
        if path.is_empty() {
            return Ok(Self::Everything);
        }
        if path.ends_with('/') {
            path.pop();
            return FilePath::try_from(path).map(Self::Folder);
        }
        FilePath::try_from(path).map(Self::File)
    }
}

impl From<Target> for String {
    fn from(target: Target) -> Self {
        match target {
            Target::File(path) => path.0,
            Target::Folder(path) => path.0 + "/",
            Target::Everything => Self::new(),
        }
    }
}

/// Whether a string can be a file's hash.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.len() == HASH_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Whether a string can be the entity tag of an upload, without its quotes.
#[must_use]
pub fn is_etag(text: &str) -> bool {
    (1..=MAX_ETAG_BYTES).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"')
}

/// What a turn did to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Change {
    /// It is new.
    Added,
    /// Its content or its mode is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// A file that a turn changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ChangedFile {
    /// Its path.
    pub path: FilePath,
    /// What became of it.
    pub change: Change,
    /// Its size in bytes; absent for one that is gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub size: Option<u64>,
}

/// Why the files of a turn were not saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Unsaved {
    /// The bucket did not take a pack.
    StorageUnavailable,
    /// The account would hold more than `ACCOUNT_FILES_BYTES`.
    StorageFull,
    /// The workspace is larger than `WORKSPACE_MAX_BYTES`, or its index is larger than 16 MiB.
    TooLarge,
    /// The workspace holds more than `WORKSPACE_MAX_FILES`.
    TooManyFiles,
    /// The container died before everything was pulled out of it.
    ContainerLost,
    /// It took longer than a save may take.
    SaveTimeout,
    /// The container could not read its own files.
    ScanFailed,
    /// What the container sent is not what it said it would be, or was made from another version than the stored one.
    InvalidSave,
}

impl Unsaved {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StorageUnavailable => "storage_unavailable",
            Self::StorageFull => "storage_full",
            Self::TooLarge => "too_large",
            Self::TooManyFiles => "too_many_files",
            Self::ContainerLost => "container_lost",
            Self::SaveTimeout => "save_timeout",
            Self::ScanFailed => "scan_failed",
            Self::InvalidSave => "invalid_save",
        }
    }
}

/// What a turn tells of its files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TurnFiles {
    /// The version of the workspace that is stored at the turn's end; 0 if none is.
    pub version: u64,
    /// Whether that version holds everything that the turn left.
    pub saved: bool,
    /// The files that the turn changed, at most 100.
    #[serde(default)]
    pub changed: Vec<ChangedFile>,
    /// How many it changed, if that is more than are listed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub changed_total: Option<u64>,
    /// How many entries of the folder cannot be saved: sockets, devices, unreadable files, names that break the rules.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub skipped: u64,
    /// Why it was not saved.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Unsaved"))]
    pub reason: Option<Unsaved>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "it is what serde calls; on wasm32 it is not trivial")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl TurnFiles {
    /// Of a turn that left everything as it was.
    #[must_use]
    pub const fn unchanged(version: u64) -> Self {
        Self { version, saved: true, changed: Vec::new(), changed_total: None, skipped: 0, reason: None }
    }

    /// Of a turn whose files were not saved.
    #[must_use]
    pub fn unsaved(version: u64, reason: Unsaved) -> Self {
        Self { saved: false, reason: Some(reason), ..Self::unchanged(version) }
    }

    /// The same of a turn that had told `before` when it was parked: what it changed is what it changed in all.
    #[must_use]
    pub fn after(self, before: Self) -> Self {
        let count = |files: &Self| files.changed_total.unwrap_or(files.changed.len() as u64);
        let mut total = count(&before) + count(&self);
        let mut changed = before.changed;
        for file in self.changed {
            let Some(at) = changed.iter().position(|known| known.path == file.path) else {
                changed.push(file);
                continue;
            };
            let known = changed.swap_remove(at);
            total = total.saturating_sub(1);
            let change = match (known.change, file.change) {
                (Change::Added, Change::Deleted) => {
                    total = total.saturating_sub(1);
                    continue;
                }
                (Change::Added, _) => Change::Added,
                (Change::Deleted, Change::Added) => Change::Modified,
                (_, change) => change,
            };
            changed.push(ChangedFile { change, ..file });
        }
        changed.sort_by(|a, b| a.path.as_str().cmp(b.path.as_str()));
        changed.truncate(MAX_CHANGES_LISTED);
        let changed_total = Some(total).filter(|total| *total > changed.len() as u64);
        Self { changed, changed_total, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_within_its_folder() {
        for good in ["a", "a/b.txt", ".hidden", "..a/b..", "é/\u{1F600}", "a b", &"x".repeat(255)] {
            assert!(is_path(good), "{good}");
        }
        let long = vec!["x".repeat(200); 6].join("/");
        for bad in ["", "/a", "a/", "a//b", ".", "..", "a/./b", "a/../b", "a\nb", "a\u{7f}", "a\0", &long] {
            assert!(!is_path(bad), "{bad:?}");
        }
        assert!(!is_path(&"x".repeat(256)));
        assert!(is_path(&vec!["x".repeat(204); 5].join("/")), "1024 bytes");
    }

    #[test]
    fn a_deletion_names_a_file_a_folder_or_everything() {
        let target = |path: &str| Target::try_from(path.to_owned());
        assert_eq!(target("a/b"), Ok(Target::File("a/b".parse().unwrap())));
        assert_eq!(target("a/b/"), Ok(Target::Folder("a/b".parse().unwrap())));
        assert_eq!(target(""), Ok(Target::Everything));
        for bad in ["/", "//", "a//", "../", "a/../"] {
            assert_eq!(target(bad), Err(BadPath), "{bad}");
        }
        for path in ["a/b", "a/b/", ""] {
            assert_eq!(String::from(target(path).unwrap()), path);
        }
    }

    #[test]
    fn what_a_turn_tells_of_its_files_is_pinned() {
        let pinned = |files: &TurnFiles, json: &str| {
            assert_eq!(serde_json::to_string(files).unwrap(), json);
            assert_eq!(serde_json::from_str::<TurnFiles>(json).unwrap(), *files);
        };
        pinned(&TurnFiles::unchanged(3), r#"{"version":3,"saved":true,"changed":[]}"#);
        let reason = r#"{"version":0,"saved":false,"changed":[],"reason":"save_timeout"}"#;
        pinned(&TurnFiles::unsaved(0, Unsaved::SaveTimeout), reason);
        let changed = vec![
            ChangedFile { path: "a".parse().unwrap(), change: Change::Added, size: Some(4) },
            ChangedFile { path: "b/c".parse().unwrap(), change: Change::Deleted, size: None },
        ];
        let files = TurnFiles { changed, changed_total: Some(200), skipped: 2, ..TurnFiles::unchanged(4) };
        pinned(
            &files,
            r#"{"version":4,"saved":true,"changed":[{"path":"a","change":"added","size":4},{"path":"b/c","change":"deleted"}],"changed_total":200,"skipped":2}"#,
        );
    }

    #[test]
    fn what_a_turn_changed_in_its_runs_is_what_it_changed_in_all() {
        use Change::{Added, Deleted, Modified};
        let files = |version, changes: &[(&str, Change)], changed_total| {
            let changed = changes.iter().map(|(path, change)| ChangedFile {
                path: path.parse().unwrap(),
                change: *change,
                size: Some(version).filter(|_| *change != Change::Deleted),
            });
            TurnFiles { changed: changed.collect(), changed_total, ..TurnFiles::unchanged(version) }
        };
        let before = files(4, &[("a", Added), ("b", Added), ("c", Deleted), ("d", Modified), ("z", Modified)], None);
        let now = files(5, &[("a", Modified), ("b", Deleted), ("c", Added), ("d", Deleted), ("e", Added)], Some(9));
        let in_all = now.after(before);
        let told: Vec<_> = in_all.changed.iter().map(|file| (file.path.as_str(), file.change, file.size)).collect();
        let expected = [
            ("a", Added, Some(5)),
            ("c", Modified, Some(5)),
            ("d", Deleted, None),
            ("e", Added, Some(5)),
            ("z", Modified, Some(4)),
        ];
        assert_eq!((told, in_all.version, in_all.changed_total), (expected.to_vec(), 5, Some(9)));
        let many: Vec<String> = (0..MAX_CHANGES_LISTED).map(|n| format!("f{n}")).collect();
        let many: Vec<(&str, Change)> = many.iter().map(|path| (path.as_str(), Added)).collect();
        let in_all = TurnFiles::unsaved(4, Unsaved::TooLarge).after(files(4, &many, Some(120)).after(files(
            3,
            &[("g", Added)],
            None,
        )));
        assert_eq!((in_all.changed.len(), in_all.changed_total, in_all.saved), (MAX_CHANGES_LISTED, Some(121), false));
    }

    #[test]
    fn every_reason_is_its_word() {
        use Unsaved::{ContainerLost, InvalidSave, SaveTimeout, ScanFailed};
        use Unsaved::{StorageFull, StorageUnavailable, TooLarge, TooManyFiles};
        for reason in [
            StorageUnavailable,
            StorageFull,
            TooLarge,
            TooManyFiles,
            ContainerLost,
            SaveTimeout,
            ScanFailed,
            InvalidSave,
        ] {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.as_str()));
        }
    }

    #[test]
    fn hashes_and_entity_tags_have_an_alphabet() {
        assert!(is_hash("ungWv48Bz-pBQUDeXa4iI_"));
        for bad in ["", "ungWv48Bz-pBQUDeXa4iI", "ungWv48Bz-pBQUDeXa4iI=", "ungWv48Bz-pBQUDeXa4iI__"] {
            assert!(!is_hash(bad), "{bad}");
        }
        assert!(is_etag("d41d8cd98f00b204e9800998ecf8427e"));
        for bad in ["", "a\"b", "a b", "é", &"x".repeat(65)] {
            assert!(!is_etag(bad), "{bad}");
        }
    }
}
