//! Turns that wait, and what becomes of what they were told and had done when their process is gone: no answer is lost, no query runs twice, and
//! their files are theirs.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::branches::command::RewindTo;
use claude_agent_service::account::command::Command;
use claude_agent_service::domain::{ActionStatus, TurnFiles, TurnId, TurnStatus, WhenBusy};
use support::deciding::{HOLD, actions, allow, answer_to, decide, deny, pending, ran, status, told, waiting_for};
use support::script::{Fault, Script, Step, entry, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);
/// Decisions that one call may get lost before the container hears it.
const MANY: usize = 12;

fn ask(call: &str) -> Step {
    Step::Ask(vec![call.to_owned()])
}

/// The turns that were given to the container, in their order, one that was parked once for each of its runs.
fn given(stage: &Stage) -> Vec<String> {
    stage.container.state.borrow().begun.iter().map(|(turn, _)| turn.clone()).collect()
}

#[test]
fn an_answer_that_comes_while_the_container_dies_is_told_in_the_next_one() {
    for call in ["question", "tool", "plan", "a"] {
        for reset in [false, true] {
            let mut stage = Stage::new();
            let (turn, action) = waiting_for(&stage, call);
            stage.container.die(false);
            stage.pass(SECOND);
            let decision = if call == "a" { deny() } else { answer_to(&action) };
            decide(&stage, &action, decision).unwrap();
            if reset {
                stage.reset();
                stage.handle(Command::StorageStats).unwrap();
            }
            stage.settle();
            let ended = (status(&stage, &turn), told(&stage, call), ran(&stage, call));
            assert_eq!(ended, (TurnStatus::Completed, 1, 0), "{call} {reset}");
        }
    }
}

#[test]
fn leave_that_is_given_while_the_container_dies_is_not_given_again() {
    for call in ["a", "elicitation"] {
        let stage = Stage::new();
        let (turn, action) = waiting_for(&stage, call);
        stage.container.die(false);
        stage.pass(SECOND);
        decide(&stage, &action, answer_to(&action)).unwrap();
        stage.settle();
        let ended = (stage.end(&turn), told(&stage, call));
        assert_eq!(ended, ("turn_interrupted".to_owned(), 0), "{call}: nobody knows whether it has happened");
    }
}

#[test]
fn a_turn_that_was_answered_takes_its_place_before_the_container_says_that_it_goes_on() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "1")]);
    let (turn, action) = waiting_for(&stage, "question");
    for _ in 0..4 {
        stage.container.fault("POST /turns/", Fault::Fail);
    }
    decide(&stage, &action, answer_to(&action)).unwrap();
    let other = stage.query("d");
    assert_eq!([status(&stage, &turn), status(&stage, &other)], [TurnStatus::Running, TurnStatus::Queued]);
    stage.settle();
    assert_eq!(stage.end(&other), "completed");
    assert!(stage.turn(&turn).finished_at <= stage.turn(&other).started_at);
}

#[test]
fn a_decision_that_the_container_does_not_take_is_told_until_it_does() {
    for call in ["a", "question"] {
        let stage = Stage::new();
        let (turn, action) = waiting_for(&stage, call);
        for _ in 0..MANY {
            stage.container.fault("POST /turns/", Fault::Fail);
        }
        decide(&stage, &action, answer_to(&action)).unwrap();
        stage.settle();
        assert_eq!((stage.end(&turn).as_str(), told(&stage, call)), ("completed", 1), "{call}");
        assert_eq!(stage.logged("decision_not_delivered").len(), 1, "{call}");
    }
}

#[test]
fn a_turn_goes_on_when_a_question_is_given_up_that_cannot_wait_without_its_process() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "1")]);
    let steps = [Step::Frame(entry("said")), ask("sub"), Step::Wait(120 * SECOND), Step::Frame(result("done"))];
    let turn = stage.query_that("c", Script::new(steps));
    stage.pass(HOLD + 2 * SECOND);
    assert_eq!(
        (status(&stage, &turn), actions(&stage, None)[0].status),
        (TurnStatus::Running, ActionStatus::Cancelled)
    );
    let other = stage.query("d");
    stage.pass(60 * SECOND);
    assert_eq!([status(&stage, &turn), status(&stage, &other)], [TurnStatus::Running, TurnStatus::Queued]);
    stage.settle();
    assert_eq!([stage.end(&turn), stage.end(&other)], ["completed", "completed"]);
    assert_eq!(given(&stage), [turn.as_str(), other.as_str()], "it was not begun again");
}

#[test]
fn a_question_of_a_subagent_is_given_up_and_the_turn_waits_on_for_what_else_it_asked() {
    let stage = Stage::new();
    let both = Step::Ask(vec!["sub".to_owned(), "question".to_owned()]);
    let turn = stage.query_that("c", Script::new([both, Step::Frame(result("done"))]));
    stage.pass(HOLD + 2 * SECOND);
    let [action] = pending(&stage).try_into().unwrap();
    assert_eq!((action.reference.as_str(), stage.container.at_work().len()), ("question", 0));
    decide(&stage, &action, answer_to(&action)).unwrap();
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), told(&stage, "question")), ("completed", 1));
}

#[test]
fn an_answer_that_is_on_its_way_when_a_turn_asks_again_is_told_once() {
    for dies in [false, true] {
        let stage = Stage::new();
        let (turn, action) = waiting_for(&stage, "question");
        for _ in 0..3 {
            stage.container.fault("POST /turns/", Fault::Fail);
        }
        decide(&stage, &action, answer_to(&action)).unwrap();
        stage.container.ask_beside(turn.as_str(), "tool");
        stage.pass(Duration::from_millis(50));
        assert_eq!((status(&stage, &turn), told(&stage, "question")), (TurnStatus::RequiresAction, 0));
        if dies {
            stage.container.die(true);
        }
        stage.pass(HOLD + SECOND);
        assert_eq!(stage.container.at_work(), [""; 0]);
        let [other] = pending(&stage).try_into().unwrap();
        decide(&stage, &other, answer_to(&other)).unwrap();
        stage.settle();
        let times = (told(&stage, "question"), told(&stage, "tool"));
        assert_eq!((stage.end(&turn).as_str(), times), ("completed", (1, 1)), "{dies}");
    }
}

#[test]
fn the_time_that_a_turn_waits_without_a_process_does_not_count() {
    let stage = Stage::new();
    let steps = [Step::Frame(entry("said")), ask("a"), Step::Wait(120 * SECOND), Step::Frame(result("done"))];
    let turn = stage.query_that("c", Script::new(steps));
    stage.pass(Duration::from_hours(2));
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(stage.container.calls("POST /turns/"), 1, "it was asked to park, and not to end");
}

/// A turn that is steered, then waits for leave and is parked; `rest` is what it does when it goes on.
fn steered(stage: &Stage, takes_in: Step, rest: &[Step]) -> (TurnId, TurnId) {
    let steps = [Step::Frame(entry("said")), Step::Wait(10 * SECOND), takes_in, ask("a")];
    let running = stage.query_that("c", Script::new(steps.into_iter().chain(rest.to_vec())));
    stage.pass(SECOND);
    let steering = stage.query_when_busy("c", WhenBusy::Steer).unwrap();
    stage.pass(20 * SECOND);
    assert_eq!([status(stage, &running), status(stage, &steering)], [TurnStatus::RequiresAction, TurnStatus::Queued]);
    (running, steering)
}

#[test]
fn a_query_that_a_turn_took_in_before_it_was_parked_ends_with_it_and_never_runs() {
    for (takes_in, dies) in [(Step::TakeIn, false), (Step::TakeIn, true), (Step::TakeInUntold, false)] {
        let stage = Stage::new();
        let (running, steering) = steered(&stage, takes_in, &[Step::Wait(10 * SECOND), Step::Frame(result("both"))]);
        if dies {
            stage.container.die(true);
        }
        stage.pass(HOLD + SECOND);
        let heard = stage.container.calls("POST /turns/");
        decide(&stage, &pending(&stage)[0], allow()).unwrap();
        stage.settle();
        let turn = stage.turn(&steering);
        assert_eq!(
            (stage.end(&steering).as_str(), turn.steered_into.as_ref()),
            ("completed", Some(&running)),
            "{dies}"
        );
        assert_eq!(turn.response.as_deref(), Some("both"));
        assert_eq!(given(&stage), [running.as_str(), running.as_str()]);
        assert_eq!(stage.container.calls("POST /turns/"), heard, "it is not offered again");
        assert_eq!(stage.logged("turn_ended").len(), 2);
    }
}

#[test]
fn a_query_that_a_parked_turn_took_in_is_cancelled_with_it() {
    let stage = Stage::new();
    let (running, steering) = steered(&stage, Step::TakeIn, &[]);
    stage.pass(HOLD + SECOND);
    let next = stage.query_when_busy("c", WhenBusy::Interrupt).unwrap();
    stage.settle();
    assert_eq!(
        [&running, &steering, &next].map(|turn| stage.end(turn)),
        ["turn_cancelled", "turn_cancelled", "completed"]
    );
    assert_eq!(stage.turn(&steering).steered_into.as_ref(), Some(&running));
    assert_eq!(given(&stage), [running.as_str(), next.as_str()]);
    assert_eq!(stage.logged("turn_ended").len(), 3);
}

#[test]
fn a_query_that_a_parked_turn_took_in_is_lost_with_it_and_may_be_sent_again() {
    let stage = Stage::new();
    let steps =
        [Step::Frame(entry("said")), Step::Wait(10 * SECOND), Step::TakeIn, ask("a"), Step::Die { noticed: true }];
    let running = stage.query_that("c", Script::new(steps));
    stage.pass(SECOND);
    let steering = stage.query_to_steer("c", "key");
    stage.pass(HOLD + 20 * SECOND);
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.settle();
    assert_eq!([&running, &steering].map(|turn| stage.end(turn)), ["turn_interrupted", "turn_interrupted"]);
    assert_ne!(stage.query_to_steer("c", "key"), steering);
}

#[test]
fn a_cancelled_query_that_a_turn_took_in_stays_cancelled() {
    let stage = Stage::new();
    let (running, steering) = steered(&stage, Step::TakeIn, &[Step::Wait(10 * SECOND), Step::Frame(result("both"))]);
    stage.pass(HOLD + SECOND);
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.pass(SECOND);
    stage.cancel("c");
    stage.settle();
    assert_eq!([&running, &steering].map(|turn| stage.end(turn)), ["turn_cancelled", "turn_cancelled"]);
    assert_eq!((stage.turn(&steering).response, stage.logged("turn_ended").len()), (None, 2));
}

#[test]
fn an_account_whose_queries_wait_behind_a_parked_turn_sleeps() {
    let stage = Stage::with(&[("CONTAINER_IDLE", "1m")]);
    let steps = [Step::Frame(entry("said")), Step::Wait(10 * SECOND), ask("a"), Step::Frame(result("done"))];
    let turn = stage.query_that("c", Script::new(steps));
    stage.pass(SECOND);
    let behind = stage.query("c");
    stage.pass(HOLD + Duration::from_mins(3));
    let alarms = stage.alarms();
    stage.pass(Duration::from_hours(20));
    assert!(stage.alarms() - alarms <= 1, "{} alarms", stage.alarms() - alarms);
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.settle();
    assert_eq!([stage.end(&turn), stage.end(&behind)], ["completed", "completed"]);
}

/// A turn that writes a file, is parked, and does the rest when it is answered.
fn parked_with_a_file(stage: &Stage, rest: &[Step]) -> TurnId {
    let steps = [Step::Frame(entry("said")), write("a.txt"), ask("a")];
    let turn = stage.query_that("c", Script::new(steps.into_iter().chain(rest.to_vec())));
    stage.pass(HOLD + 2 * SECOND);
    assert_eq!(stage.container.at_work(), [""; 0]);
    turn
}

fn write(path: &str) -> Step {
    Step::Write(path.to_owned(), Some(path.as_bytes().to_vec()))
}

fn files(stage: &Stage, turn: &TurnId) -> TurnFiles {
    stage.turn(turn).files.unwrap()
}

fn changed(files: &TurnFiles) -> Vec<&str> {
    files.changed.iter().map(|file| file.path.as_str()).collect()
}

#[test]
fn what_a_turn_changed_before_it_was_parked_is_told_with_its_end() {
    let stage = Stage::with_files(&[]);
    let turn = parked_with_a_file(&stage, &[write("b.txt"), Step::Frame(result("done"))]);
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.settle();
    let files = files(&stage, &turn);
    assert_eq!((files.version, files.saved, changed(&files)), (2, true, vec!["a.txt", "b.txt"]));
    let items = stage.items(&turn).unwrap();
    let of_files: Vec<&serde_json::Value> = items.iter().filter(|item| item["type"] == "file").collect();
    assert_eq!(of_files.iter().map(|item| item["path"].as_str().unwrap()).collect::<Vec<_>>(), ["a.txt", "b.txt"]);
    let numbers: Vec<u64> = items.iter().map(|item| item["n"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
}

#[test]
fn a_turn_that_is_lost_after_it_was_parked_keeps_what_it_changed_before() {
    let stage = Stage::with_files(&[]);
    let turn = parked_with_a_file(&stage, &[Step::Die { noticed: true }]);
    decide(&stage, &pending(&stage)[0], allow()).unwrap();
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), changed(&files(&stage, &turn))), ("turn_interrupted", vec!["a.txt"]));
}

#[test]
fn a_conversation_goes_back_to_a_turn_that_was_cancelled_while_it_was_parked_with_its_files() {
    let stage = Stage::with_files(&[]);
    let first = stage.query_that("c", Script::writes(&[("first.txt", "1")]));
    stage.settle();
    let turn = parked_with_a_file(&stage, &[]);
    stage.cancel("c");
    stage.settle();
    let told = files(&stage, &turn);
    assert_eq!((stage.end(&turn).as_str(), told.version, changed(&told)), ("turn_cancelled", 2, vec!["a.txt"]));
    stage.query_that("c", Script::writes(&[("later.txt", "3")]));
    stage.settle();
    let to = RewindTo::To(turn);
    stage.handle(Command::Rewind { session_id: session("c"), to }).unwrap();
    let index = stage.sql.texts("select entries from workspace_parts where to_version is null").concat();
    let has = ["first.txt", "a.txt", "later.txt"].map(|path| index.contains(path));
    assert_eq!((has, files(&stage, &first).version), ([true, true, false], 1));
}
