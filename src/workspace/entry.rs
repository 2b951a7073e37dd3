//! One entry of an index: a file, a folder or a link, as a JSON array. Whoever reads one has checked it.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::domain::file::{MAX_PACK_BYTES, SEGMENT_BYTES, is_hash, is_path};

/// The mode that stands for a link.
const LINK_MODE: i64 = -1;
/// The bits of a mode that are kept.
const MAX_MODE: i64 = 0o777;
/// Longest target of a link, in bytes: Linux's `PATH_MAX`.
const MAX_TARGET_BYTES: usize = 4_096;
/// The last moment that a file may have been changed at, in milliseconds since the epoch: exact in SQLite, JavaScript and ZIP's readers.
const MAX_MTIME_MS: u64 = 1 << 45;
/// Largest file, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 40;

/// Where a piece of a file lies: a frame of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The pack's number.
    pub pack_no: u64,
    /// Where the frame begins in the pack.
    pub offset: u64,
    /// The frame's length in the pack.
    pub length: u64,
    /// Where the file's bytes begin in the frame's decompressed bytes.
    pub raw_offset: u64,
}

/// A file's part of its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last, in milliseconds since the epoch.
    pub modified_at: u64,
    /// The first 128 bits of its SHA-256: its entity tag.
    pub hash: String,
    /// Its CRC-32, which a ZIP archive needs.
    pub crc32: u32,
    /// Its bytes, in order.
    pub segments: Vec<Segment>,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File(File),
    /// A folder.
    Folder,
    /// A symbolic link, with its target.
    Link(String),
}

/// An entry of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// What it is.
    pub kind: Kind,
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (pack_no, offset, length, raw_offset) = Deserialize::deserialize(deserializer)?;
        Ok(Self { pack_no, offset, length, raw_offset })
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Entries)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Entry;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an entry")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut columns: A) -> Result<Entry, A::Error> {
        fn column<'de, A: SeqAccess<'de>, T: Deserialize<'de>>(columns: &mut A) -> Result<T, A::Error> {
            columns.next_element()?.ok_or_else(|| A::Error::custom("an entry lacks a column"))
        }
        let path: String = column(&mut columns)?;
        if !is_path(&path) {
            return Err(A::Error::custom("a path breaks the rules"));
        }
        let mode: i64 = column(&mut columns)?;
        let kind = if mode == LINK_MODE {
            let target: String = column(&mut columns)?;
            if target.is_empty() || target.len() > MAX_TARGET_BYTES || target.contains('\0') {
                return Err(A::Error::custom("a link's target is none"));
            }
            Kind::Link(target)
        } else if !(0..=MAX_MODE).contains(&mode) {
            return Err(A::Error::custom("a mode is none"));
        } else if let Some(size) = columns.next_element()? {
            let file = File {
                size,
                modified_at: column(&mut columns)?,
                hash: column(&mut columns)?,
                crc32: column(&mut columns)?,
                segments: column(&mut columns)?,
            };
            file.check().map_err(A::Error::custom)?;
            Kind::File(file)
        } else {
            return Ok(Entry { path, kind: Kind::Folder });
        };
        if columns.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an entry has a column too many"));
        }
        Ok(Entry { path, kind })
    }
}

impl File {
    fn check(&self) -> Result<(), &'static str> {
        if self.size > MAX_FILE_BYTES || self.modified_at > MAX_MTIME_MS {
            return Err("a size or a time is too large");
        }
        if !is_hash(&self.hash) {
            return Err("a hash is none");
        }
        let wanted = self.size.div_ceil(SEGMENT_BYTES);
        if u64::try_from(self.segments.len()).ok() != Some(wanted) {
            return Err("a file has not the segments of its size");
        }
        let first_bytes = self.size.min(SEGMENT_BYTES);
        let within = |segment: &Segment| {
            (1..=MAX_PACK_BYTES).contains(&segment.length)
                && segment.offset <= MAX_PACK_BYTES
                && segment.raw_offset <= SEGMENT_BYTES - first_bytes
        };
        if self.segments.iter().all(within) { Ok(()) } else { Err("a segment lies outside of its frame") }
    }
}
