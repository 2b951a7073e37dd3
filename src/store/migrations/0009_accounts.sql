-- What the account has used, by day of UTC (counted from 1970-01-01) and model. It has no foreign key: it outlives conversations. The gateway's
-- counts are what is billed, `reported_` is what the SDK said of the same turns. Costs are billionths of a US dollar. `recent` names the calls
-- that were stored last, so that one that is told twice is counted once.
create table usage (
  day integer not null,
  model text not null,
  turns integer not null,
  calls integer not null,
  input_tokens integer not null,
  output_tokens integer not null,
  cache_read_input_tokens integer not null,
  cache_creation_input_tokens integer not null,
  cost integer not null,
  reported_input_tokens integer not null,
  reported_output_tokens integer not null,
  reported_cache_read_input_tokens integer not null,
  reported_cache_creation_input_tokens integer not null,
  reported_cost integer not null,
  recent text not null,
  primary key (day, model)
) strict, without rowid;

-- What the gateway counted of a turn.
alter table turns add column counted text;

-- What operators have set of the account, as JSON, and the periods in which it was warned of its budget.
alter table account add column settings text;

alter table account add column warned text;

-- The last day of which the directory knows that the account was active.
alter table account add column active_day integer;

-- Since when the container runs, as far as that is not in the ledger.
alter table account add column container_since integer;

-- How many milliseconds the container ran in a day, and how many bytes the account stored when it last stopped.
create table container_use (
  day integer primary key,
  ms integer not null,
  stored_bytes integer
) strict, without rowid;

-- The conversation that is being imported and is not whole yet.
alter table account add column importing text;
