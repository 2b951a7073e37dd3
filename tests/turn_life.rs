//! A turn in a container that cuts, dies, hangs and refuses: how it ends, and what is left of it in the container.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use serde_json::json;
use support::script::{Fault, Script, Step, entry, result};
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_turn_is_answered() {
    let stage = Stage::new();
    let turn = stage.query("a");
    stage.settle();
    assert_eq!(stage.turn(&turn).response.as_deref(), Some("done"));
    assert_eq!(stage.sql.count("transcripts"), 1);
    let second = stage.query("a");
    stage.settle();
    assert_eq!((stage.end(&second).as_str(), stage.container.state.borrow().replayed.len()), ("completed", 0));
}

#[test]
fn a_stream_that_was_cut_goes_on_after_the_last_frame() {
    let stage = Stage::new();
    let delta = |text: &str| Step::Frame(json!({ "type": "delta", "text": text }));
    let turn = stage.query_that("a", Script::new([delta("1"), Step::Cut, delta("2"), Step::Frame(result("12"))]));
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(stage.container.calls("GET /turns/"), 1);
}

/// A turn that works in the container, which has said its conversation.
fn working(stage: &Stage, script: Script) -> claude_agent_service::domain::TurnId {
    let turn = stage.query_that("a", script);
    stage.pass(SECOND);
    assert_eq!(stage.container.at_work(), [turn.as_str()]);
    turn
}

#[test]
fn a_line_that_is_no_frame_ends_the_turn_and_its_process() {
    let stage = Stage::new();
    let steps = [Step::Line("{\"n\":2,\"type\":\"delta\"}".to_owned()), Step::Wait(600 * SECOND)];
    let turn = stage.query_that("a", Script { ends_within: None, ..Script::new(steps) });
    stage.settle();
    assert_eq!(stage.end(&turn), "agent_failed");
    assert_eq!((stage.container.calls("GET /turns/"), stage.container.at_work().len()), (0, 0));
    assert_eq!(stage.container.state.borrow().deleted_workspaces.len(), 0);
    assert!(stage.turn(&turn).timing().unwrap().total_ms < 1_000);
}

#[test]
fn what_a_container_says_is_cut_before_it_is_told_or_logged() {
    let stage = Stage::new();
    let word = "x".repeat(9_000);
    let line = format!("{{\"n\":2,\"type\":\"result\",\"status\":\"{word}\"}}");
    let turn = stage.query_that("a", Script::new([Step::Line(line)]));
    stage.settle();
    assert_eq!(stage.end(&turn), "agent_failed");
    let lines = stage.runtime.log_lines();
    assert!(lines.iter().all(|line| line.len() < 1_200), "{lines:?}");
    let failed = json!({ "type": "result", "status": "failed", "error": { "code": "model_failed", "message": word } });
    let turn = stage.query_that("b", Script::new([Step::Frame(failed)]));
    stage.settle();
    assert_eq!(stage.turn(&turn).error.unwrap().detail.chars().count(), 500);
}

#[test]
fn a_container_that_cuts_and_says_nothing_new_is_given_up_after_a_bounded_number_of_tries() {
    let stage = Stage::new();
    let cuts = (0..20_000).flat_map(|_| [Step::Cut, Step::Wait(SECOND / 20)]);
    let turn = stage.query_that("a", Script::new(cuts));
    stage.settle();
    assert_eq!(stage.end(&turn), "turn_interrupted");
    assert!(stage.container.calls("GET /turns/") <= 20, "{}", stage.container.calls("GET /turns/"));
    assert_eq!(stage.container.at_work(), [""; 0]);
}

#[test]
fn a_stream_that_is_cut_again_and_again_with_frames_in_between_goes_on() {
    let stage = Stage::new();
    let pieces = (0..40).flat_map(|_| [Step::Frame(json!({ "type": "delta", "text": "x" })), Step::Cut]);
    let turn = stage.query_that("a", Script::new(pieces.chain([Step::Frame(result("all"))])));
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
}

#[test]
fn a_turn_that_does_not_stop_is_ended_in_time_and_its_workspace_stays() {
    let stage = Stage::new();
    let turn = working(&stage, Script::deaf());
    stage.cancel("a");
    stage.pass(2 * SECOND);
    assert_eq!(stage.end(&turn), "turn_cancelled");
    stage.settle();
    assert_eq!(stage.container.at_work(), [""; 0]);
    assert_eq!(stage.container.workspaces().len(), 1);
    assert_eq!((stage.container.calls("POST /sessions/"), stage.container.calls("DELETE /sessions/")), (1, 0));
}

#[test]
fn the_next_turn_of_a_conversation_waits_until_the_one_before_has_left_the_container() {
    for knows_stop in [true, false] {
        let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "2")]);
        stage.container.state.borrow_mut().knows_stop = knows_stop;
        let deaf = Script { ends_within: Some(4 * SECOND), ..Script::deaf() };
        working(&stage, deaf);
        let next = stage.query("a");
        stage.container.fault("POST /sessions/", Fault::Delay(SECOND));
        stage.cancel("a");
        let third = stage.query("a");
        stage.settle();
        assert_eq!((stage.end(&next).as_str(), stage.end(&third).as_str()), ("turn_cancelled", "completed"));
        let seen = stage.container.state.borrow();
        assert_eq!((seen.most_of_one, seen.deleted_workspaces.len()), (1, 0));
    }
}

#[test]
fn a_turn_of_a_conversation_that_is_cleaned_up_is_not_ended_by_it() {
    let stage = Stage::new();
    working(&stage, Script::deaf());
    stage.container.fault("POST /sessions/", Fault::Delay(3 * SECOND));
    stage.cancel("a");
    let next = stage.query_that("a", Script::new([Step::Wait(5 * SECOND), Step::Frame(result("4"))]));
    stage.settle();
    assert_eq!(stage.end(&next), "completed");
}

#[test]
fn what_is_replayed_after_a_turn_that_did_not_stop_is_what_is_stored() {
    let stage = Stage::new();
    working(&stage, Script::deaf());
    stage.cancel("a");
    let next = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&next), "completed");
    assert_eq!(stage.container.state.borrow().replayed, [1]);
}

#[test]
fn a_busy_conversation_is_waited_for_and_not_for_ever() {
    let stage = Stage::new();
    for _ in 0..20 {
        stage.container.fault("POST /turns", Fault::Refuse(409, "session_busy"));
    }
    let turn = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    for _ in 0..1_000 {
        stage.container.fault("POST /turns", Fault::Refuse(409, "session_busy"));
    }
    let turn = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&turn), "container_unavailable");
    assert!(stage.turn(&turn).timing().unwrap().total_ms < 60_000);
}

#[test]
fn a_full_container_is_waited_for_and_stays_trusted() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    let healths = stage.container.calls("GET /healthz");
    for _ in 0..20 {
        stage.container.fault("POST /turns", Fault::Refuse(503, "at_capacity"));
    }
    let turn = stage.query("a");
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.container.calls("GET /healthz")), ("completed", healths));
}

#[test]
fn a_turn_that_was_lost_is_ended_in_the_container() {
    let stage = Stage::new();
    let turn = working(&stage, Script::new([Step::Wait(2 * SECOND), Step::Cut, Step::Wait(6_000 * SECOND)]));
    for _ in 0..5 {
        stage.container.fault("GET /turns/", Fault::Fail);
    }
    stage.pass(10 * SECOND);
    assert_eq!(stage.end(&turn), "turn_interrupted");
    assert_eq!((stage.container.at_work().len(), stage.container.state.borrow().deleted_workspaces.len()), (0, 0));
    let again = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&again), "completed");
}

#[test]
fn a_turn_whose_frames_cannot_be_stored_is_ended_in_the_container() {
    let stage = Stage::new();
    let big = entry(&"x".repeat(1_200_000));
    let turn = working(&stage, Script::new([Step::Wait(3 * SECOND), Step::Frame(big), Step::Wait(6_000 * SECOND)]));
    stage.sql.run("create trigger full before update of frames_stored on turns begin select raise(fail, 'full'); end");
    stage.pass(5 * SECOND);
    assert_eq!((stage.end(&turn).as_str(), stage.container.at_work().len()), ("turn_interrupted", 0));
}

#[test]
fn a_conversation_that_is_deleted_before_its_turn_started_is_gone_from_the_container() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    assert_eq!(stage.container.workspaces().len(), 1);
    stage.container.state.borrow_mut().start_of_process = SECOND;
    stage.query("a");
    stage.pass(SECOND / 2);
    stage.delete("a");
    stage.settle();
    assert_eq!((stage.container.workspaces().len(), stage.container.at_work().len()), (0, 0));
}

#[test]
fn a_conversation_that_is_deleted_while_its_turn_waits_for_the_container_is_gone_from_it() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    stage.container.fault("POST /turns", Fault::Refuse(503, "draining"));
    stage.query("a");
    stage.pass(SECOND / 10);
    stage.delete("a");
    stage.settle();
    assert_eq!((stage.container.workspaces().len(), stage.container.at_work().len()), (0, 0));
}

#[test]
fn a_key_whose_turn_was_interrupted_runs_anew() {
    let stage = Stage::new();
    stage.container.script(Script::new([Step::Die { noticed: true }]));
    let first = stage.query_with("a", Some("key")).unwrap();
    stage.settle();
    assert_eq!(stage.end(&first), "turn_interrupted");
    let again = stage.query_with("a", Some("key")).unwrap();
    stage.settle();
    assert_eq!(stage.end(&again), "completed");
    assert_eq!(stage.query_with("a", Some("key")).unwrap(), again);
}

#[test]
fn a_key_whose_turn_had_no_container_runs_anew_and_one_whose_turn_failed_does_not() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().refuses_to_start = Some("the image cannot be pulled");
    let first = stage.query_with("a", Some("key")).unwrap();
    stage.settle();
    assert_eq!(stage.end(&first), "container_unavailable");
    stage.container.state.borrow_mut().refuses_to_start = None;
    let failed = json!({ "type": "result", "status": "failed", "error": { "code": "model_failed" } });
    stage.container.script(Script::new([Step::Frame(failed)]));
    let again = stage.query_with("a", Some("key")).unwrap();
    stage.settle();
    assert_eq!((stage.end(&again).as_str(), again == first), ("model_failed", false));
    assert_eq!(stage.query_with("a", Some("key")).unwrap(), again);
}

#[test]
fn a_platform_that_has_no_container_free_is_told_apart_and_the_next_turn_may_have_one() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().refuses_to_start =
        Some("There is no container instance that can be provided to this Durable Object");
    let turn = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&turn), "at_capacity");
    assert_eq!(
        stage.turn(&turn).error.unwrap().detail,
        "No container is free at the moment. It is safe to send the turn again."
    );
    stage.container.state.borrow_mut().refuses_to_start = None;
    let next = stage.query("a");
    stage.settle();
    assert_eq!(stage.end(&next), "completed");
}

#[test]
fn a_turn_that_ran_in_a_container_that_is_gone_does_not_run_again() {
    let mut stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "2")]);
    let turn = working(&stage, Script::endless());
    stage.container.die(true);
    stage.executor.drop_object();
    // Another turn has replaced the container when this one is taken up.
    stage.container.boot();
    stage.reset();
    stage.pass(20 * SECOND);
    stage.settle();
    assert_eq!(stage.end(&turn), "turn_interrupted");
    assert_eq!(stage.container.state.borrow().begun.len(), 1);
}

#[test]
fn a_turn_that_never_reached_the_container_is_given_to_it_by_the_rebuilt_object() {
    let mut stage = Stage::new();
    stage.query("a");
    stage.settle();
    stage.container.fault("POST /turns", Fault::Fail);
    let turn = stage.query("a");
    stage.reset();
    stage.pass(20 * SECOND);
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    let mut stage = Stage::new();
    let cold = stage.query("a");
    stage.reset();
    stage.pass(20 * SECOND);
    stage.settle();
    assert_eq!(stage.end(&cold), "completed");
}

#[test]
fn what_the_object_forgot_to_clean_up_is_cleaned_up_by_the_rebuilt_one() {
    let mut stage = Stage::new();
    let turn = working(&stage, Script { ends_within: Some(3 * SECOND), ..Script::deaf() });
    stage.container.fault("POST /turns/", Fault::Fail);
    stage.container.fault("POST /sessions/", Fault::Delay(SECOND));
    stage.cancel("a");
    stage.pass(Duration::from_millis(1_600));
    assert_eq!(stage.end(&turn), "turn_cancelled");
    stage.reset();
    let next = stage.query("a");
    stage.settle();
    assert_eq!((stage.end(&next).as_str(), stage.container.at_work().len()), ("completed", 0));
}

#[test]
fn those_who_wait_for_one_turn_are_bounded() {
    let stage = Stage::new();
    stage.container.script(Script::new([Step::Wait(SECOND), Step::Frame(result("4"))]));
    let asked: Vec<_> = (0..100).map(|_| stage.ask("a", Some("key"))).collect();
    stage.settle();
    let answered = asked.iter().filter(|sent| matches!(*sent.borrow(), Some(Ok(_)))).count();
    assert_eq!(answered, 64);
    assert!(asked.iter().all(|sent| sent.borrow().is_some()));
}

#[test]
fn a_turn_whose_end_cannot_be_stored_does_not_hold_up_the_others() {
    let stage = Stage::new();
    let turn = working(&stage, Script::new([Step::Wait(2 * SECOND), Step::Frame(result("4"))]));
    let next = stage.query("b");
    stage.sql.run(&format!(
        "create trigger stuck before update on turns when new.turn_id = '{turn}' begin select raise(fail, 'stuck'); end"
    ));
    stage.pass(3 * SECOND);
    assert_eq!(stage.end(&next), "completed");
    stage.sql.run("drop trigger stuck");
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.turn(&turn).response.as_deref()), ("completed", Some("4")));
}

#[test]
fn a_turn_that_is_longer_than_a_container_may_idle_wakes_the_object_at_its_pace() {
    let stage = Stage::with(&[("TURN_TIMEOUT", "55m"), ("CONTAINER_IDLE", "1m")]);
    stage.query("a");
    stage.pass(Duration::from_secs(30));
    stage.query_that("a", Script::endless());
    let before = stage.alarms();
    stage.pass(Duration::from_mins(10));
    assert!((55..=65).contains(&(stage.alarms() - before)), "every 10 s: {}", stage.alarms() - before);
}
