//! A directory shard on a real database: who is visited, what a run records, and how it goes on after a reset.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite that cannot go on stops")]

mod fixture;
mod operators;
#[path = "../support/mod.rs"]
mod support;

use claude_agent_service::directory::port::{Runtime as _, Unreachable};
use claude_agent_service::directory::{PAGE, RUN_SLICE, RUN_WATCH, VISIT_TRIES, VISITS_AT_ONCE};
use claude_agent_service::domain::{PurgeOutcome, RunId};
use claude_agent_service::store::directory::{DirectoryStore, MAX_RUNS_KEPT};
use fixture::{FRESH, Fixture, due, emptied, left, open};
use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use support::NOW;
use support::runtime::poll;
use uuid::Uuid;

#[test]
fn a_run_visits_the_accounts_that_are_due_and_no_other() {
    let fixture = Fixture::new(3);
    let run = fixture.run();
    let mut visits = fixture.visits();
    visits.sort();
    assert_eq!(visits, ["a0", "a1", "a2"]);
    assert_eq!((run.accounts_due, run.accounts_done, run.accounts_failed, run.conversations_deleted), (3, 3, 0, 6));
    assert!(run.finished_at.is_some());
}

#[test]
fn a_run_with_nothing_due_ends_at_once() {
    let fixture = Fixture::new(0);
    let run = fixture.run();
    assert_eq!((run.accounts_due, fixture.visits().len()), (0, 0));
    assert!(run.finished_at.is_some());
}

#[test]
fn at_most_six_accounts_are_visited_at_once() {
    let fixture = Fixture::new(40);
    fixture.run();
    assert_eq!(fixture.world.most_at_once.get(), VISITS_AT_ONCE);
}

#[test]
fn an_account_that_is_empty_leaves_the_directory() {
    let fixture = Fixture::new(2);
    fixture.run();
    assert_eq!(fixture.accounts(), [format!("fresh {}", FRESH.get())]);
}

#[test]
fn a_visit_moves_the_account_to_its_new_oldest_access() {
    let fixture = Fixture::new(1).answers(|_| Ok(left(NOW)));
    fixture.run();
    assert_eq!(fixture.accounts()[0], format!("a0 {}", NOW.get()));
}

#[test]
fn an_account_with_something_due_left_stays_where_it_is_and_is_visited_once_a_run() {
    let fixture = Fixture::new(2).answers(|_| Ok(left(due(900))));
    let run = fixture.run();
    assert_eq!((run.accounts_done, fixture.visits().len()), (2, 2));
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
}

#[test]
fn an_account_that_registers_during_its_visit_stays() {
    let fixture = Fixture::new(1);
    let other = DirectoryStore::open(fixture.sql.clone(), NOW).unwrap();
    let fixture = fixture.answers(move |account| {
        other.register(&account.parse().unwrap(), NOW).unwrap();
        Ok(emptied(1))
    });
    fixture.run();
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
}

#[test]
fn an_account_that_is_registered_twice_keeps_the_lower_bound() {
    let fixture = Fixture::new(1);
    fixture.register("a0", NOW);
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
    fixture.register("a0", due(-5));
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(-5).get()));
}

#[test]
fn an_account_that_does_not_answer_is_tried_three_times_and_holds_up_nobody() {
    let fixture =
        Fixture::new(3).answers(|id| if id == "a1" { Err(Unreachable("gone".to_owned())) } else { Ok(emptied(2)) });
    let run = fixture.run();
    assert_eq!(fixture.visits().iter().filter(|id| *id == "a1").count(), VISIT_TRIES as usize);
    assert_eq!((run.accounts_due, run.accounts_done, run.accounts_failed), (3, 2, 1));
    assert_eq!(fixture.accounts()[0], format!("a1 {}", due(1).get()));
    assert_eq!(fixture.world.runtime.logged("visit_failed").len(), 1);
}

#[test]
fn an_account_that_answers_the_second_time_is_done() {
    let tries = Cell::new(0);
    let fixture = Fixture::new(1).answers(move |_| {
        tries.set(tries.get() + 1);
        if tries.get() == 1 { Err(Unreachable("reset".to_owned())) } else { Ok(emptied(2)) }
    });
    let run = fixture.run();
    assert_eq!((run.accounts_done, run.accounts_failed), (1, 0));
}

#[test]
fn an_account_that_cannot_delete_has_failed() {
    let fixture =
        Fixture::new(1).answers(|_| Ok(PurgeOutcome { deleted: 0, errors: 1, oldest_access_at: Some(due(0)) }));
    let run = fixture.run();
    assert_eq!((run.accounts_done, run.accounts_failed), (0, 1));
}

#[test]
fn a_failed_account_is_tried_again_by_the_next_run() {
    let fixture = Fixture::new(1).answers(|_| Err(Unreachable("gone".to_owned())));
    fixture.run();
    let fixture = fixture.answers(|_| Ok(emptied(2)));
    fixture.start(2);
    fixture.alarm();
    let runs = fixture.runs();
    let [second, first] = runs.as_slice() else { unreachable!() };
    assert_eq!((first.accounts_failed, second.accounts_done), (1, 1));
}

#[test]
fn a_run_that_goes_on_is_joined() {
    let fixture = Fixture::new(1);
    let first = fixture.start(1);
    assert_eq!(fixture.start(2), first);
    assert_eq!(fixture.runs().len(), 1);
}

#[test]
fn starting_a_run_is_the_alarm_s_work() {
    let fixture = Fixture::new(1);
    fixture.start(1);
    assert_eq!(fixture.world.runtime.alarm.get(), Some(NOW));
    assert_eq!(fixture.visits().len(), 0);
}

#[test]
fn a_shard_that_is_reset_in_the_middle_goes_on_where_it_saved_its_place() {
    let mut fixture = Fixture::new(i64::from(PAGE) + 10);
    fixture.start(1);
    {
        let mut alarm = pin!(Rc::clone(&fixture.directory).alarm());
        while fixture.visits().len() <= PAGE as usize {
            assert!(poll(alarm.as_mut()).is_none());
        }
    }
    assert_eq!(fixture.world.runtime.alarm.get(), Some(fixture.world.now().plus(RUN_WATCH)), "somebody wakes it");
    let again = fixture.visits().len() - PAGE as usize;
    fixture.directory = open(&fixture.world, &fixture.sql);
    fixture.alarm();
    let run = fixture.runs().remove(0);
    assert_eq!((run.accounts_done, run.conversations_deleted), (40, 80));
    assert_eq!(fixture.visits().len(), 40 + again, "only the page at hand is visited again");
    assert_eq!(fixture.accounts().len(), 1);
}

#[test]
fn a_long_run_goes_on_by_alarm() {
    let fixture = Fixture::new(i64::from(PAGE) * 3);
    let now = Rc::clone(&fixture.world.runtime.now);
    let fixture = fixture.answers(move |_| {
        // Each page takes a whole slice.
        now.set(now.get().plus(RUN_SLICE));
        Ok(emptied(1))
    });
    fixture.start(1);
    let mut alarms = 0;
    while fixture.runs()[0].finished_at.is_none() {
        fixture.alarm();
        alarms += 1;
        assert_eq!(fixture.visits().len(), usize::min(alarms * PAGE as usize, 90));
    }
    assert_eq!(alarms, 4);
}

#[test]
fn a_run_whose_storage_fails_goes_on_later() {
    let fixture = Fixture::new(2);
    fixture.start(1);
    fixture.sql.run("alter table accounts rename to away");
    fixture.alarm();
    assert_eq!(fixture.world.runtime.alarm.get(), Some(NOW.plus(Duration::from_mins(1))));
    assert_eq!(fixture.world.runtime.logged("purge_run_stalled").len(), 1);
    fixture.sql.run("alter table away rename to accounts");
    fixture.alarm();
    assert_eq!(fixture.runs()[0].accounts_done, 2);
}

#[test]
fn an_account_that_hangs_is_given_up_in_time() {
    let fixture = Fixture::new(1);
    fixture.world.hangs.set(true);
    let run = fixture.run();
    assert_eq!((run.accounts_failed, fixture.visits().len()), (1, VISIT_TRIES as usize));
    assert!(run.finished_at < Some(NOW.plus(Duration::from_mins(5))));
}

#[test]
fn a_shard_remembers_so_many_runs() {
    let fixture = Fixture::new(0);
    for n in 1..=u128::from(MAX_RUNS_KEPT) + 5 {
        fixture.start(n);
        fixture.alarm();
    }
    let runs = fixture.runs();
    assert_eq!(runs.len(), MAX_RUNS_KEPT as usize);
    assert_eq!(runs[0].run_id, RunId::new(Uuid::from_u128(u128::from(MAX_RUNS_KEPT) + 5)));
}

#[test]
fn a_run_logs_one_line_with_its_counts() {
    let fixture = Fixture::new(2);
    fixture.run();
    let lines = fixture.world.runtime.logged("purge_run_ended");
    let [line] = lines.as_slice() else { unreachable!() };
    assert_eq!(line["run"]["accounts_done"], 2);
    assert_eq!(line["run"]["conversations_deleted"], 4);
}

#[test]
fn the_schema_of_a_shard_is_pinned() {
    let fixture = Fixture::new(0);
    let plan = fixture.sql.texts(
        "select name from sqlite_schema where name not like 'sqlite_%' and name <> 'schema_migrations' order by name",
    );
    assert_eq!(
        plan,
        [
            "accounts",
            "accounts_by_oldest_access",
            "audit",
            "erasures",
            "erasures_pending",
            "fleet_parts",
            "fleet_reports",
            "purge_runs"
        ]
    );
}
