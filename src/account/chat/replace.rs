//! A message in the place of another. The conversation goes back to before that one in the transaction that admits the new one: as long as anything
//! refuses the new message, nothing of the conversation is deleted.

use std::rc::Rc;

use crate::account::branches::command::NoBranch;
use crate::account::branches::{end_of, state_after};
use crate::account::command::{Command, Envelope, StartTurn};
use crate::account::error::AccountError;
use crate::account::feed::ConversationChange;
use crate::account::runtime::{Directory, Runtime};
use crate::account::{Account, Response};
use crate::agent::Container;
use crate::domain::content::check;
use crate::domain::{Block, ChatMessageId, Millis, RequestId, SessionId, TurnId, TurnStatus};
use crate::store::branches::{Branch, EndedTurn};
use crate::store::sql::Sql;
use crate::store::transactions::Admission;
use crate::store::turns::ActiveTurn;

/// What goes when a message takes the place of another.
pub struct Replaced {
    /// The state of the conversation before that message.
    pub branch: Branch,
    /// The turn of that message, and those that came after it.
    pub removed: Vec<TurnId>,
    /// Bytes of attachments in that state.
    pub attachment_bytes: u64,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Starts a turn. If it takes the place of another one, the open turns of the conversation are stopped first: whoever asks something else in
    /// the place of a question wants no answer to it.
    pub(in crate::account) fn start_in_place(
        self: &Rc<Self>,
        start: Box<StartTurn>,
        request_id: RequestId,
        again: bool,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        let replaced = self.turn_replaced(start.session_id.as_ref(), start.replaced_message())?;
        let Some((session_id, turn_id)) = replaced else {
            return self.start_turn(&start, None, &request_id, again, now);
        };
        let is_made = self.turn_of_key(start.idempotency.as_ref())?.is_some()
            || again && self.store.turn_by_request(&request_id)?.is_some();
        if is_made {
            return self.start_turn(&start, None, &request_id, again, now);
        }
        self.check_replacement(session_id, &turn_id, start.content.as_deref(), now)?;
        let running = self.turns.turn_of(session_id);
        let end = running.map(|running| self.turns.wait(running).ok_or(AccountError::TooManyWait)).transpose()?;
        self.stop_turns_of(session_id, None)?;
        let Some(end) = end else {
            if self.store.active_turns()?.iter().any(|turn| turn.session_id == *session_id) {
                return Err(AccountError::ConversationBusy);
            }
            let replaced = self.replaced(session_id, &turn_id)?;
            return self.start_turn(&start, Some(&replaced), &request_id, again, now);
        };
        let account = Rc::clone(self);
        Ok(Response::Deferred(Box::pin(async move {
            end.await.map_err(|_| AccountError::EndUnseen)?;
            // What was checked may have changed meanwhile.
            match account.handle(Envelope { request_id, command: Command::StartTurn(start), again: true })? {
                Response::Ready(reply) => Ok(reply),
                Response::Deferred(reply) => reply.await,
            }
        })))
    }

    /// The turn of the message that is to be replaced, with its conversation; none if there is no such message.
    pub(in crate::account) fn turn_replaced<'a>(
        &self,
        session_id: Option<&'a SessionId>,
        message: Option<&ChatMessageId>,
    ) -> Result<Option<(&'a SessionId, TurnId)>, AccountError> {
        let (Some(session_id), Some(message)) = (session_id, message) else { return Ok(None) };
        Ok(self.turn_of_message(session_id, message)?.map(|turn_id| (session_id, turn_id)))
    }

    /// Refuses a message for which there is no room in the place of another. Returns the bytes of attachments that are left before it.
    pub(in crate::account) fn check_replacement(
        &self,
        session_id: &SessionId,
        turn_id: &TurnId,
        content: Option<&[Block]>,
        now: Millis,
    ) -> Result<u64, AccountError> {
        let replaced = self.replaced(session_id, turn_id)?;
        self.need_files(session_id, &replaced.branch)?;
        let active = self.store.active_turns()?;
        let (own, others): (Vec<_>, Vec<_>) = active.iter().partition(|turn| turn.session_id == *session_id);
        let is_queued = |turn: &&&ActiveTurn| turn.status == TurnStatus::Queued;
        // Turns of the conversation that have begun count for the day, and those that wait in the queue never will.
        let begun = own.iter().filter(|turn| !is_queued(turn)).count();
        let limits = self.limits()?;
        self.check_admission(&limits, others.len() + begun, now)?;
        let queued = others.iter().filter(is_queued).count();
        let runs = |turn_id: &TurnId| self.turns.takes_place(turn_id);
        let gives_place = usize::from(self.turns.turn_of(session_id).as_ref().is_some_and(runs));
        let starts = queued == 0 && self.turns.running_count() - gives_place < limits.concurrency as usize;
        if !starts && queued >= limits.queued_turns as usize {
            return Err(AccountError::QueueFull { depth: queued });
        }
        if let Some(content) = content {
            check(content, replaced.attachment_bytes)?;
        }
        Ok(replaced.attachment_bytes)
    }

    /// What the message of a turn can be replaced with, as if all turns of the conversation had ended.
    fn replaced(&self, session_id: &SessionId, turn_id: &TurnId) -> Result<Replaced, AccountError> {
        let seq_of = |turn_id: &TurnId| self.store.seq_of(session_id, turn_id)?.ok_or(AccountError::NotFound);
        let seq = seq_of(turn_id)?;
        let mut turns = self.store.ended_turns(session_id)?;
        for turn in self.store.active_turns()?.into_iter().filter(|turn| turn.session_id == *session_id) {
            let seq = seq_of(&turn.turn_id)?;
            let ran = turn.status != TurnStatus::Queued;
            // Its transcript is that of its end.
            let transcript_seq = Some(i64::MAX);
            let turn_id = turn.turn_id;
            turns.push(EndedTurn { turn_id, seq, ran, transcript_seq, files_version: None, steered_into: None });
        }
        let (branch, removed) = before_message(&turns, seq)?;
        let attachment_bytes = self.store.attachment_bytes_of(session_id, &branch)?.unwrap_or(0);
        Ok(Replaced { branch, removed, attachment_bytes })
    }

    /// Stores a turn in the place of others.
    pub(in crate::account) fn admit_in_place(
        self: &Rc<Self>,
        admission: &Admission<'_>,
        replaced: &Replaced,
    ) -> Result<i64, AccountError> {
        let session_id = admission.session_id;
        let left = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        let new_session = self.new_sdk_session()?;
        let seq = self.store.transaction(|| {
            self.store.rewind(session_id, &replaced.branch, &replaced.removed, &new_session, admission.now)?;
            self.store.admit(admission)
        })?;
        self.leave_session(session_id, left.sdk_session);
        self.feed.conversation(session_id, ConversationChange::Updated, Some(&left.title));
        Ok(seq)
    }
}

/// The state before the message at `seq`, and the turns that go with it. `turns` stand in the order of their ends, as their transcripts do. One that
/// did not run has no transcript, and stays if its message is an earlier one.
fn before_message(turns: &[EndedTurn], seq: i64) -> Result<(Branch, Vec<TurnId>), NoBranch> {
    let ran = |turn: &EndedTurn| turn.ran || turn.steered_into.is_some();
    let later = turns.iter().enumerate().filter(|(_, turn)| turn.seq >= seq && ran(turn));
    let cut = later.map(|(at, turn)| end_of(turns, at, turn)).min().unwrap_or(turns.len());
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    for (at, turn) in turns.iter().enumerate() {
        if turn.seq < seq && (!ran(turn) || end_of(turns, at, turn) < cut) {
            kept.push(turn.clone());
        } else {
            removed.push(turn.turn_id.clone());
        }
    }
    Ok((state_after(kept)?, removed))
}
