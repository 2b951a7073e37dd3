-- What the account's container was started with: its agent server takes no call without it. A new one is made for each start.
alter table account add column agent_token text;
-- Whether that agent server has ever answered. One that has and refuses is dead, one that has not may still boot.
alter table account add column agent_answered integer not null default 0;
