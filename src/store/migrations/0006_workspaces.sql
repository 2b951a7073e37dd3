-- Workspaces: the files of a conversation. Their bytes are in packs in a bucket, what is where is in `workspace_parts`. Version n of a
-- workspace is the rows with from_version <= n that have no to_version or one above n. Every key of the bucket is named by a pack,
-- by the inbox or by `doomed`, from before its object is put until after that is deleted.

create table workspaces (
  session_id text primary key references conversations on delete cascade,
  version integer not null default 0,
  files integer not null default 0,
  bytes integer not null default 0,
  saved_at integer,
  unsaved text,
  inbox_seq integer not null default 0
) strict, without rowid;

create table workspace_parts (
  session_id text not null references conversations on delete cascade,
  first_path text not null,
  from_version integer not null,
  to_version integer,
  entries text not null,
  primary key (session_id, first_path, from_version)
) strict, without rowid;

create table workspace_packs (
  session_id text not null references conversations on delete cascade,
  pack_no integer not null,
  from_version integer not null,
  to_version integer,
  object_key text not null,
  bytes integer not null,
  primary key (session_id, pack_no)
) strict, without rowid;

-- Uploads and deletions of users that no version holds yet. A row without an object_key is a deletion, and a path with a slash at its end is a
-- folder's.
create table inbox (
  session_id text not null references conversations on delete cascade,
  path text not null,
  seq integer not null,
  object_key text,
  size integer,
  etag text,
  modified_at integer not null,
  primary key (session_id, path)
) strict, without rowid;

-- Keys whose objects are to be deleted. It has no foreign key: it outlives conversations.
create table doomed (object_key text primary key, since integer not null) strict, without rowid;

alter table turns add column files text;
