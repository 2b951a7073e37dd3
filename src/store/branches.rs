//! Branches of a conversation: a state that it had at the end of one of its turns, copied into a new conversation or gone back to.
//! Bytes of files are not copied: both conversations then name the same objects.

use super::conversations::unreadable;
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError, integer, json};
use crate::domain::content::sent_bytes;
use crate::domain::{Block, Millis, RequestId, SdkSession, SessionId, Title, TurnId};

/// Most turns that one statement copies or deletes: their ids are one bound value.
const TURNS_AT_ONCE: usize = 1_000;

/// A turn that has ended, as far as a branch depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedTurn {
    /// Its id.
    pub turn_id: TurnId,
    /// The place of its query among the conversation's messages.
    pub seq: i64,
    /// Whether it ran: one that was cancelled in the queue, or that another took in, did not.
    pub ran: bool,
    /// The last row of the transcript at its end; none if it did not run, or ended before this was stored.
    pub transcript_seq: Option<i64>,
    /// The version of the files at its end; none if it told of none.
    pub files_version: Option<u64>,
    /// The turn that took its query in.
    pub steered_into: Option<TurnId>,
}

/// A state that a conversation had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// The turns that had ended.
    pub turns: Vec<EndedTurn>,
    /// The last row of the transcript; all rows if absent.
    pub transcript_seq: Option<i64>,
    /// The version of the files; the current one if absent.
    pub files_version: Option<u64>,
}

/// A conversation that is made of another's state.
pub struct Fork<'a> {
    /// The conversation that has it.
    pub source: &'a SessionId,
    /// The state.
    pub branch: &'a Branch,
    /// The new conversation.
    pub session_id: &'a SessionId,
    /// Its title; the other's if absent.
    pub title: Option<&'a Title>,
    /// Its SDK session, if there is a transcript to go on from.
    pub sdk_session: &'a SdkSession,
    /// The request that makes it, and with it its turns.
    pub request_id: &'a RequestId,
    /// The ids of its turns, in the order of the branch's.
    pub turn_ids: &'a [TurnId],
    /// Most bytes of index that are copied of older versions of the files.
    pub max_index_bytes: u64,
    /// When.
    pub now: Millis,
}

impl<S: Sql> Store<S> {
    /// A conversation's turns that have ended, in the order in which they did.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn ended_turns(&self, session_id: &SessionId) -> Result<Vec<EndedTurn>, StoreError> {
        const ENDED: &str = "select turns.turn_id, turns.seq, started_at is not null, transcript_seq, files ->> '$.version', steered_into \
             from messages join turns using (turn_id) where messages.session_id = +?1 and part = 0 and role = 'user' \
             and finished_at is not null order by finished_at, turns.seq";
        let rows = self.sql.query(ENDED, &[Value::Text(session_id.as_str())])?;
        rows.into_iter().map(ended_turn).collect()
    }

    /// Bytes of the transcript up to a row, and of what is told of the conversation's turns.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn bytes_of_branch(&self, session_id: &SessionId, branch: &Branch) -> Result<u64, StoreError> {
        const BYTES: &str = "select (select coalesce(sum(octet_length(lines)), 0) from transcripts where session_id = +?1 and seq <= ?2) \
             + (select coalesce(sum(octet_length(items)), 0) from turn_items where session_id = +?1) \
             + (select coalesce(sum(octet_length(content)), 0) from turn_content where session_id = +?1) \
             + (select message_bytes from conversations where session_id = +?1)";
        let values = [Value::Text(session_id.as_str()), last_row(branch)];
        self.sql.first(BYTES, &values)?.map_or(Ok(0), |row| Ok(row.count(0)?))
    }

    /// Makes a conversation of another's state. What it uses is counted from nothing: the turns that it begins with were paid for elsewhere. What waits in
    /// the other's inbox is not copied.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, for instance because the new conversation is there already.
    pub fn fork(&self, fork: &Fork<'_>) -> Result<(), StoreError> {
        self.transaction(|| {
            let from = Value::Text(fork.source.as_str());
            let to = Value::Text(fork.session_id.as_str());
            self.insert_fork(fork)?;
            self.copy_turns(fork)?;
            self.copy_transcript(from, to, last_row(fork.branch))?;
            self.copy_files(fork)?;
            self.count_messages_of_fork(to)
        })
    }

    fn insert_fork(&self, fork: &Fork<'_>) -> Result<(), StoreError> {
        // How full the context was is known of the newest state alone.
        const INSERT: &str = "insert into conversations (session_id, agent_session, title, created_at, last_accessed_at, next_seq, metadata, \
             context, attachment_bytes) select ?2, iif(exists (select 1 from transcripts where session_id = +?1 and seq <= ?8), ?3, null), coalesce(?4, title), ?5, ?5, ?6, metadata, iif(?7, null, context), coalesce(?9, attachment_bytes) \
             from conversations where session_id = +?1";
        let next_seq = fork.branch.turns.iter().map(|turn| turn.seq).max().unwrap_or(0) + 2;
        let values = [
            Value::Text(fork.source.as_str()),
            Value::Text(fork.session_id.as_str()),
            Value::Text(fork.sdk_session.as_str()),
            fork.title.map(Title::as_str).into(),
            Value::Integer(fork.now.get()),
            Value::Integer(next_seq),
            Value::Integer(i64::from(fork.branch.transcript_seq.is_some())),
            last_row(fork.branch),
            self.attachment_bytes_of(fork.source, fork.branch)?.map_or(Value::Null, integer),
        ];
        Ok(self.sql.execute(INSERT, &values)?)
    }

    /// Copies the turns under new ids, with their messages, items and content.
    fn copy_turns(&self, fork: &Fork<'_>) -> Result<(), StoreError> {
        macro_rules! copy {
            ($into:expr, $columns:expr, $from:expr) => {
                concat!(
                    "with branch (old, new, steered) as materialized \
                     (select value ->> 0, value ->> 1, value ->> 2 from json_each(?1)) insert into ",
                    $into,
                    " select ",
                    $columns,
                    " from branch join ",
                    $from
                )
            };
        }
        const TURNS: &str = copy!(
            "turns (turn_id, session_id, request_id, steered_into, seq, ordinal, status, options, created_at, started_at, finished_at, \
             frames_stored, error, model, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, transcript_seq)",
            "new, ?2, ?3, steered, seq, ordinal, status, options, created_at, started_at, finished_at, \
             frames_stored, error, model, num_turns, duration_ms, message_n, end_n, files, items, stop_reason, transcript_seq",
            "turns on turn_id = old"
        );
        const MESSAGES: &str = copy!(
            "messages (session_id, seq, part, turn_id, role, content, timestamp)",
            "?2, messages.seq, part, new, role, content, timestamp",
            "turns on turns.turn_id = old join messages on messages.session_id = ?3 and messages.turn_id = old \
             and messages.seq between turns.seq and turns.seq + 1"
        );
        const ITEMS: &str = copy!(
            "turn_items (session_id, turn_id, part, items)",
            "?2, new, part, items",
            "turn_items on session_id = ?3 and turn_id = old"
        );
        const CONTENT: &str = copy!(
            "turn_content (session_id, turn_id, part, content)",
            "?2, new, part, content",
            "turn_content on session_id = ?3 and turn_id = old"
        );
        let pairs: Vec<(&TurnId, &TurnId)> =
            fork.branch.turns.iter().map(|turn| &turn.turn_id).zip(fork.turn_ids).collect();
        let new_id = |old: &TurnId| pairs.iter().find(|(known, _)| *known == old).map(|(_, new)| *new);
        let copied = fork.branch.turns.iter().zip(fork.turn_ids);
        let copied: Vec<_> =
            copied.map(|(turn, new)| (&turn.turn_id, new, turn.steered_into.as_ref().and_then(new_id))).collect();
        let (from, to) = (Value::Text(fork.source.as_str()), Value::Text(fork.session_id.as_str()));
        for copied in copied.chunks(TURNS_AT_ONCE) {
            let ids = json(&copied)?;
            let ids = Value::Text(&ids);
            self.sql.execute(TURNS, &[ids, to, Value::Text(fork.request_id.as_str())])?;
            for statement in [MESSAGES, ITEMS, CONTENT] {
                self.sql.execute(statement, &[ids, to, from])?;
            }
        }
        Ok(())
    }

    fn copy_transcript(&self, from: Value<'_>, to: Value<'_>, last: Value<'_>) -> Result<(), StoreError> {
        const COPY: &str = "insert into transcripts (session_id, seq, lines) \
             select ?2, seq, lines from transcripts where session_id = +?1 and seq <= ?3";
        Ok(self.sql.execute(COPY, &[from, to, last])?)
    }

    fn count_messages_of_fork(&self, session_id: Value<'_>) -> Result<(), StoreError> {
        const COUNT: &str = "update conversations set (message_count, message_bytes) = \
             (select count(*) filter (where part = 0), coalesce(sum(octet_length(content)), 0) from messages where session_id = +?1) \
             where session_id = +?1 returning message_count";
        let row = self.sql.first(COUNT, &[session_id])?;
        self.count(1, row.map_or(Ok(0), |row| row.integer(0))?);
        Ok(())
    }

    /// Goes back to a state of the conversation: what came after it is deleted. What was used stays counted. No call runs unasked any more: of a
    /// remembered rule it is not known when it was given.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn rewind(
        &self,
        session_id: &SessionId,
        branch: &Branch,
        removed: &[TurnId],
        new_session: &SdkSession,
        now: Millis,
    ) -> Result<(), StoreError> {
        const TRANSCRIPT: &str = "delete from transcripts where session_id = +?1 and seq > ?2";
        const GO_BACK: &str = "update conversations set agent_session = iif(exists (select 1 from transcripts where session_id = +?1), ?2, null), context = iif(?3, null, context), \
             attachment_bytes = coalesce(?7, attachment_bytes), message_count = message_count - ?4, message_bytes = message_bytes - ?5, \
             last_accessed_at = max(last_accessed_at, ?6), grants = null where session_id = +?1";
        let id = Value::Text(session_id.as_str());
        self.transaction(|| {
            let attachment_bytes = self.attachment_bytes_of(session_id, branch)?.map_or(Value::Null, integer);
            let (messages, bytes) = self.delete_turns(id, removed)?;
            self.sql.execute(TRANSCRIPT, &[id, last_row(branch)])?;
            let values = [
                id,
                Value::Text(new_session.as_str()),
                Value::Integer(i64::from(branch.transcript_seq.is_some())),
                Value::Integer(messages),
                Value::Integer(bytes),
                Value::Integer(now.get()),
                attachment_bytes,
            ];
            self.sql.execute(GO_BACK, &values)?;
            self.count(0, -messages);
            self.rewind_files(session_id, branch.files_version, now)
        })
    }

    /// Bytes of attachments in a state that is not the newest; none of the newest, whose are counted.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, [`StoreError::Unreadable`] if a stored value is not what this version writes.
    pub fn attachment_bytes_of(&self, session_id: &SessionId, branch: &Branch) -> Result<Option<u64>, StoreError> {
        const TURNS: &str = "select turn_id from turn_content where session_id = +?1 and part = 0";
        if branch.transcript_seq.is_none() {
            return Ok(None);
        }
        let mut bytes = 0;
        for mut row in self.sql.query(TURNS, &[Value::Text(session_id.as_str())])? {
            let turn_id = turn_id(row.text(0)?)?;
            if !branch.turns.iter().any(|turn| turn.turn_id == turn_id) {
                continue;
            }
            if let Some(content) = self.content_of(session_id, &turn_id)? {
                let blocks: Vec<Block> = serde_json::from_str(content.get()).map_err(|e| unreadable("content", &e))?;
                bytes += sent_bytes(&blocks);
            }
        }
        Ok(Some(bytes))
    }

    /// Deletes turns that have ended, with their messages, items, content and actions. Returns how many messages, and their bytes.
    fn delete_turns(&self, session_id: Value<'_>, turn_ids: &[TurnId]) -> Result<(i64, i64), StoreError> {
        macro_rules! messages {
            ($head:literal) => {
                concat!(
                    $head,
                    " from messages where session_id = +?1 and turn_id in (select value from json_each(?2)) and seq in \
                     (select seq from turns where turn_id in (select value from json_each(?2)) \
                     union all select seq + 1 from turns where turn_id in (select value from json_each(?2)))"
                )
            };
        }
        const COUNT: &str =
            messages!("select count(*) filter (where part = 0), coalesce(sum(octet_length(content)), 0)");
        const MESSAGES: &str = messages!("delete");
        const ITEMS: &str =
            "delete from turn_items where session_id = +?1 and turn_id in (select value from json_each(?2))";
        const CONTENT: &str =
            "delete from turn_content where session_id = +?1 and turn_id in (select value from json_each(?2))";
        const ACTIONS: &str =
            "delete from actions where session_id = +?1 and turn_id in (select value from json_each(?2))";
        const TURNS: &str = "delete from turns where session_id = +?1 and turn_id in (select value from json_each(?2))";
        let (mut messages, mut bytes) = (0, 0);
        for turn_ids in turn_ids.chunks(TURNS_AT_ONCE) {
            let ids = json(&turn_ids)?;
            let values = [session_id, Value::Text(&ids)];
            if let Some(row) = self.sql.first(COUNT, &values)? {
                messages += row.integer(0)?;
                bytes += row.integer(1)?;
            }
            for statement in [MESSAGES, ITEMS, CONTENT, ACTIONS, TURNS] {
                self.sql.execute(statement, &values)?;
            }
        }
        Ok((messages, bytes))
    }
}

fn turn_id(text: String) -> Result<TurnId, StoreError> {
    text.try_into().map_err(|e| unreadable("turn_id", &e))
}

fn ended_turn(mut row: Row) -> Result<EndedTurn, StoreError> {
    Ok(EndedTurn {
        turn_id: turn_id(row.text(0)?)?,
        seq: row.integer(1)?,
        ran: row.integer(2)? != 0,
        transcript_seq: row.opt_integer(3)?,
        files_version: row.opt_integer(4)?.and_then(|version| u64::try_from(version).ok()),
        steered_into: row.opt_text(5)?.map(turn_id).transpose()?,
    })
}

fn last_row(branch: &Branch) -> Value<'static> {
    Value::Integer(branch.transcript_seq.unwrap_or(i64::MAX))
}
