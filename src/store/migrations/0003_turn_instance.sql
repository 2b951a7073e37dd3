-- The agent server that a turn was given to last. Whether a turn of before this column was given to one is not known.

alter table turns add column instance text;

update turns set instance = 'unknown' where finished_at is null;
