//! Turns in storage: admission, the queue's order, the one end, the idempotency key.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::{Failure, FailureCode, TurnStatus, Usage};
use claude_agent_service::store::MAX_ROW_TEXT_BYTES;
use claude_agent_service::store::turns::{LastEvents, Origin, TurnEnd};
use support::{USAGE, admission, admit, at, exchange, finish, made_store, sdk_session, session, store, turn};

#[test]
fn admission_stores_the_conversation_the_query_and_the_turn() {
    let (store, _) = store();
    let seq = admit(&store, &admission(1, "a", "What is 2+2?")).unwrap();
    let conversation = store.conversation(&session("a")).unwrap().unwrap();
    assert_eq!((conversation.title.as_str(), conversation.message_count), ("What is 2+2?", 1));
    assert_eq!((conversation.created_at, conversation.last_accessed_at), (at(1_000), at(1_000)));
    assert_eq!(conversation.message_bytes, 12);
    assert_eq!(store.message_text(&session("a"), seq).unwrap().as_deref(), Some("What is 2+2?"));
    let active = store.active_turns().unwrap();
    assert_eq!(active.len(), 1);
    assert_eq!((&active[0].turn_id, active[0].status), (&turn(1), TurnStatus::Running));
}

#[test]
fn an_admission_that_fails_stores_nothing() {
    let (store, sql) = store();
    admit(&store, &admission(1, "a", "first")).unwrap();
    // The same turn id again: its last statement fails.
    assert!(admit(&store, &admission(1, "b", "second")).is_err());
    assert_eq!((sql.count("conversations"), sql.count("messages"), sql.count("turns")), (1, 1, 1));
}

#[test]
fn a_second_turn_keeps_the_conversations_title_and_creation() {
    let (store, _) = store();
    exchange(&store, 1, "a", "first", "one");
    exchange(&store, 2, "a", "second", "two");
    let conversation = store.conversation(&session("a")).unwrap().unwrap();
    assert_eq!((conversation.title.as_str(), conversation.created_at), ("first", at(1_000)));
    assert_eq!((conversation.message_count, conversation.message_bytes), (4, 17));
}

#[test]
fn the_queue_is_first_come_first_served_across_conversations() {
    let (store, _) = store();
    for (n, session_id) in [(5, "a"), (3, "b"), (9, "a")] {
        admit(&store, &support::Admission { starts: n == 5, ..admission(n, session_id, "x") }).unwrap();
    }
    let active = store.active_turns().unwrap();
    let order: Vec<_> = active.iter().map(|turn| (turn.turn_id.clone(), turn.status)).collect();
    let queued = TurnStatus::Queued;
    assert_eq!(order, [(turn(5), TurnStatus::Running), (turn(3), queued), (turn(9), queued)]);
}

#[test]
fn the_queue_stays_in_order_after_the_newest_turn_has_ended() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "x")).unwrap();
    admit(&store, &admission(2, "b", "x")).unwrap();
    finish(&store, &turn(2), "done", at(0)).unwrap();
    admit(&store, &admission(3, "c", "x")).unwrap();
    let order: Vec<_> = store.active_turns().unwrap().into_iter().map(|turn| turn.turn_id).collect();
    assert_eq!(order, [turn(1), turn(3)]);
}

#[test]
fn active_turns_are_known_as_they_are_stored_after_every_write() {
    let (store, sql) = store();
    let is_as_stored = |what: &str| {
        let stored = made_store(sql.clone(), at(0)).active_turns().unwrap();
        assert_eq!(store.active_turns().unwrap(), stored, "{what}");
        stored.len()
    };
    assert_eq!(is_as_stored("an empty account"), 0);
    admit(&store, &admission(1, "a", "x")).unwrap();
    for (n, session_id) in [(2, "b"), (3, "c"), (4, "c")] {
        admit(&store, &support::Admission { starts: false, ..admission(n, session_id, "x") }).unwrap();
    }
    assert_eq!(is_as_stored("admitted"), 4);
    store.start_turn(&turn(2), at(5_000), None).unwrap();
    is_as_stored("started");
    assert!(admit(&store, &admission(1, "d", "x")).is_err());
    assert_eq!(is_as_stored("an admission that failed"), 4);
    finish(&store, &turn(1), "done", at(6_000)).unwrap();
    assert_eq!(is_as_stored("ended"), 3);
    store.delete_conversation(&session("c")).unwrap();
    assert_eq!(is_as_stored("deleted"), 1);
    store.transaction(|| store.purge_batch(at(60_000))).unwrap();
    assert_eq!(is_as_stored("purged, but for what is active"), 1);
    store.clear().unwrap();
    store.make(at(0)).unwrap();
    assert_eq!(is_as_stored("cleared"), 0);
}

#[test]
fn an_active_turn_knows_its_conversations_sdk_session() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "x")).unwrap();
    assert_eq!(
        store.origin_of(&turn(1)).unwrap(),
        Some(Origin { sdk_session: None, has_attachments: false, grants: Vec::new() })
    );
    finish(&store, &turn(1), "done", at(0)).unwrap();
    assert_eq!(store.origin_of(&turn(1)).unwrap(), None, "it has ended");
    admit(&store, &admission(2, "a", "x")).unwrap();
    assert_eq!(
        store.origin_of(&turn(2)).unwrap(),
        Some(Origin { sdk_session: Some(sdk_session(1)), has_attachments: false, grants: Vec::new() })
    );
    store.delete_conversation(&session("a")).unwrap();
    assert_eq!(store.origin_of(&turn(2)).unwrap(), None, "it is deleted");
}

#[test]
fn only_a_queued_turn_starts() {
    let (store, _) = store();
    admit(&store, &support::Admission { starts: false, ..admission(1, "a", "x") }).unwrap();
    store.start_turn(&turn(1), at(2_000), None).unwrap();
    store.start_turn(&turn(1), at(9_000), None).unwrap();
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().started_at, Some(at(2_000)));
    finish(&store, &turn(1), "done", at(3_000)).unwrap();
    store.start_turn(&turn(1), at(9_000), None).unwrap();
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().status, TurnStatus::Completed);
}

#[test]
fn a_finished_turn_reads_back_with_its_answer_and_usage() {
    let (store, _) = store();
    exchange(&store, 1, "a", "What is 2+2?", "4");
    let read = store.turn(&turn(1)).unwrap().unwrap();
    assert_eq!((read.status, read.response.as_deref()), (TurnStatus::Completed, Some("4")));
    assert_eq!((read.usage, read.model.as_deref()), (Some(USAGE), Some("claude-test")));
    assert_eq!((read.num_turns, read.duration_ms, read.error), (Some(1), Some(900), None));
}

#[test]
fn the_end_of_a_turn_counts_in_its_conversation() {
    let (store, _) = store();
    exchange(&store, 1, "a", "q", "four");
    exchange(&store, 2, "a", "q", "four");
    let conversation = store.conversation(&session("a")).unwrap().unwrap();
    assert_eq!(conversation.sdk_session, Some(sdk_session(1)));
    assert_eq!(conversation.last_accessed_at, at(2_000));
    let twice = Usage {
        input_tokens: 20,
        output_tokens: 10,
        cache_read_input_tokens: 6,
        cache_creation_input_tokens: 4,
        cost_usd: 0.2,
    };
    assert_eq!(conversation.usage, twice);
}

#[test]
fn costs_add_up_without_the_noise_of_floats() {
    let (store, _) = store();
    for n in 1..=3 {
        exchange(&store, n, "a", "q", "four");
    }
    assert_eq!(store.conversation(&session("a")).unwrap().unwrap().usage.cost_usd.to_string(), "0.3");
}

#[test]
fn a_turn_ends_once() {
    let (store, sql) = store();
    exchange(&store, 1, "a", "q", "first end");
    assert!(!finish(&store, &turn(1), "second end", at(9_000)).unwrap());
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().response.as_deref(), Some("first end"));
    assert_eq!((sql.count("messages"), sql.count("transcripts")), (2, 1));
}

#[test]
fn the_end_of_a_deleted_turn_stores_nothing() {
    let (store, sql) = store();
    admit(&store, &admission(1, "a", "q")).unwrap();
    store.delete_conversation(&session("a")).unwrap();
    assert!(!finish(&store, &turn(1), "too late", at(0)).unwrap());
    assert_eq!((sql.count("conversations"), sql.count("messages"), sql.count("transcripts")), (0, 0, 0));
}

#[test]
fn a_failed_turn_keeps_its_failure_and_has_no_answer() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "q")).unwrap();
    let failure = Failure { retry_after_s: Some(7), ..Failure::new(FailureCode::ModelRateLimited, "slow down") };
    let end = TurnEnd {
        status: TurnStatus::Failed,
        error: Some(&failure),
        model: None,
        usage: None,
        num_turns: None,
        duration_ms: None,
        finished_at: at(5_000),
        last_events: LastEvents { message: 0, end: 1 },
        counted: None,
        stop_reason: None,
        by_model: None,
    };
    let (ended, seq) = store.end_turn(&turn(1), &end).unwrap().unwrap();
    let read = store.turn(&turn(1)).unwrap().unwrap();
    assert_eq!((&ended, seq), (&read, 1), "what has ended is told as it is stored");
    assert_eq!((read.status, read.error, read.response), (TurnStatus::Failed, Some(failure), None));
}

#[test]
fn the_numbers_of_a_turns_last_events_are_kept_with_its_end() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "q")).unwrap();
    assert_eq!(store.last_events(&turn(1)).unwrap(), None);
    finish(&store, &turn(1), "answer", at(0)).unwrap();
    assert_eq!(store.last_events(&turn(1)).unwrap(), Some(LastEvents { message: 3, end: 5 }));
}

#[test]
fn an_idempotency_key_finds_its_turn_and_the_hash_of_its_request() {
    let (store, _) = store();
    admit(&store, &support::Admission { key: Some(("key-1", "hash-1")), ..admission(1, "a", "q") }).unwrap();
    admit(&store, &admission(2, "a", "q")).unwrap();
    admit(&store, &admission(3, "a", "q")).unwrap();
    assert_eq!(store.turn_by_key(&"key-1".parse().unwrap()).unwrap(), Some((turn(1), "hash-1".to_owned())));
    assert_eq!(store.turn_by_key(&"key-2".parse().unwrap()).unwrap(), None);
}

#[test]
fn an_idempotency_key_is_kept_as_long_as_its_turn() {
    let (store, _) = store();
    admit(&store, &support::Admission { key: Some(("key-1", "hash-1")), ..admission(1, "a", "q") }).unwrap();
    finish(&store, &turn(1), "done", at(0)).unwrap();
    assert!(store.turn_by_key(&"key-1".parse().unwrap()).unwrap().is_some());
    store.delete_conversation(&session("a")).unwrap();
    assert!(store.turn_by_key(&"key-1".parse().unwrap()).unwrap().is_none());
}

#[test]
fn a_key_that_is_free_makes_another_turn() {
    let (store, _) = store();
    let keyed = |n| support::Admission { key: Some(("key-1", "hash-1")), ..admission(n, "a", "q") };
    admit(&store, &keyed(1)).unwrap();
    store.free_key(&turn(1)).unwrap();
    assert_eq!(store.turn_by_key(&"key-1".parse().unwrap()).unwrap(), None);
    admit(&store, &keyed(2)).unwrap();
    assert_eq!(store.turn_by_key(&"key-1".parse().unwrap()).unwrap().map(|(turn_id, _)| turn_id), Some(turn(2)));
}

#[test]
fn an_active_turn_knows_the_agent_server_that_it_was_given_to() {
    let (store, _) = store();
    admit(&store, &support::Admission { starts: false, ..admission(1, "a", "q") }).unwrap();
    let instance = || store.turn_work(&turn(1)).unwrap().unwrap().instance;
    assert_eq!(instance(), None);
    store.start_turn(&turn(1), at(2_000), Some("first")).unwrap();
    assert_eq!(instance().as_deref(), Some("first"));
    store.set_instance(&turn(1), Some("second")).unwrap();
    assert_eq!(instance().as_deref(), Some("second"));
}

#[test]
fn one_key_makes_one_turn() {
    let (store, sql) = store();
    let keyed = |n| support::Admission { key: Some(("key-1", "hash-1")), ..admission(n, "a", "q") };
    admit(&store, &keyed(1)).unwrap();
    assert!(admit(&store, &keyed(2)).is_err());
    assert_eq!(sql.count("turns"), 1);
}

#[test]
fn the_work_of_a_turn_is_its_query_until_it_ends() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "What is 2+2?")).unwrap();
    store.set_frames_stored(&turn(1), 41).unwrap();
    let work = store.turn_work(&turn(1)).unwrap().unwrap();
    assert_eq!((work.prompt.as_str(), work.frames_stored), ("What is 2+2?", 41));
    let long = "é".repeat(MAX_ROW_TEXT_BYTES);
    admit(&store, &admission(2, "b", &long)).unwrap();
    assert_eq!(store.turn_work(&turn(2)).unwrap().unwrap().prompt, long, "in as many rows as it takes");
    finish(&store, &turn(1), "4", at(0)).unwrap();
    assert!(store.turn_work(&turn(1)).unwrap().is_none());
}

#[test]
fn a_conversations_turns_are_listed_newest_first_in_pages() {
    let (store, _) = store();
    for n in 1..=5 {
        exchange(&store, n, "a", &format!("question {n}"), &format!("answer {n}"));
        exchange(&store, n + 100, "b", "of another conversation", "no");
    }
    let page = |before: Option<u128>, limit| {
        let seq = before.map_or(i64::MAX, |n| store.seq_of(&session("a"), &turn(n)).unwrap().unwrap());
        let page = store.turns_before(&session("a"), seq, limit).unwrap();
        let answers = page.turns.into_iter().map(|turn| turn.response.unwrap());
        (answers.collect::<Vec<_>>(), page.older)
    };
    assert_eq!(page(None, 2), (vec!["answer 5".to_owned(), "answer 4".to_owned()], true));
    assert_eq!(page(Some(4), 2), (vec!["answer 3".to_owned(), "answer 2".to_owned()], true));
    assert_eq!(page(Some(2), 2), (vec!["answer 1".to_owned()], false));
    assert!(!page(None, 5).1, "there are no older ones");
    assert_eq!(store.seq_of(&session("a"), &turn(101)).unwrap(), None, "it is of another conversation");
}

#[test]
fn a_page_of_turns_with_long_answers_is_shorter() {
    let (store, _) = store();
    let long = "x".repeat(700 * 1024);
    for n in 1..=3 {
        exchange(&store, n, "a", "question", &long);
    }
    let page = store.turns_before(&session("a"), i64::MAX, 100).unwrap();
    assert_eq!((page.turns.len(), page.older), (1, true));
    exchange(&store, 4, "a", "question", &"x".repeat(2 * 1024 * 1024));
    let page = store.turns_before(&session("a"), i64::MAX, 100).unwrap();
    assert_eq!((page.turns.len(), page.older), (1, true), "one that is larger than a page comes alone");
}

#[test]
fn a_turn_that_ran_knows_the_last_row_of_the_transcript_at_its_end() {
    let (store, sql) = store();
    let long = "é".repeat(MAX_ROW_TEXT_BYTES);
    exchange(&store, 1, "a", "x", "4");
    admit(&store, &admission(2, "a", "x")).unwrap();
    admit(&store, &support::Admission { starts: false, ..admission(3, "a", "x") }).unwrap();
    store.append_transcript(&session("a"), &long).unwrap();
    let cancelled = TurnEnd {
        status: TurnStatus::Cancelled,
        error: None,
        model: None,
        usage: None,
        num_turns: None,
        duration_ms: None,
        finished_at: at(5_000),
        last_events: LastEvents { message: 0, end: 1 },
        counted: None,
        stop_reason: None,
        by_model: None,
    };
    store.end_turn(&turn(3), &cancelled).unwrap();
    finish(&store, &turn(2), "4", at(6_000)).unwrap();
    exchange(&store, 4, "b", "x", "4");
    let ends = sql.texts("select turn_id || ' ' || coalesce(transcript_seq, 'never ran') from turns order by turn_id");
    let told = [(1, "1"), (2, "4"), (3, "never ran"), (4, "1")].map(|(n, seq)| format!("{} {seq}", turn(n)));
    assert_eq!(ends, told);
}
