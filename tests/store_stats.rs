//! What is counted: the answer of `GET /storage-stats`, and that the totals stay right whatever is written.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::domain::Millis;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::store::{Store, StoreError};
use serde_json::{Value, json};
use support::{NOW, Rusqlite, admission, admit, at, exchange, finish, session, store, turn};

const RETENTION: Duration = Duration::from_hours(30 * 24);

fn stats(store: &Store<Rusqlite>, now: Millis) -> Value {
    serde_json::from_str(&store.storage_stats(RETENTION, now).unwrap()).unwrap()
}

fn totals(store: &Store<Rusqlite>) -> [i64; 2] {
    let stats = stats(store, NOW);
    ["total_conversations", "total_messages"].map(|name| stats[name].as_i64().unwrap())
}

#[test]
fn nothing_stored_is_pinned() {
    let (store, sql) = store();
    let bytes = sql.text("select page_count * page_size from pragma_page_count(), pragma_page_size()");
    assert_eq!(
        store.storage_stats(RETENTION, NOW).unwrap(),
        format!(
            "{{\"total_conversations\":0,\"oldest_conversation_age_days\":null,\"conversations_ready_to_purge\":0,\
             \"retention_policy_days\":30,\"total_messages\":0,\"database_bytes\":{bytes}}}"
        )
    );
}

#[test]
fn age_and_readiness_count_from_the_last_access() {
    let (store, _) = store();
    exchange(&store, 0, "old", "q", "a");
    exchange(&store, 3_600, "new", "q", "a");
    let later = NOW.plus(RETENTION).plus(DAY / 2);
    let stats = stats(&store, later);
    assert_eq!(stats["oldest_conversation_age_days"], json!(30.5));
    assert_eq!(stats["conversations_ready_to_purge"], json!(2));
    assert_eq!(totals(&store), [2, 4]);
}

#[test]
fn a_conversation_is_ready_when_it_is_older_than_retention_and_not_before() {
    let (store, _) = store();
    exchange(&store, 0, "a", "q", "a");
    assert_eq!(stats(&store, NOW.plus(RETENTION))["conversations_ready_to_purge"], json!(0));
    assert_eq!(
        stats(&store, NOW.plus(RETENTION).plus(Duration::from_millis(1)))["conversations_ready_to_purge"],
        json!(1)
    );
}

#[test]
fn a_conversation_with_a_turn_that_runs_is_not_ready() {
    let (store, _) = store();
    admit(&store, &admission(0, "a", "q")).unwrap();
    assert_eq!(stats(&store, NOW.plus(RETENTION).plus(DAY))["conversations_ready_to_purge"], json!(0));
}

#[test]
fn an_age_is_never_negative() {
    let (store, _) = store();
    exchange(&store, 5, "a", "q", "a");
    assert_eq!(stats(&store, NOW)["oldest_conversation_age_days"], json!(0.0));
}

#[test]
fn the_totals_follow_every_write() {
    let (store, sql) = store();
    let counted = || [sql.count("conversations"), sql.count("messages")].map(|n| i64::try_from(n).unwrap());
    assert_eq!(totals(&store), [0, 0]);
    let steps: [(&str, &dyn Fn()); 8] = [
        ("a new conversation", &|| exchange(&store, 1, "a", "q", "a")),
        ("a second turn", &|| exchange(&store, 2, "a", "q", "a")),
        ("a turn that waits", &|| assert_eq!(admit(&store, &admission(3, "b", "q")).unwrap(), 1)),
        ("its end", &|| assert!(finish(&store, &turn(3), "a", at(0)).unwrap())),
        ("a deletion", &|| drop(store.delete_conversation(&session("a")).unwrap())),
        ("a deletion of nothing", &|| drop(store.delete_conversation(&session("a")).unwrap())),
        ("a third conversation", &|| exchange(&store, 4, "c", "q", "a")),
        ("a purge", &|| assert_eq!(store.purge_batch(at(3_500)).unwrap().conversations, 1)),
    ];
    for (what, step) in steps {
        step();
        assert_eq!(totals(&store), counted(), "{what}");
    }
}

#[test]
fn the_totals_are_right_after_a_transaction_that_failed() {
    let (store, _) = store();
    exchange(&store, 1, "a", "q", "a");
    assert_eq!(totals(&store), [1, 2]);
    assert!(admit(&store, &admission(1, "b", "the same turn again")).is_err());
    assert_eq!(totals(&store), [1, 2]);
    let undone: Result<(), StoreError> = store.transaction(|| {
        store.delete_conversation(&session("a"))?;
        Err(StoreError::Unreadable { what: "test", value: String::new() })
    });
    assert!(undone.is_err());
    assert_eq!(totals(&store), [1, 2]);
}

#[test]
fn asking_again_does_not_count_again() {
    let (store, sql) = store();
    exchange(&store, 1, "a", "q", "a");
    assert_eq!(totals(&store), [1, 2]);
    sql.run("update conversations set message_count = 9");
    assert_eq!(totals(&store), [1, 2]);
}
