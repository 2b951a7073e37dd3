//! Conversations as lines of JSON: what an account moves with. A line is a row, with the column's names as its fields; columns that hold JSON
//! are JSON. Turns that have not ended, and what they have said so far, stay behind.

mod export;
mod import;

pub use import::BadLine;

/// The version of the format.
pub const VERSION: u32 = 1;

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
    /// The row behind a place, with the place as two columns more. `?1` is the conversation, `?2` and `?3` the place.
    next: &'static str,
    /// Whether the first part of a place is text.
    has_text_place: bool,
    /// Stores a row.
    insert: &'static str,
}

use Kind::{Integer, Json, Real, Text};

/// The conversation itself. Its counts leave out what stays behind.
const CONVERSATION: Table = Table {
    line: "conversation",
    columns: &[
        ("session_id", Text),
        ("agent_session", Text),
        ("title", Text),
        ("created_at", Integer),
        ("last_accessed_at", Integer),
        ("metadata", Json),
        ("input_tokens", Integer),
        ("output_tokens", Integer),
        ("cache_read_input_tokens", Integer),
        ("cache_creation_input_tokens", Integer),
        ("cost_usd", Real),
        ("context", Json),
        ("attachment_bytes", Integer),
        ("next_seq", Integer),
    ],
    next: "select session_id, agent_session, title, created_at, last_accessed_at, metadata, input_tokens, output_tokens, \
         cache_read_input_tokens, cache_creation_input_tokens, cost_usd, context, attachment_bytes, next_seq, session_id, 0 \
         from conversations where session_id > ?2 and ?1 = '' and ?3 = 0 order by session_id limit 1",
    has_text_place: true,
    insert: "insert into conversations (session_id, agent_session, title, created_at, last_accessed_at, metadata, input_tokens, \
         output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd, context, attachment_bytes, next_seq) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
};

/// What belongs to it, in the order in which it is written and read.
const ROWS: &[Table] = &[
    Table {
        line: "message",
        columns: &[
            ("session_id", Text),
            ("seq", Integer),
            ("part", Integer),
            ("turn_id", Text),
            ("role", Text),
            ("content", Text),
            ("timestamp", Integer),
        ],
        next: "select session_id, seq, part, turn_id, role, content, timestamp, seq, part from messages \
             where session_id = +?1 and (seq, part) > (?2, ?3) \
             and turn_id not in (select turn_id from turns where finished_at is null) order by seq, part limit 1",
        has_text_place: false,
        insert: "insert into messages (session_id, seq, part, turn_id, role, content, timestamp) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    },
    Table {
        line: "turn",
        columns: &[
            ("session_id", Text),
            ("turn_id", Text),
            ("seq", Integer),
            ("ordinal", Integer),
            ("status", Text),
            ("request_id", Text),
            ("options", Json),
            ("created_at", Integer),
            ("started_at", Integer),
            ("finished_at", Integer),
            ("frames_stored", Integer),
            ("error", Json),
            ("model", Text),
            ("usage", Json),
            ("num_turns", Integer),
            ("duration_ms", Integer),
            ("message_n", Integer),
            ("end_n", Integer),
            ("files", Json),
            ("items", Text),
            ("stop_reason", Text),
            ("by_model", Json),
            ("steered_into", Text),
            ("transcript_seq", Integer),
            ("counted", Json),
        ],
        next: "select turns.session_id, turns.turn_id, turns.seq, ordinal, status, request_id, options, created_at, started_at, \
             finished_at, frames_stored, error, model, usage, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, \
             by_model, steered_into, transcript_seq, counted, messages.seq, 0 from messages join turns using (turn_id) \
             where messages.session_id = +?1 and messages.seq > ?2 and ?3 = 0 and messages.part = 0 and messages.role = 'user' \
             and finished_at is not null order by messages.seq limit 1",
        has_text_place: false,
        insert: "insert into turns (session_id, turn_id, seq, ordinal, status, request_id, options, created_at, started_at, \
             finished_at, frames_stored, error, model, usage, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, \
             by_model, steered_into, transcript_seq, counted) values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
             ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)",
    },
    Table {
        line: "content",
        columns: &[("session_id", Text), ("turn_id", Text), ("part", Integer), ("content", Text)],
        next: "select session_id, turn_id, part, content, turn_id, part from turn_content \
             where session_id = +?1 and (turn_id, part) > (?2, ?3) \
             and turn_id not in (select turn_id from turns where finished_at is null) order by turn_id, part limit 1",
        has_text_place: true,
        insert: "insert into turn_content (session_id, turn_id, part, content) values (?1, ?2, ?3, ?4)",
    },
    Table {
        line: "items",
        columns: &[("session_id", Text), ("turn_id", Text), ("part", Integer), ("items", Text)],
        next: "select session_id, turn_id, part, items, turn_id, part from turn_items \
             where session_id = +?1 and (turn_id, part) > (?2, ?3) order by turn_id, part limit 1",
        has_text_place: true,
        insert: "insert into turn_items (session_id, turn_id, part, items) values (?1, ?2, ?3, ?4)",
    },
    Table {
        line: "transcript",
        columns: &[("session_id", Text), ("seq", Integer), ("lines", Text)],
        // What a turn has stored of itself that goes on is behind the last row of those that have ended.
        next: "select session_id, seq, lines, seq, 0 from transcripts where session_id = +?1 and seq > ?2 and ?3 = 0 \
             and (not exists (select 1 from turns where finished_at is null and session_id = +?1) \
             or seq <= (select coalesce(max(transcript_seq), 0) from messages join turns using (turn_id) \
             where messages.session_id = +?1 and finished_at is not null)) order by seq limit 1",
        has_text_place: false,
        insert: "insert into transcripts (session_id, seq, lines) values (?1, ?2, ?3)",
    },
];
