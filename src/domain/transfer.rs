//! How far an export of an account's conversations has come.

use serde::{Deserialize, Serialize};

/// Where an export goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportPlace {
    /// The last conversation that is written as a whole; the first is yet to come if it is empty.
    pub after: String,
    /// The conversation that is written in part.
    pub within: Option<Within>,
}

/// Where an export stands in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The conversation.
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
