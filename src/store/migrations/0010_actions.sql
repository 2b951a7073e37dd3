-- What turns wait for. A row is there before anybody hears of it.
create table actions (
  action_id text primary key,
  turn_id text not null,
  session_id text not null references conversations on delete cascade,
  reference text not null,
  n integer not null,
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

-- How a turn goes on that was parked: 1, by the results of its open calls, 2, by a message, and 0 if it was not.
alter table turns add column parked integer not null default 0;

-- What is added to the numbers of its frames: the container counts from one again when a parked turn goes on.
alter table turns add column first_n integer not null default 0;

-- The number of the last event whose item is stored before the turn's end.
alter table turns add column items_n integer not null default 0;

-- The number of the event with which the turn began to wait, the last time, and 0 if it never did.
alter table turns add column waits_from integer not null default 0;

-- Since when it waits, and for how long it has waited before: that time does not count for its time limit.
alter table turns add column waiting_since integer;

alter table turns add column waited_ms integer not null default 0;

-- Rules by which calls of the conversation run unasked, as JSON: those of decisions that were to be remembered.
alter table conversations add column grants text;
