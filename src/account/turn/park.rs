//! Turns that wait for somebody without a process: how one gives up its process, and how it goes on in a run of its own.

use std::rc::Rc;

use super::events::EventKind;
use super::finish::Outcome;
use super::items;
use super::progress::Progress;
use super::spent::spent_by_now;
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::files::save::Saved;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::agent::continuation::{Continuation, Continued, Decided};
use crate::domain::event::{ActionResolved, Paused};
use crate::domain::file::Unsaved;
use crate::domain::{Action, ContinueBy, TurnId, TurnStatus};
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;
use crate::store::waiting::{Behind, Parked};
use crate::store::workspaces::FilesEnd;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Stores that a turn waits without a process, tells everyone, and lets others run. If all is decided by now, it goes on at once.
    pub(super) fn park(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        progress: &mut Progress,
        outcome: &Outcome,
        saved: Option<&Saved>,
    ) -> Result<(), AccountError> {
        let now = self.runtime.now();
        let files = saved.map(|saved| self.settle(turn, saved));
        let result = outcome.result.as_deref();
        // The process is gone without a word: its calls are open in the transcript.
        let by = result.and_then(|result| result.continue_by).unwrap_or(ContinueBy::Results);
        let entry = self.ledger_with_part(result);
        let spent = spent_by_now(&progress.behind.spent, result);
        // What it changed is told with its end.
        let last = progress.last_event() + 1;
        let mut parked = Parked {
            turn_id: &turn.turn_id,
            session_id: &turn.session_id,
            by,
            transcript: progress.waiting_transcript(),
            items: progress.items.unstored(),
            last_n: last,
            sdk_session: progress.sdk_session.as_ref(),
            context: result.and_then(|result| result.context),
            model: result.and_then(|result| result.model.as_deref()),
            spent: &spent,
            usage: &entry,
            files,
            steered: &progress.steered,
            now,
        };
        let is_save = matches!(parked.files, Some(FilesEnd::Save(_)));
        let is_there = match self.store.park(&parked) {
            Err(error) if is_save => {
                self.log_not_saved(turn, Unsaved::StorageUnavailable, &error);
                parked.files = Some(FilesEnd::Unsaved(Unsaved::StorageUnavailable));
                self.store.park(&parked)?
            }
            stored => stored?,
        };
        self.ledger_stored();
        let stuck = matches!(saved, Some(Saved::Unsaved(Unsaved::SaveTimeout)));
        self.clean_up_after(turn, progress, outcome, (!is_there, stuck));
        if is_there {
            self.tell_waiters(&turn.turn_id)?;
            let paused = self.paused(turn)?;
            self.feed.turn(&turn.turn_id, &turn.session_id, TurnStatus::RequiresAction, 0);
            self.turns.pause(&turn.turn_id, paused.map(|paused| (last, paused)));
        } else {
            self.turns.give_up(&turn.turn_id);
        }
        if self.turns.held_count() == 0 {
            self.idle_since.set(Some(now));
        }
        self.pump()?;
        self.deliver()?;
        self.set_alarm()
    }

    /// What a turn waits for; none if all is decided.
    fn paused(&self, turn: &ActiveTurn) -> Result<Option<Paused>, AccountError> {
        let actions = self.store.pending_of(&turn.turn_id)?;
        let paused = Paused {
            turn_id: turn.turn_id.clone(),
            session_id: turn.session_id.clone(),
            status: TurnStatus::RequiresAction,
            actions,
        };
        Ok(Some(paused).filter(|paused| !paused.actions.is_empty()))
    }

    /// What a turn that is parked tells last, with the number of that event; none if all is decided and it only waits for its place.
    pub(in crate::account) fn last_of_parked(
        &self,
        turn: &ActiveTurn,
    ) -> Result<Option<(u64, Rc<Paused>)>, AccountError> {
        let last = self.store.behind(&turn.turn_id)?.first_n;
        Ok(self.paused(turn)?.map(|paused| (last, Rc::new(paused))))
    }

    /// A parked turn runs again, if all that it waits for is decided and there is a place for it. Returns whether it does.
    pub(in crate::account) fn resume_if_decided(self: &Rc<Self>, turn: &ActiveTurn) -> Result<bool, AccountError> {
        if !self.has_place()?
            || self.leaving.borrow().contains(&turn.session_id)
            || self.store.is_pending(&turn.turn_id)?
        {
            return Ok(false);
        }
        self.recall(&turn.turn_id, &turn.session_id)?;
        let behind = self.store.behind(&turn.turn_id)?;
        let (mut items, mut n) = (items::Items::behind(behind.first_n), behind.first_n);
        let mut told = Vec::new();
        for action in self.decided(&turn.turn_id, &behind)? {
            n += 1;
            let event = EventKind::ActionResolved(ActionResolved::of(&action));
            items.take(n, &event);
            told.push((n, event));
        }
        self.store.go_on((&turn.turn_id, &turn.session_id), self.runtime.now(), Some((items.unstored(), n)))?;
        for (n, event) in told {
            self.turns.publish(&turn.turn_id, n, event);
        }
        Ok(true)
    }

    /// What a turn waited for last and was decided.
    fn decided(&self, turn_id: &TurnId, behind: &Behind) -> Result<Vec<Action>, StoreError> {
        let ids = self.store.closed_since(turn_id, behind.waits_from)?;
        ids.iter().filter_map(|action_id| self.store.action(action_id).transpose()).collect()
    }

    /// How a turn goes on that was parked.
    pub(super) fn continuation(&self, turn: &ActiveTurn) -> Result<Option<Continuation>, StoreError> {
        let Some(by) = turn.parked else { return Ok(None) };
        let behind = self.store.behind(&turn.turn_id)?;
        let has_plan = self.store.has_approved_plan(&turn.turn_id)?;
        let actions = self.decided(&turn.turn_id, &behind)?.into_iter().map(|action| Continued {
            reference: action.reference,
            kind: action.kind,
            tool_call_id: action.tool_call_id,
            tool: action.tool,
            input: action.input,
            decision: Decided::of(action.decision),
        });
        Ok(Some(Continuation { run: behind.first_n, by, actions: actions.collect(), has_plan }))
    }

    /// Makes sure that this object's memory has what a turn did before it was parked: whoever follows it hears that first.
    pub(in crate::account) fn recall(
        &self,
        turn_id: &TurnId,
        session_id: &crate::domain::SessionId,
    ) -> Result<(), StoreError> {
        if !self.turns.knows_parts_of(turn_id) {
            let stored = self.store.items(session_id, turn_id)?;
            self.turns.recall(turn_id, items::events(&stored));
        }
        Ok(())
    }
}
