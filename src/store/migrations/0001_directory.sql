-- One shard of the directory of accounts. `oldest_access_at` is a lower bound of the oldest last access of an account's
-- conversations. `revision` counts registrations, so that an answer of before the last one deletes nothing.

create table accounts (
  account_id text primary key,
  oldest_access_at integer not null,
  revision integer not null default 1
) strict, without rowid;

create index accounts_by_oldest_access on accounts (oldest_access_at, account_id);

create table purge_runs (
  run_id text primary key,
  started_by text not null,
  started_at integer not null,
  finished_at integer,
  cutoff integer not null,
  passed_access_at integer not null default -1,
  passed_account_id text not null default '',
  accounts_due integer not null,
  accounts_done integer not null default 0,
  accounts_failed integer not null default 0,
  conversations_deleted integer not null default 0
) strict, without rowid;
