//! The schema of an account's database, byte for byte: what outlives the process is pinned. A change here is a new migration.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::Page;
use claude_agent_service::store::schema::{ACCOUNT, Migration, migrate};
use support::{NOW, Rusqlite, at, made_store, store};

const SCHEMA: &str = "\
table account (id integer primary key check (id = 1), account_id text not null, registered integer not null default 0, container_idle_since integer , agent_token text, agent_answered integer not null default 0, settings text, warned text, active_day integer, container_since integer, importing text, untold integer not null default 0, shard integer, unreported text) strict
table actions (action_id text primary key, turn_id text not null, session_id text not null references conversations on delete cascade, reference text not null, n integer not null, kind text not null, tool_call_id text, tool text, input text, message text, suggestions text, schema text, status text not null, decision text, created_at integer not null, expires_at integer not null, resolved_at integer) strict, without rowid
unique index actions_of_turn on actions (turn_id, reference)
index actions_pending on actions (expires_at) where status = 'pending'
table container_use (day integer primary key, ms integer not null, stored_bytes integer) strict, without rowid
table conversations (session_id text primary key, agent_session text, title text not null, created_at integer not null, last_accessed_at integer not null, message_count integer not null default 0, message_bytes integer not null default 0, next_seq integer not null default 1, metadata text not null default '{}', input_tokens integer not null default 0, output_tokens integer not null default 0, cache_read_input_tokens integer not null default 0, cache_creation_input_tokens integer not null default 0, cost_usd real not null default 0, listed text as (json_object('session_id', session_id, 'title', title, 'created_at', created_at, 'last_accessed_at', last_accessed_at, 'metadata', json_set(metadata, '$.message_count', message_count))), context text, attachment_bytes integer not null default 0, grants text) strict, without rowid
index conversations_by_access on conversations (last_accessed_at, session_id)
table doomed (object_key text primary key, since integer not null) strict, without rowid
table inbox (session_id text not null references conversations on delete cascade, path text not null, seq integer not null, object_key text, size integer, etag text, modified_at integer not null, primary key (session_id, path)) strict, without rowid
table messages (session_id text not null references conversations on delete cascade, seq integer not null, part integer not null default 0, turn_id text not null, role text not null, content text not null, timestamp integer not null, primary key (session_id, seq, part)) strict, without rowid
table outbox (seq integer primary key, event_id text not null, type text not null, target text not null, session_id text, turn_id text, data text not null, created_at integer not null, attempts integer not null default 0, due_at integer, ended_at integer, last_status integer, last_error text) strict
table schedule_runs (name text not null, scheduled_at integer not null, turn_id text, failure text, primary key (name, scheduled_at)) strict, without rowid
table schedules (name text primary key, cron text not null, timezone text not null, query text not null, options text not null, session_id text, missed text not null, enabled integer not null, paused text, failures integer not null default 0, due_at integer, created_at integer not null, updated_at integer not null) strict, without rowid
table schema_migrations (version integer primary key, applied_at integer not null) strict
table transcripts (session_id text not null references conversations on delete cascade, seq integer not null, lines text not null, primary key (session_id, seq)) strict, without rowid
table turn_content (session_id text not null references conversations on delete cascade, turn_id text not null, part integer not null, content text not null, primary key (session_id, turn_id, part)) strict, without rowid
table turn_items (session_id text not null references conversations on delete cascade, turn_id text not null, part integer not null, items text not null, primary key (session_id, turn_id, part)) strict, without rowid
table turns (turn_id text primary key, session_id text not null, seq integer not null, ordinal integer not null, status text not null, request_id text not null, idempotency_key text, request_hash text, options text not null default '{}', created_at integer not null, started_at integer, finished_at integer, frames_stored integer not null default 0, error text, model text, usage text, num_turns integer, duration_ms integer , instance text, message_n integer, end_n integer, files text, items text, stop_reason text, by_model text, steered_into text, transcript_seq integer, counted text, parked integer not null default 0, first_n integer not null default 0, items_n integer not null default 0, waits_from integer not null default 0, waiting_since integer, waited_ms integer not null default 0) strict, without rowid
index turns_active on turns (ordinal) where finished_at is null
unique index turns_by_idempotency_key on turns (idempotency_key) where idempotency_key is not null
table usage (day integer not null, model text not null, turns integer not null, calls integer not null, input_tokens integer not null, output_tokens integer not null, cache_read_input_tokens integer not null, cache_creation_input_tokens integer not null, cost integer not null, reported_input_tokens integer not null, reported_output_tokens integer not null, reported_cache_read_input_tokens integer not null, reported_cache_creation_input_tokens integer not null, reported_cost integer not null, recent text not null, primary key (day, model)) strict, without rowid
table webhooks (name text primary key, url text not null, types text not null, include text not null, secret text not null, old_secret text, old_until integer, disabled_at integer, created_at integer not null, updated_at integer not null) strict, without rowid
table workspace_packs (session_id text not null references conversations on delete cascade, pack_no integer not null, from_version integer not null, to_version integer, object_key text not null, bytes integer not null, shared integer not null default 0, primary key (session_id, pack_no)) strict, without rowid
index workspace_packs_shared on workspace_packs (object_key) where shared = 1
table workspace_parts (session_id text not null references conversations on delete cascade, first_path text not null, from_version integer not null, to_version integer, entries text not null, primary key (session_id, first_path, from_version)) strict, without rowid
table workspaces (session_id text primary key references conversations on delete cascade, version integer not null default 0, files integer not null default 0, bytes integer not null default 0, saved_at integer, unsaved text, inbox_seq integer not null default 0 , oldest integer not null default 0) strict, without rowid
";

/// Every table and index, its white space collapsed, as SQLite keeps them but for its capitals.
fn schema(sql: &Rusqlite) -> String {
    let line = |text: &String| {
        let words: Vec<&str> = text.split_whitespace().collect();
        words.join(" ").replace("( ", "(").replace(" )", ")") + "\n"
    };
    let all = sql.texts("select sql from sqlite_schema where sql is not null order by tbl_name, type desc, name");
    let lines: String = all.iter().map(line).collect();
    let kinds = [("CREATE TABLE", "table"), ("CREATE INDEX", "index"), ("CREATE UNIQUE INDEX", "unique index")];
    kinds.iter().fold(lines, |lines, (capitals, kind)| lines.replace(capitals, kind))
}

#[test]
fn the_schema_of_an_account_is_pinned() {
    assert_eq!(schema(&store().1), SCHEMA);
}

#[test]
fn opening_a_database_again_changes_nothing() {
    let (_, sql) = store();
    made_store(sql.clone(), at(1));
    assert_eq!(schema(&sql), SCHEMA);
    let applied = sql.texts("select version || ' ' || applied_at from schema_migrations");
    assert_eq!(applied, ACCOUNT.iter().map(|m| format!("{} {}", m.version, NOW.get())).collect::<Vec<_>>());
}

#[test]
fn migrations_are_numbered_from_one_without_a_gap() {
    for (wanted, migration) in (1..).zip(ACCOUNT) {
        assert_eq!(migration.version, wanted);
    }
}

#[test]
fn of_a_turn_that_ran_before_instances_were_stored_it_is_not_known_where() {
    let sql = Rusqlite::in_memory();
    migrate(&sql, &ACCOUNT[..1], NOW).unwrap();
    let row = |id: u8, finished: &str| {
        format!(
            "insert into turns (turn_id, session_id, seq, ordinal, status, request_id, created_at, finished_at) \
             values ('{id}', 's', 1, 1, 'running', 'r', 1, {finished});"
        )
    };
    sql.run(&(row(1, "null") + &row(2, "5")));
    migrate(&sql, ACCOUNT, at(1)).unwrap();
    assert_eq!(sql.texts("select instance from turns order by turn_id"), ["unknown", "null"]);
}

#[test]
fn conversations_of_before_the_list_item_was_made_on_reading_are_listed() {
    let sql = Rusqlite::in_memory();
    migrate(&sql, &ACCOUNT[..4], NOW).unwrap();
    sql.run(
        "insert into conversations (session_id, title, created_at, last_accessed_at, message_count, metadata) \
         values ('old', 'Zoë', 1, 2, 3, '{\"a\":\"1\"}')",
    );
    let before = sql.texts("select '[' || listed || ']' from conversations");
    let store = made_store(sql.clone(), at(1));
    assert_eq!([store.list(50, &Page::default()).unwrap().json], before[..]);
    assert_eq!(sql.texts("select '[' || listed || ']' from conversations"), before, "for the Worker before this one");
}

#[test]
fn a_migration_that_fails_leaves_the_database_as_it_was() {
    const BROKEN: &[Migration] = &[
        Migration { version: 1, sql: "create table kept (a text) strict" },
        Migration { version: 2, sql: "create table half (a text) strict; create table kept (b text) strict" },
    ];
    let sql = Rusqlite::in_memory();
    assert!(migrate(&sql, BROKEN, NOW).is_err());
    assert_eq!(sql.texts("select name from sqlite_schema where name in ('kept', 'half')"), ["kept"]);
    assert_eq!(sql.texts("select version from schema_migrations"), ["1"]);
}
