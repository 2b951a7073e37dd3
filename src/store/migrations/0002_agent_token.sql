-- What the account's container was started with: its agent server takes no call without it. A new one is made for each start.
alter table account add column agent_token text;
