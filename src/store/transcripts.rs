//! Transcripts: the SDK's own memory of a conversation, kept as one stream of JSON lines that is cut into a few large rows.
//! Rows are cut anywhere between two characters: only their concatenation is JSONL.

use super::sql::{Sql, SqlError, Value};
use super::{Store, StoreError, split_for_rows};
use crate::domain::SessionId;

impl<S: Sql> Store<S> {
    /// Appends JSON lines, each ended by a newline.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn append_transcript(&self, session_id: &SessionId, lines: &str) -> Result<(), StoreError> {
        const APPEND: &str = "insert into transcripts (session_id, seq, lines) select ?1, \
             coalesce((select seq from transcripts where session_id = +?1 order by seq desc limit 1), 0) + 1, ?2";
        if lines.is_empty() {
            return Ok(());
        }
        for piece in split_for_rows(lines) {
            self.sql.execute(APPEND, &[Value::Text(session_id.as_str()), Value::Text(piece)])?;
        }
        Ok(())
    }

    /// Whether anything is stored of the conversation's transcript.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn has_transcript(&self, session_id: &SessionId) -> Result<bool, StoreError> {
        const EXISTS: &str = "select 1 from transcripts where session_id = +?1 limit 1";
        Ok(self.sql.first(EXISTS, &[Value::Text(session_id.as_str())])?.is_some())
    }

    /// The row of a conversation's transcript behind the row `after`, with its number; none at the end. The first is behind 0.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn transcript_row(&self, session_id: &SessionId, after: i64) -> Result<Option<(i64, String)>, StoreError> {
        const NEXT: &str =
            "select seq, lines from transcripts where session_id = +?1 and seq > ?2 order by seq limit 1";
        let row = self.sql.first(NEXT, &[Value::Text(session_id.as_str()), Value::Integer(after)])?;
        Ok(row.map(|mut row| Ok::<_, SqlError>((row.integer(0)?, row.text(1)?))).transpose()?)
    }
}
