//! The purge of one account: what it deletes, what it lets in between, and what it leaves.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use std::pin::pin;
use std::time::Duration;

use claude_agent_service::account::command::Command;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::runtime::Runtime;
use claude_agent_service::account::wake::WATCH;
use claude_agent_service::domain::PurgeOutcome;
use claude_agent_service::store::retention::PURGE_BATCH;
use serde_json::json;
use support::account::{BATCH, Fixture, start_turn};
use support::runtime::{drive, poll};
use support::{admission, admit, at};

#[test]
fn a_purge_deletes_what_is_due_and_a_second_finds_nothing() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    assert_eq!(fixture.purge(), (2, 0));
    assert_eq!(fixture.left(), ["c3"]);
    assert_eq!(fixture.purge(), (0, 0));
}

#[test]
fn a_visit_tells_the_oldest_access_of_what_is_left() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    assert_eq!(fixture.visit(), PurgeOutcome { deleted: 2, errors: 0, oldest_access_at: Some(at(3_000)) });
}

#[test]
fn a_purge_lets_reads_in_between_its_batches() {
    let fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    let mut purge = pin!(fixture.send(Command::Purge));
    assert!(poll(purge.as_mut()).is_none(), "it yields after its first batch");
    assert_eq!(fixture.list().matches("session_id").count(), 5);
}

#[test]
fn an_object_that_is_reset_in_the_middle_of_a_purge_goes_on_by_its_alarm() {
    let mut fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    assert!(poll(pin!(fixture.send(Command::Purge))).is_none());
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(WATCH)));
    fixture.reset();
    fixture.alarm();
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn a_purge_stops_when_its_time_is_over_and_goes_on_at_once_by_alarm() {
    let fixture = Fixture::new(3 * BATCH + 5).when_due(at(900_000));
    fixture.world.runtime.least_wait.set(Duration::from_secs(8));
    assert_eq!(fixture.purge(), (3 * u64::from(PURGE_BATCH), 0));
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now()));
    fixture.alarm();
    assert_eq!(fixture.tables(), [""; 0]);
    let more: Vec<_> = fixture.world.runtime.logged("account_purged").iter().map(|line| line["more"].clone()).collect();
    assert_eq!(more, [true, false]);
}

#[test]
fn two_purges_at_once_delete_everything_once() {
    let fixture = Fixture::new(2 * BATCH).when_due(at(2_000 * i64::from(PURGE_BATCH)));
    let (mut first, mut second) = (pin!(fixture.send(Command::Visit)), pin!(fixture.send(Command::Visit)));
    assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
    let deleted = [drive(first), drive(second)].map(|reply| match reply {
        Reply::Visited(visit) => visit.deleted,
        _ => 0,
    });
    assert_eq!((deleted, fixture.left().len()), ([2 * u64::from(PURGE_BATCH) - 1, 0], 1));
}

#[test]
fn a_purge_that_waited_for_one_that_cleared_the_account_finds_nothing() {
    let fixture = Fixture::new(2 * BATCH).when_due(at(900_000));
    let (mut first, mut second) = (pin!(fixture.send(Command::Visit)), pin!(fixture.send(Command::Visit)));
    assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
    drive(first);
    let Reply::Visited(visit) = drive(second) else { unreachable!() };
    assert_eq!(visit, PurgeOutcome { deleted: 0, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn an_account_left_empty_clears_its_storage_and_sets_no_alarm() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    assert_eq!(fixture.visit(), PurgeOutcome { deleted: 2, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
    assert_eq!(fixture.sleeps_until(), None);
}

#[test]
fn a_cleared_account_works_again() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    fixture.purge();
    assert_eq!(fixture.list(), "[]");
    start_turn(&fixture);
    assert!(fixture.list().contains("hello"));
}

#[test]
fn an_empty_account_that_is_visited_clears_itself_again() {
    let fixture = Fixture::new(0);
    assert_eq!(fixture.visit(), PurgeOutcome { deleted: 0, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn a_conversation_with_an_active_turn_is_left_and_keeps_the_account() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    admit(&fixture.store, &admission(3, "c1", "goes on")).unwrap();
    assert_eq!(fixture.visit(), PurgeOutcome { deleted: 1, errors: 0, oldest_access_at: Some(at(1_000)) });
    assert_eq!(fixture.left(), ["c1"]);
}

#[test]
fn a_running_container_forgets_what_was_deleted() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    assert_eq!(fixture.purge(), (2, 0));
    let forget = format!("DELETE /sessions/{}", support::sdk_session(1));
    assert_eq!(*fixture.world.container_calls.borrow(), [forget.clone(), forget]);
    assert!(fixture.world.container_runs.get(), "something is left in it");
}

#[test]
fn a_container_that_forgets_nothing_is_an_error_and_the_conversations_are_gone() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.world.container_answers.set(false);
    assert_eq!(fixture.purge(), (2, 2));
    assert_eq!(fixture.left(), ["c3"]);
    assert_eq!(fixture.world.runtime.logged("sessions_not_forgotten").len(), 1);
}

#[test]
fn a_container_that_does_not_run_is_not_asked() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.purge();
    assert_eq!(*fixture.world.container_calls.borrow(), [""; 0]);
}

#[test]
fn an_account_left_empty_stops_its_container() {
    let fixture = Fixture::new(1).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.purge();
    assert!(!fixture.world.container_runs.get());
}

#[test]
fn a_purge_keeps_the_alarm_of_an_idle_container() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.purge();
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(Duration::from_mins(20))));
}

#[test]
fn a_purge_that_storage_refuses_is_an_error_and_is_not_repeated_at_once() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.sql.run("create trigger broken before delete on conversations begin select raise(abort, 'broken'); end");
    assert_eq!(fixture.purge(), (0, 1));
    assert_eq!(fixture.left().len(), 3);
    assert!(fixture.sleeps_until() > Some(fixture.world.now().plus(Duration::from_mins(30))));
}

#[test]
fn a_purge_logs_one_line_of_counts_without_content() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.purge();
    let log = fixture.world.runtime.log.take();
    let [line] = log.as_slice() else { unreachable!() };
    let mut fields: serde_json::Value = serde_json::from_str(line).unwrap();
    assert!(fields["rows_written"].take().as_u64() > Some(8));
    let account = claude_agent_service::digest::account("zoë");
    let counts = json!({"event": "account_purged", "account": account, "total_ms": 0, "rows_written": null,
        "deleted": 2, "errors": 0, "more": false, "emptied": false});
    assert_eq!(fields, counts);
}
