//! The ledger: what the account has used, by day and model. It outlives conversations.

use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, integer};
use crate::domain::TurnId;
use crate::domain::ledger::{Counted, Day, Group, NanoUsd, Spent, UsageSum};

/// What is added to one row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The day.
    pub day: Day,
    /// The model.
    pub model: String,
    /// Turns that ended.
    pub turns: u64,
    /// What the gateway counted.
    pub counted: Counted,
    /// What the SDK said.
    pub reported: Spent,
}

/// What is added to the ledger at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Of each row.
    pub rows: Vec<LedgerRow>,
    /// The calls that were stored last, these included; empty if it adds none.
    pub recent: String,
    /// What is added to the counts of turns, beside that which ends with this entry.
    pub of_turns: Vec<(TurnId, Counted)>,
}

/// The five columns of what was spent.
macro_rules! spent {
    ($prefix:literal) => {
        concat!(
            "sum(",
            $prefix,
            "input_tokens), sum(",
            $prefix,
            "output_tokens), sum(",
            $prefix,
            "cache_read_input_tokens), sum(",
            $prefix,
            "cache_creation_input_tokens), sum(",
            $prefix,
            "cost)"
        )
    };
}

macro_rules! by {
    ($key:literal) => {
        concat!(
            "select ",
            $key,
            ", sum(turns), sum(calls), ",
            spent!(""),
            ", ",
            spent!("reported_"),
            " from usage where day between ?1 and ?2 group by ",
            $key,
            " order by ",
            $key,
            " limit +?3"
        )
    };
}

/// The counts of a turn, in the columns that [`counts_from`] reads.
const OF_TURN: &str = "select coalesce(counted ->> 'calls', 0), coalesce(counted ->> 'input_tokens', 0), \
     coalesce(counted ->> 'output_tokens', 0), coalesce(counted ->> 'cache_read_input_tokens', 0), \
     coalesce(counted ->> 'cache_creation_input_tokens', 0), coalesce(counted ->> 'cost', 0) from turns where turn_id = +?1";

impl<S: Sql> Store<S> {
    /// Adds to the ledger. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn add_usage(&self, entry: &LedgerEntry) -> Result<(), StoreError> {
        const ADD: &str = "insert into usage (day, model, turns, calls, input_tokens, output_tokens, cache_read_input_tokens, \
             cache_creation_input_tokens, cost, reported_input_tokens, reported_output_tokens, reported_cache_read_input_tokens, \
             reported_cache_creation_input_tokens, reported_cost, recent) \
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) on conflict (day, model) do update set \
             turns = turns + excluded.turns, calls = calls + excluded.calls, input_tokens = input_tokens + excluded.input_tokens, \
             output_tokens = output_tokens + excluded.output_tokens, \
             cache_read_input_tokens = cache_read_input_tokens + excluded.cache_read_input_tokens, \
             cache_creation_input_tokens = cache_creation_input_tokens + excluded.cache_creation_input_tokens, \
             cost = cost + excluded.cost, reported_input_tokens = reported_input_tokens + excluded.reported_input_tokens, \
             reported_output_tokens = reported_output_tokens + excluded.reported_output_tokens, \
             reported_cache_read_input_tokens = reported_cache_read_input_tokens + excluded.reported_cache_read_input_tokens, \
             reported_cache_creation_input_tokens = \
             reported_cache_creation_input_tokens + excluded.reported_cache_creation_input_tokens, \
             reported_cost = reported_cost + excluded.reported_cost, \
             recent = iif(excluded.recent = '', recent, excluded.recent)";
        const SET_TURN: &str = "update turns set counted = ?2 where turn_id = +?1";
        for row in &entry.rows {
            let key = [Value::Integer(row.day.get()), Value::Text(&row.model)];
            let counts = [integer(row.turns), integer(row.counted.calls)];
            let [counted, reported] = [&row.counted.spent, &row.reported].map(values);
            let all = key.into_iter().chain(counts).chain(counted).chain(reported).chain([Value::Text(&entry.recent)]);
            self.sql.execute(ADD, &all.collect::<Vec<_>>())?;
            self.note_active(row.day)?;
        }
        for (turn_id, more) in &entry.of_turns {
            let id = Value::Text(turn_id.as_str());
            // One that was deleted is gone with its counts.
            let Some(row) = self.sql.first(OF_TURN, &[id])? else { continue };
            let mut counted = counts_from(&row)?;
            counted += *more;
            self.sql.execute(SET_TURN, &[id, Value::Text(&counts(&counted))])?;
        }
        Ok(())
    }

    /// What the gateway counted of a turn, as far as that is stored.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn counted_of(&self, turn_id: &TurnId) -> Result<Counted, StoreError> {
        let row = self.sql.first(OF_TURN, &[Value::Text(turn_id.as_str())])?;
        row.map_or(Ok(Counted::default()), |row| counts_from(&row))
    }

    /// The lists of calls that were stored last, from that day on.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn recent_calls(&self, from: Day) -> Result<Vec<String>, StoreError> {
        const RECENT: &str = "select recent from usage where day >= ?1 order by day";
        let rows = self.sql.query(RECENT, &[Value::Integer(from.get())])?;
        Ok(rows.into_iter().map(|mut row| row.text(0)).collect::<Result<_, _>>()?)
    }

    /// What was used from the one day to the other, both included: a sum for each group, in the order of the groups, behind the group
    /// `after`, at most `limit`. That of conversations is of those that are still there.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn usage(
        &self,
        by: Group,
        (from, to): (Day, Day),
        after: &str,
        limit: u32,
    ) -> Result<Vec<UsageSum>, StoreError> {
        const BY_DAY: &str = by!("day");
        const BY_MODEL: &str = by!("model");
        const BY_CONVERSATION: &str = "select session_id, count(*), coalesce(sum(counted ->> 'calls'), 0), \
             coalesce(sum(counted ->> 'input_tokens'), 0), coalesce(sum(counted ->> 'output_tokens'), 0), \
             coalesce(sum(counted ->> 'cache_read_input_tokens'), 0), coalesce(sum(counted ->> 'cache_creation_input_tokens'), 0), \
             coalesce(sum(counted ->> 'cost'), 0), coalesce(sum(usage ->> 'input_tokens'), 0), \
             coalesce(sum(usage ->> 'output_tokens'), 0), coalesce(sum(usage ->> 'cache_read_input_tokens'), 0), \
             coalesce(sum(usage ->> 'cache_creation_input_tokens'), 0), \
             coalesce(sum(cast(round((usage ->> 'cost_usd') * 1e9) as integer)), 0) from turns \
             where finished_at >= ?1 and finished_at < ?2 and session_id > ?4 and coalesce(counted, usage) is not null \
             group by session_id order by session_id limit +?3";
        let rows = match by {
            Group::Day => self.sql.query(BY_DAY, &days(from, to, limit))?,
            Group::Model => self.sql.query(BY_MODEL, &days(from, to, limit))?,
            Group::Conversation => {
                let (from, to) = (from.start().get(), to.plus(1).start().get());
                let [from, to, limit] = [from, to, i64::from(limit)].map(Value::Integer);
                self.sql.query(BY_CONVERSATION, &[from, to, limit, Value::Text(after)])?
            }
        };
        let read = |mut row: Row| {
            let key = if by == Group::Day { Day::new(row.integer(0)?).to_string() } else { row.text(0)? };
            let counted = Counted { calls: row.count(2)?, spent: spent_from(&row, 3)? };
            Ok(UsageSum { key, turns: row.count(1)?, counted, reported: spent_from(&row, 8)?, container: None })
        };
        rows.into_iter().map(read).collect()
    }

    /// The sum over these days, both included, for limits and reports.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn usage_total(&self, from: Day, to: Day) -> Result<UsageSum, StoreError> {
        // There are as many models as the model's API has.
        let mut total = UsageSum::default();
        for model in self.usage(Group::Model, (from, to), "", u32::MAX)? {
            total.add(&model);
        }
        Ok(total)
    }

    /// The whole ledger.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn all_usage(&self) -> Result<LedgerEntry, StoreError> {
        const ALL: &str = "select day, model, turns, calls, input_tokens, output_tokens, cache_read_input_tokens, \
             cache_creation_input_tokens, cost, reported_input_tokens, reported_output_tokens, reported_cache_read_input_tokens, \
             reported_cache_creation_input_tokens, reported_cost, recent from usage order by day, model";
        let mut entry = LedgerEntry::default();
        for mut row in self.sql.query(ALL, &[])? {
            entry.rows.push(LedgerRow {
                day: Day::new(row.integer(0)?),
                model: row.text(1)?,
                turns: row.count(2)?,
                counted: Counted { calls: row.count(3)?, spent: spent_from(&row, 4)? },
                reported: spent_from(&row, 9)?,
            });
            // The calls of the newest row are the newest.
            entry.recent = row.text(14)?;
        }
        Ok(entry)
    }

    /// The last day of which the ledger has calls.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn last_usage(&self) -> Result<Option<Day>, StoreError> {
        const LAST: &str = "select day from usage where calls > 0 order by day desc limit 1";
        let row = self.sql.first(LAST, &[])?;
        Ok(row.map(|row| row.integer(0)).transpose()?.map(Day::new))
    }

    /// Forgets what was used before that day.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_usage_before(&self, day: Day) -> Result<(), StoreError> {
        const FORGET: &str = "delete from usage where day < ?1";
        const FORGET_CONTAINER: &str = "delete from container_use where day < ?1";
        self.sql.execute(FORGET, &[Value::Integer(day.get())])?;
        Ok(self.sql.execute(FORGET_CONTAINER, &[Value::Integer(day.get())])?)
    }
}

/// The highest count that SQLite reads back as an integer.
const MOST: u64 = i64::MAX.unsigned_abs();

/// A turn's counts as the JSON that is stored.
pub(super) fn counts(counted: &Counted) -> String {
    let Spent { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost } =
        counted.spent;
    let [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens] =
        [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens].map(|n| n.min(MOST));
    format!(
        "{{\"calls\":{},\"input_tokens\":{input_tokens},\"output_tokens\":{output_tokens},\
         \"cache_read_input_tokens\":{cache_read_input_tokens},\
         \"cache_creation_input_tokens\":{cache_creation_input_tokens},\"cost\":{}}}",
        counted.calls,
        cost.get()
    )
}

fn values(spent: &Spent) -> [Value<'static>; 5] {
    [
        integer(spent.input_tokens),
        integer(spent.output_tokens),
        integer(spent.cache_read_input_tokens),
        integer(spent.cache_creation_input_tokens),
        Value::Integer(spent.cost.get()),
    ]
}

fn counts_from(row: &Row) -> Result<Counted, StoreError> {
    Ok(Counted { calls: row.count(0)?, spent: spent_from(row, 1)? })
}

fn days(from: Day, to: Day, limit: u32) -> [Value<'static>; 3] {
    [from.get(), to.get(), i64::from(limit)].map(Value::Integer)
}

fn spent_from(row: &Row, first: usize) -> Result<Spent, StoreError> {
    Ok(Spent {
        input_tokens: row.count(first)?,
        output_tokens: row.count(first + 1)?,
        cache_read_input_tokens: row.count(first + 2)?,
        cache_creation_input_tokens: row.count(first + 3)?,
        cost: NanoUsd::new(row.integer(first + 4)?),
    })
}
