//! Transcripts: the SDK's own memory of a conversation, kept as one stream of JSON lines that is cut into a few large rows.
//! Rows are cut anywhere between two characters: only their concatenation is JSONL.

use super::sql::{Sql, Value};
use super::{Store, StoreError, pieces};
use crate::domain::SessionId;

impl<S: Sql> Store<S> {
    /// Appends JSON lines, each ended by a newline.
    ///
    /// # Errors
    /// SQLite's.
    pub fn append_transcript(&self, session_id: &SessionId, lines: &str) -> Result<(), StoreError> {
        const APPEND: &str = "insert into transcripts (session_id, seq, lines) select ?1, \
             coalesce((select seq from transcripts where session_id = ?1 order by seq desc limit 1), 0) + 1, ?2";
        if lines.is_empty() {
            return Ok(());
        }
        for piece in pieces(lines) {
            self.sql.execute(APPEND, &[Value::Text(session_id.as_str()), Value::Text(piece)])?;
        }
        Ok(())
    }

    /// Whether anything is stored of the conversation's transcript.
    ///
    /// # Errors
    /// SQLite's.
    pub fn has_transcript(&self, session_id: &SessionId) -> Result<bool, StoreError> {
        const EXISTS: &str = "select 1 from transcripts where session_id = ?1 limit 1";
        Ok(self.sql.first(EXISTS, &[Value::Text(session_id.as_str())])?.is_some())
    }

    /// The rows of a conversation's transcript, in order, to be sent one after the other.
    ///
    /// # Errors
    /// SQLite's.
    pub fn transcript(&self, session_id: &SessionId) -> Result<Vec<String>, StoreError> {
        const ALL: &str = "select lines from transcripts where session_id = ?1 order by seq";
        let rows = self.sql.query(ALL, &[Value::Text(session_id.as_str())])?;
        rows.into_iter().map(|mut row| Ok(row.text(0)?)).collect()
    }
}
