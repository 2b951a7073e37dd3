//! The two transactions of a turn: its admission and its end. Each writes all of it or nothing.

use super::items::inline;
use super::sql::Sql;
use super::turns::{LastEvents, NewTurn, TurnEnd, WithEnd};
use super::usage::LedgerEntry;
use super::workspaces::FilesEnd;
use super::{Store, StoreError, json};
use crate::domain::{
    AccountId, Block, ContextUse, IdempotencyKey, Message, Millis, RequestId, Role, SdkSession, SessionId, Title, Turn,
    TurnId, TurnOptions,
};

/// The place of a query that makes its conversation.
pub const FIRST_SEQ: i64 = 1;

/// A turn that is admitted, with its query.
pub struct Admission<'a> {
    /// The account, which is written with its first turn.
    pub account_id: &'a AccountId,
    /// The turn's id.
    pub turn_id: &'a TurnId,
    /// Its conversation; a new one if it is unknown.
    pub session_id: &'a SessionId,
    /// The title of a new conversation.
    pub title: &'a Title,
    /// What the user said.
    pub prompt: &'a str,
    /// Its blocks, if some of them are no words.
    pub content: Option<&'a [Block]>,
    /// What was asked of the agent.
    pub options: &'a TurnOptions,
    /// The request that made it.
    pub request_id: &'a RequestId,
    /// The caller's key and the hash of the request it came with.
    pub idempotency: Option<(&'a IdempotencyKey, &'a str)>,
    /// The moment of the admission.
    pub now: Millis,
    /// Its place in the queue: those that have it and those behind move by one. Behind every other turn if absent.
    pub queue_position: Option<i64>,
    /// Whether it starts at once.
    pub starts: bool,
    /// The agent server that it is given to, if it starts and that is known.
    pub instance: Option<&'a str>,
}

/// The end of a turn, with all that is stored of it.
pub struct Finished<'a> {
    /// The turn's id.
    pub turn_id: &'a TurnId,
    /// How it ended.
    pub end: TurnEnd<'a>,
    /// The answer, of a turn that has one.
    pub answer: Option<&'a str>,
    /// The lines of its transcript that are not stored yet.
    pub transcript: &'a str,
    /// The SDK's session, if the agent has said it.
    pub sdk_session: Option<&'a SdkSession>,
    /// What it did, as JSON values with commas in between; empty if that is its answer alone.
    pub items: &'a str,
    /// How full the model's context is, if the agent has said it.
    pub context: Option<ContextUse>,
    /// Whether its idempotency key may make another turn.
    pub frees_key: bool,
    /// Whether the turn has waited for somebody: what it still waits for is cancelled, and some of its items are stored already.
    pub has_waited: bool,
    /// The queued turns whose messages it took in: they end as it does.
    pub steered: &'a [TurnId],
    /// Its conversation, and what becomes of its files; absent where files are not saved.
    pub files: Option<(&'a SessionId, FilesEnd<'a>)>,
    /// What is added to the ledger.
    pub usage: &'a LedgerEntry,
}

impl<S: Sql> Store<S> {
    /// Stores a turn and its query. Returns the query's place in the conversation.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement, for instance for a key that is stored already.
    pub fn admit(&self, turn: &Admission<'_>) -> Result<i64, StoreError> {
        self.transaction(|| {
            self.remember_account(turn.account_id)?;
            let queue_position = match turn.queue_position {
                Some(place) => self.make_room_in_queue(place)?,
                None => self.active_turns()?.last().map_or(0, |last| last.queue_position) + 1,
            };
            let seq = self.reserve_turn(turn.session_id, turn.title, turn.prompt.len(), turn.now)?;
            self.insert_message(turn.session_id, &message(seq, turn.turn_id, Role::User, turn.prompt, turn.now))?;
            if let Some(content) = turn.content {
                self.insert_content(turn.session_id, turn.turn_id, content)?;
            }
            self.insert_turn(&NewTurn {
                turn_id: turn.turn_id,
                session_id: turn.session_id,
                seq,
                queue_position,
                request_id: turn.request_id,
                idempotency: turn.idempotency,
                options: turn.options,
                created_at: turn.now,
                started_at: turn.starts.then_some(turn.now),
                instance: turn.instance.filter(|_| turn.starts),
            })?;
            Ok(seq)
        })
    }

    /// Stores the end of a turn. Returns the turn as it has ended, or as it is stored if it had ended before; none if it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn finish(&self, finished: &Finished<'_>) -> Result<Option<Turn>, StoreError> {
        let Finished {
            turn_id,
            end,
            answer,
            transcript,
            sdk_session,
            items,
            context,
            frees_key,
            steered,
            files,
            has_waited,
            usage,
        } = finished;
        let context = context.as_ref().map(json).transpose()?;
        self.transaction(|| {
            // What was used was used, whether or not the turn is still there.
            self.add_usage(usage)?;
            let Some(session_id) = self.session_of_active(turn_id)? else { return self.turn(turn_id) };
            let files = match files {
                Some((session_id, files)) => self.end_files(session_id, files, end.finished_at)?,
                None => None,
            };
            let files = if *has_waited { self.files_by_now(&session_id, turn_id, files)? } else { files };
            // The turn's end names the last row of it.
            self.append_transcript(&session_id, transcript)?;
            let with = WithEnd { files: files.as_ref(), items: inline(items).filter(|_| !has_waited) };
            let ended = self.end_turn_with(turn_id, end, &with)?;
            let Some((mut ended, seq)) = ended else { return self.turn(turn_id) };
            self.end_steered(steered, turn_id, end, *frees_key)?;
            if *frees_key {
                self.free_key(turn_id)?;
            }
            if let Some(answer) = answer {
                let answer = message(seq + 1, turn_id, Role::Assistant, answer, end.finished_at);
                self.insert_message(&ended.session_id, &answer)?;
                ended.response = Some(answer.content);
            }
            self.tell_end(&ended)?;
            self.end_run(&ended)?;
            if *has_waited {
                self.cancel_actions_of(turn_id, end.finished_at)?;
                self.append_items(&ended.session_id, turn_id, items)?;
            } else {
                self.insert_items(&ended.session_id, turn_id, items)?;
            }
            self.record_turn_end(
                &ended.session_id,
                *sdk_session,
                answer.map(str::len),
                end.usage.unwrap_or_default(),
                context.as_deref(),
                end.finished_at,
            )?;
            Ok(Some(ended))
        })
    }
}

impl<S: Sql> Store<S> {
    /// Ends a turn that was still waiting. Returns the turn as it has ended; none if it had ended before or is gone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn end_waiting(&self, turn_id: &TurnId, end: &TurnEnd<'_>) -> Result<Option<Turn>, StoreError> {
        self.transaction(|| {
            let Some((ended, _)) = self.end_turn(turn_id, end)? else { return Ok(None) };
            self.tell_end(&ended)?;
            Ok(Some(ended))
        })
    }
}

impl<S: Sql> Store<S> {
    /// Ends a turn that waited without a process. Returns the turn as it has ended, and the number of that event; none if it had ended before or
    /// is gone.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn end_parked(
        &self,
        turn_id: &TurnId,
        end: &TurnEnd<'_>,
        steered: &[TurnId],
    ) -> Result<Option<(Turn, u64)>, StoreError> {
        let behind = self.behind(turn_id)?;
        let spent = behind.spent;
        // The events of its files come right before it.
        let changed = self.files_of(turn_id)?.map_or(0, |files| files.changed.len() as u64);
        let last = behind.first_n + changed + 1;
        let end = TurnEnd {
            status: end.status,
            error: end.error,
            finished_at: end.finished_at,
            model: None,
            counted: None,
            stop_reason: None,
            usage: spent.usage,
            num_turns: spent.usage.map(|_| spent.num_turns),
            duration_ms: spent.usage.map(|_| spent.duration_ms),
            by_model: Some(&spent.by_model).filter(|models| models.len() > 1),
            last_events: LastEvents { message: 0, end: last },
        };
        let ended = self.finish(&Finished {
            turn_id,
            end,
            answer: None,
            transcript: "",
            sdk_session: None,
            items: "",
            context: None,
            frees_key: false,
            has_waited: true,
            steered,
            files: None,
            usage: &LedgerEntry::default(),
        })?;
        Ok(ended.map(|ended| (ended, last)))
    }
}

fn message(seq: i64, turn_id: &TurnId, role: Role, content: &str, timestamp: Millis) -> Message {
    Message { seq, turn_id: turn_id.clone(), role, content: content.to_owned(), timestamp }
}
