-- What the list shows of a conversation is the public contract's: it is made when the list is read and stored nowhere, so that a field more
-- changes no table. `listed` stays as a virtual column, which takes no storage, for the Worker that a rollback brings back. Nothing else reads it.

alter table conversations drop column listed;

alter table conversations add column listed text as (json_object(
  'session_id', session_id, 'title', title, 'created_at', created_at, 'last_accessed_at', last_accessed_at,
  'metadata', json_set(metadata, '$.message_count', message_count)
));
