//! Retention in the store: what is due, what a batch takes along, and what is left of a cleared account.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::store::retention::PURGE_BATCH;
use support::{admission, admit, at, exchange, sdk_session, session, store};

#[test]
fn due_is_what_was_not_touched_since_the_cutoff() {
    let (store, sql) = store();
    for n in 1..=3 {
        exchange(&store, n, &format!("c{n}"), "q", "a");
    }
    assert_eq!(store.purge_batch(at(1_000)).unwrap().conversations, 0);
    assert_eq!(store.purge_batch(at(3_000)).unwrap().conversations, 2);
    assert_eq!(sql.texts("select session_id from conversations"), ["c3"]);
}

#[test]
fn a_conversation_with_a_queued_or_running_turn_is_left() {
    let (store, sql) = store();
    for n in 1..=3 {
        exchange(&store, n, &format!("c{n}"), "q", "a");
    }
    admit(&store, &admission(4, "c1", "runs")).unwrap();
    admit(&store, &support::Admission { starts: false, ..admission(5, "c2", "waits") }).unwrap();
    assert_eq!(store.purge_batch(at(90_000)).unwrap().conversations, 1);
    assert_eq!(sql.texts("select session_id from conversations order by 1"), ["c1", "c2"]);
}

#[test]
fn a_batch_takes_messages_turns_and_transcripts_along_and_nothing_else() {
    let (store, sql) = store();
    exchange(&store, 1, "due", "q", "a");
    exchange(&store, 2, "due", "q", &"long ".repeat(400_000));
    exchange(&store, 3, "fresh", "q", "a");
    store.purge_batch(at(3_000)).unwrap();
    let rows = ["conversations", "messages", "turns", "transcripts"].map(|table| sql.count(table));
    assert_eq!(rows, [1, 2, 1, 1]);
    assert!(store.turn(&support::turn(3)).unwrap().is_some());
}

#[test]
fn a_batch_tells_the_sdk_sessions_that_it_deleted() {
    let (store, _) = store();
    exchange(&store, 1, "c1", "q", "a");
    admit(&store, &admission(2, "never-answered", "q")).unwrap();
    support::finish(&store, &support::turn(2), "a", at(2_000)).unwrap();
    assert_eq!(store.purge_batch(at(9_000)).unwrap().sdk_sessions, [sdk_session(1), sdk_session(1)]);
}

#[test]
fn totals_that_were_told_before_a_batch_are_right_after_it() {
    let (store, _) = store();
    for n in 1..=3 {
        exchange(&store, n, &format!("c{n}"), "q", "a");
    }
    let told = || -> serde_json::Value {
        serde_json::from_str(&store.storage_stats(Duration::from_secs(1), at(9_000)).unwrap()).unwrap()
    };
    assert_eq!((told()["total_conversations"].clone(), told()["total_messages"].clone()), (3.into(), 6.into()));
    store.transaction(|| store.purge_batch(at(3_000))).unwrap();
    assert_eq!((told()["total_conversations"].clone(), told()["total_messages"].clone()), (1.into(), 2.into()));
    store.clear().unwrap();
    store.make(at(0)).unwrap();
    assert_eq!(told()["total_conversations"], 0);
}

#[test]
fn a_batch_has_a_bound_and_starts_with_the_oldest() {
    let (store, sql) = store();
    for n in 1..=u128::from(PURGE_BATCH) + 2 {
        exchange(&store, n, &format!("c{n}"), "q", "a");
    }
    assert_eq!(store.purge_batch(at(999_000)).unwrap().conversations, PURGE_BATCH);
    assert_eq!(
        sql.texts("select session_id from conversations order by 1"),
        [format!("c{}", PURGE_BATCH + 1), format!("c{}", PURGE_BATCH + 2)]
    );
}

#[test]
fn a_cleared_store_is_empty_and_works_again_once_it_is_reopened() {
    let (store, sql) = store();
    exchange(&store, 1, "c1", "q", "a");
    store.clear().unwrap();
    assert_eq!(sql.texts("select name from sqlite_schema"), [""; 0]);
    store.make(at(0)).unwrap();
    assert_eq!(store.oldest_access().unwrap(), None);
    exchange(&store, 2, "c1", "q", "a");
    assert_eq!(store.conversation(&session("c1")).unwrap().unwrap().message_count, 2);
}

#[test]
fn an_account_is_unregistered_from_its_first_conversation_to_its_registration() {
    let (store, _) = store();
    let account = "a".parse().unwrap();
    assert_eq!(store.unregistered_since().unwrap(), None);
    store.remember_account(&account).unwrap();
    assert_eq!(store.unregistered_since().unwrap(), None, "nothing is stored");
    exchange(&store, 2, "c2", "q", "a");
    exchange(&store, 3, "c3", "q", "a");
    assert_eq!(store.unregistered_since().unwrap(), Some(at(2_000)));
    store.set_registered(true).unwrap();
    assert_eq!(store.unregistered_since().unwrap(), None);
    store.set_registered(false).unwrap();
    assert_eq!(store.unregistered_since().unwrap(), Some(at(2_000)));
}
