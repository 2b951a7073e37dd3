//! What makes a request happen once: the key that its caller gave it, and its own id.

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::turn_row::turn_id;
use super::{Store, StoreError};
use crate::domain::{IdempotencyKey, RequestId, TurnId};

impl<S: Sql> Store<S> {
    /// Frees a turn's idempotency key, so that a request with the same key makes another turn.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn free_key(&self, turn_id: &TurnId) -> Result<(), StoreError> {
        const FREE: &str = "update turns set idempotency_key = null, request_hash = null \
             where turn_id = +?1 and idempotency_key is not null";
        Ok(self.sql.execute(FREE, &[Value::Text(turn_id.as_str())])?)
    }

    /// The turn that a request made, if it is one of the newest. Asked for only when a request is sent again: there is no index for it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn turn_by_request(&self, request_id: &RequestId) -> Result<Option<TurnId>, StoreError> {
        const BY_REQUEST: &str = "select turn_id from (select turn_id, request_id from turns order by turn_id desc limit 200) \
             where request_id = +?1";
        let row = self.sql.first(BY_REQUEST, &[Value::Text(request_id.as_str())])?;
        row.map(|mut row| row.text(0)?.try_into().map_err(|e| unreadable("turn_id", &e))).transpose()
    }

    /// The turn that an idempotency key made, and the hash of its request.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn turn_by_key(&self, key: &IdempotencyKey) -> Result<Option<(TurnId, String)>, StoreError> {
        const BY_KEY: &str = "select turn_id, request_hash from turns where idempotency_key = +?1";
        let row = self.sql.first(BY_KEY, &[Value::Text(key.as_str())])?;
        row.map(|mut row| Ok((turn_id(row.text(0)?)?, row.opt_text(1)?.unwrap_or_default()))).transpose()
    }
}
