//! How long an account's container runs is in its ledger, whoever stopped it and whatever becomes of the object.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::manage::command::{ManageCommand, ManageReply, UsageAsk};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::account::{AccountChange, AccountStatus};
use claude_agent_service::domain::ledger::{Day, Group, UsageSum};
use claude_agent_service::domain::time::DAY;
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

const MINUTE: Duration = Duration::from_mins(1);
/// `CONTAINER_IDLE` of these accounts.
const IDLE: (&str, &str) = ("CONTAINER_IDLE", "10m");

/// What was used in the last three days, by day and in all.
fn report(stage: &Stage) -> (Vec<UsageSum>, UsageSum) {
    let to = Day::of(stage.executor.now());
    let ask = UsageAsk { group: Group::Day, from: to.plus(-2), to, after: None, limit: 100, csv: false };
    match stage.handle(Command::Manage(ManageCommand::Usage(ask))).unwrap() {
        Response::Ready(Reply::Managed(reply)) => match *reply {
            ManageReply::Usage { rows, total, .. } => (rows, total),
            _ => panic!("another reply"),
        },
        _ => panic!("another reply"),
    }
}

fn seconds(stage: &Stage) -> u64 {
    report(stage).1.container.unwrap().seconds()
}

/// Whether it is so many minutes, to some seconds.
fn is_about(seconds: u64, minutes: u64) -> bool {
    (minutes * 60..minutes * 60 + 20).contains(&seconds)
}

#[test]
fn a_container_counts_from_its_start_until_it_is_stopped() {
    let mut stage = Stage::with(&[IDLE]);
    stage.query("a");
    stage.pass(4 * MINUTE);
    assert!(is_about(seconds(&stage), 4), "while it runs: {}", seconds(&stage));
    assert_eq!(stage.sql.count("container_use"), 0, "and nothing is written of it");
    stage.reset();
    assert!(is_about(seconds(&stage), 4), "an object that comes after knows it: {}", seconds(&stage));
    stage.pass(20 * MINUTE);
    let stopped = seconds(&stage);
    assert!(is_about(stopped, 10), "{stopped}");
    let (days, total) = report(&stage);
    assert_eq!((days.len(), total.container.unwrap().stored_bytes.is_some()), (1, true));
    stage.pass(20 * MINUTE);
    assert_eq!(seconds(&stage), stopped);
    stage.query("a");
    stage.pass(20 * MINUTE);
    assert!(is_about(seconds(&stage), 20), "the next one is added: {}", seconds(&stage));
}

#[test]
fn a_warm_turn_writes_no_row_for_it() {
    let stage = Stage::with(&[IDLE]);
    stage.query("a");
    stage.settle();
    let rows = || {
        let before = stage.store.rows_written();
        stage.query("a");
        stage.settle();
        stage.store.rows_written() - before
    };
    let first = rows();
    stage.pass(MINUTE);
    assert_eq!((rows(), stage.sql.count("container_use")), (first, 0));
}

#[test]
fn a_container_that_dies_by_itself_counts_until_its_last_work() {
    let stage = Stage::with(&[IDLE]);
    stage.query("a");
    stage.pass(2 * MINUTE);
    stage.container.die(true);
    stage.pass(30 * MINUTE);
    assert!(seconds(&stage) < 20, "{}", seconds(&stage));
    stage.query_that("a", Script::new([Step::Frame(entry("said")), Step::Wait(5 * MINUTE), Step::Frame(result("4"))]));
    stage.pass(3 * MINUTE);
    stage.container.die(true);
    stage.pass(MINUTE);
    let under_work = seconds(&stage);
    assert!((180..260).contains(&under_work), "{under_work}");
}

#[test]
fn each_day_has_its_own_and_a_day_without_a_call_of_the_model_is_listed() {
    let stage = Stage::with(&[IDLE]);
    let now = stage.executor.now();
    stage.pass(Day::of(now).plus(1).start().minus(MINUTE).since(now));
    stage.query("a");
    stage.pass(30 * MINUTE);
    let (days, total) = report(&stage);
    let each: Vec<u64> = days.iter().map(|day| day.container.unwrap().seconds()).collect();
    assert!(each.len() == 2 && (50..=60).contains(&each[0]) && is_about(each[1], 9), "{each:?}");
    assert_eq!(total.container.unwrap().ms, days.iter().map(|day| day.container.unwrap().ms).sum::<u64>());
}

#[test]
fn it_ends_with_a_suspension() {
    let stage = Stage::with(&[IDLE]);
    stage.query("a");
    stage.pass(MINUTE);
    let change = AccountChange { status: Some(AccountStatus::Suspended), ..AccountChange::default() };
    stage.handle(Command::Manage(ManageCommand::Change(Box::new(change)))).unwrap();
    stage.pass(30 * MINUTE);
    assert!(is_about(seconds(&stage), 1), "{}", seconds(&stage));
}

#[test]
fn it_is_forgotten_with_the_rest_of_the_ledger() {
    let stage = Stage::with(&[IDLE, ("USAGE_DAYS", "31"), ("RETENTION_DAYS", "1")]);
    stage.query("a");
    stage.pass(30 * MINUTE);
    assert_eq!(stage.sql.count("container_use"), 1);
    stage.pass(33 * DAY);
    stage.query("b");
    stage.pass(MINUTE);
    stage.visit();
    assert_eq!(stage.sql.count("container_use"), 0);
}
