-- Whether the container of the account runs, as the account has told last. Null if it never did.
alter table accounts add column container text;
