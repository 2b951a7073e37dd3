//! The rows that move, table by table.

use super::Kind::{Integer, Json, Real, Text};
use super::Table;

/// The conversation itself. Its counts leave out what stays behind.
pub(super) const CONVERSATION: Table = Table {
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
        ("grants", Json),
    ],
    next: "select session_id, agent_session, title, created_at, last_accessed_at, metadata, input_tokens, output_tokens, \
         cache_read_input_tokens, cache_creation_input_tokens, cost_usd, context, attachment_bytes, next_seq, grants, session_id, 0 \
         from conversations where session_id > ?2 and ?1 = '' and ?3 = 0 order by session_id limit 1",
    has_text_place: true,
    insert: "insert into conversations (session_id, agent_session, title, created_at, last_accessed_at, metadata, input_tokens, \
         output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd, context, attachment_bytes, next_seq, grants) \
         values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
};

/// What belongs to it, in the order in which it is written and read.
pub(super) const ROWS: &[Table] = &[
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
            ("parked", Integer),
            ("first_n", Integer),
            ("items_n", Integer),
            ("waits_from", Integer),
            ("waiting_since", Integer),
            ("waited_ms", Integer),
        ],
        next: "select turns.session_id, turns.turn_id, turns.seq, ordinal, status, request_id, options, created_at, started_at, \
             finished_at, frames_stored, error, model, usage, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, \
             by_model, steered_into, transcript_seq, counted, parked, first_n, items_n, waits_from, waiting_since, waited_ms, \
             messages.seq, 0 from messages join turns using (turn_id) \
             where messages.session_id = +?1 and messages.seq > ?2 and ?3 = 0 and messages.part = 0 and messages.role = 'user' \
             and finished_at is not null order by messages.seq limit 1",
        has_text_place: false,
        insert: "insert into turns (session_id, turn_id, seq, ordinal, status, request_id, options, created_at, started_at, \
             finished_at, frames_stored, error, model, usage, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, \
             by_model, steered_into, transcript_seq, counted, parked, first_n, items_n, waits_from, waiting_since, waited_ms) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, \
             ?25, coalesce(?26, 0), coalesce(?27, 0), coalesce(?28, 0), coalesce(?29, 0), ?30, coalesce(?31, 0))",
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
    Table {
        line: "action",
        columns: &[
            ("session_id", Text),
            ("action_id", Text),
            ("turn_id", Text),
            ("reference", Text),
            ("n", Integer),
            ("kind", Text),
            ("tool_call_id", Text),
            ("tool", Text),
            ("input", Json),
            ("message", Text),
            ("suggestions", Json),
            ("schema", Json),
            ("status", Text),
            ("decision", Json),
            ("created_at", Integer),
            ("expires_at", Integer),
            ("resolved_at", Integer),
        ],
        next: "select session_id, action_id, turn_id, reference, n, kind, tool_call_id, tool, input, message, suggestions, schema, \
             status, decision, created_at, expires_at, resolved_at, action_id, 0 from actions \
             where session_id = +?1 and action_id > ?2 and ?3 < 1 and status <> 'pending' \
             and turn_id in (select turn_id from turns where session_id = +?1 and finished_at is not null) order by action_id limit 1",
        has_text_place: true,
        insert: "insert into actions (session_id, action_id, turn_id, reference, n, kind, tool_call_id, tool, input, message, \
             suggestions, schema, status, decision, created_at, expires_at, resolved_at) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
    },
    Table {
        line: "workspace",
        columns: &[
            ("session_id", Text),
            ("version", Integer),
            ("files", Integer),
            ("bytes", Integer),
            ("saved_at", Integer),
            ("unsaved", Text),
            ("inbox_seq", Integer),
            ("oldest", Integer),
        ],
        next: "select session_id, version, files, bytes, saved_at, unsaved, inbox_seq, oldest, 0, 0 from workspaces \
             where session_id = +?1 and ?2 < 0 and ?3 = 0",
        has_text_place: false,
        insert: "insert into workspaces (session_id, version, files, bytes, saved_at, unsaved, inbox_seq, oldest) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    },
    Table {
        line: "files",
        columns: &[
            ("session_id", Text),
            ("first_path", Text),
            ("from_version", Integer),
            ("to_version", Integer),
            ("entries", Json),
        ],
        next: "select session_id, first_path, from_version, to_version, entries, first_path, from_version from workspace_parts \
             where session_id = +?1 and (first_path, from_version) > (?2, ?3) order by first_path, from_version limit 1",
        has_text_place: true,
        insert: "insert into workspace_parts (session_id, first_path, from_version, to_version, entries) \
             values (?1, ?2, ?3, ?4, ?5)",
    },
    Table {
        line: "deletion",
        columns: &[("session_id", Text), ("path", Text), ("seq", Integer), ("modified_at", Integer)],
        next: "select session_id, path, seq, modified_at, path, 0 from inbox \
             where session_id = +?1 and path > ?2 and ?3 < 1 and object_key is null order by path limit 1",
        has_text_place: true,
        insert: "insert into inbox (session_id, path, seq, modified_at) values (?1, ?2, ?3, ?4)",
    },
    UPLOAD,
    PACK,
];

/// An upload that waits for a turn. The lines behind it are its bytes.
pub(super) const UPLOAD: Table = Table {
    line: "upload",
    columns: &[
        ("session_id", Text),
        ("path", Text),
        ("seq", Integer),
        ("size", Integer),
        ("etag", Text),
        ("modified_at", Integer),
    ],
    next: "select session_id, path, seq, size, etag, modified_at, path, 0, object_key from inbox \
         where session_id = +?1 and path > ?2 and ?3 < 1 and object_key is not null order by path limit 1",
    has_text_place: true,
    insert: "insert into inbox (session_id, path, seq, size, etag, modified_at, object_key) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
};

/// A pack of files. The lines behind it are its bytes; without those, it is of no use and not written.
pub(super) const PACK: Table = Table {
    line: "pack",
    columns: &[
        ("session_id", Text),
        ("pack_no", Integer),
        ("from_version", Integer),
        ("to_version", Integer),
        ("size", Integer),
    ],
    next: "select session_id, pack_no, from_version, to_version, bytes, pack_no, 0, object_key from workspace_packs \
         where session_id = +?1 and pack_no > ?2 and ?3 = 0 order by pack_no limit 1",
    has_text_place: false,
    insert: "insert into workspace_packs (session_id, pack_no, from_version, to_version, bytes, object_key) \
         values (?1, ?2, ?3, ?4, ?5, ?6)",
};

/// What is of the account and of none of its conversations, in the order in which it is written.
pub(super) const TAIL: &[Table] = &[
    Table {
        line: "usage",
        columns: &[
            ("day", Integer),
            ("model", Text),
            ("turns", Integer),
            ("calls", Integer),
            ("input_tokens", Integer),
            ("output_tokens", Integer),
            ("cache_read_input_tokens", Integer),
            ("cache_creation_input_tokens", Integer),
            ("cost", Integer),
            ("reported_input_tokens", Integer),
            ("reported_output_tokens", Integer),
            ("reported_cache_read_input_tokens", Integer),
            ("reported_cache_creation_input_tokens", Integer),
            ("reported_cost", Integer),
        ],
        next: "select day, model, turns, calls, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost, \
             reported_input_tokens, reported_output_tokens, reported_cache_read_input_tokens, reported_cache_creation_input_tokens, \
             reported_cost, model, day from usage where ?1 = '' and (day, model) > (?3, ?2) order by day, model limit 1",
        has_text_place: true,
        // What the account has used itself stays.
        insert: "insert into usage (day, model, turns, calls, input_tokens, output_tokens, cache_read_input_tokens, \
             cache_creation_input_tokens, cost, reported_input_tokens, reported_output_tokens, reported_cache_read_input_tokens, \
             reported_cache_creation_input_tokens, reported_cost, recent) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, '') on conflict (day, model) do nothing",
    },
    Table {
        line: "container_use",
        columns: &[("day", Integer), ("ms", Integer), ("stored_bytes", Integer)],
        next: "select day, ms, stored_bytes, day, 0 from container_use where ?1 = '' and day > ?2 and ?3 = 0 order by day limit 1",
        has_text_place: false,
        insert: "insert into container_use (day, ms, stored_bytes) values (?1, ?2, ?3) on conflict (day) do nothing",
    },
    Table {
        line: "account",
        columns: &[("settings", Json)],
        next: "select settings, 0, 0 from account where ?1 = '' and ?2 < 0 and ?3 = 0 and settings is not null",
        has_text_place: false,
        insert: "update account set settings = ?1 where id = 1 and settings is null",
    },
];
