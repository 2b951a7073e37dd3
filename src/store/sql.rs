//! The port to SQLite: what the store needs of it. `platform` implements it on a Durable Object's storage, the native tests on rusqlite.

use thiserror::Error;

/// A bound value.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// SQL's null.
    Null,
    /// An integer; exact up to 2^53 in workerd.
    Integer(i64),
    /// A real.
    Real(f64),
    /// A text.
    Text(&'a str),
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Value::Null, Value::Text)
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(integer: Option<i64>) -> Self {
        integer.map_or(Value::Null, Value::Integer)
    }
}

/// A value that came back.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// SQL's null.
    Null,
    /// An integer, as the native tests' SQLite gives it.
    #[cfg_attr(target_arch = "wasm32", expect(dead_code, reason = "workerd gives every number as a real"))]
    Integer(i64),
    /// A real; workerd gives every number as one.
    Real(f64),
    /// A text.
    Text(String),
}

/// SQLite's refusal, in its own words. For the log only.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("sqlite: {0}")]
pub struct SqlError(pub String);

/// A row that came back, by column number.
#[derive(Debug)]
pub struct Row(pub Vec<Cell>);

impl Row {
    fn wrong(index: usize, wanted: &str) -> SqlError {
        SqlError(format!("column {index} is not {wanted}"))
    }

    /// A text, moved out of the row.
    ///
    /// # Errors
    /// If the column is null, a number, or was taken before.
    pub fn text(&mut self, index: usize) -> Result<String, SqlError> {
        self.opt_text(index)?.ok_or_else(|| Self::wrong(index, "a text"))
    }

    /// A text or null, moved out of the row.
    ///
    /// # Errors
    /// If the column is a number.
    pub fn opt_text(&mut self, index: usize) -> Result<Option<String>, SqlError> {
        match self.0.get_mut(index).map(|cell| std::mem::replace(cell, Cell::Null)) {
            Some(Cell::Text(text)) => Ok(Some(text)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Integer(_) | Cell::Real(_)) | None => Err(Self::wrong(index, "a text")),
        }
    }

    /// An integer.
    ///
    /// # Errors
    /// If the column is null, a text or has a fraction.
    pub fn integer(&self, index: usize) -> Result<i64, SqlError> {
        self.opt_integer(index)?.ok_or_else(|| Self::wrong(index, "an integer"))
    }

    /// An integer or null.
    ///
    /// # Errors
    /// If the column is a text or has a fraction.
    pub fn opt_integer(&self, index: usize) -> Result<Option<i64>, SqlError> {
        match self.0.get(index) {
            Some(Cell::Integer(integer)) => Ok(Some(*integer)),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole; stored integers stay below 2^53")]
            Some(Cell::Real(real)) if real.fract() == 0.0 => Ok(Some(*real as i64)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Real(_) | Cell::Text(_)) | None => Err(Self::wrong(index, "an integer")),
        }
    }

    /// A count: an integer that is not negative.
    ///
    /// # Errors
    /// If the column is anything else.
    pub fn count(&self, index: usize) -> Result<u64, SqlError> {
        u64::try_from(self.integer(index)?).map_err(|_| Self::wrong(index, "a count"))
    }

    /// A real.
    ///
    /// # Errors
    /// If the column is null or a text.
    pub fn real(&self, index: usize) -> Result<f64, SqlError> {
        match self.0.get(index) {
            Some(Cell::Real(real)) => Ok(*real),
            #[expect(clippy::cast_precision_loss, reason = "stored integers stay below 2^53")]
            Some(Cell::Integer(integer)) => Ok(*integer as f64),
            Some(Cell::Null | Cell::Text(_)) | None => Err(Self::wrong(index, "a real")),
        }
    }
}

/// A JSON text that SQLite made, and what it said beside it.
pub struct Document<J> {
    /// The text, in whatever form reaches the response with the fewest copies.
    pub json: J,
    /// The columns after the text's.
    pub rest: Row,
}

/// SQLite, synchronous, with foreign keys on. Every statement is a constant; values are bound.
///
/// SQLite re-prepares a statement at every run if a parameter directly follows `=` or `limit`, because the plan may depend on its value;
/// that costs more than running it. A unary `+` before the parameter prevents it (`sqlite3ExprIsInteger` in SQLite's source).
pub trait Sql {
    /// A JSON text on its way from SQLite to a response.
    type Json;

    /// Runs a statement and returns its rows.
    ///
    /// # Errors
    /// [`SqlError`] if SQLite rejects the statement.
    fn query(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError>;

    /// Runs a statement whose one row starts with a JSON text, cast to a blob; none if there is no row.
    ///
    /// # Errors
    /// [`SqlError`] if SQLite rejects the statement.
    fn document(&self, statement: &'static str, values: &[Value<'_>])
    -> Result<Option<Document<Self::Json>>, SqlError>;

    /// Runs `f` as one transaction: committed on `Ok`, rolled back on `Err`. Nested calls are savepoints.
    ///
    /// # Errors
    /// What `f` returned, or the failure to commit.
    fn transaction<T, E: From<SqlError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E>;

    /// A JSON text that SQLite did not make.
    fn json(&self, text: String) -> Self::Json;

    /// Clears the whole storage of the object, its alarm included. Must not be called in a transaction.
    ///
    /// # Errors
    /// [`SqlError`] if the platform refuses.
    fn erase(&self) -> Result<(), SqlError>;

    /// Rows written by all statements so far.
    fn rows_written(&self) -> u64;

    /// Size of the database in bytes.
    fn database_bytes(&self) -> u64;

    /// Runs a statement for its effect.
    ///
    /// # Errors
    /// [`SqlError`] if SQLite rejects the statement.
    fn execute(&self, statement: &'static str, values: &[Value<'_>]) -> Result<(), SqlError> {
        self.query(statement, values).map(drop)
    }

    /// Runs a statement and returns its first row.
    ///
    /// # Errors
    /// [`SqlError`] if SQLite rejects the statement.
    fn first(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Option<Row>, SqlError> {
        Ok(self.query(statement, values)?.into_iter().next())
    }
}
