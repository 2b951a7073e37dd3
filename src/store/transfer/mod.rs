//! An account as lines of JSON: what it moves with. A line is a row, with the column's names as its fields; columns that hold JSON
//! are JSON. Turns that have not ended, and what they have said so far, stay behind. Keys of the bucket and secrets are no columns of a line.

mod export;
mod import;
mod line;
mod objects;
mod tables;

pub use export::first_line;
pub use import::ImportRules;
pub use line::BadLine;

/// The version of the format.
pub const VERSION: u32 = 1;
/// Most ids of conversations that one line lists.
const IDS_PER_LINE: usize = 1_000;

/// What a column holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Real,
    /// JSON that is stored as text.
    Json,
}

/// The rows of a table that belong to a conversation.
struct Table {
    /// The type of their lines.
    line: &'static str,
    /// The columns, in the order of both statements.
    columns: &'static [(&'static str, Kind)],
    /// The row behind a place, with the place as two columns more, and a third with the key of the row's object if it has one. `?1` is the
    /// conversation, `?2` and `?3` the place.
    next: &'static str,
    /// Whether the first part of a place is text.
    has_text_place: bool,
    /// Stores a row.
    insert: &'static str,
}
