//! What users see of a conversation's files, and where the bytes are. It travels from the object to the Worker as JSON.

use serde::{Deserialize, Serialize};

use super::Millis;

/// A file as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its path.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was changed last.
    pub modified_at: Millis,
    /// Its entity tag, without quotes.
    pub etag: String,
    /// Its CRC-32; unknown of an upload that no version holds yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub crc32: Option<u32>,
    /// Where its bytes are; absent in a listing that does not ask for it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub content: Option<Content>,
}

/// Where a file's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// They are the object of this key.
    Object(String),
    /// They are in zstd frames of packs, in order: in each from `raw_offset` on, up to 1 MiB.
    Frames(Vec<FrameRange>),
}

/// A frame of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameRange {
    /// The pack's key.
    pub key: String,
    /// Where the frame begins.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// Where the file's bytes begin in what it decompresses to.
    pub raw_offset: u64,
}

/// One page of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesPage {
    /// The current version; 0 if nothing was saved.
    pub version: u64,
    /// When it was saved.
    pub saved_at: Option<Millis>,
    /// Why the last turn's files are not in it.
    pub unsaved: Option<String>,
    /// The files, by their paths' bytes.
    pub files: Vec<StoredFile>,
    /// The path behind which the next page begins, if there is one.
    pub next: Option<String>,
}
