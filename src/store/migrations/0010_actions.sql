-- What turns wait for. A row is there before anybody hears of it.
create table actions (
  action_id text primary key,
  turn_id text not null,
  session_id text not null references conversations on delete cascade,
  reference text not null,
  kind text not null,
  tool_call_id text,
  tool text,
  input text,
  message text,
  suggestions text,
  schema text,
  status text not null,
  decision text,
  created_at integer not null,
  expires_at integer not null,
  resolved_at integer
) strict, without rowid;

create index actions_pending on actions (expires_at) where status = 'pending';

create unique index actions_of_turn on actions (turn_id, reference);

-- Whether the turn waits without a process, and the number of its last event then: the container counts from one again.
alter table turns add column parked integer not null default 0;

alter table turns add column first_n integer not null default 0;

-- Rules by which calls of the conversation run unasked, as JSON: those of decisions that were to be remembered.
alter table conversations add column grants text;
