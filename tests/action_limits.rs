//! What holds for actions whatever is decided: rules that restrict a tool, a container that is full, the model calls of a turn, and the bound on
//! what an account waits for.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::command::{AnswerForm, Command};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::domain::{Action, ActionStatus, Decision, FailureCode, TurnId, TurnStatus};
use serde_json::{Value, json};
use support::deciding::{HOLD, actions, allow, asking, decide, pending, ran, status};
use support::script::{Script, Step, entry, result};
use support::stage::{Stage, start};

const MOMENT: Duration = Duration::from_secs(1);

/// The operator's vars, and the rules that the request denies with.
type Rules = (&'static [(&'static str, &'static str)], &'static [&'static str]);

fn allow_with(command: &str) -> Decision {
    let Value::Object(input) = json!({ "command": command }) else { unreachable!() };
    Decision::Allow { input: Some(input), remember: None }
}

/// A turn of a conversation of this name that waits for leave to run a call of the same name.
fn waiting(stage: &Stage, name: &'static str, denied: &[&str]) -> (TurnId, Action) {
    stage.container.script(asking(&[name]));
    let Command::StartTurn(mut asked) = start(name, None, AnswerForm::Accepted) else { unreachable!() };
    asked.options.deny_tools = denied.iter().map(|rule| (*rule).to_owned()).collect();
    stage.handle(Command::StartTurn(asked)).unwrap();
    stage.pass(MOMENT);
    let action = pending(stage).pop().unwrap();
    assert_eq!(status(stage, &action.turn_id), TurnStatus::RequiresAction);
    (action.turn_id.clone(), action)
}

#[test]
fn another_input_is_refused_where_rules_restrict_the_tool_and_the_action_waits_on() {
    let cases: [Rules; 4] = [
        (&[("DISALLOWED_TOOLS", "Bash(mkfifo:*)")], &[]),
        (&[("ALLOWED_TOOLS", "Bash(git log:*)"), ("ASK_TOOLS", "Bash")], &[]),
        (&[("DISALLOWED_TOOLS", "Read(secrets/**)")], &[]),
        (&[], &["Bash(mkfifo:*)"]),
    ];
    for (vars, denied) in cases {
        for parked in [false, true] {
            let stage = Stage::with(vars);
            let (turn, action) = waiting(&stage, "a", denied);
            if parked {
                stage.pass(HOLD + MOMENT);
            }
            let refused = decide(&stage, &action, allow_with("mkfifo evil")).unwrap_err();
            let AccountError::Refused { parameter: "input", rule } = refused else { panic!("{refused}") };
            assert!(rule.contains("rules restrict"), "{rule}");
            assert_eq!((status(&stage, &turn), pending(&stage).len()), (TurnStatus::RequiresAction, 1), "{vars:?}");
            // The input that the model gave is no other one.
            decide(&stage, &action, allow_with("a")).unwrap();
            stage.settle();
            assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 1), "{vars:?} {parked}");
        }
    }
}

#[test]
fn another_input_is_taken_where_no_rule_restricts_the_tool() {
    let cases: [Rules; 3] =
        [(&[], &[]), (&[("DISALLOWED_TOOLS", "WebFetch(domain:a.test),Write")], &[]), (&[], &["Write", "Bash"])];
    for (vars, denied) in cases {
        let stage = Stage::with(vars);
        let (turn, action) = waiting(&stage, "a", denied);
        decide(&stage, &action, allow_with("b")).unwrap();
        stage.settle();
        assert_eq!(status(&stage, &turn), TurnStatus::Completed, "{vars:?}");
    }
}

#[test]
fn a_container_that_is_full_of_turns_that_wait_parks_the_oldest_for_each_that_comes() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "2")]);
    stage.container.state.borrow_mut().processes = Some(2);
    let held = [waiting(&stage, "a", &[]), waiting(&stage, "b", &[])];
    let work = || Script::new([Step::Frame(entry("said")), Step::Wait(MOMENT), Step::Frame(result("done"))]);
    let third = stage.query_that("c", work());
    stage.pass(MOMENT / 2);
    let is_at_work = |turn: &TurnId| stage.container.at_work().contains(&turn.to_string());
    assert_eq!((is_at_work(&held[0].0), is_at_work(&held[1].0), is_at_work(&third)), (false, true, true));
    let fourth = stage.query_that("d", work());
    stage.pass(MOMENT / 2);
    assert_eq!((is_at_work(&held[1].0), is_at_work(&fourth)), (false, true));
    stage.pass(MOMENT * 2);
    assert_eq!([&third, &fourth].map(|turn| status(&stage, turn)), [TurnStatus::Completed; 2]);
    for (turn, action) in &held {
        assert_eq!(status(&stage, turn), TurnStatus::RequiresAction);
        decide(&stage, action, allow()).unwrap();
    }
    stage.settle();
    for ((turn, _), call) in held.iter().zip(["a", "b"]) {
        assert_eq!((status(&stage, turn), ran(&stage, call)), (TurnStatus::Completed, 1));
    }
}

#[test]
fn a_turn_has_its_model_calls_once_however_often_it_is_parked() {
    let stage = Stage::with(&[("MAX_TURNS", "3")]);
    let turn = stage.query_that("c", asking(&["a", "b", "c", "d"]));
    for _ in 0..3 {
        stage.pass(HOLD + MOMENT);
        decide(&stage, &pending(&stage)[0], allow()).unwrap();
        stage.pass(MOMENT);
    }
    let most: Vec<_> =
        stage.container.state.borrow().asked.iter().map(|run| run["options"]["max_turns"].clone()).collect();
    assert_eq!(most, [3, 2, 1]);
    let ended = stage.turn(&turn);
    let error = ended.error.unwrap();
    assert_eq!((ended.status, error.code, ended.num_turns), (TurnStatus::Failed, FailureCode::AgentFailed, Some(3)));
    assert!(error.detail.contains("`max_turns`"), "{}", error.detail);
    assert_eq!(["a", "b", "c"].map(|call| ran(&stage, call)), [1, 1, 0]);
}

#[test]
fn beyond_the_bound_nobody_is_asked_and_the_call_is_denied() {
    let stage = Stage::with(&[("MAX_PENDING_ACTIONS", "1")]);
    let (first, action) = waiting(&stage, "a", &[]);
    let second = stage.query_that("b", asking(&["b"]));
    stage.pass(MOMENT);
    assert_eq!((status(&stage, &second), ran(&stage, "b")), (TurnStatus::Completed, 0), "it does not wait");
    let denied = actions(&stage, Some(ActionStatus::Cancelled)).remove(0);
    let Some(Decision::Deny { message: Some(message) }) = denied.decision else { panic!("{denied:?}") };
    assert!(message.starts_with("Too many actions"), "{message}");
    assert!(matches!(decide(&stage, &action, allow()), Ok(())));
    stage.settle();
    assert_eq!((status(&stage, &first), ran(&stage, "a")), (TurnStatus::Completed, 1));
    let third = stage.query_that("c", asking(&["c"]));
    stage.pass(MOMENT);
    assert_eq!(status(&stage, &third), TurnStatus::RequiresAction, "there is room again");
}

#[test]
fn an_answer_counts_after_the_container_and_the_object_died_and_a_day_has_passed() {
    let mut stage = Stage::with(&[("ACTION_TTL", "48h")]);
    let (turn, action) = waiting(&stage, "a", &[]);
    stage.container.die(false);
    stage.reset();
    stage.handle(Command::StorageStats).unwrap();
    stage.pass(Duration::from_hours(25));
    stage.reset();
    assert_eq!(status(&stage, &turn), TurnStatus::RequiresAction);
    decide(&stage, &action, allow()).unwrap();
    stage.settle();
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 1));
}
