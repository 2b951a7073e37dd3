-- What a turn did and not only what it said: its events, as they were told, as JSON values with commas in between. Few of them are stored with
-- the turn, many here, in pieces that fit a row. The `message` that a turn's answer is is stored as its answer alone.
create table turn_items (
  session_id text not null references conversations on delete cascade,
  turn_id text not null,
  part integer not null,
  items text not null,
  primary key (session_id, turn_id, part)
) strict, without rowid;

-- The content blocks of a query that is more than a string, as JSON in pieces that fit a row.
create table turn_content (
  session_id text not null references conversations on delete cascade,
  turn_id text not null,
  part integer not null,
  content text not null,
  primary key (session_id, turn_id, part)
) strict, without rowid;

alter table turns add column items text;

alter table turns add column stop_reason text;

alter table turns add column by_model text;

-- The running turn that took this one's message in.
alter table turns add column steered_into text;

-- The last row of the conversation's transcript when the turn ended: a branch from this turn has the rows up to it.
alter table turns add column transcript_seq integer;

-- How full the model's context was at the end of the last turn.
alter table conversations add column context text;

-- Attachments in the conversation's history, in bytes of base64.
alter table conversations add column attachment_bytes integer not null default 0;

-- The oldest version of which every row is kept. Until now only the current one was.
alter table workspaces add column oldest integer not null default 0;

update workspaces set oldest = version;

-- Whether another conversation may name the same object: a fork copies rows and no bytes.
alter table workspace_packs add column shared integer not null default 0;

create index workspace_packs_shared on workspace_packs (object_key) where shared = 1;
