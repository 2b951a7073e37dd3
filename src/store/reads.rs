//! Answers that SQLite itself writes as JSON: the list, one conversation, the counts. Their fields are the public contract's.
//! A document is a blob, so that it can go into a response without being decoded.

use super::conversations::{session_id, unreadable};
use super::sql::{Document, Row, Sql, Value};
use super::{Store, StoreError};
use crate::domain::{AccountId, Millis, Page, Position, SessionId};

/// Conversations with more bytes of messages than this are not written by SQLite but row by row: a value that SQLite makes may not
/// pass 2 MB on the platform, and escaping can make six bytes of one.
pub const MAX_DOCUMENT_MESSAGE_BYTES: u64 = 256 * 1024;

/// Most conversations that SQLite writes as one list, for the same reason: a conversation's title and metadata take up to 39 KB.
/// Longer lists are joined from one text per conversation.
pub const MAX_DOCUMENT_CONVERSATIONS: u32 = 50;
/// Above every moment that is stored, and exact in workerd.
const BEFORE_ALL: i64 = (1 << 53) - 1;

/// One page of the list.
pub struct Listing<J> {
    /// A JSON array, newest access first.
    pub json: J,
    /// The page after it, if there is one.
    pub next: Option<Page>,
}

/// A conversation as the list and the search show it. Written as a string, because `json_object` and `json_set` parse each conversation's
/// metadata, which makes a list of 50 cost a tenth more. A session id needs no escapes, and stored metadata is one compact JSON object.
macro_rules! item {
    () => {
        "printf('{\"session_id\":\"%s\",\"title\":%s,\"created_at\":%d,\"last_accessed_at\":%d,\"metadata\":%s\"message_count\":%d}}', \
         session_id, json_quote(title), created_at, last_accessed_at, \
         iif(metadata = '{}', '{', substr(metadata, 1, length(metadata) - 1) || ','), message_count)"
    };
}

pub(super) use item;

/// Columns of one page of the list.
macro_rules! page {
    ($columns:expr, $limit:literal) => {
        concat!(
            "select ",
            $columns,
            " from conversations where (last_accessed_at, session_id) < (?3, ?4) \
             order by last_accessed_at desc, session_id desc limit ",
            $limit
        )
    };
}

/// The place where a full page ends; no row where nothing comes after it.
macro_rules! end {
    () => {
        concat!(
            "select max(last_accessed_at) as ended_at, session_id as ended_with from (",
            page!("last_accessed_at, session_id", "2 offset ?1 + ?2 - 1"),
            ") having count(*) = 2"
        )
    };
}

impl<S: Sql> Store<S> {
    /// One page of the conversations, newest access first, at most `limit` of them.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn list(&self, limit: u32, page: &Page) -> Result<Listing<S::Json>, StoreError> {
        const AS_ONE: &str = concat!(
            "select list, ended_at, ended_with from \
             (select cast('[' || coalesce(group_concat(item), '') || ']' as blob) as list from (",
            page!(concat!(item!(), " as item"), "+?1 offset +?2"),
            ")) left join (",
            end!(),
            ")"
        );
        const ONE_BY_ONE: &str = page!(item!(), "+?1 offset +?2");
        const END: &str = end!();
        let [ms, id] = start(page);
        let values = [Value::Integer(i64::from(limit)), Value::Integer(i64::from(page.skip)), ms, id];
        let (json, end) = if limit <= MAX_DOCUMENT_CONVERSATIONS {
            let Document { json, rest } =
                self.sql.document(AS_ONE, &values)?.ok_or_else(|| unreadable("list", &"no row"))?;
            (json, (rest.opt_integer(0)?.is_some()).then_some(rest))
        } else {
            (self.joined(ONE_BY_ONE, &values)?, self.sql.first(END, &values)?)
        };
        let after = end.map(|mut end| position(&mut end)).transpose()?;
        Ok(Listing { json, next: after.map(|after| Page { after: Some(after), skip: 0 }) })
    }

    /// A list without conversations.
    pub fn empty_list(&self) -> S::Json {
        self.sql.json("[]".to_owned())
    }

    /// A JSON array of the texts that a statement's rows are.
    pub(super) fn joined(&self, statement: &'static str, values: &[Value<'_>]) -> Result<S::Json, StoreError> {
        let mut array = String::from("[");
        for mut row in self.sql.query(statement, values)? {
            if array.len() > 1 {
                array.push(',');
            }
            array.push_str(&row.text(0)?);
        }
        array.push(']');
        Ok(self.sql.json(array))
    }

    /// One conversation with its messages, if SQLite may write it, none of them has attachments and its last access is later than `accessed_after`, if that is given;
    /// else none: see [`MAX_DOCUMENT_MESSAGE_BYTES`].
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn conversation_document(
        &self,
        account_id: &AccountId,
        session_id: &SessionId,
        accessed_after: Option<Millis>,
    ) -> Result<Option<S::Json>, StoreError> {
        const DOCUMENT: &str = "select cast(json_object('session_id', session_id, 'account_id', ?2, 'title', title, \
             'created_at', created_at, 'last_accessed_at', last_accessed_at, \
             'metadata', json_set(metadata, '$.message_count', message_count), \
             'usage', json_object('input_tokens', input_tokens, 'output_tokens', output_tokens, \
             'cache_read_input_tokens', cache_read_input_tokens, \
             'cache_creation_input_tokens', cache_creation_input_tokens, 'cost_usd', cost_usd), \
             'messages', json_group_array(json_object('id', 'msg_' || seq, 'turn_id', turn_id, 'role', role, \
             'content', content, 'timestamp', timestamp) order by seq)) as blob) \
             from conversations join messages using (session_id) where session_id = +?1 and message_count <= ?3 \
             and message_bytes <= ?4 and not exists (select 1 from turn_content where session_id = +?1) and (?5 is null or last_accessed_at > ?5) having count(*) > 0";
        let document = self.sql.document(
            DOCUMENT,
            &[
                Value::Text(session_id.as_str()),
                Value::Text(account_id.as_str()),
                Value::Integer(i64::from(super::messages::MAX_MESSAGES_PER_ANSWER)),
                Value::Integer(i64::try_from(MAX_DOCUMENT_MESSAGE_BYTES).unwrap_or(i64::MAX)),
                accessed_after.map(Millis::get).into(),
            ],
        )?;
        Ok(document.map(|document| document.json))
    }
}

/// The place that a page starts after, as the two values that statements compare with.
pub(super) fn start(page: &Page) -> [Value<'_>; 2] {
    match &page.after {
        Some(Position { last_accessed_at, session_id }) => {
            [Value::Integer(last_accessed_at.get()), Value::Text(session_id.as_str())]
        }
        None => [Value::Integer(BEFORE_ALL), Value::Text("")],
    }
}

/// A place in the list: the moment in the first column, the id in the second.
pub(super) fn position(row: &mut Row) -> Result<Position, StoreError> {
    Ok(Position { last_accessed_at: Millis::new(row.integer(0)?), session_id: session_id(row.text(1)?)? })
}
