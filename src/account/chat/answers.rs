//! What a chat's client answers in a message of the agent's: leave for calls, and the outputs of calls that are its own.

use std::rc::Rc;

use super::command::ChatAnswers;
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::reply::Reply;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::action::decisions_for;
use crate::domain::{Action, ActionStatus, Decision, Millis};
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Decides what is answered, and follows the turn from there. The client sends all answers of its message each time, those that counted
    /// before too: they are refused only if none is new, and one of them did not count.
    pub(super) fn answer_chat(
        self: &Rc<Self>,
        asked: &ChatAnswers,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let ChatAnswers { session_id, turn_id, has_steps, answers } = asked;
        self.expire_actions(now)?;
        if self.store.turn(turn_id)?.is_none_or(|turn| turn.session_id != *session_id) {
            return Err(AccountError::NothingAsked);
        }
        let mut given: Vec<(Action, Decision)> = Vec::new();
        for action in self.store.actions_of(turn_id)? {
            let Some(answer) = answers.iter().find(|answer| answer.is_about(&action)) else { continue };
            let rule = decisions_for(action.kind);
            let decision = answer.decision(action.kind);
            let decision = decision.ok_or(AccountError::Refused { parameter: "messages", rule })?;
            given.push((action, decision));
        }
        if given.is_empty() {
            return Err(AccountError::NothingAsked);
        }
        let (new, before): (Vec<_>, Vec<_>) =
            given.into_iter().partition(|(action, _)| action.status == ActionStatus::Pending);
        if new.is_empty() {
            if let Some((action, _)) = before.into_iter().find(|(action, decision)| !counts(action, decision)) {
                return Err(AccountError::ActionResolved(Box::new(action)));
            }
            // Some clients would send the same again at once, and again.
            let pending = self.store.pending_of(turn_id)?;
            if !pending.is_empty() {
                return Err(AccountError::ActionPending(pending.into_iter().map(|action| action.action_id).collect()));
            }
        }
        for (action, decision) in &new {
            self.resolve(action, decision, now)?;
        }
        if !new.is_empty() {
            self.pump()?;
            self.set_alarm()?;
        }
        self.follow_chat(turn_id, false, Some(*has_steps))
    }
}

/// Whether this is how an action was decided, whoever did it. What was said with it makes no difference.
fn counts(action: &Action, decision: &Decision) -> bool {
    let decided = action.decision.as_ref().filter(|_| action.status == ActionStatus::Resolved);
    decided.is_some_and(|decided| match (decided, decision) {
        (Decision::Allow { .. }, Decision::Allow { .. }) | (Decision::Deny { .. }, Decision::Deny { .. }) => true,
        (decided, decision) => decided == decision,
    })
}
