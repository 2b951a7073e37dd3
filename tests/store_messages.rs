//! Messages and transcripts in storage: written whole in as many rows as they need, read back whole, newest first where there are many.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::{AccountId, Messages};
use claude_agent_service::store::MAX_ROW_TEXT_BYTES;
use claude_agent_service::store::messages::{MAX_MESSAGE_BYTES_PER_ANSWER, MAX_MESSAGES_PER_ANSWER};
use claude_agent_service::store::reads::MAX_DOCUMENT_MESSAGE_BYTES;
use serde_json::{Value, json};
use support::{Rusqlite, admission, admit, exchange, finish, session, store, turn};

/// One message of 4.5 MB in two-byte characters: three rows and a rest.
fn large() -> String {
    "é".repeat(MAX_ROW_TEXT_BYTES * 3 / 2 + 1)
}

fn contents(read: &Messages) -> Vec<&str> {
    read.messages.iter().map(|message| message.content.as_str()).collect()
}

fn document(store: &claude_agent_service::store::Store<Rusqlite>, id: &str) -> Option<Value> {
    let account: AccountId = "acme".parse().unwrap();
    let text = store.conversation_document(&account, &session(id), None).unwrap();
    text.map(|text| serde_json::from_str(&text).unwrap())
}

#[test]
fn a_message_larger_than_a_row_is_stored_in_parts_and_read_back_whole() {
    let (store, sql) = store();
    let seq = admit(&store, &admission(1, "a", &large())).unwrap();
    assert_eq!(sql.count("messages"), 4);
    assert_eq!(store.message_text(&session("a"), seq).unwrap(), Some(large()));
    let read = store.messages_before(&session("a"), i64::MAX).unwrap();
    assert_eq!(read.messages.len(), 1);
    assert_eq!(read.messages[0].content, large());
}

#[test]
fn no_row_is_larger_than_the_platform_takes() {
    let (store, sql) = store();
    admit(&store, &admission(1, "a", &large())).unwrap();
    let largest: usize = sql.text("select max(octet_length(content)) from messages").parse().unwrap();
    assert!(largest <= MAX_ROW_TEXT_BYTES);
}

#[test]
fn a_text_comes_back_as_it_was_whatever_is_in_it() {
    let (store, _) = store();
    let hostile = "nul \u{0} quote \" back\\slash 'single' \u{1f600} \u{202e} line\nend \u{ffff}";
    exchange(&store, 1, "a", hostile, hostile);
    let document = document(&store, "a").unwrap();
    assert_eq!(document["messages"][0]["content"], hostile);
    assert_eq!(document["messages"][1]["content"], hostile);
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().response.as_deref(), Some(hostile));
}

#[test]
fn an_empty_answer_is_an_answer() {
    let (store, _) = store();
    exchange(&store, 1, "a", "say nothing", "");
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().response.as_deref(), Some(""));
    assert_eq!(document(&store, "a").unwrap()["messages"][1]["content"], "");
}

#[test]
fn a_conversations_document_is_pinned() {
    let (store, _) = store();
    exchange(&store, 1, "a", "What is 2+2?", "4");
    let turn_id = turn(1);
    assert_eq!(
        document(&store, "a").unwrap(),
        json!({
            "session_id": "a", "account_id": "acme", "title": "What is 2+2?",
            "created_at": 1_795_330_109_184_i64, "last_accessed_at": 1_795_330_109_184_i64,
            "metadata": {"message_count": 2},
            "usage": {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 2, "cost_usd": 0.1},
            "messages": [
                {"id": "msg_1", "turn_id": turn_id, "role": "user", "content": "What is 2+2?", "timestamp": 1_795_330_109_184_i64},
                {"id": "msg_2", "turn_id": turn_id, "role": "assistant", "content": "4", "timestamp": 1_795_330_109_184_i64},
            ],
        })
    );
}

#[test]
fn there_is_no_document_of_a_conversation_that_is_not_there() {
    assert_eq!(document(&store().0, "a"), None);
}

#[test]
fn sqlite_does_not_write_a_document_over_its_limit() {
    let (store, _) = store();
    let half = "x".repeat(usize::try_from(MAX_DOCUMENT_MESSAGE_BYTES).unwrap() / 2);
    exchange(&store, 1, "a", &half, &half);
    assert!(document(&store, "a").is_some());
    exchange(&store, 2, "a", "", "x");
    assert!(document(&store, "a").is_none());
}

#[test]
fn of_many_messages_the_newest_come_oldest_first() {
    let (store, _) = store();
    let turns = u128::from(MAX_MESSAGES_PER_ANSWER / 2) + 1;
    for n in 1..=turns {
        exchange(&store, n, "a", &format!("q{n}"), &format!("a{n}"));
    }
    assert_eq!(document(&store, "a"), None);
    let newest = store.messages_before(&session("a"), i64::MAX).unwrap();
    let (first, last) = (&newest.messages[0], newest.messages.last().unwrap());
    assert_eq!((newest.messages.len(), newest.older), (1_000, true));
    assert_eq!((first.content.as_str(), last.content.as_str()), ("q2", "a501"));
    let rest = store.messages_before(&session("a"), first.seq).unwrap();
    assert_eq!((contents(&rest), rest.older), (vec!["q1", "a1"], false));
}

#[test]
fn a_thousand_messages_are_one_answer() {
    let (store, _) = store();
    for n in 1..=500 {
        exchange(&store, n, "a", "q", "a");
    }
    let all = store.messages_before(&session("a"), i64::MAX).unwrap();
    assert_eq!((all.messages.len(), all.older), (1_000, false));
}

#[test]
fn a_message_of_several_rows_counts_once() {
    let (store, sql) = store();
    for n in 1..=499 {
        exchange(&store, n, "a", "q", "a");
    }
    exchange(&store, 500, "a", &"x".repeat(MAX_ROW_TEXT_BYTES + 1), "a");
    assert_eq!(sql.count("messages"), 1_001);
    let answer = store.messages_before(&session("a"), i64::MAX).unwrap();
    assert_eq!((answer.messages.len(), answer.older), (1, true));
    let large = store.messages_before(&session("a"), answer.messages[0].seq).unwrap();
    assert_eq!((large.messages.len(), large.messages[0].content.len()), (1, MAX_ROW_TEXT_BYTES + 1));
    let rest = store.messages_before(&session("a"), large.messages[0].seq).unwrap();
    assert_eq!((rest.messages.len(), rest.older), (998, false));
}

#[test]
fn an_answer_holds_no_more_bytes_than_it_may() {
    let (store, _) = store();
    let third = "x".repeat(usize::try_from(MAX_MESSAGE_BYTES_PER_ANSWER).unwrap() / 3);
    for n in 1..=2 {
        exchange(&store, n, "a", &third, &third);
    }
    let newest = store.messages_before(&session("a"), i64::MAX).unwrap();
    let seqs: Vec<i64> = newest.messages.iter().map(|message| message.seq).collect();
    assert_eq!((seqs, newest.older), (vec![2, 3, 4], true));
    let rest = store.messages_before(&session("a"), 2).unwrap();
    assert_eq!((rest.messages.len(), rest.older), (1, false));
}

#[test]
fn a_message_larger_than_an_answer_comes_alone() {
    let (store, _) = store();
    let large = "x".repeat(usize::try_from(MAX_MESSAGE_BYTES_PER_ANSWER).unwrap() + 1);
    exchange(&store, 1, "a", "q", &large);
    let newest = store.messages_before(&session("a"), i64::MAX).unwrap();
    assert_eq!((newest.messages.len(), newest.older), (1, true));
    assert_eq!(newest.messages[0].content, large);
    let rest = store.messages_before(&session("a"), newest.messages[0].seq).unwrap();
    assert_eq!((contents(&rest), rest.older), (vec!["q"], false));
}

#[test]
fn before_the_first_message_there_is_nothing() {
    let (store, _) = store();
    exchange(&store, 1, "a", "q", "a");
    let none = store.messages_before(&session("a"), 1).unwrap();
    assert_eq!((none.messages.len(), none.older), (0, false));
}

#[test]
fn a_turn_without_an_answer_leaves_the_order_as_it_is() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "unanswered")).unwrap();
    admit(&store, &admission(2, "a", "answered later")).unwrap();
    finish(&store, &turn(2), "second", support::at(3_000)).unwrap();
    finish(&store, &turn(1), "first", support::at(4_000)).unwrap();
    let all = store.messages_before(&session("a"), i64::MAX).unwrap();
    assert_eq!(contents(&all), ["unanswered", "first", "answered later", "second"]);
}

#[test]
fn the_latest_turn_is_that_of_the_newest_query() {
    let (store, _) = store();
    exchange(&store, 9, "a", "first", "one");
    exchange(&store, 3, "a", "second", "two");
    assert_eq!(store.latest_turn_of(&session("a")).unwrap(), Some(turn(3)));
    assert_eq!(store.latest_turn_of(&session("b")).unwrap(), None);
}

#[test]
fn a_transcript_is_the_concatenation_of_its_rows() {
    let (store, sql) = store();
    exchange(&store, 1, "a", "q", "answer");
    let batch = format!("{}\n", "é".repeat(MAX_ROW_TEXT_BYTES));
    store.append_transcript(&session("a"), &batch).unwrap();
    store.append_transcript(&session("a"), "{\"n\":3}\n").unwrap();
    store.append_transcript(&session("a"), "").unwrap();
    let mut last = 0;
    let next = || {
        let (seq, lines) = store.transcript_row(&session("a"), last).unwrap()?;
        last = seq;
        Some(lines)
    };
    let rows: Vec<String> = std::iter::from_fn(next).collect();
    assert!(rows.iter().all(|row| row.len() <= MAX_ROW_TEXT_BYTES));
    assert_eq!(rows.concat(), format!("{{\"type\":\"user\"}}\n{batch}{{\"n\":3}}\n"));
    assert_eq!(sql.count("transcripts"), 5);
}

#[test]
fn only_a_conversation_that_ran_has_a_transcript() {
    let (store, _) = store();
    admit(&store, &admission(1, "a", "q")).unwrap();
    assert!(!store.has_transcript(&session("a")).unwrap());
    finish(&store, &turn(1), "answer", support::at(0)).unwrap();
    assert!(store.has_transcript(&session("a")).unwrap());
}
