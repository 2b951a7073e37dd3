//! The content blocks of queries that are more than words: what conversations tell of them, in the part 0 of a turn, and behind that the blocks
//! themselves, cut into pieces.

use std::collections::BTreeMap;

use super::conversations::unreadable;
use super::sql::{Sql, Value};
use super::{Store, StoreError, integer, json, split_for_rows};
use crate::domain::content::{sent_bytes, summaries};
use crate::domain::{Block, Message, RawJson, SessionId, TurnId};

/// Most bytes that one answer tells of its messages' attachments; those of one message always fit it.
const MAX_SUMMARY_BYTES_PER_ANSWER: i64 = 1024 * 1024;

impl<S: Sql> Store<S> {
    /// Stores the blocks of a turn's query, and counts them for its conversation. Belongs into the transaction of its admission.
    pub(super) fn insert_content(
        &self,
        session_id: &SessionId,
        turn_id: &TurnId,
        blocks: &[Block],
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into turn_content (session_id, turn_id, part, content) values (?1, ?2, ?3, ?4)";
        const COUNT: &str = "update conversations set attachment_bytes = attachment_bytes + ?2 where session_id = +?1";
        let id = Value::Text(session_id.as_str());
        let (told, blocks_json) = (json(&summaries(blocks))?, json(&blocks)?);
        let pieces = std::iter::once(told.as_str()).chain(split_for_rows(&blocks_json));
        for (part, piece) in (0_i64..).zip(pieces) {
            self.sql.execute(INSERT, &[id, Value::Text(turn_id.as_str()), Value::Integer(part), Value::Text(piece)])?;
        }
        Ok(self.sql.execute(COUNT, &[id, integer(sent_bytes(blocks))])?)
    }

    /// Counts the attachments of a turn's query no more for its conversation: the model never got them, and later queries do not send them again.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if what is stored is not what this version writes.
    pub fn take_back_content(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<(), StoreError> {
        const COUNT: &str =
            "update conversations set attachment_bytes = max(0, attachment_bytes - ?2) where session_id = +?1";
        let Some(content) = self.content_of(session_id, turn_id)? else { return Ok(()) };
        let blocks: Vec<Block> = serde_json::from_str(content.get()).map_err(|e| unreadable("content", &e))?;
        Ok(self.sql.execute(COUNT, &[Value::Text(session_id.as_str()), integer(sent_bytes(&blocks))])?)
    }

    /// The blocks of a turn's query as they are stored; none if it is words alone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if what is stored is no JSON.
    pub fn content_of(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<Option<RawJson>, StoreError> {
        const PARTS: &str = "select content from turn_content where session_id = +?1 and turn_id = +?2 and part > 0 \
             order by part";
        let mut blocks = String::new();
        for mut row in self.sql.query(PARTS, &[Value::Text(session_id.as_str()), Value::Text(turn_id.as_str())])? {
            blocks.push_str(&row.text(0)?);
        }
        if blocks.is_empty() {
            return Ok(None);
        }
        RawJson::parse(&blocks).map(Some).ok_or_else(|| unreadable("content", &"no JSON"))
    }

    /// Bytes of attachments that the conversation's turns have sent; 0 if there is no such conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn attachment_bytes(&self, session_id: &SessionId) -> Result<u64, StoreError> {
        const BYTES: &str = "select attachment_bytes from conversations where session_id = +?1";
        let row = self.sql.first(BYTES, &[Value::Text(session_id.as_str())])?;
        Ok(row.map_or(Ok(0), |row| row.count(0))?)
    }

    /// What is told of the attachments of these messages, oldest first, by their `seq`. Where that is more than one answer holds, the oldest
    /// messages are taken away, and it returns true.
    pub(super) fn attachments_of(
        &self,
        session_id: &SessionId,
        messages: &mut Vec<Message>,
    ) -> Result<(BTreeMap<i64, RawJson>, bool), StoreError> {
        const TOLD: &str = "select seq, iif(bytes <= ?4, told, null) from (select seq, turn_content.content as told, \
             sum(octet_length(turn_content.content)) over (order by seq desc) as bytes \
             from messages join turn_content using (session_id, turn_id) where session_id = +?1 and seq between ?2 and ?3 \
             and messages.part = 0 and role = 'user' and turn_content.part = 0) order by seq desc";
        let mut told = BTreeMap::new();
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok((told, false)) };
        let values = [
            Value::Text(session_id.as_str()),
            Value::Integer(first.seq),
            Value::Integer(last.seq),
            Value::Integer(MAX_SUMMARY_BYTES_PER_ANSWER),
        ];
        for mut row in self.sql.query(TOLD, &values)? {
            let seq = row.integer(0)?;
            let Some(attachments) = row.opt_text(1)? else {
                messages.retain(|message| message.seq > seq);
                return Ok((told, true));
            };
            let attachments = RawJson::parse(&attachments).ok_or_else(|| unreadable("attachments", &"no JSON"))?;
            told.insert(seq, attachments);
        }
        Ok((told, false))
    }
}
