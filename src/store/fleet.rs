//! What a directory shard keeps of its accounts at work. An object that nobody asks loses its memory within seconds, so all of it is in rows:
//! two for each report.

use super::conversations::unreadable;
use super::directory::DirectoryStore;
use super::sql::{Row, Sql, Value};
use super::{StoreError, json};
use crate::domain::fleet::{EndedTurns, FleetReport, FleetSum, add_ended};
use crate::domain::{AccountId, Millis};

/// From when on what is kept counts.
pub struct Since {
    /// Reports at all.
    pub reports: Millis,
    /// Reports of turns that run.
    pub work: Millis,
    /// The first part of an hour.
    pub part: i64,
}

impl<S: Sql> DirectoryStore<S> {
    /// Keeps a report in place of the account's last one, and adds what has ended to a part of an hour. Belongs into a transaction.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn take_report(
        &self,
        account_id: &AccountId,
        report: &FleetReport,
        now: Millis,
        part: i64,
    ) -> Result<(), StoreError> {
        const TAKE: &str = "insert or replace into fleet_reports (account_id, at, running, queued, container, version) \
             values (?1, ?2, ?3, ?4, ?5, ?6)";
        const PART: &str = "select ended, starts_failed from fleet_parts where part = ?1";
        const ADD: &str = "insert or replace into fleet_parts (part, ended, starts_failed) values (?1, ?2, ?3)";
        let number = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
        let values = [
            Value::Text(account_id.as_str()),
            Value::Integer(now.get()),
            number(report.running),
            number(report.queued),
            Value::Text(report.container.as_str()),
            Value::Text(&report.version),
        ];
        self.sql().execute(TAKE, &values)?;
        if report.ended.is_empty() && report.starts_failed == 0 {
            return Ok(());
        }
        let part = Value::Integer(part);
        let (mut ended, before) = match self.sql().first(PART, &[part])? {
            Some(row) => ended_in(row)?,
            None => (Vec::new(), 0),
        };
        add_ended(&mut ended, &report.ended);
        let values = [part, Value::Text(&json(&ended)?), number(before.saturating_add(report.starts_failed))];
        Ok(self.sql().execute(ADD, &values)?)
    }

    /// Forgets what does not count any more.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_reports(&self, since: &Since) -> Result<(), StoreError> {
        const REPORTS: &str = "delete from fleet_reports where at <= ?1";
        const PARTS: &str = "delete from fleet_parts where part < ?1";
        self.sql().execute(REPORTS, &[Value::Integer(since.reports.get())])?;
        Ok(self.sql().execute(PARTS, &[Value::Integer(since.part)])?)
    }

    /// Forgets what an account has reported.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn forget_report_of(&self, account_id: &AccountId) -> Result<(), StoreError> {
        const FORGET: &str = "delete from fleet_reports where account_id = +?1";
        Ok(self.sql().execute(FORGET, &[Value::Text(account_id.as_str())])?)
    }

    /// The sum over the accounts.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn fleet(&self, since: &Since) -> Result<FleetSum, StoreError> {
        const SUMS: &str = "select version, count(*), sum(at > ?2 and running > 0), sum(iif(at > ?2, running, 0)), \
             sum(iif(at > ?2, queued, 0)), sum(container = 'running'), sum(at > ?2 and container = 'starting') \
             from fleet_reports where at > ?1 group by version";
        const PARTS: &str = "select ended, starts_failed from fleet_parts where part >= ?1";
        let mut sum = FleetSum::default();
        let moments = [Value::Integer(since.reports.get()), Value::Integer(since.work.get())];
        for mut row in self.sql().query(SUMS, &moments)? {
            let accounts = row.count(1)?;
            sum.reporting += accounts;
            sum.at_work += row.count(2)?;
            sum.running += row.count(3)?;
            sum.queued += row.count(4)?;
            sum.containers_running += row.count(5)?;
            sum.containers_starting += row.count(6)?;
            sum.versions.insert(row.text(0)?, accounts);
        }
        for row in self.sql().query(PARTS, &[Value::Integer(since.part)])? {
            let (ended, starts_failed) = ended_in(row)?;
            add_ended(&mut sum.ended, &ended);
            sum.starts_failed += starts_failed;
        }
        Ok(sum)
    }
}

fn ended_in(mut row: Row) -> Result<(Vec<EndedTurns>, u64), StoreError> {
    let ended = serde_json::from_str(&row.text(0)?).map_err(|e| unreadable("ended", &e))?;
    Ok((ended, row.count(1)?))
}
