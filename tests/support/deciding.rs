//! How a test sees what turns wait for, and decides it.

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AnswerForm, Command, DecideAction};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::action::ActionsOf;
use claude_agent_service::domain::{Action, ActionKind, ActionStatus, Decision, Include, TurnId, TurnStatus};
use serde_json::{Map, json};

use super::script::{Script, Step, entry, result};
use super::stage::Stage;

/// The default of `ACTION_HOLD`.
pub const HOLD: Duration = Duration::from_mins(5);

/// A turn that asks about each of these calls, one after the other, then answers.
pub fn asking(calls: &[&str]) -> Script {
    let ask = |call: &&str| Step::Ask(vec![(*call).to_owned()]);
    Script::new(
        [Step::Frame(entry("said"))].into_iter().chain(calls.iter().map(ask)).chain([Step::Frame(result("done"))]),
    )
}

pub fn actions(stage: &Stage, status: Option<ActionStatus>) -> Vec<Action> {
    let of = ActionsOf { status, ..ActionsOf::default() };
    match stage.handle(Command::ListActions { of, limit: 200 }).unwrap() {
        Response::Ready(Reply::Actions { actions, .. }) => actions,
        _ => unreachable!(),
    }
}

pub fn pending(stage: &Stage) -> Vec<Action> {
    actions(stage, Some(ActionStatus::Pending))
}

pub fn decide(stage: &Stage, action: &Action, decision: Decision) -> Result<(), AccountError> {
    let asked = DecideAction {
        action_id: action.action_id.clone(),
        decision,
        answer: AnswerForm::Accepted,
        include: Include::NOTHING,
    };
    stage.handle(Command::DecideAction(Box::new(asked))).map(drop)
}

pub const fn allow() -> Decision {
    Decision::Allow { input: None, remember: None }
}

pub const fn deny() -> Decision {
    Decision::Deny { message: None }
}

/// The decision that gives an action what it asks for.
pub fn answer_to(action: &Action) -> Decision {
    match action.kind {
        ActionKind::Permission | ActionKind::Plan => allow(),
        ActionKind::Question | ActionKind::Elicitation => {
            Decision::Answer { answers: Map::from_iter([("Which?".to_owned(), json!("Blue"))]) }
        }
        ActionKind::Tool => Decision::Result { content: json!("4"), is_error: false },
    }
}

/// Whether somebody gave leave for something that happens outside: nobody knows whether it has happened once the container was told.
pub fn gives_leave(action: &Action) -> bool {
    match action.kind {
        ActionKind::Permission => matches!(action.decision, Some(Decision::Allow { .. })),
        ActionKind::Elicitation => matches!(action.decision, Some(Decision::Answer { .. })),
        ActionKind::Question | ActionKind::Plan | ActionKind::Tool => false,
    }
}

/// How often a call ran.
pub fn ran(stage: &Stage, call: &str) -> usize {
    stage.container.state.borrow().world.ran.get(call).copied().unwrap_or(0)
}

/// How often a container was told what was decided of a call, and went on with it.
pub fn told(stage: &Stage, call: &str) -> usize {
    stage.container.state.borrow().world.told.get(call).copied().unwrap_or(0)
}

pub fn status(stage: &Stage, turn: &TurnId) -> TurnStatus {
    stage.turn(turn).status
}

/// A turn that waits for what is decided of that call.
pub fn waiting_for(stage: &Stage, call: &str) -> (TurnId, Action) {
    let turn = stage.query_that("c", asking(&[call]));
    stage.pass(Duration::from_secs(1));
    assert_eq!(status(stage, &turn), TurnStatus::RequiresAction);
    (turn, pending(stage).remove(0))
}
