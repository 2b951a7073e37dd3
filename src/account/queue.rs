//! The account's queue of turns: who is admitted, who runs when, who is stopped.

use std::rc::Rc;

use super::chat::replace::Replaced;
use super::command::{AnswerForm, StartTurn};
use super::error::AccountError;
use super::feed::ConversationChange;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::turn::run;
use super::turn::wait::Wait;
use super::{Account, Response};
use crate::agent::Container;
use crate::domain::content::check;
use crate::domain::{
    IdempotencyKey, Include, Millis, RawJson, RequestId, SessionId, Turn, TurnId, TurnKind, TurnStatus, WhenBusy,
};
use crate::store::sql::Sql;
use crate::store::transactions::{Admission, FIRST_SEQ};
use crate::store::turns::{ActiveTurn, TurnWork};

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(super) fn start_turn(
        self: &Rc<Self>,
        start: &StartTurn,
        in_place_of: Option<&Replaced>,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        // A request that is sent again may have made its turn before the object was reset.
        let made = if again { self.store.turn_by_request(request_id)? } else { None };
        let made = made.map_or_else(|| self.turn_of_chat(start), |turn_id| Ok(Some(turn_id)))?;
        let (turn_id, admitted, replayed) = if let Some(turn_id) = made {
            (turn_id, false, false)
        } else {
            let (turn_id, replayed) = self.admit(start, in_place_of, request_id, now)?;
            (turn_id, !replayed, replayed)
        };
        if admitted {
            let work = TurnWork {
                prompt: start.prompt.clone(),
                content: start.content.as_ref().and_then(RawJson::of),
                options: start.options.clone(),
                frames_stored: 0,
                instance: self.agent.ready_instance(),
            };
            self.pump_with(Some((&turn_id, work)), None)?;
            self.tell_if_queued(&turn_id)?;
            self.register_soon()?;
            self.tell_active(now)?;
            self.erased.set(false);
            self.set_alarm()?;
        }
        self.answer_of(turn_id, (start.answer, start.include), admitted, replayed)
    }

    /// The response to whoever asks for a turn: one that was `admitted` now, or that an earlier request had made.
    pub(super) fn answer_of(
        self: &Rc<Self>,
        turn_id: TurnId,
        (answer, include): (AnswerForm, Include),
        admitted: bool,
        replayed: bool,
    ) -> Result<Response<S::Json>, AccountError> {
        self.answer_from(turn_id, (answer, include), (0, admitted), replayed)
    }

    /// The same, with the turn's events after the `after`-th.
    pub(super) fn answer_from(
        self: &Rc<Self>,
        turn_id: TurnId,
        (answer, include): (AnswerForm, Include),
        (after, admitted): (u64, bool),
        replayed: bool,
    ) -> Result<Response<S::Json>, AccountError> {
        match answer {
            AnswerForm::Accepted => {
                Ok(Response::Ready(Reply::Accepted { turn: Box::new(self.turn(&turn_id)?), replayed }))
            }
            AnswerForm::Chat => Ok(Response::Ready(self.follow_chat(&turn_id, admitted, None)?)),
            AnswerForm::Events => Ok(Response::Ready(self.follow(&turn_id, after, include, replayed)?)),
            AnswerForm::Json => {
                // One that was admitted now has not ended.
                let ended =
                    if admitted { None } else { Some(self.turn(&turn_id)?).filter(|turn| turn.status.is_end()) };
                if let Some(turn) = ended {
                    return Ok(Response::Ready(Reply::Answer { turn: Box::new(turn), replayed }));
                }
                if !admitted && let Some(turn) = self.waiting_turn(&turn_id)? {
                    return Ok(Response::Ready(self.requires_action(turn, replayed)?));
                }
                let end = self.turns.wait(turn_id);
                let end = end.ok_or(AccountError::TooManyWait)?;
                // It must not keep the object's memory alive: with that, the request ends.
                let account = Rc::downgrade(self);
                Ok(Response::Deferred(Box::pin(async move {
                    let turn = Turn::clone(&*end.await.map_err(|_| AccountError::EndUnseen)?);
                    if turn.status == TurnStatus::RequiresAction {
                        let account = account.upgrade().ok_or(AccountError::EndUnseen)?;
                        return account.requires_action(turn, replayed);
                    }
                    Ok(Reply::Answer { turn: Box::new(turn), replayed })
                })))
            }
        }
    }

    fn requires_action(&self, turn: Turn, replayed: bool) -> Result<Reply<S::Json>, AccountError> {
        let actions = self.store.pending_of(&turn.turn_id)?;
        Ok(Reply::RequiresAction { turn: Box::new(turn), actions, replayed })
    }

    /// Stores a turn, or finds the one that its key made; nothing comes between the two. What it takes the place of goes in the same transaction.
    fn admit(
        self: &Rc<Self>,
        start: &StartTurn,
        in_place_of: Option<&Replaced>,
        request_id: &RequestId,
        now: Millis,
    ) -> Result<(TurnId, bool), AccountError> {
        if let Some(turn_id) = self.turn_of_key(start.idempotency.as_ref())? {
            return Ok((turn_id, true));
        }
        let session_id = start.session_id.clone().unwrap_or_else(|| SessionId::generate(now, self.runtime.uuid()));
        if start.options.kind == TurnKind::Compact && self.store.conversation(&session_id)?.is_none() {
            return Err(AccountError::NotFound);
        }
        let active = self.store.active_turns()?;
        let when_busy = start.options.when_busy;
        self.refuse_if_pending(&session_id, &active, when_busy)?;
        if when_busy == WhenBusy::Reject && active.iter().any(|turn| turn.session_id == session_id) {
            return Err(AccountError::ConversationBusy);
        }
        let limits = self.limits()?;
        self.check_admission(&limits, active.len(), now)?;
        let queued = self.refuse_if_full()?;
        // What is parked there gives its place up, but only to a query that nothing refuses.
        let active: Vec<ActiveTurn> = if when_busy == WhenBusy::Interrupt {
            active.into_iter().filter(|turn| !self.is_parked_in(&session_id, turn)).collect()
        } else {
            active
        };
        let starts_now = queued == 0 && self.has_room_for(&session_id, &active)?;
        if !starts_now && queued >= limits.queued_turns as usize {
            return Err(AccountError::QueueFull { depth: queued });
        }
        if let Some(content) = &start.content {
            let held =
                in_place_of.map_or_else(|| self.store.attachment_bytes(&session_id), |it| Ok(it.attachment_bytes))?;
            check(content, held)?;
        }
        if when_busy == WhenBusy::Interrupt {
            self.end_parked_of(&session_id, None)?;
        }
        let turn_id = TurnId::new(self.runtime.uuid());
        let queue_position =
            if when_busy == WhenBusy::Interrupt { place_of_interruption(&session_id, &active) } else { None };
        let instance = self.agent.ready_instance();
        let admission = Admission {
            account_id: &self.id,
            turn_id: &turn_id,
            session_id: &session_id,
            title: &start.title,
            prompt: &start.prompt,
            content: start.content.as_deref(),
            options: &start.options,
            request_id,
            idempotency: start.idempotency.as_ref().map(|(key, hash)| (key, hash.as_str())),
            now,
            queue_position,
            starts: starts_now,
            instance: instance.as_deref(),
        };
        let seq = match in_place_of {
            Some(replaced) => self.admit_in_place(&admission, replaced)?,
            None => self.store.admit(&admission)?,
        };
        if seq == FIRST_SEQ {
            self.feed.conversation(&session_id, ConversationChange::Created, Some(start.title.as_str()));
        }
        let running = self.turns.turn_of(&session_id);
        match (when_busy, running) {
            (WhenBusy::Interrupt, Some(running)) => self.turns.cancel(&running, None),
            (WhenBusy::Steer, Some(running)) if self.turns.sdk_session_of(&running).is_some() => {
                self.offer(&running, vec![turn_id.clone()]);
            }
            (WhenBusy::Queue | WhenBusy::Reject | WhenBusy::Steer, Some(_)) | (_, None) => {}
        }
        Ok((turn_id, false))
    }

    /// The turn that a key made with the same request, if it made any.
    pub(super) fn turn_of_key(
        &self,
        idempotency: Option<&(IdempotencyKey, String)>,
    ) -> Result<Option<TurnId>, AccountError> {
        let Some((key, hash)) = idempotency else { return Ok(None) };
        match self.store.turn_by_key(key)? {
            Some((turn_id, stored_hash)) if stored_hash == *hash => Ok(Some(turn_id)),
            Some(_) => Err(AccountError::KeyReused),
            None => Ok(None),
        }
    }

    /// How many turns wait, if one more may.
    pub(super) fn refuse_if_full(&self) -> Result<usize, AccountError> {
        let waiting = self.store.active_turns()?.iter().filter(|turn| turn.status == TurnStatus::Queued).count();
        // One that starts at once needs no place in the queue.
        let is_full = waiting > 0 && waiting >= self.limits()?.queued_turns as usize;
        if is_full { Err(AccountError::QueueFull { depth: waiting }) } else { Ok(waiting) }
    }

    /// Tells the account's feed of a turn that has to wait.
    fn tell_if_queued(&self, turn_id: &TurnId) -> Result<(), AccountError> {
        if self.feed.has_readers() {
            let active = self.store.active_turns()?;
            let queued = active.iter().position(|turn| turn.turn_id == *turn_id && turn.status == TurnStatus::Queued);
            if let Some((at, turn)) = queued.and_then(|at| Some((at, active.get(at)?))) {
                self.feed.turn(turn_id, &turn.session_id, turn.status, at);
            }
        }
        Ok(())
    }

    /// Whether a turn of the conversation may run now. One that was given up is stored as running, and holds its conversation;
    /// one whose conversation was deleted is stored no more; and one that has ended may not have left the container.
    fn has_room_for(&self, session_id: &SessionId, active: &[ActiveTurn]) -> Result<bool, AccountError> {
        Ok(self.has_place()?
            && self.turns.turn_of(session_id).is_none()
            && active.iter().all(|turn| turn.status == TurnStatus::Queued || turn.session_id != *session_id)
            && !self.leaving.borrow().contains(session_id))
    }

    /// A turn that has not ended, as it is stored now.
    fn active_turn(&self, turn_id: &TurnId) -> Result<Option<ActiveTurn>, AccountError> {
        Ok(self.store.active_turns()?.into_iter().find(|turn| turn.turn_id == *turn_id))
    }

    /// Whether one more turn of the account may run.
    pub(super) fn has_place(&self) -> Result<bool, AccountError> {
        Ok(self.turns.running_count() < self.limits()?.concurrency as usize && !self.settings()?.is_suspended())
    }

    /// Refuses a query into a conversation whose turn waits for somebody, unless the query takes its place.
    fn refuse_if_pending(
        &self,
        session_id: &SessionId,
        active: &[ActiveTurn],
        when_busy: WhenBusy,
    ) -> Result<(), AccountError> {
        let waits = |turn: &&ActiveTurn| turn.status == TurnStatus::RequiresAction && turn.session_id == *session_id;
        let Some(turn) = active.iter().find(waits).filter(|_| when_busy != WhenBusy::Interrupt) else { return Ok(()) };
        let actions = self.store.pending_of(&turn.turn_id)?;
        if actions.is_empty() {
            return Ok(());
        }
        Err(AccountError::ActionPending(actions.into_iter().map(|action| action.action_id).collect()))
    }

    /// Whether it is a turn of this conversation that waits without a process.
    pub(super) fn is_parked_in(&self, session_id: &SessionId, turn: &ActiveTurn) -> bool {
        turn.session_id == *session_id && turn.is_parked() && !self.turns.is_running(&turn.turn_id)
    }

    /// Ends the turns of a conversation that wait without a process; returns how many.
    fn end_parked_of(self: &Rc<Self>, session_id: &SessionId, reason: Option<&str>) -> Result<usize, AccountError> {
        let mut ended = 0;
        for turn in self.store.active_turns()? {
            if self.is_parked_in(session_id, &turn) {
                self.end_queued(&turn, reason)?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Starts the turns that may run, in the order of the queue.
    pub(super) fn pump(self: &Rc<Self>) -> Result<(), AccountError> {
        self.pump_others(None)
    }

    /// Starts the turns that may run, except one that has just been given up.
    pub(super) fn pump_others(self: &Rc<Self>, given_up: Option<&TurnId>) -> Result<(), AccountError> {
        self.pump_with(None, given_up)
    }

    /// Starts the turns that may run. `admitted` is a turn that has just been stored, with its work, which then need not be read.
    fn pump_with(
        self: &Rc<Self>,
        mut admitted: Option<(&TurnId, TurnWork)>,
        given_up: Option<&TurnId>,
    ) -> Result<(), AccountError> {
        for turn in self.store.active_turns()? {
            let known = self.turns.is_running(&turn.turn_id) || given_up == Some(&turn.turn_id);
            if turn.status == TurnStatus::Running && !known {
                let work = admitted.take_if(|(turn_id, _)| **turn_id == turn.turn_id).map(|(_, work)| work);
                self.launch(turn, run::Entry::Submit, work);
            } else if turn.is_parked() && !known {
                if self.resume_if_decided(&turn)?
                    && let Some(resumed) = self.active_turn(&turn.turn_id)?
                {
                    self.launch(resumed, run::Entry::Submit, None);
                }
            } else if turn.status == TurnStatus::RequiresAction && known {
                self.go_on_if_decided(&turn)?;
            } else if turn.status == TurnStatus::RequiresAction {
                self.launch(turn, run::Entry::Reattach, None);
            } else if turn.status == TurnStatus::Queued
                && self.has_room_for(&turn.session_id, &self.store.active_turns()?)?
            {
                let now = self.runtime.now();
                self.store.start_turn(&turn.turn_id, now, self.agent.ready_instance().as_deref())?;
                let started = ActiveTurn { started_at: Some(now), status: TurnStatus::Running, ..turn };
                self.launch(started, run::Entry::Submit, None);
            }
        }
        Ok(())
    }

    pub(super) fn launch(self: &Rc<Self>, turn: ActiveTurn, entry: run::Entry, work: Option<TurnWork>) {
        let signals = self.turns.launch(&turn.turn_id, &turn.session_id, Wait::of(&turn));
        if work.is_none() {
            self.take_up_counts(&turn.turn_id);
        }
        self.feed.turn(&turn.turn_id, &turn.session_id, turn.status, 0);
        self.runtime.spawn(Rc::clone(self).run(turn, entry, work, signals));
    }

    /// Ends the queued turns of a conversation and asks the running ones to end; returns how many.
    pub(super) fn stop_turns_of(
        self: &Rc<Self>,
        session_id: &SessionId,
        reason: Option<&str>,
    ) -> Result<usize, AccountError> {
        let mut stopped = self.end_parked_of(session_id, reason)?;
        for turn in self.store.active_turns()?.into_iter().filter(|turn| turn.session_id == *session_id) {
            stopped += 1;
            if turn.status == TurnStatus::Queued {
                self.end_queued(&turn, reason)?;
            } else {
                self.turns.cancel(&turn.turn_id, reason);
            }
        }
        Ok(stopped)
    }
}

/// Where a query that interrupts its conversation's turn goes in the queue: before every turn that waits, since it takes the place of one
/// that runs or is held; if there is none, before those of its conversation. None if it has nobody to pass.
fn place_of_interruption(session_id: &SessionId, active: &[ActiveTurn]) -> Option<i64> {
    let of_conversation = |turn: &&ActiveTurn| turn.session_id == *session_id;
    let interrupts = active.iter().filter(of_conversation).any(|turn| turn.status != TurnStatus::Queued);
    let mut queued = active.iter().filter(|turn| turn.status == TurnStatus::Queued);
    queued.find(|turn| interrupts || of_conversation(turn)).map(|turn| turn.queue_position)
}
