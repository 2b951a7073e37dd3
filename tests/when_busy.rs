//! A query whose conversation has a turn running: it waits, is taken in, interrupts or is refused, and is answered once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::error::AccountError;
use claude_agent_service::domain::{TurnId, TurnOptions, WhenBusy};
use serde_json::json;
use support::script::{Fault, Script, Step, entry, result};
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

/// A turn that works for ten seconds, takes in what was offered to it, and answers.
fn takes_in() -> Script {
    let steps = [Step::Frame(entry("said")), Step::Wait(10 * SECOND), Step::TakeIn, Step::Frame(result("both"))];
    Script::new(steps)
}

/// A turn that runs, and a query that steers it.
fn steered(stage: &Stage, script: Script) -> (TurnId, TurnId) {
    let running = stage.query_that("a", script);
    stage.pass(SECOND);
    let steering = stage.query_when_busy("a", WhenBusy::Steer).unwrap();
    (running, steering)
}

/// The turns that were given to the container, in their order.
fn given(stage: &Stage) -> Vec<String> {
    stage.container.state.borrow().begun.iter().map(|(turn, _)| turn.clone()).collect()
}

#[test]
fn a_query_that_the_running_turn_takes_in_has_its_answer_and_never_runs_by_itself() {
    let stage = Stage::new();
    let (running, steering) = steered(&stage, takes_in());
    stage.settle();
    let turn = stage.turn(&steering);
    assert_eq!((stage.end(&steering).as_str(), turn.steered_into.as_ref()), ("completed", Some(&running)));
    assert_eq!((turn.response.as_deref(), turn.usage), (Some("both"), None));
    assert_eq!(given(&stage), [running.as_str()]);
    assert_eq!(stage.turn(&running).steered_into, None);
}

#[test]
fn a_query_that_the_running_turn_does_not_take_in_runs_next() {
    let stage = Stage::new();
    let script = Script::new([Step::Frame(entry("said")), Step::Wait(10 * SECOND), Step::Frame(result("one"))]);
    let (running, steering) = steered(&stage, script);
    stage.settle();
    assert_eq!(given(&stage), [running.as_str(), steering.as_str()]);
    let turn = stage.turn(&steering);
    assert_eq!((turn.response.as_deref(), turn.steered_into), (Some("done"), None));
}

#[test]
fn a_query_with_options_of_its_own_is_not_taken_in() {
    let stage = Stage::new();
    let running = stage.query_that("a", takes_in());
    stage.pass(SECOND);
    let options = TurnOptions { when_busy: WhenBusy::Steer, model: Some("m".to_owned()), ..TurnOptions::default() };
    let steering = stage.query_with_options("a", options);
    stage.settle();
    assert_eq!(given(&stage), [running.as_str(), steering.as_str()]);
    assert_eq!(stage.turn(&steering).steered_into, None);
}

#[test]
fn a_query_that_came_before_the_container_had_the_turn_is_offered_when_it_does() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().start_of_process = 5 * SECOND;
    stage.container.script(takes_in());
    let running = stage.query("a");
    let steering = stage.query_when_busy("a", WhenBusy::Steer).unwrap();
    stage.settle();
    assert_eq!(stage.turn(&steering).steered_into, Some(running));
}

#[test]
fn an_object_that_lost_its_memory_offers_again_and_ends_both_together() {
    let mut stage = Stage::new();
    let (running, steering) = steered(&stage, takes_in());
    stage.container.fault("POST /turns/", Fault::Fail);
    stage.pass(SECOND);
    stage.reset();
    stage.visit();
    stage.settle();
    assert_eq!(stage.turn(&steering).steered_into, Some(running.clone()));
    assert_eq!(given(&stage), [running.as_str()]);
}

#[test]
fn a_query_taken_in_by_a_turn_that_was_lost_runs_by_itself() {
    let stage = Stage::new();
    let steps = [Step::Frame(entry("said")), Step::Wait(10 * SECOND), Step::TakeIn, Step::Die { noticed: true }];
    let (running, steering) = steered(&stage, Script::new(steps));
    stage.settle();
    assert_eq!(stage.end(&running), "turn_interrupted");
    let turn = stage.turn(&steering);
    assert_eq!((turn.response.as_deref(), turn.steered_into), (Some("done"), None));
}

#[test]
fn a_query_taken_in_by_a_turn_that_fails_fails_with_it() {
    let stage = Stage::new();
    let failed = json!({ "type": "result", "status": "failed", "error": { "code": "model_failed", "message": "no" } });
    let steps = [Step::Frame(entry("said")), Step::Wait(10 * SECOND), Step::TakeIn, Step::Frame(failed)];
    let (running, steering) = steered(&stage, Script::new(steps));
    stage.settle();
    assert_eq!([stage.end(&running), stage.end(&steering)], ["model_failed", "model_failed"]);
}

#[test]
fn what_a_container_says_that_it_took_in_is_only_believed_of_waiting_queries_of_the_conversation() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "2")]);
    let other = stage.query_that("b", Script::endless());
    let waits = stage.query("b");
    let frame = json!({ "type": "steered", "turn_ids": [other.as_str(), waits.as_str()] });
    let running = stage.query_that("a", Script::new([Step::Frame(frame), Step::Frame(result("one"))]));
    stage.pass(SECOND);
    assert_eq!(stage.end(&running), "completed");
    assert_eq!([stage.end(&other), stage.end(&waits)], ["running", "queued"]);
}

#[test]
fn a_cancelled_conversation_has_no_query_left_to_take_in() {
    let stage = Stage::new();
    let (running, steering) = steered(&stage, takes_in());
    stage.cancel("a");
    stage.settle();
    assert_eq!([stage.end(&running), stage.end(&steering)], ["turn_cancelled", "turn_cancelled"]);
    assert_eq!(stage.turn(&steering).steered_into, None);
}

#[test]
fn an_interrupting_query_runs_next_and_before_what_waits() {
    let stage = Stage::new();
    let running = stage.query_that("a", Script::endless());
    stage.pass(SECOND);
    let waits = [stage.query("a"), stage.query("b")];
    let interrupting = stage.query_when_busy("a", WhenBusy::Interrupt).unwrap();
    stage.settle();
    assert_eq!(stage.end(&running), "turn_cancelled");
    let [first, second] = waits.map(|turn| turn.to_string());
    assert_eq!(given(&stage), [running.to_string(), interrupting.to_string(), first, second]);
}

#[test]
fn an_interrupting_query_goes_before_what_waits_if_the_turn_waits_for_somebody_too() {
    let stage = Stage::new();
    let held = stage.query_that("a", Script::new([Step::Ask(vec!["call".to_owned()]), Step::Frame(result("done"))]));
    stage.pass(SECOND);
    let running = stage.query_that("b", Script::endless());
    stage.pass(SECOND);
    let waits = stage.query("d").to_string();
    let interrupting = stage.query_when_busy("a", WhenBusy::Interrupt).unwrap().to_string();
    stage.cancel("b");
    stage.settle();
    assert_eq!(stage.end(&held), "turn_cancelled");
    assert_eq!(given(&stage), [held.to_string(), running.to_string(), interrupting, waits]);
}

#[test]
fn an_interrupting_query_of_an_idle_conversation_passes_nobody_elses() {
    let stage = Stage::new();
    let running = stage.query_that("b", Script::endless());
    stage.pass(SECOND);
    let waits = [stage.query("c"), stage.query("a"), stage.query("d")].map(|turn| turn.to_string());
    let interrupting = stage.query_when_busy("a", WhenBusy::Interrupt).unwrap().to_string();
    stage.cancel("b");
    stage.settle();
    let [c, a, d] = waits;
    assert_eq!(given(&stage), [running.to_string(), c, interrupting, a, d]);
}

#[test]
fn a_rejected_query_leaves_nothing_behind() {
    let stage = Stage::new();
    let running = stage.query_that("a", Script::endless());
    stage.pass(SECOND);
    let refused = stage.query_when_busy("a", WhenBusy::Reject);
    assert!(matches!(refused, Err(AccountError::ConversationBusy)));
    assert_eq!(stage.sql.count("turns"), 1);
    stage.cancel("a");
    stage.settle();
    assert_eq!(stage.end(&running), "turn_cancelled");
    assert!(stage.query_when_busy("a", WhenBusy::Reject).is_ok());
}
