//! Turns that wait for somebody and keep their process: how one begins to wait, and how it goes on. What it waits for is stored before anybody
//! hears of it, and a decision before the container does. While it waits, its place in the account's queue is free.

use std::rc::Rc;
use std::time::Duration;

use super::events::EventKind;
use super::progress::{NotTaken, Progress};
use super::wait::Wait;
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::continuation::Decided;
use crate::agent::protocol::BadTranscript;
use crate::agent::protocol::action::{ActionAsked, ActionLetGo};
use crate::agent::{AgentError, Container};
use crate::domain::event::ActionResolved;
use crate::domain::{Action, ActionId, ActionStatus, Decision, Millis, Turn, TurnId, TurnStatus};
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;
use crate::store::waiting::Asking;

/// How long a request that waits for the turn's end is not told that it requires action: what the model asks for at once comes within it.
const SETTLE: Duration = Duration::from_millis(30);
/// After so many tries to tell the container a decision, the turn goes on in another one, if that does no harm; else it is told until the turn ends.
const DELIVER_TRIES: u32 = 5;
/// The pause after the first try; it doubles each time, up to the longest.
const FIRST_DELIVER_PAUSE: Duration = Duration::from_millis(100);
const MAX_DELIVER_PAUSE: Duration = Duration::from_secs(5);
/// What the agent is told of a call about which nobody is asked, since too many wait already.
const TOO_MANY: &str = "Too many actions of this account wait for a decision. Ask again later.";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Takes an `action` frame: the question is stored with all that the turn said before, then everyone hears of it.
    pub(super) fn take_action(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        frame: u64,
        asked: ActionAsked,
        progress: &mut Progress,
    ) -> Result<(), NotTaken> {
        if progress.has_open_entry() {
            return Err(BadTranscript("an entry that comes in parts was interrupted").into());
        }
        let now = self.runtime.now();
        let n = progress.number_of(frame);
        let is_full = self.store.pending_actions()? >= u64::from(self.config.max_pending_actions);
        let action = self.action_of(turn, n, asked, is_full, now);
        let event = Rc::new(action);
        progress.items.take(n, &EventKind::Action(Rc::clone(&event)));
        let kept = self.store.ask(&Asking {
            action: &event,
            frame,
            transcript: progress.waiting_transcript(),
            items: progress.items.unstored(),
            sdk_session: progress.sdk_session.as_ref(),
            steered: &progress.steered,
        })?;
        progress.behind.waits_from = progress.behind.waits_from.max(n);
        if kept.is_new {
            progress.set_stored(frame);
        }
        let action = Rc::new(kept.action);
        self.turns.publish(&turn.turn_id, n, EventKind::Action(Rc::clone(&action)));
        if action.status != ActionStatus::Pending {
            // It was decided before this object saw the question, or is not asked at all.
            if self.turns.takes_place(&turn.turn_id) {
                self.deliver_later(&turn.turn_id, &turn.session_id);
            }
            return Ok(());
        }
        self.feed.action(&action);
        self.turns.begin_wait(&turn.turn_id);
        self.feed.turn(&turn.turn_id, &turn.session_id, TurnStatus::RequiresAction, 0);
        self.tell_waiters_later(&turn.turn_id);
        if let Err(error) = self.pump().and_then(|()| self.deliver()).and_then(|()| self.set_alarm()) {
            self.log_turn_problem(turn, "queue_stands", &error);
        }
        Ok(())
    }

    fn action_of(&self, turn: &ActiveTurn, n: u64, asked: ActionAsked, is_full: bool, now: Millis) -> Action {
        let refusal = Decision::Deny { message: Some(TOO_MANY.to_owned()) };
        Action {
            action_id: ActionId::new(self.runtime.uuid()),
            turn_id: turn.turn_id.clone(),
            session_id: turn.session_id.clone(),
            reference: asked.reference,
            n,
            kind: asked.kind,
            tool_call_id: asked.tool_call_id,
            tool: asked.tool,
            input: asked.input,
            message: asked.message,
            suggestions: asked.suggestions,
            schema: asked.schema,
            status: if is_full { ActionStatus::Cancelled } else { ActionStatus::Pending },
            decision: is_full.then_some(refusal),
            created_at: now,
            expires_at: now.plus(self.config.action_ttl),
            resolved_at: is_full.then_some(now),
        }
    }

    /// Takes an `action_resolved` frame. One that nobody has decided was withdrawn.
    pub(super) fn take_resolved(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        frame: u64,
        let_go: &ActionLetGo,
        progress: &mut Progress,
    ) -> Result<(), NotTaken> {
        let Some(mut action) = self.store.action_called(&turn.turn_id, &let_go.reference)? else { return Ok(()) };
        let now = self.runtime.now();
        if action.status == ActionStatus::Pending {
            self.store.close_action(&action.action_id, ActionStatus::Cancelled, None, now)?;
            action.status = ActionStatus::Cancelled;
            action.resolved_at = Some(now);
            self.feed.action(&action);
        }
        self.let_go(turn, action.n)?;
        let n = progress.number_of(frame);
        let event = EventKind::ActionResolved(ActionResolved::of(&action));
        progress.items.take(n, &event);
        self.turns.publish(&turn.turn_id, n, event);
        Ok(())
    }

    /// The container has let go of what a turn waits for. If that was all, it goes on by itself, whether or not there is a place for it.
    fn let_go(self: &Rc<Self>, turn: &ActiveTurn, n: u64) -> Result<(), StoreError> {
        let (turn_id, session_id) = (&turn.turn_id, &turn.session_id);
        let Some(wait) = self.turns.wait_of(turn_id).filter(|wait| *wait != Wait::No) else { return Ok(()) };
        if n < self.store.behind(turn_id)?.waits_from {
            return Ok(());
        }
        if self.store.is_pending(turn_id)? {
            return self.store.let_go(turn_id, n);
        }
        self.store.go_on((turn_id, session_id), self.runtime.now(), None)?;
        self.turns.end_wait(turn_id);
        if wait != Wait::Answered {
            self.feed.turn(turn_id, session_id, TurnStatus::Running, 0);
            self.deliver_later(turn_id, session_id);
        }
        Ok(())
    }

    /// A turn that is held goes on, if all that it waits for is decided and there is a place for it. That is stored before the container hears a
    /// decision. If somebody gave leave for something, it runs from then on: nobody knows whether that has happened. Else it runs when the container
    /// says so, and what was decided can be told to another one until then.
    pub(in crate::account) fn go_on_if_decided(self: &Rc<Self>, turn: &ActiveTurn) -> Result<(), AccountError> {
        let (turn_id, session_id) = (&turn.turn_id, &turn.session_id);
        let is_held = self.turns.wait_of(turn_id) == Some(Wait::Holding);
        if !is_held || !self.has_place()? || self.store.is_pending(turn_id)? {
            return Ok(());
        }
        if self.store.gives_leave(turn_id)? {
            self.store.go_on((turn_id, session_id), self.runtime.now(), None)?;
            self.turns.end_wait(turn_id);
        } else {
            self.store.answered(turn_id)?;
            self.turns.end_hold(turn_id);
        }
        self.feed.turn(turn_id, session_id, TurnStatus::Running, 0);
        self.deliver_later(turn_id, session_id);
        Ok(())
    }

    /// Tells the container what was decided of all that the turn waited for last. Told again, it changes nothing there.
    pub(in crate::account) fn deliver_later(self: &Rc<Self>, turn_id: &TurnId, session_id: &crate::domain::SessionId) {
        if !self.turns.begin_telling(turn_id) {
            return;
        }
        let (account, turn_id, session_id) = (Rc::clone(self), turn_id.clone(), session_id.clone());
        self.runtime.spawn(async move {
            loop {
                if let Err(error) = account.deliver_decisions(&turn_id, &session_id).await {
                    account.log_wait(&turn_id, &session_id, "decision_not_delivered", &error);
                }
                if !account.turns.end_telling(&turn_id) || !account.store.is_made() {
                    break;
                }
            }
        });
    }

    async fn deliver_decisions(
        &self,
        turn_id: &TurnId,
        session_id: &crate::domain::SessionId,
    ) -> Result<(), StoreError> {
        let waits_from = self.store.behind(turn_id)?.waits_from;
        for action_id in self.store.closed_since(turn_id, waits_from)? {
            if !self.store.is_made() {
                return Ok(());
            }
            let Some(action) = self.store.action(&action_id)? else { continue };
            let decided = Decided::of(action.decision);
            let (mut tries, mut pause) = (1, FIRST_DELIVER_PAUSE);
            while let Err(error) = self.agent.decide(turn_id, &action.reference, &decided).await {
                let is_refused = matches!(error, AgentError::Protocol(_));
                if is_refused || tries == DELIVER_TRIES {
                    self.log_wait(turn_id, session_id, "decision_not_delivered", &error);
                    self.turns.leave_process(turn_id);
                }
                if is_refused {
                    break;
                }
                self.runtime.sleep(pause).await;
                if !self.turns.is_running(turn_id) {
                    return Ok(());
                }
                tries += 1;
                pause = MAX_DELIVER_PAUSE.min(pause * 2);
            }
        }
        Ok(())
    }

    /// Tells the requests that wait for a turn that it requires action, if it still does a moment later.
    fn tell_waiters_later(self: &Rc<Self>, turn_id: &TurnId) {
        let (account, turn_id, settled) = (Rc::clone(self), turn_id.clone(), self.runtime.sleep(SETTLE));
        self.runtime.spawn(async move {
            settled.await;
            let waits = account.turns.wait_of(&turn_id).is_some_and(|wait| !wait.takes_place());
            if waits && account.store.is_made() {
                drop(account.tell_waiters(&turn_id));
            }
        });
    }

    /// Tells the requests that wait for a turn that it requires action, if it does.
    pub(in crate::account) fn tell_waiters(&self, turn_id: &TurnId) -> Result<(), AccountError> {
        if let Some(turn) = self.waiting_turn(turn_id)? {
            self.turns.tell_waiters(turn);
        }
        Ok(())
    }

    /// A turn that requires action, with what it said so far; none if nobody has to decide anything.
    pub(in crate::account) fn waiting_turn(&self, turn_id: &TurnId) -> Result<Option<Turn>, AccountError> {
        let Some(turn) = self.store.turn(turn_id)?.filter(|turn| turn.status == TurnStatus::RequiresAction) else {
            return Ok(None);
        };
        if !self.store.is_pending(turn_id)? {
            return Ok(None);
        }
        let said = super::items::text(&self.store.items(&turn.session_id, turn_id)?, u64::MAX);
        Ok(Some(Turn { response: Some(said), ..turn }))
    }

    pub(in crate::account) fn log_wait(
        &self,
        turn_id: &TurnId,
        session_id: &crate::domain::SessionId,
        event: &str,
        error: &dyn std::fmt::Display,
    ) {
        let why = error.to_string();
        let line = crate::log::Line {
            event,
            turn_id: Some(turn_id),
            session_id: Some(session_id),
            error: Some(&why),
            ..crate::log::Line::default()
        };
        self.log(crate::log::Level::Warn, line);
    }
}
