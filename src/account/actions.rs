//! Actions: what turns wait for, listed, read and decided. A decision is stored once; the turn goes on when all that it waits for is decided.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::command::DecideAction;
use super::error::AccountError;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::{Account, Response};
use crate::agent::Container;
use crate::domain::action::{ActionsOf, Remember, decisions_for};
use crate::domain::{Action, ActionId, ActionStatus, Decision, EventType, Millis, RawJson};
use crate::store::sql::Sql;

/// Actions that one alarm finds expired.
const MAX_EXPIRED: u32 = 64;
/// Bytes of actions that one page lists.
const MAX_PAGE_BYTES: u64 = 1024 * 1024;
/// Bytes of what is decided of the actions that a turn waits for at once: if it was parked, the container is told all of it in one request.
const MAX_DECIDED_BYTES: u64 = 16 * 1024 * 1024;
/// Rules that are remembered for one conversation; the oldest go.
const MAX_GRANTS: usize = 256;
/// Why a call does not run with another input.
const RESTRICTED: &str =
    "left out: rules restrict what this tool may do; deny with a `message` that says what to do instead";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Decides an action, or finds that the same was decided before.
    pub(super) fn decide_action(
        self: &Rc<Self>,
        asked: DecideAction,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        let DecideAction { action_id, decision, answer, include } = asked;
        self.expire_actions(now)?;
        let action = self.store.action(&action_id)?.ok_or(AccountError::NotFound)?;
        if !decision.answers(action.kind) {
            return Err(AccountError::Refused { parameter: "decision", rule: decisions_for(action.kind) });
        }
        match action.status {
            ActionStatus::Pending => {
                self.resolve(&action, &decision, now)?;
                self.pump()?;
                self.set_alarm()?;
            }
            ActionStatus::Resolved if action.decision.as_ref() == Some(&decision) => {}
            ActionStatus::Resolved | ActionStatus::Expired | ActionStatus::Cancelled => {
                return Err(AccountError::ActionResolved(Box::new(action)));
            }
        }
        self.answer_from(action.turn_id, (answer, include), (action.n, false), false)
    }

    pub(super) fn resolve(&self, action: &Action, decision: &Decision, now: Millis) -> Result<(), AccountError> {
        if let Decision::Allow { input: Some(input), .. } = decision {
            self.check_input(action, input)?;
        }
        self.store.transaction(|| {
            self.store.close_action(&action.action_id, ActionStatus::Resolved, Some(decision), now)?;
            let waits_from = self.store.behind(&action.turn_id)?.waits_from;
            if self.store.decided_bytes(&action.turn_id, waits_from)? > MAX_DECIDED_BYTES {
                return Err(AccountError::DecisionsTooLarge);
            }
            let Decision::Allow { remember: Some(Remember::Conversation), .. } = decision else { return Ok(()) };
            action.suggestions.as_ref().map_or(Ok(()), |suggestions| self.remember(action, suggestions))
        })?;
        let resolved = Action {
            status: ActionStatus::Resolved,
            decision: Some(decision.clone()),
            resolved_at: Some(now),
            ..action.clone()
        };
        self.feed.action(&resolved);
        Ok(())
    }

    /// A call runs with another input only if no rules are about what its tool may do: they have decided about the input that the model gave.
    fn check_input(&self, action: &Action, input: &Map<String, Value>) -> Result<(), AccountError> {
        let shown = action.input.as_ref().map(|shown| serde_json::from_str::<Map<String, Value>>(shown.get()));
        if shown.is_some_and(|shown| shown.is_ok_and(|shown| shown == *input)) {
            return Ok(());
        }
        let tool = action.tool.as_deref().unwrap_or_default();
        if self.config.agent.restricts(tool, &self.store.denied_by(&action.turn_id)?) {
            return Err(AccountError::Refused { parameter: "input", rule: RESTRICTED });
        }
        Ok(())
    }

    /// Calls that the suggested rules cover run unasked from now on.
    fn remember(&self, action: &Action, suggestions: &RawJson) -> Result<(), AccountError> {
        let mut grants = self.store.grants_of(&action.session_id)?;
        let suggested: Vec<RawJson> = serde_json::from_str(suggestions.get()).unwrap_or_default();
        for grant in suggested {
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        let too_many = grants.len().saturating_sub(MAX_GRANTS);
        grants.drain(..too_many);
        Ok(self.store.set_grants(&action.session_id, &grants)?)
    }

    /// Closes the actions that nobody decided in time; their turns go on without an answer.
    pub(super) fn expire_actions(self: &Rc<Self>, now: Millis) -> Result<(), AccountError> {
        if self.store.next_expiry()?.is_none_or(|at| at > now) {
            return Ok(());
        }
        for action in self.store.expired_actions(now, MAX_EXPIRED)? {
            self.store.transaction(|| {
                self.store.close_action(&action.action_id, ActionStatus::Expired, None, now)?;
                self.store.tell_action(&action, EventType::ActionExpired, now)
            })?;
            self.feed.action(&Action { status: ActionStatus::Expired, resolved_at: Some(now), ..action });
        }
        self.pump()
    }

    pub(super) fn read_action(&self, action_id: &ActionId) -> Result<Reply<S::Json>, AccountError> {
        let action = self.store.action(action_id)?.ok_or(AccountError::NotFound)?;
        Ok(Reply::Action(Box::new(action)))
    }

    pub(super) fn list_actions(&self, of: &ActionsOf, limit: u32) -> Result<Reply<S::Json>, AccountError> {
        let (actions, more) = self.store.list_actions(of, limit, MAX_PAGE_BYTES)?;
        Ok(Reply::Actions { actions, of: of.clone(), limit, more })
    }
}
