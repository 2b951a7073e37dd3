-- Whether the container of the account runs, as the account has told last. Null if it never did.
alter table accounts add column container text;

-- What accounts at work have reported last.
create table fleet_reports (
  account_id text primary key,
  at integer not null,
  running integer not null,
  queued integer not null,
  container text not null,
  version text not null
) strict, without rowid;

-- How turns ended and how many starts of containers failed, by parts of an hour. `ended` is JSON.
create table fleet_parts (
  part integer primary key,
  ended text not null,
  starts_failed integer not null
) strict;
