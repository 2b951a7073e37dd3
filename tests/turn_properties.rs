//! Whatever happens to an account's turns, in whatever order: each ends once, its caller hears of it, nothing is left at work in the
//! container, and no conversation loses its files but one that was deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use claude_agent_service::domain::{TurnId, WhenBusy};
use proptest::prelude::*;
use serde_json::json;
use support::script::{Fault, Script, Step, entry, result};
use support::stage::Stage;

const CONVERSATIONS: [&str; 3] = ["a", "b", "c"];
const CALLS: [&str; 7] = [
    "POST /turns",
    "GET /turns/",
    "POST /turns/",
    "DELETE /turns/",
    "POST /sessions/",
    "DELETE /sessions/",
    "GET /healthz",
];
/// Calls that may go wrong in one case: fewer than the tries of those that clean up.
const MAX_FAULTS: usize = 3;

#[derive(Debug, Clone)]
enum Op {
    Query(&'static str, WhenBusy, Script),
    Cancel(&'static str),
    Delete(&'static str),
    Pass(u64),
    Fault(&'static str, Fault),
    Die(bool),
    Drain,
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Frame(json!({ "type": "delta", "text": "x" }))),
        3 => Just(Step::Frame(entry("said"))),
        1 => Just(Step::Frame(json!({ "type": "transcript_part", "text": "{\"type\":", "last": false }))),
        1 => Just(Step::Frame(json!({ "type": "transcript_part", "text": "{}", "last": true }))),
        4 => (0..3_000_u64).prop_map(|ms| Step::Wait(Duration::from_millis(ms))),
        3 => Just(Step::Cut),
        2 => Just(Step::TakeIn),
        1 => any::<bool>().prop_map(|noticed| Step::Die { noticed }),
        1 => Just(Step::Line("{\"n\":N,\"type\":\"delta\"}".to_owned())),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let end = prop_oneof![
        4 => Just(Step::Frame(result("4"))),
        1 => Just(Step::Frame(json!({ "type": "result", "status": "failed", "error": { "code": "model_failed" } }))),
        1 => Just(Step::Wait(Duration::from_hours(20))),
    ];
    let ends_within = prop_oneof![3 => Just(5_u64), 1 => 500..4_000_u64];
    (prop::collection::vec(step(), 0..6), end, ends_within).prop_map(|(mut steps, end, ms)| {
        steps.push(end);
        Script { ends_within: Some(Duration::from_millis(ms)), ..Script::new(steps) }
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::Fail),
        Just(Fault::LoseAnswer),
        (0..8_000_u64).prop_map(|ms| Fault::Delay(Duration::from_millis(ms))),
    ]
}

fn when_busy() -> impl Strategy<Value = WhenBusy> {
    prop_oneof![
        3 => Just(WhenBusy::Queue),
        2 => Just(WhenBusy::Steer),
        1 => Just(WhenBusy::Interrupt),
        1 => Just(WhenBusy::Reject),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || prop::sample::select(&CONVERSATIONS[..]);
    prop_oneof![
        8 => (conversation(), when_busy(), script())
            .prop_map(|(conversation, when_busy, script)| Op::Query(conversation, when_busy, script)),
        3 => conversation().prop_map(Op::Cancel),
        2 => conversation().prop_map(Op::Delete),
        6 => (0..4_000_u64).prop_map(Op::Pass),
        2 => (prop::sample::select(&CALLS[..]), fault()).prop_map(|(call, fault)| Op::Fault(call, fault)),
        1 => any::<bool>().prop_map(Op::Die),
        1 => Just(Op::Drain),
        2 => Just(Op::Reset),
    ]
}

fn check(concurrency: &str, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let vars = [("ACCOUNT_CONCURRENCY", concurrency), ("CONTAINER_IDLE", "5h"), ("TURN_TIMEOUT", "60s")];
    let mut stage = Stage::with(&vars);
    // Long enough for something to happen while a call is on its way.
    stage.container.state.borrow_mut().latency = Duration::from_millis(200);
    let (mut asked, mut faults) = (Vec::new(), 0);
    // The conversation of each turn; a name that is used again after a deletion is another conversation.
    let mut conversations: BTreeMap<TurnId, (&str, usize)> = BTreeMap::new();
    let (mut ages, mut deleted) = (BTreeMap::<&str, usize>::new(), BTreeSet::new());
    for op in ops {
        match op {
            Op::Query(conversation, when_busy, script) => {
                stage.container.script(script);
                asked.push(stage.ask_when_busy(conversation, when_busy));
                if let Some(turn) = stage.newest_turn() {
                    conversations
                        .entry(turn)
                        .or_insert((conversation, ages.get(conversation).copied().unwrap_or_default()));
                }
            }
            Op::Cancel(conversation) => stage.cancel(conversation),
            Op::Delete(conversation) => {
                stage.delete(conversation);
                let age = ages.entry(conversation).or_default();
                deleted.insert((conversation, *age));
                *age += 1;
            }
            Op::Pass(ms) => stage.pass(Duration::from_millis(ms)),
            Op::Fault(call, fault) if faults < MAX_FAULTS => {
                faults += 1;
                stage.container.fault(call, fault);
            }
            Op::Fault(..) => {}
            Op::Die(noticed) => stage.container.die(noticed),
            Op::Drain => stage.container.state.borrow_mut().draining = true,
            Op::Reset => stage.reset(),
        }
    }
    stage.settle();
    // Alarms that look again at what did not leave at once.
    stage.pass(Duration::from_mins(2));
    stage.settle();

    prop_assert_eq!(stage.container.at_work(), [""; 0], "at work: {:?}", stage.runtime.log_lines());
    prop_assert!(asked.iter().all(|sent| sent.borrow().is_some()), "a caller hears nothing");
    let mut ends = BTreeMap::<String, usize>::new();
    for line in stage.logged("turn_ended") {
        *ends.entry(line["turn_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    prop_assert!(ends.values().all(|count| *count == 1), "a turn ended twice: {:?}", ends);
    for turn in stage.sql.texts("select turn_id from turns") {
        prop_assert!(ends.contains_key(&turn), "{} did not end", turn);
    }
    let container = stage.container.state.borrow();
    for turn in stage.sql.texts("select turn_id from turns where steered_into is not null") {
        prop_assert!(container.begun.iter().all(|(begun, _)| *begun != turn), "{} was taken in and ran", turn);
    }
    for workspace in &container.deleted_workspaces {
        for (turn, _) in container.begun.iter().filter(|(_, session)| session == workspace) {
            let conversation = &conversations[&turn.parse::<TurnId>().unwrap()];
            prop_assert!(deleted.contains(conversation), "{:?} lost its files", conversation);
        }
    }
    for lines in stage.sql.texts("select group_concat(lines, '') from transcripts group by session_id") {
        let whole = lines.is_empty() || lines.ends_with('\n');
        prop_assert!(whole && lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn turns_end_once_and_leave_nothing_behind_one_at_a_time(ops in prop::collection::vec(op(), 1..24)) {
        check("1", ops)?;
    }

    #[test]
    fn turns_end_once_and_leave_nothing_behind_two_at_a_time(ops in prop::collection::vec(op(), 1..24)) {
        check("2", ops)?;
    }

    #[test]
    fn turns_end_once_and_leave_nothing_behind_four_at_a_time(ops in prop::collection::vec(op(), 1..24)) {
        check("4", ops)?;
    }
}
