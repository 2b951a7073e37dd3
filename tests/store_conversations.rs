//! Conversations in storage: the list and its pages, accesses, changes and deletion.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::metadata::{MAX_METADATA_KEYS, MAX_METADATA_VALUE_CHARS};
use claude_agent_service::domain::{MetadataPatch, Page};
use claude_agent_service::store::Store;
use claude_agent_service::store::conversations::ACCESS_RESOLUTION;
use claude_agent_service::store::reads::{Listing, MAX_DOCUMENT_CONVERSATIONS};
use serde_json::{Value, json};
use support::{Rusqlite, admission, admit, at, exchange, sdk_session, session, store, turn};

/// Conversations `c1` to `c<n>`, each touched a second after the one before.
fn filled(n: u128) -> (Store<Rusqlite>, Rusqlite) {
    let (store, sql) = store();
    for n in 1..=n {
        exchange(&store, n, &format!("c{n}"), "q", "a");
    }
    (store, sql)
}

fn skip(skip: u32) -> Page {
    Page { after: None, skip }
}

fn ids(listing: &Listing<String>) -> Vec<String> {
    let list: Vec<Value> = serde_json::from_str(&listing.json).unwrap();
    list.iter().map(|conversation| conversation["session_id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_is_newest_access_first() {
    let (store, _) = filled(3);
    exchange(&store, 4, "c1", "again", "a");
    assert_eq!(ids(&store.list(50, &skip(0)).unwrap()), ["c1", "c3", "c2"]);
}

#[test]
fn a_listed_conversation_is_pinned() {
    let (store, _) = filled(1);
    let list: Value = serde_json::from_str(&store.list(50, &skip(0)).unwrap().json).unwrap();
    assert_eq!(
        list,
        json!([{"session_id": "c1", "title": "q", "created_at": 1_795_330_109_184_i64,
            "last_accessed_at": 1_795_330_109_184_i64, "metadata": {"message_count": 2}}])
    );
}

#[test]
fn the_list_and_the_search_show_of_a_conversation_what_its_document_shows() {
    let (store, sql) = store();
    let titles = ["plain", "", "a \"quoted\" back\\slash, a % and {braces}", "é 😀 </script> \u{2028}\u{7f}"];
    let long = "%s}{".repeat(MAX_METADATA_VALUE_CHARS / 4);
    let metadata = [json!({}), json!({ "a": "" }), json!({ "}": "{\"x\": 1}", "\\": "%d\n" }), json!({ "ü😀": long })];
    for (n, (title, metadata)) in (1..).zip(titles.iter().zip(&metadata)) {
        exchange(&store, n, &format!("A.b_c:-{n}"), "needle", "a");
        sql.run(&format!("update conversations set title = '{title}' where session_id = 'A.b_c:-{n}'"));
        let metadata = metadata.to_string();
        store.update_conversation(&session(&format!("A.b_c:-{n}")), None, Some(&metadata), at(0)).unwrap();
    }
    let listed: Vec<Value> = serde_json::from_str(&store.list(50, &skip(0)).unwrap().json).unwrap();
    let one_by_one = store.list(MAX_DOCUMENT_CONVERSATIONS + 1, &skip(0)).unwrap().json;
    let found = store.search(&"needle".to_owned().try_into().unwrap(), 50, &skip(0)).unwrap().json;
    assert_eq!((listed.len(), &one_by_one), (4, &found));
    assert_eq!(serde_json::from_str::<Vec<Value>>(&found).unwrap(), listed);
    for (item, (title, metadata)) in listed.iter().rev().zip(titles.iter().zip(&metadata)) {
        let id = session(item["session_id"].as_str().unwrap());
        let account = "zoë".parse().unwrap();
        let json = store.conversation_document(&account, &id, None).unwrap().unwrap();
        let document: Value = serde_json::from_str(&json).unwrap();
        for (field, value) in item.as_object().unwrap() {
            assert_eq!(document[field], *value, "{field} of {title}");
        }
        let mut shown = metadata.clone();
        shown["message_count"] = json!(2);
        assert_eq!((item["title"].as_str(), &item["metadata"]), (Some(*title), &shown));
    }
}

#[test]
fn an_empty_list_is_an_empty_array() {
    let listing = store().0.list(50, &skip(0)).unwrap();
    assert_eq!((listing.json.as_str(), listing.next), ("[]", None));
}

#[test]
fn limit_and_offset_cut_the_list() {
    let (store, _) = filled(5);
    assert_eq!(ids(&store.list(2, &skip(1)).unwrap()), ["c4", "c3"]);
    assert_eq!(ids(&store.list(2, &skip(4)).unwrap()), ["c1"]);
    assert_eq!(ids(&store.list(2, &skip(5)).unwrap()), Vec::<String>::new());
    assert_eq!(ids(&store.list(2, &skip(u32::MAX)).unwrap()), Vec::<String>::new());
}

#[test]
fn the_pages_lead_through_the_whole_list_and_end() {
    let (store, _) = filled(5);
    let (mut page, mut seen) = (skip(0), Vec::new());
    for _ in 0..3 {
        let listing = store.list(2, &page).unwrap();
        seen.push(ids(&listing));
        let Some(next) = listing.next else { break };
        page = next;
    }
    assert_eq!(seen, [vec!["c5", "c4"], vec!["c3", "c2"], vec!["c1"]]);
}

#[test]
fn a_long_list_is_the_same_as_a_short_one() {
    let limit = MAX_DOCUMENT_CONVERSATIONS;
    let (store, _) = filled(u128::from(limit) + 1);
    let (short, long) = (store.list(limit, &skip(0)).unwrap(), store.list(limit + 1, &skip(0)).unwrap());
    assert_eq!(ids(&long).len(), limit as usize + 1);
    let first = |listing: &Listing<String>| serde_json::from_str::<Vec<Value>>(&listing.json).unwrap()[..50].to_vec();
    assert_eq!(first(&short), first(&long));
    assert!(short.next.is_some() && long.next.is_none());
}

#[test]
fn a_list_of_any_length_is_made_within_the_platforms_limit_of_a_row() {
    let (store, sql) = filled(200);
    let metadata: serde_json::Map<String, Value> = (0..MAX_METADATA_KEYS)
        .map(|n| (format!("{n:064}"), json!("\u{1f600}".repeat(MAX_METADATA_VALUE_CHARS))))
        .collect();
    let full = MetadataPatch::try_from(Value::Object(metadata)).unwrap().apply(serde_json::Map::new()).unwrap();
    let title = "\u{1f600}".repeat(200);
    sql.run(&format!("update conversations set metadata = '{full}', title = '{title}'"));
    for limit in [MAX_DOCUMENT_CONVERSATIONS, 200] {
        assert_eq!(ids(&store.list(limit, &skip(0)).unwrap()).len(), limit as usize);
    }
}

#[test]
fn a_full_last_page_has_no_next() {
    assert_eq!(filled(4).0.list(4, &skip(0)).unwrap().next, None);
    assert_eq!(filled(4).0.list(2, &skip(2)).unwrap().next, None);
}

#[test]
fn a_cursor_stays_right_while_conversations_come_and_go() {
    let (store, _) = filled(6);
    let first = store.list(2, &skip(0)).unwrap();
    assert_eq!(ids(&first), ["c6", "c5"]);
    exchange(&store, 7, "c7", "new", "a");
    exchange(&store, 8, "c6", "touched", "a");
    store.delete_conversation(&session("c5")).unwrap();
    store.delete_conversation(&session("c4")).unwrap();
    let second = store.list(2, &first.next.unwrap()).unwrap();
    assert_eq!(ids(&second), ["c3", "c2"]);
}

#[test]
fn conversations_of_the_same_moment_are_neither_lost_nor_doubled_between_pages() {
    let (store, _) = store();
    for id in ["b", "d", "a", "c"] {
        admit(
            &store,
            &support::Admission { turn_id: turn(id.bytes().next().unwrap().into()), ..admission(1, id, "q") },
        )
        .unwrap();
    }
    let first = store.list(2, &skip(0)).unwrap();
    let second = store.list(2, &first.next.clone().unwrap()).unwrap();
    assert_eq!([ids(&first), ids(&second)], [["d", "c"], ["b", "a"]]);
}

#[test]
fn a_page_is_read_along_the_index_without_sorting() {
    let (store, sql) = filled(2);
    let after = store.list(1, &skip(0)).unwrap().next.unwrap();
    for page in [skip(0), after] {
        store.list(50, &page).unwrap();
        let plan = sql.plan_of_last().join("\n");
        assert!(plan.contains("conversations_by_access"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[test]
fn reading_moves_the_access_at_most_once_a_minute() {
    let (store, _) = filled(1);
    let accessed = || store.conversation(&session("c1")).unwrap().unwrap().last_accessed_at;
    store.touch(&session("c1"), at(999).plus(ACCESS_RESOLUTION)).unwrap();
    assert_eq!(accessed(), at(1_000));
    store.touch(&session("c1"), at(1_000).plus(ACCESS_RESOLUTION)).unwrap();
    assert_eq!(accessed(), at(1_000).plus(ACCESS_RESOLUTION));
}

#[test]
fn a_change_sets_what_it_names_and_counts_as_an_access() {
    let (store, _) = filled(1);
    let title = "Sums".to_owned().try_into().unwrap();
    store.update_conversation(&session("c1"), Some(&title), None, at(5_000)).unwrap();
    store.update_conversation(&session("c1"), None, Some(r#"{"team":"blue"}"#), at(4_000)).unwrap();
    let conversation = store.conversation(&session("c1")).unwrap().unwrap();
    assert_eq!((conversation.title.as_str(), conversation.last_accessed_at), ("Sums", at(5_000)));
    assert_eq!(Value::from(conversation.metadata), json!({"team": "blue"}));
}

#[test]
fn deleting_takes_messages_turns_and_transcript_along() {
    let (store, sql) = filled(2);
    exchange(&store, 3, "c1", "q", "a");
    assert_eq!(store.delete_conversation(&session("c1")).unwrap(), Some(sdk_session(1)));
    let rows = ["conversations", "messages", "turns", "transcripts"].map(|table| sql.count(table));
    assert_eq!(rows, [1, 2, 1, 1]);
    assert!(store.turn(&turn(2)).unwrap().is_some());
}

#[test]
fn deleting_what_is_not_there_is_no_error() {
    assert_eq!(store().0.delete_conversation(&session("nowhere")).unwrap(), None);
}
