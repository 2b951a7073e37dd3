//! What an account does without being asked: its alarm, its backstop, its registration with the directory.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::account::runtime::Runtime;
use claude_agent_service::account::wake::{REGISTER_RETRY, WATCH};
use support::account::{BATCH, Fixture, backstop, new_account, start_turn};
use support::at;

#[test]
fn the_alarm_purges_what_is_due() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.alarm();
    assert_eq!(fixture.left(), ["c3"]);
}

#[test]
fn an_account_whose_work_is_done_sleeps_until_its_backstop() {
    let fixture = Fixture::new(3);
    fixture.alarm();
    assert_eq!(fixture.sleeps_until(), Some(backstop(at(1_000))));
    assert_eq!(*fixture.world.runtime.log.borrow(), [""; 0]);
}

#[test]
fn a_visit_puts_the_backstop_off() {
    let mut fixture = Fixture::new(3).when_due(at(3_000));
    fixture.reset();
    fixture.visit();
    assert_eq!(fixture.sleeps_until(), Some(backstop(at(3_000))));
}

#[test]
fn an_account_that_nobody_visited_in_time_registers_again() {
    let fixture = Fixture::new(3);
    fixture.world.runtime.now.set(backstop(at(1_000)));
    fixture.alarm();
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [at(1_000)]);
}

#[test]
fn the_first_conversation_registers_the_account_and_the_answer_does_not_wait() {
    let fixture = new_account();
    start_turn(&fixture);
    assert_eq!(*fixture.world.registered.borrow(), []);
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [at(0)]);
    assert_eq!(fixture.sql.texts("select registered from account"), ["1"]);
}

#[test]
fn an_account_that_is_registered_is_not_registered_again() {
    let fixture = new_account();
    for _ in 0..2 {
        start_turn(&fixture);
        fixture.world.runtime.run_tasks();
    }
    assert_eq!(fixture.world.registered.borrow().len(), 1);
}

#[test]
fn a_registration_that_failed_is_tried_again_by_the_alarm() {
    let fixture = new_account();
    fixture.world.directory_is_up.set(false);
    start_turn(&fixture);
    fixture.world.runtime.run_tasks();
    fixture.alarm();
    assert!(fixture.sleeps_until() <= Some(fixture.world.now().plus(REGISTER_RETRY)));
    fixture.world.runtime.run_tasks();
    fixture.world.directory_is_up.set(true);
    fixture.alarm();
    fixture.world.runtime.run_tasks();
    let oldest = fixture.sql.texts("select last_accessed_at from conversations");
    assert_eq!(fixture.world.registered.borrow().iter().map(|at| at.get().to_string()).collect::<Vec<_>>(), oldest);
}

#[test]
fn a_cleared_account_sets_its_alarm_anew() {
    let fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    fixture.purge();
    // As the platform does when it clears the storage.
    fixture.world.runtime.alarm.set(None);
    start_turn(&fixture);
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(WATCH)));
}

#[test]
fn a_cleared_account_registers_again_with_its_next_conversation() {
    let fixture = Fixture::new(1).when_due(at(9_000));
    fixture.purge();
    let now = fixture.world.now();
    start_turn(&fixture);
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [now]);
}
