-- The numbers of a turn's last events, as whoever listened heard them: of the `message` that its answer is, and of its end. Those of a turn
-- that ended before this column are not known.

alter table turns add column message_n integer;

alter table turns add column end_n integer;
