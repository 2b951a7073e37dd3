//! Conversations: their rows, and what is written of them when a turn is admitted and when it ends.

use std::time::Duration;

use super::cache::NextExpiry;
use super::sql::{Row, Sql, Value};
use super::transactions::FIRST_SEQ;
use super::{Store, StoreError, json};
use crate::domain::{ContextUse, Conversation, Millis, SdkSession, SessionId, Title, Usage};

/// A read moves `last_accessed_at` only if it is older than this, so that reading costs a write at most once a minute.
pub const ACCESS_RESOLUTION: Duration = Duration::from_mins(1);

const COLUMNS_OF_ONE: &str = "select session_id, agent_session, title, created_at, last_accessed_at, message_count, \
     message_bytes, metadata, input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens, cost_usd \
     from conversations where session_id = +?1";

impl<S: Sql> Store<S> {
    /// One conversation without its messages.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn conversation(&self, session_id: &SessionId) -> Result<Option<Conversation>, StoreError> {
        self.sql.first(COLUMNS_OF_ONE, &[Value::Text(session_id.as_str())])?.map(conversation_from).transpose()
    }

    /// How full the model's context was at the end of the conversation's last turn, if that is known.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn context(&self, session_id: &SessionId) -> Result<Option<ContextUse>, StoreError> {
        const CONTEXT: &str = "select context from conversations where session_id = +?1 and context is not null";
        let Some(mut row) = self.sql.first(CONTEXT, &[Value::Text(session_id.as_str())])? else { return Ok(None) };
        serde_json::from_str(&row.text(0)?).map(Some).map_err(|e| unreadable("context", &e))
    }

    /// Makes room for a turn's query, creating the conversation if there is none: returns the query's `seq`.
    /// The answer's is the one after it.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn reserve_turn(
        &self,
        session_id: &SessionId,
        title: &Title,
        prompt_bytes: usize,
        now: Millis,
    ) -> Result<i64, StoreError> {
        const OPEN: &str = "insert into conversations \
             (session_id, title, created_at, last_accessed_at, message_count, message_bytes, next_seq) \
             values (?1, ?2, ?3, ?3, 1, ?4, 3) \
             on conflict (session_id) do update set message_count = message_count + 1, \
             message_bytes = message_bytes + excluded.message_bytes, next_seq = next_seq + 2 \
             returning next_seq - 2";
        let row = self.sql.first(
            OPEN,
            &[
                Value::Text(session_id.as_str()),
                Value::Text(title.as_str()),
                Value::Integer(now.get()),
                Value::Integer(bytes(prompt_bytes)),
            ],
        )?;
        let seq = row.map_or(Ok(1), |row| row.integer(0))?;
        self.count(i64::from(seq == FIRST_SEQ), 1);
        Ok(seq)
    }

    /// Records the end of a turn in its conversation; `answer_bytes` if an answer was stored, and how full the `context` is if that is known.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn record_turn_end(
        &self,
        session_id: &SessionId,
        sdk_session: Option<&SdkSession>,
        answer_bytes: Option<usize>,
        usage: Usage,
        context: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        const CLOSE: &str = "update conversations set last_accessed_at = max(last_accessed_at, ?2), \
             agent_session = coalesce(?3, agent_session), message_count = message_count + ?4, \
             message_bytes = message_bytes + ?5, input_tokens = input_tokens + ?6, output_tokens = output_tokens + ?7, \
             cache_read_input_tokens = cache_read_input_tokens + ?8, \
             cache_creation_input_tokens = cache_creation_input_tokens + ?9, cost_usd = round(cost_usd + ?10, 9), \
             context = coalesce(?11, context) where session_id = +?1";
        self.sql.execute(
            CLOSE,
            &[
                Value::Text(session_id.as_str()),
                Value::Integer(now.get()),
                sdk_session.map(SdkSession::as_str).into(),
                Value::Integer(i64::from(answer_bytes.is_some())),
                Value::Integer(bytes(answer_bytes.unwrap_or(0))),
                tokens(usage.input_tokens),
                tokens(usage.output_tokens),
                tokens(usage.cache_read_input_tokens),
                tokens(usage.cache_creation_input_tokens),
                Value::Real(usage.cost_usd),
                context.into(),
            ],
        )?;
        self.count(0, i64::from(answer_bytes.is_some()));
        Ok(())
    }

    /// Counts as an access, unless one was recorded within [`ACCESS_RESOLUTION`].
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn touch(&self, session_id: &SessionId, now: Millis) -> Result<(), StoreError> {
        const TOUCH: &str =
            "update conversations set last_accessed_at = ?2 where session_id = +?1 and last_accessed_at <= ?3";
        let values = [
            Value::Text(session_id.as_str()),
            Value::Integer(now.get()),
            Value::Integer(now.minus(ACCESS_RESOLUTION).get()),
        ];
        Ok(self.sql.execute(TOUCH, &values)?)
    }

    /// Sets title and metadata; what is `None` stays. Counts as an access.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn update_conversation(
        &self,
        session_id: &SessionId,
        title: Option<&Title>,
        metadata: Option<&str>,
        now: Millis,
    ) -> Result<(), StoreError> {
        const UPDATE: &str = "update conversations set title = coalesce(?2, title), metadata = coalesce(?3, metadata), \
             last_accessed_at = max(last_accessed_at, ?4) where session_id = +?1";
        let values = [
            Value::Text(session_id.as_str()),
            title.map(Title::as_str).into(),
            metadata.into(),
            Value::Integer(now.get()),
        ];
        Ok(self.sql.execute(UPDATE, &values)?)
    }

    /// Deletes a conversation with its messages, turns and transcript. Returns its SDK session, if it had one.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn delete_conversation(&self, session_id: &SessionId) -> Result<Option<SdkSession>, StoreError> {
        const TURNS: &str = "delete from turns where turn_id in (select turn_id from messages where session_id = +?1)";
        const CONVERSATION: &str =
            "delete from conversations where session_id = +?1 returning agent_session, message_count";
        let id = [Value::Text(session_id.as_str())];
        self.cache.forget_active();
        self.cache.next_expiry.set(NextExpiry::Unknown);
        let ids = json(&[session_id])?;
        self.doom_files_of(&ids)?;
        self.forget_deliveries_of(&ids)?;
        self.sql.execute(TURNS, &id)?;
        let Some(mut row) = self.sql.first(CONVERSATION, &id)? else { return Ok(None) };
        self.count(-1, -row.integer(1)?);
        row.opt_text(0)?.map(sdk_session).transpose()
    }
}

fn conversation_from(mut row: Row) -> Result<Conversation, StoreError> {
    let metadata = row.text(7)?;
    Ok(Conversation {
        session_id: session_id(row.text(0)?)?,
        sdk_session: row.opt_text(1)?.map(sdk_session).transpose()?,
        title: row.text(2)?,
        created_at: Millis::new(row.integer(3)?),
        last_accessed_at: Millis::new(row.integer(4)?),
        message_count: row.count(5)?,
        message_bytes: row.count(6)?,
        metadata: serde_json::from_str(&metadata).map_err(|e| unreadable("metadata", &e))?,
        usage: Usage {
            input_tokens: row.count(8)?,
            output_tokens: row.count(9)?,
            cache_read_input_tokens: row.count(10)?,
            cache_creation_input_tokens: row.count(11)?,
            cost_usd: row.real(12)?,
        },
    })
}

pub(super) fn unreadable(what: &'static str, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unreadable { what, value: why.to_string() }
}

pub(super) fn session_id(text: String) -> Result<SessionId, StoreError> {
    text.try_into().map_err(|e| unreadable("session_id", &e))
}

pub(crate) fn sdk_session(text: String) -> Result<SdkSession, StoreError> {
    text.try_into().map_err(|e| unreadable("agent_session", &e))
}

fn bytes(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn tokens(n: u64) -> Value<'static> {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}
