-- One account's database. A row written costs a thousand rows read, so every index here serves a query that needs it, and what the
-- list shows of a conversation is written with its row: `listed` is the public contract's.

create table account (
  id integer primary key check (id = 1),
  account_id text not null,
  registered integer not null default 0,
  container_idle_since integer
) strict;

create table conversations (
  session_id text primary key,
  agent_session text,
  title text not null,
  created_at integer not null,
  last_accessed_at integer not null,
  message_count integer not null default 0,
  message_bytes integer not null default 0,
  next_seq integer not null default 1,
  metadata text not null default '{}',
  input_tokens integer not null default 0,
  output_tokens integer not null default 0,
  cache_read_input_tokens integer not null default 0,
  cache_creation_input_tokens integer not null default 0,
  cost_usd real not null default 0,
  listed text not null as (json_object(
    'session_id', session_id, 'title', title, 'created_at', created_at, 'last_accessed_at', last_accessed_at,
    'metadata', json_set(metadata, '$.message_count', message_count)
  )) stored
) strict, without rowid;

create index conversations_by_access on conversations (last_accessed_at, session_id);

create table messages (
  session_id text not null references conversations on delete cascade,
  seq integer not null,
  part integer not null default 0,
  turn_id text not null,
  role text not null,
  content text not null,
  timestamp integer not null,
  primary key (session_id, seq, part)
) strict, without rowid;

create table turns (
  turn_id text primary key,
  session_id text not null,
  seq integer not null,
  ordinal integer not null,
  status text not null,
  request_id text not null,
  idempotency_key text,
  request_hash text,
  options text not null default '{}',
  created_at integer not null,
  started_at integer,
  finished_at integer,
  frames_stored integer not null default 0,
  error text,
  model text,
  usage text,
  num_turns integer,
  duration_ms integer
) strict, without rowid;

create index turns_active on turns (ordinal) where finished_at is null;
create unique index turns_by_idempotency_key on turns (idempotency_key) where idempotency_key is not null;

create table transcripts (
  session_id text not null references conversations on delete cascade,
  seq integer not null,
  lines text not null,
  primary key (session_id, seq)
) strict, without rowid;
