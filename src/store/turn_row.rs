//! A row of `turns`, read back.

use super::StoreError;
use super::conversations::{session_id, unreadable};
use super::sql::Row;
use crate::domain::{Millis, RequestId, Turn, TurnId, TurnStatus};

/// A turn without its answer, from the columns that every statement over turns begins with.
pub(super) fn turn_from(row: &mut Row) -> Result<Turn, StoreError> {
    Ok(Turn {
        turn_id: turn_id(row.text(0)?)?,
        session_id: session_id(row.text(1)?)?,
        status: status(&row.text(2)?)?,
        created_at: Millis::new(row.integer(3)?),
        started_at: row.opt_integer(4)?.map(Millis::new),
        finished_at: row.opt_integer(5)?.map(Millis::new),
        request_id: request_id(row.text(6)?)?,
        response: None,
        error: parsed("error", row.opt_text(7)?)?,
        model: row.opt_text(8)?,
        usage: parsed("usage", row.opt_text(9)?)?,
        num_turns: row.opt_integer(10)?.and_then(|n| u32::try_from(n).ok()),
        duration_ms: row.opt_integer(11)?.and_then(|n| u64::try_from(n).ok()),
        files: parsed("files", row.opt_text(13)?)?,
        stop_reason: row.opt_text(14)?,
        by_model: parsed("by_model", row.opt_text(15)?)?,
        steered_into: row.opt_text(16)?.map(turn_id).transpose()?,
        metadata: parsed("metadata", row.opt_text(17)?)?.unwrap_or_default(),
        has_output: row.integer(18)? != 0,
        trigger: parsed("trigger", row.opt_text(19)?)?,
    })
}

pub(super) fn parsed<T: serde::de::DeserializeOwned>(
    what: &'static str,
    json: Option<String>,
) -> Result<Option<T>, StoreError> {
    json.map(|json| serde_json::from_str(&json).map_err(|e| unreadable(what, &e))).transpose()
}

pub(super) fn request_id(text: String) -> Result<RequestId, StoreError> {
    text.try_into().map_err(|e| unreadable("request_id", &e))
}

pub(super) fn turn_id(text: String) -> Result<TurnId, StoreError> {
    text.try_into().map_err(|e| unreadable("turn_id", &e))
}

pub(super) fn status(word: &str) -> Result<TurnStatus, StoreError> {
    TurnStatus::parse(word).ok_or_else(|| unreadable("status", &word))
}
