//! What operators are told of all accounts at work: what an account reports and when, and what a shard makes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::domain::fleet::{ContainerStage, FleetReport};
use claude_agent_service::domain::{FailureCode, TurnStatus, Usage};
use support::model_calls::ScriptedGateway;
use support::script::Script;
use support::stage::Stage;

const MINUTE: Duration = Duration::from_mins(1);

fn reports(stage: &Stage) -> Vec<FleetReport> {
    stage.runtime.reported.borrow().clone()
}

/// Which containers were reported, and how many turns that run and have ended.
fn told(stage: &Stage) -> Vec<(ContainerStage, u64, u64)> {
    let ended = |report: &FleetReport| report.ended.iter().map(|ended| ended.turns).sum();
    reports(stage).iter().map(|report| (report.container, report.running, ended(report))).collect()
}

#[test]
fn an_account_reports_once_a_minute_however_many_turns_it_runs() {
    let stage = Stage::new();
    stage.query_that("a", Script::answer("1"));
    stage.settle();
    let begun = [(ContainerStage::Starting, 1, 0), (ContainerStage::Running, 0, 1)];
    assert_eq!(told(&stage), begun);
    for _ in 0..5 {
        stage.query_that("a", Script::answer("1"));
        stage.settle();
    }
    assert_eq!(told(&stage), begun, "within the minute nothing is sent");
    stage.pass(MINUTE);
    assert_eq!(told(&stage)[2..], [(ContainerStage::Running, 0, 5)], "the alarm reports what has ended meanwhile");
    let rows = stage.store.rows_written();
    stage.pass(Duration::from_hours(1));
    assert_eq!(told(&stage)[3..], [(ContainerStage::Stopped, 0, 0)]);
    assert!(stage.store.rows_written() - rows < 10);
    stage.pass(Duration::from_hours(5));
    assert_eq!(reports(&stage).len(), 4, "an account that sleeps reports nothing");
}

#[test]
fn turns_that_ended_within_a_minute_are_reported_by_an_object_that_knows_nothing_of_them() {
    let mut stage = Stage::new();
    stage.query_that("a", Script::answer("1"));
    stage.settle();
    let before = reports(&stage).len();
    for _ in 0..5 {
        stage.query_that("a", Script::answer("1"));
        stage.settle();
    }
    assert_eq!(reports(&stage).len(), before);
    stage.reset();
    stage.pass(2 * MINUTE);
    let ended = |stage: &Stage| told(stage).iter().map(|(_, _, ended)| ended).sum::<u64>();
    assert_eq!((ended(&stage), reports(&stage).len()), (6, before + 1), "{:?}", told(&stage));
    stage.reset();
    stage.pass(Duration::from_hours(3));
    assert_eq!(ended(&stage), 6, "none is told twice");
}

#[test]
fn a_turn_that_is_long_is_reported_while_it_runs_and_so_is_its_end() {
    let stage = Stage::new();
    stage.query_that("a", Script::endless());
    stage.pass(Duration::from_secs(1));
    let mut gateway = ScriptedGateway::default();
    for _ in 0..6 {
        gateway.call(&stage, "m", Usage { input_tokens: 1, ..Usage::default() }).unwrap();
        stage.pass(Duration::from_secs(30));
    }
    stage.cancel("a");
    stage.settle();
    let running = (ContainerStage::Running, 1, 0);
    assert_eq!(told(&stage), [(ContainerStage::Starting, 1, 0), running, running, (ContainerStage::Running, 0, 1)]);
    let last = reports(&stage).pop().unwrap();
    assert_eq!((last.ended[0].status, last.ended[0].code), (TurnStatus::Cancelled, Some(FailureCode::TurnCancelled)));
}
