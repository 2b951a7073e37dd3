-- When an erasure is next tried, and how often it was tried.
alter table erasures add column next_at integer not null default 0;

alter table erasures add column tries integer not null default 0;
