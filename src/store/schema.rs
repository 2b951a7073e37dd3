//! Migrations: numbered files, each applied once, in order, in a transaction of its own, and never edited once released.

use super::sql::{Sql, SqlError, Value};
use crate::domain::Millis;

/// One step of a schema.
pub struct Migration {
    /// Its number, from 1 without a gap.
    pub version: i64,
    /// Its statements.
    pub sql: &'static str,
}

/// The schema of an account's database.
pub const ACCOUNT: &[Migration] = &[
    Migration { version: 1, sql: include_str!("migrations/0001_account.sql") },
    Migration { version: 2, sql: include_str!("migrations/0002_agent_token.sql") },
    Migration { version: 3, sql: include_str!("migrations/0003_turn_instance.sql") },
    Migration { version: 4, sql: include_str!("migrations/0004_turn_events.sql") },
    Migration { version: 5, sql: include_str!("migrations/0005_list_item.sql") },
    Migration { version: 6, sql: include_str!("migrations/0006_workspaces.sql") },
    Migration { version: 7, sql: include_str!("migrations/0007_turns.sql") },
    Migration { version: 8, sql: include_str!("migrations/0008_automation.sql") },
    Migration { version: 9, sql: include_str!("migrations/0009_accounts.sql") },
    Migration { version: 10, sql: include_str!("migrations/0010_actions.sql") },
    Migration { version: 11, sql: include_str!("migrations/0011_untold.sql") },
];

/// The schema of a directory shard's database.
pub const DIRECTORY: &[Migration] = &[
    Migration { version: 1, sql: include_str!("migrations/0001_directory.sql") },
    Migration { version: 2, sql: include_str!("migrations/0002_directory.sql") },
    Migration { version: 3, sql: include_str!("migrations/0003_directory.sql") },
    Migration { version: 4, sql: include_str!("migrations/0004_directory.sql") },
];

const CREATE: &str =
    "create table if not exists schema_migrations (version integer primary key, applied_at integer not null) strict";
const APPLIED: &str = "select coalesce(max(version), 0) from schema_migrations";
const RECORD: &str = "insert into schema_migrations (version, applied_at) values (?1, ?2)";

/// Whether a migration was ever applied.
///
/// # Errors
/// [`SqlError`] if SQLite rejects the statement.
pub fn is_there(sql: &impl Sql) -> Result<bool, SqlError> {
    const IS_THERE: &str = "select 1 from sqlite_master where name = 'schema_migrations'";
    Ok(sql.first(IS_THERE, &[])?.is_some())
}

/// Applies what is missing of `migrations`.
///
/// # Errors
/// The first migration that fails; those before it stay applied.
pub fn migrate(sql: &impl Sql, migrations: &'static [Migration], now: Millis) -> Result<(), SqlError> {
    sql.execute(CREATE, &[])?;
    let applied = sql.first(APPLIED, &[])?.map_or(Ok(0), |row| row.integer(0))?;
    for migration in migrations.iter().filter(|migration| migration.version > applied) {
        sql.transaction(|| {
            for statement in statements(migration.sql) {
                sql.execute(statement, &[])?;
            }
            sql.execute(RECORD, &[Value::Integer(migration.version), Value::Integer(now.get())])
        })?;
    }
    Ok(())
}

/// The statements of a migration. A `;` ends one, wherever it stands.
fn statements(sql: &'static str) -> impl Iterator<Item = &'static str> {
    sql.split(';').map(str::trim).filter(|statement| !statement.is_empty())
}
