-- What the directory has not yet heard of the account: 1, that it was active on `active_day`, 2, its status.
alter table account add column untold integer not null default 0;

-- The directory's shard that knows the account. Null if none was told yet, or if that was before this column.
alter table account add column shard integer;

-- Turns that have ended and starts of the container that have failed since the last report to the directory, as JSON.
alter table account add column unreported text;
