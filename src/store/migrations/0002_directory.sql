-- What operators are told of accounts. Of an account from before these columns, the moments are not known.
alter table accounts add column created_at integer;

alter table accounts add column last_active_at integer;

alter table accounts add column status text not null default 'active';

-- Erasures. The account's id goes with the account.
create table erasures (
  erasure_id text primary key,
  account_id text,
  keep_account integer not null,
  requested_at integer not null,
  erased_at integer,
  counts text
) strict, without rowid;

create unique index erasures_pending on erasures (account_id) where account_id is not null;

-- Who changed what of accounts. `seq` counts up in a shard.
create table audit (
  seq integer primary key,
  at integer not null,
  actor text not null,
  action text not null,
  target text,
  request_id text not null
) strict;
