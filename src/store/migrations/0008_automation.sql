-- Endpoints that the account's events are sent to. `secret` signs, and so does the one before it until `old_until`.
create table webhooks (
  name text primary key,
  url text not null,
  types text not null,
  include text not null,
  secret text not null,
  old_secret text,
  old_until integer,
  disabled_at integer,
  created_at integer not null,
  updated_at integer not null
) strict, without rowid;

-- Events on their way to webhooks, written with the change that they tell of, and what became of them. `target` is a webhook's name, and that of
-- the operator's is empty. A delivery that has ended is due no more. Without an index: an object reads what is pending once, when it wakes.
create table outbox (
  seq integer primary key,
  event_id text not null,
  type text not null,
  target text not null,
  session_id text,
  turn_id text,
  data text not null,
  created_at integer not null,
  attempts integer not null default 0,
  due_at integer,
  ended_at integer,
  last_status integer,
  last_error text
) strict;

-- Queries that the account asks by the clock. One without a session_id begins a conversation with each run. A schedule that is due no more is
-- disabled or paused.
create table schedules (
  name text primary key,
  cron text not null,
  timezone text not null,
  query text not null,
  options text not null,
  session_id text,
  missed text not null,
  enabled integer not null,
  paused text,
  failures integer not null default 0,
  due_at integer,
  created_at integer not null,
  updated_at integer not null
) strict, without rowid;

-- The latest runs of each schedule, with the turn or the reason why there is none.
create table schedule_runs (
  name text not null,
  scheduled_at integer not null,
  turn_id text,
  failure text,
  primary key (name, scheduled_at)
) strict, without rowid;
