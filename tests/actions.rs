//! Turns that wait for somebody: nothing runs that was not allowed, and an answer counts once, whatever dies when.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::command::{AnswerForm, Command};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::domain::content::{Attachment, Block, FoundFile, MediaType, Source};
use claude_agent_service::domain::{Action, ActionKind, ActionStatus, TurnId, TurnStatus, WhenBusy};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use support::deciding::{
    HOLD, actions, allow, answer_to, decide, deny, gives_leave, pending, ran, status, told, waiting_for,
};
use support::script::{Fault, Script, Step, entry, result};
use support::stage::{Stage, start};

/// A turn that waits for leave to run the call `a`.
fn waiting(stage: &Stage) -> (TurnId, Action) {
    waiting_for(stage, "a")
}

#[test]
fn a_held_call_runs_once_when_it_is_allowed() {
    let stage = Stage::new();
    let (turn, action) = waiting(&stage);
    assert_eq!(ran(&stage, "a"), 0);
    decide(&stage, &action, allow()).unwrap();
    decide(&stage, &action, allow()).unwrap();
    stage.settle();
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 1));
    assert!(matches!(decide(&stage, &action, deny()), Err(AccountError::ActionResolved(_))));
    assert!(decide(&stage, &action, allow()).is_ok(), "the same again is no error");
}

#[test]
fn a_denied_call_does_not_run() {
    let stage = Stage::new();
    let (turn, action) = waiting(&stage);
    decide(&stage, &action, deny()).unwrap();
    stage.settle();
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 0));
}

#[test]
fn a_turn_that_waits_takes_no_place_and_goes_before_the_others_when_it_is_answered() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "1")]);
    let (turn, action) = waiting(&stage);
    let other = stage.query_that("d", Script::endless());
    let third = stage.query("e");
    stage.pass(Duration::from_secs(1));
    assert_eq!((status(&stage, &other), status(&stage, &third)), (TurnStatus::Running, TurnStatus::Queued));
    decide(&stage, &action, allow()).unwrap();
    stage.pass(Duration::from_secs(1));
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::RequiresAction, 0));
    stage.cancel("d");
    stage.pass(Duration::from_secs(1));
    assert_eq!((status(&stage, &turn), status(&stage, &third)), (TurnStatus::Completed, TurnStatus::Completed));
    assert!(stage.turn(&turn).finished_at <= stage.turn(&third).started_at);
}

#[test]
fn a_turn_is_parked_when_its_hold_is_over_and_goes_on_in_a_run_of_its_own() {
    let stage = Stage::new();
    let (turn, action) = waiting(&stage);
    stage.pass(HOLD + Duration::from_secs(1));
    assert_eq!(stage.container.at_work(), [""; 0]);
    assert_eq!(status(&stage, &turn), TurnStatus::RequiresAction);
    stage.pass(Duration::from_hours(2));
    assert!(!stage.container.state.borrow().calls.is_empty());
    decide(&stage, &action, allow()).unwrap();
    stage.settle();
    let ended = stage.turn(&turn);
    assert_eq!((ended.status, ran(&stage, "a")), (TurnStatus::Completed, 1));
    assert_eq!(ended.usage.map(|usage| usage.input_tokens), Some(6), "both of its runs");
}

#[test]
fn an_account_whose_turns_are_all_parked_sleeps_until_the_first_expires() {
    let stage = Stage::with(&[("CONTAINER_IDLE", "1m")]);
    let (turn, action) = waiting(&stage);
    stage.pass(HOLD + Duration::from_mins(3));
    let alarms = stage.alarms();
    stage.pass(Duration::from_hours(20));
    assert!(stage.alarms() - alarms <= 1, "{} alarms", stage.alarms() - alarms);
    stage.pass(Duration::from_hours(5));
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 0));
    assert_eq!(actions(&stage, None)[0].status, ActionStatus::Expired);
    assert!(matches!(decide(&stage, &action, allow()), Err(AccountError::ActionResolved(_))));
}

#[test]
fn a_container_that_dies_while_a_turn_waits_parks_it() {
    for (noticed, reset) in [(true, false), (false, false), (true, true), (false, true)] {
        let mut stage = Stage::new();
        let (turn, action) = waiting(&stage);
        stage.container.die(noticed);
        if reset {
            stage.reset();
            stage.handle(Command::StorageStats).unwrap();
        }
        stage.pass(Duration::from_mins(3));
        assert_eq!(status(&stage, &turn), TurnStatus::RequiresAction, "{noticed} {reset}");
        decide(&stage, &action, allow()).unwrap();
        stage.settle();
        assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 1), "{noticed} {reset}");
    }
}

#[test]
fn a_query_into_a_conversation_that_waits_is_refused_or_takes_its_turns_place() {
    for parked in [false, true] {
        let stage = Stage::new();
        let (turn, action) = waiting(&stage);
        if parked {
            stage.pass(HOLD + Duration::from_secs(1));
        }
        let refused = stage.query_when_busy("c", WhenBusy::Queue);
        assert!(matches!(refused, Err(AccountError::ActionPending(ids)) if ids == [action.action_id.clone()]));
        let next = stage.query_when_busy("c", WhenBusy::Interrupt).unwrap();
        stage.settle();
        assert_eq!((status(&stage, &turn), status(&stage, &next)), (TurnStatus::Cancelled, TurnStatus::Completed));
        assert_eq!((actions(&stage, None)[0].status, ran(&stage, "a")), (ActionStatus::Cancelled, 0));
    }
}

#[test]
fn a_query_that_is_refused_leaves_the_turn_whose_place_it_would_have_taken() {
    let stage = Stage::new();
    let (turn, action) = waiting(&stage);
    stage.pass(HOLD + Duration::from_secs(1));
    stage.sql.run("update conversations set attachment_bytes = 1000000000");
    let Command::StartTurn(mut asked) = start("c", None, AnswerForm::Accepted) else { unreachable!() };
    let found = FoundFile { media_type: MediaType::Png, size: 3, etag: "e".to_owned() };
    let source = Source::File { path: "a.png".parse().unwrap(), found: Some(found) };
    asked.content = Some(vec![Block::Image(Attachment { source, title: None, context: None, citations: None })]);
    asked.options.when_busy = WhenBusy::Interrupt;
    assert!(stage.handle(Command::StartTurn(asked)).is_err());
    assert_eq!((status(&stage, &turn), pending(&stage)), (TurnStatus::RequiresAction, vec![action.clone()]));
    decide(&stage, &action, allow()).unwrap();
    stage.settle();
    assert_eq!((status(&stage, &turn), ran(&stage, "a")), (TurnStatus::Completed, 1));
}

#[test]
fn of_many_calls_of_one_message_each_is_decided_by_itself_and_one_that_nobody_answers_expires() {
    for hold in ["5m", "1h"] {
        let stage = Stage::with(&[("ACTION_HOLD", hold), ("ACTION_TTL", "30m")]);
        let calls: Vec<String> = (0..20).map(|n| format!("call-{n:02}")).collect();
        let turn = stage.query_that("c", Script::new([Step::Ask(calls), Step::Frame(result("done"))]));
        stage.pass(Duration::from_secs(1));
        for (n, action) in pending(&stage).iter().enumerate() {
            match n % 20 {
                7 => {}
                n if n % 2 == 0 => decide(&stage, action, allow()).unwrap(),
                _ => decide(&stage, action, deny()).unwrap(),
            }
        }
        stage.pass(Duration::from_mins(20));
        assert_eq!((status(&stage, &turn), pending(&stage).len()), (TurnStatus::RequiresAction, 1), "{hold}");
        stage.pass(Duration::from_mins(11));
        assert_eq!(status(&stage, &turn), TurnStatus::Completed, "{hold}");
        let all = actions(&stage, None);
        assert_eq!(all.len(), 20);
        for (n, action) in all.iter().enumerate() {
            let expected = if n == 7 { ActionStatus::Expired } else { ActionStatus::Resolved };
            assert_eq!((action.status, ran(&stage, &format!("call-{n:02}"))), (expected, usize::from(n % 2 == 0)));
        }
    }
}

#[test]
fn a_turn_whose_plan_was_approved_goes_on_in_the_mode_after_it_however_often_it_is_parked() {
    let stage = Stage::new();
    let ask = |call: &str| Step::Ask(vec![call.to_owned()]);
    stage.container.script(Script::new([ask("plan"), ask("a"), Step::Frame(result("done"))]));
    let Command::StartTurn(mut asked) = start("c", None, AnswerForm::Accepted) else { unreachable!() };
    asked.options.plan = true;
    stage.handle(Command::StartTurn(asked)).unwrap();
    for _ in ["plan", "a"] {
        stage.pass(HOLD + Duration::from_secs(1));
        decide(&stage, &pending(&stage)[0], allow()).unwrap();
        stage.pass(Duration::from_secs(1));
    }
    let options = |mode: &str| serde_json::json!({ "permission_mode": mode, "after_plan": "bypassPermissions" });
    let asked: Vec<_> = stage.container.state.borrow().asked.iter().map(|first| first["options"].clone()).collect();
    assert_eq!(asked, [options("plan"), options("bypassPermissions"), options("bypassPermissions")]);
    assert_eq!(ran(&stage, "a"), 1);
}

#[test]
fn a_turn_whose_plan_was_denied_goes_on_planning() {
    let stage = Stage::new();
    stage.container.script(Script::new([Step::Ask(vec!["plan".to_owned()]), Step::Frame(result("done"))]));
    let Command::StartTurn(mut asked) = start("c", None, AnswerForm::Accepted) else { unreachable!() };
    asked.options.plan = true;
    stage.handle(Command::StartTurn(asked)).unwrap();
    stage.pass(HOLD + Duration::from_secs(1));
    decide(&stage, &pending(&stage)[0], deny()).unwrap();
    stage.settle();
    assert!(stage.container.state.borrow().asked.iter().all(|first| first["options"]["permission_mode"] == "plan"));
    assert_eq!(stage.container.state.borrow().asked.len(), 2);
}

/// More than all turns of one case ask about, one after the other.
const MAX_WAITS: usize = 64;

/// What happens while turns ask.
#[derive(Debug, Clone)]
enum Op {
    /// The beginnings of the names of the calls that it asks about, at once.
    Query(&'static str, Vec<Vec<&'static str>>),
    /// The first pending action, or the last.
    Decide(bool, bool),
    Cancel(&'static str),
    Pass(u64),
    Die(bool),
    Reset,
    Fault(&'static str, bool),
}

fn call() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just("call"), 2 => Just("question"), 1 => Just("tool"), 1 => Just("elicitation"), 1 => Just("sub")]
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || prop::sample::select(&["x", "y"][..]);
    prop_oneof![
        5 => (conversation(), prop::collection::vec(prop::collection::vec(call(), 1..3), 1..3))
            .prop_map(|(name, asks)| Op::Query(name, asks)),
        8 => (any::<bool>(), prop::bool::weighted(0.7)).prop_map(|(first, allow)| Op::Decide(first, allow)),
        1 => conversation().prop_map(Op::Cancel),
        6 => prop_oneof![3 => 0..2_000_u64, 1 => 290_000..310_000_u64, 1 => 80_000_000..90_000_000_u64].prop_map(Op::Pass),
        2 => any::<bool>().prop_map(Op::Die),
        2 => Just(Op::Reset),
        2 => (prop::sample::select(&["POST /turns/", "POST /turns", "GET /turns/"][..]), any::<bool>())
            .prop_map(|(call, lose)| Op::Fault(call, lose)),
    ]
}

fn check(concurrency: &str, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut stage = Stage::with(&[("ACCOUNT_CONCURRENCY", concurrency)]);
    let (mut calls, mut faults, mut resets) = (0, 0, 0);
    for op in ops {
        match op {
            Op::Query(name, asks) => {
                let mut steps = vec![Step::Frame(entry("said"))];
                for kinds in asks {
                    let ask = kinds.into_iter().map(|kind| {
                        calls += 1;
                        format!("{kind}-{calls}")
                    });
                    steps.push(Step::Ask(ask.collect()));
                }
                steps.push(Step::Frame(result("done")));
                stage.container.script(Script::new(steps));
                if stage.query_with(name, None).is_err() {
                    stage.container.state.borrow_mut().scripts.pop_back();
                }
            }
            Op::Decide(first, allows) => {
                let mut waiting = pending(&stage);
                let action = if first { (!waiting.is_empty()).then(|| waiting.remove(0)) } else { waiting.pop() };
                if let Some(action) = action {
                    let yes = allows || action.kind == ActionKind::Tool;
                    decide(&stage, &action, if yes { answer_to(&action) } else { deny() }).unwrap();
                }
            }
            Op::Cancel(name) => stage.cancel(name),
            Op::Pass(ms) => stage.pass(Duration::from_millis(ms)),
            Op::Die(noticed) => stage.container.die(noticed),
            Op::Reset => {
                resets += 1;
                stage.reset();
            }
            Op::Fault(call, lose) if faults < 4 => {
                faults += 1;
                stage.container.fault(call, if lose { Fault::LoseAnswer } else { Fault::Fail });
            }
            Op::Fault(..) => {}
        }
    }
    // Nobody answers any more: everything expires, one wait after the other.
    for _ in 0..MAX_WAITS {
        stage.handle(Command::StorageStats).unwrap();
        if stage.active().is_empty() {
            break;
        }
        stage.pass(Duration::from_hours(25));
    }
    stage.settle();
    prop_assert_eq!(stage.container.at_work(), [""; 0]);
    let decided = actions(&stage, None);
    prop_assert!(decided.iter().all(|action| action.status != ActionStatus::Pending), "{decided:?}");
    for (call, count) in &stage.container.state.borrow().world.ran {
        prop_assert_eq!(*count, 1, "{} ran {} times", call, count);
        let action = decided.iter().find(|action| {
            action.tool.is_some()
                && action.input.as_ref().is_some_and(|input| input.get().contains(&format!("\"{call}\"")))
        });
        let is_allowed = action.is_some_and(|action| action.decision == Some(allow()));
        prop_assert!(is_allowed, "{} ran and was not allowed: {:?}", call, action);
    }
    for action in decided.iter().filter(|action| action.status == ActionStatus::Resolved) {
        // A subagent's question may be given up at the moment at which it is decided: it is asked again.
        let call = &action.reference;
        let end = status(&stage, &action.turn_id);
        if !call.starts_with("sub") && end == TurnStatus::Completed {
            prop_assert!(told(&stage, call) >= 1, "{:?} was lost", action);
            let runs = action.kind == ActionKind::Permission && action.decision == Some(allow());
            prop_assert_eq!(ran(&stage, call), usize::from(runs), "{:?}", action);
        }
        // What cannot do harm if it is told twice is told, whatever dies: here, if the object lives.
        if !gives_leave(action) && end == TurnStatus::Interrupted && resets == 0 && !call.starts_with("sub") {
            let others = decided.iter().filter(|other| other.turn_id == action.turn_id);
            let careful = others.into_iter().any(gives_leave);
            prop_assert!(careful || told(&stage, call) >= 1, "{:?} was lost", action);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_runs_unasked_or_twice_one_turn_at_a_time(ops in prop::collection::vec(op(), 1..30)) {
        check("1", ops)?;
    }

    #[test]
    fn nothing_runs_unasked_or_twice_two_turns_at_a_time(ops in prop::collection::vec(op(), 1..30)) {
        check("2", ops)?;
    }
}
