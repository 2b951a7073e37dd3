//! How far an account's export has come.

use serde::{Deserialize, Serialize};

/// Where an export goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPlace {
    /// The last conversation that is written as a whole; the first is yet to come if it is empty.
    pub after: String,
    /// What is written in part.
    pub within: Option<Within>,
    /// Whether the bytes of files are written, too.
    #[serde(default)]
    pub files: bool,
    /// The object whose bytes come next.
    #[serde(default)]
    pub object: Option<ObjectOf>,
}

impl ExportPlace {
    /// Whether nothing is written yet.
    #[must_use]
    pub fn begins(&self) -> bool {
        self.after.is_empty() && self.within.is_none()
    }
}

/// An object of the bucket that a line stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectOf {
    /// Its key.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Where an export stands in a conversation, or in what belongs to none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The conversation; empty behind all of them.
    pub session_id: String,
    /// The number of the table whose rows are being written.
    pub table: usize,
    /// The last row that is written.
    pub place: (String, i64),
    /// What tells one state of the conversation from another.
    pub mark: String,
    /// How often it was begun again.
    pub restarts: u32,
}
