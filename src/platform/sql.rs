//! The store's port to SQLite on a Durable Object's storage.

use std::cell::Cell as Shared;

use worker::js_sys::Array;
use worker::wasm_bindgen::{JsCast, JsValue};

use super::bindings::{Sql as JsSql, Storage, query, thrown};
use super::interned::interned;
use super::runtime;
use crate::store::sql::{Cell, Document, Row, Sql, SqlError, Value};

/// SQLite of one object.
pub struct ObjectSql {
    storage: Storage,
    sql: JsSql,
    written: Shared<u64>,
    /// The database's size, and how many rows had been written when it was asked for: only a write changes it.
    size: Shared<Option<(u64, u64)>>,
}

impl ObjectSql {
    /// The SQLite of `storage`.
    pub fn new(storage: Storage) -> Self {
        let sql = storage.sql();
        Self { storage, sql, written: Shared::new(0), size: Shared::new(None) }
    }

    fn rows(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Array, SqlError> {
        let values = values.iter().map(bound).collect();
        let rows = query(&self.sql, &interned(statement), &values).map_err(sql_error)?;
        let written = rows.pop().as_f64().unwrap_or(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small whole number")]
        self.written.set(self.written.get() + written as u64);
        Ok(rows)
    }
}

#[expect(clippy::cast_precision_loss, reason = "stored integers stay below 2^53")]
fn bound(value: &Value<'_>) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Integer(integer) => JsValue::from_f64(*integer as f64),
        Value::Real(real) => JsValue::from_f64(*real),
        Value::Text(text) => JsValue::from_str(text),
    }
}

fn cell(value: &JsValue) -> Cell {
    if let Some(number) = value.as_f64() {
        Cell::Real(number)
    } else if let Some(text) = value.as_string() {
        Cell::Text(text)
    } else {
        Cell::Null
    }
}

/// The columns of a row from the `first` on.
fn cells(row: &JsValue, first: u32) -> Row {
    let columns: &Array = row.unchecked_ref();
    Row((first..columns.length()).map(|column| cell(&columns.get(column))).collect())
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn sql_error(error: JsValue) -> SqlError {
    SqlError(thrown(&error))
}

impl Sql for ObjectSql {
    type Json = JsValue;

    fn query(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, SqlError> {
        Ok(self.rows(statement, values)?.iter().map(|row| cells(&row, 0)).collect())
    }

    fn document(&self, statement: &'static str, values: &[Value<'_>]) -> Result<Option<Document<JsValue>>, SqlError> {
        let row = self.rows(statement, values)?.get(0);
        // Without a row, the element at index 0 is undefined.
        Ok(row.dyn_ref::<Array>().map(|columns| Document { json: columns.get(0), rest: cells(&row, 1) }))
    }

    fn transaction<T, E: From<SqlError>>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut f = Some(f);
        let mut outcome = None;
        let committed = self.storage.transaction_sync(&mut || {
            let result = f.take().map(|f| f());
            let failed = !matches!(result, Some(Ok(_)));
            outcome = result;
            if failed { Err(JsValue::UNDEFINED) } else { Ok(()) }
        });
        match (outcome, committed) {
            (Some(Err(error)), _) => Err(error),
            (_, Err(error)) => Err(sql_error(error).into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(SqlError("transactionSync did not call its closure".to_owned()).into()),
        }
    }

    fn json(&self, text: String) -> JsValue {
        text.into()
    }

    fn erase(&self) -> Result<(), SqlError> {
        // The storage is empty when the call returns; the promise is that of its confirmation.
        self.size.set(None);
        let confirmed = self.storage.delete_all().map_err(sql_error)?;
        runtime::settle("storage_not_cleared", Ok(confirmed));
        Ok(())
    }

    fn rows_written(&self) -> u64 {
        self.written.get()
    }

    fn database_bytes(&self) -> u64 {
        let written = self.written.get();
        if let Some((bytes, at)) = self.size.get()
            && at == written
        {
            return bytes;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size below 2^53")]
        let bytes = self.sql.database_size() as u64;
        self.size.set(Some((bytes, written)));
        bytes
    }
}
