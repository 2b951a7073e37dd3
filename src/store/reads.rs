//! Answers that SQLite itself writes as JSON: the list, one conversation, the counts. Their fields are the public contract's.
//! A document is a blob, so that it can go into a response without being decoded.

use super::conversations::{session_id, unreadable};
use super::sql::{Document, Sql, Value};
use super::{Store, StoreError};
use crate::domain::{AccountId, Millis, Position, SessionId};

/// Conversations with more bytes of messages than this are not written by SQLite but row by row: a value that SQLite makes may not
/// pass 2 MB on the platform, and escaping can make six bytes of one.
pub const MAX_DOCUMENT_MESSAGE_BYTES: u64 = 256 * 1024;

/// Which page of the list.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Page {
    /// So many from the newest are left out.
    Offset(u32),
    /// It starts after this place.
    After(Position),
}

/// One page of the list.
pub struct Listing<J> {
    /// A JSON array, newest access first.
    pub json: J,
    /// The place of its last conversation, where more follow.
    pub next: Option<Position>,
}

macro_rules! listing {
    ($from:literal) => {
        concat!(
            "select cast(json_group_array(json_object('session_id', session_id, 'title', title, 'created_at', created_at, ",
            "'last_accessed_at', last_accessed_at, 'metadata', json_set(metadata, '$.message_count', message_count))) as blob), ",
            "count(*) from (select * from conversations ",
            $from,
            " order by last_accessed_at desc, session_id desc limit ?1 offset ?2)"
        )
    };
}

macro_rules! positions {
    ($from:literal) => {
        concat!(
            "select last_accessed_at, session_id from conversations ",
            $from,
            " order by last_accessed_at desc, session_id desc limit 2 offset ?1 + ?2 - 1"
        )
    };
}

impl<S: Sql> Store<S> {
    /// One page of the conversations, newest access first.
    ///
    /// # Errors
    /// SQLite's.
    pub fn list(&self, limit: u32, page: &Page) -> Result<Listing<S::Json>, StoreError> {
        const LIST: &str = listing!("");
        const LIST_AFTER: &str = listing!("where (last_accessed_at, session_id) < (?3, ?4)");
        const NEXT: &str = positions!("");
        const NEXT_AFTER: &str = positions!("where (last_accessed_at, session_id) < (?3, ?4)");
        let limit = Value::Integer(i64::from(limit));
        match page {
            Page::Offset(offset) => self.page(LIST, NEXT, &[limit, Value::Integer(i64::from(*offset))]),
            Page::After(position) => {
                let at = Value::Integer(position.last_accessed_at.get());
                let values = [limit, Value::Integer(0), at, Value::Text(position.session_id.as_str())];
                self.page(LIST_AFTER, NEXT_AFTER, &values)
            }
        }
    }

    fn page(
        &self,
        list: &'static str,
        next: &'static str,
        values: &[Value<'_>],
    ) -> Result<Listing<S::Json>, StoreError> {
        let Some(Document { json, rows }) = self.sql.document(list, values)? else {
            return Err(unreadable("list", &"no row"));
        };
        let full = matches!(values.first(), Some(Value::Integer(limit)) if *limit == rows);
        let mut ends = if full { self.sql.query(next, values)? } else { Vec::new() };
        let next = match ends.as_mut_slice() {
            [end, _] => {
                Some(Position { last_accessed_at: Millis::new(end.integer(0)?), session_id: session_id(end.text(1)?)? })
            }
            _ => None,
        };
        Ok(Listing { json, next })
    }

    /// One conversation with its messages, where SQLite may write it; else none: see [`MAX_DOCUMENT_MESSAGE_BYTES`].
    ///
    /// # Errors
    /// SQLite's.
    pub fn conversation_document(
        &self,
        account_id: &AccountId,
        session_id: &SessionId,
    ) -> Result<Option<S::Json>, StoreError> {
        const DOCUMENT: &str = "select cast(json_object('session_id', session_id, 'account_id', ?2, 'title', title, \
             'created_at', created_at, 'last_accessed_at', last_accessed_at, \
             'metadata', json_set(metadata, '$.message_count', message_count), \
             'usage', json_object('input_tokens', input_tokens, 'output_tokens', output_tokens, \
             'cache_read_input_tokens', cache_read_input_tokens, \
             'cache_creation_input_tokens', cache_creation_input_tokens, 'cost_usd', cost_usd), \
             'messages', (select json_group_array(json_object('id', 'msg_' || seq, 'turn_id', turn_id, 'role', role, \
             'content', content, 'timestamp', timestamp)) from (select * from messages where session_id = ?1 order by seq))) \
             as blob), 1 from conversations where session_id = ?1 and message_count <= ?3 and message_bytes <= ?4";
        let document = self.sql.document(
            DOCUMENT,
            &[
                Value::Text(session_id.as_str()),
                Value::Text(account_id.as_str()),
                Value::Integer(i64::from(super::messages::MAX_MESSAGES_PER_ANSWER)),
                Value::Integer(i64::try_from(MAX_DOCUMENT_MESSAGE_BYTES).unwrap_or(i64::MAX)),
            ],
        )?;
        Ok(document.map(|document| document.json))
    }
}
