//! Branches in storage: a fork has what the conversation had at the end of a turn and can itself be forked and rewound, a rewind deletes what came
//! after, and neither loses or leaks a key of the bucket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod files;
mod fixtures;
#[path = "../support/mod.rs"]
mod support;

use claude_agent_service::domain::{RequestId, TurnId, Usage};
use claude_agent_service::store::branches::{Branch, EndedTurn, Fork};
use claude_agent_service::store::sql::Sql;
use fixtures::{HASH, behind, doomed, exchange, fork, fork_of, listed, rewind, said, totals, transcript};
use serde_json::{Value, json};
use support::{admission, admit, at, sdk_session, session, store, turn};
use uuid::Uuid;

#[test]
fn a_fork_has_what_the_conversation_had_at_the_end_of_a_turn() {
    let (store, sql) = store();
    totals(&store, &sql);
    for n in 1..=3 {
        exchange(&store, "a", n, true);
    }
    sql.run(
        "update conversations set metadata = '{\"team\":\"blue\"}', context = '{\"tokens\":7,\"limit\":9}', attachment_bytes = 5",
    );
    for n in 1..=3 {
        sql.run(&format!("insert into turn_items values ('a', '{0}', 0, '[{n}]'); insert into turn_content values ('a', '{0}', 0, '[-{n}]')", turn(n)));
    }
    let before = sql.texts("select session_id || seq || part || content from messages");
    fork(&store, "a", 2, "b", 50);
    assert_eq!(sql.texts("select session_id || seq || part || content from messages where session_id = 'a'"), before);
    assert_eq!(said(&store, "b"), ["q1", "a1", "q2", "a2"]);
    assert_eq!(transcript(&sql, "b"), "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(
        sql.texts("select turn_id || items from turn_items where session_id = 'b'"),
        [1, 2].map(|n| format!("{}[{n}]", turn(49 + n)))
    );
    assert_eq!(
        sql.texts("select turn_id || content from turn_content where session_id = 'b'"),
        [1, 2].map(|n| format!("{}[-{n}]", turn(49 + n)))
    );
    let made = store.conversation(&session("b")).unwrap().unwrap();
    assert_eq!((made.title.as_str(), made.message_count, made.message_bytes), ("q1", 4, 8));
    assert_eq!((made.created_at, made.last_accessed_at), (at(100_000), at(100_000)));
    assert_eq!((made.usage, made.sdk_session), (Usage::default(), Some(sdk_session(50))), "it has spent nothing");
    assert_eq!(Value::Object(made.metadata), json!({ "team": "blue" }));
    assert_eq!(
        sql.text("select context || attachment_bytes from conversations where session_id = 'b'"),
        "null",
        "how full the context was is not known"
    );
    let copied = store.turn(&turn(51)).unwrap().unwrap();
    assert_eq!(
        (copied.response.as_deref(), copied.usage, copied.model.as_deref()),
        (Some("a2"), None, Some("claude-test"))
    );
    assert_eq!(copied.request_id, RequestId::new(Uuid::from_u128(50)));
    assert_eq!(listed(&store, "b"), (2, vec!["k2".to_owned()]));
    assert_eq!(totals(&store, &sql), (2, 10));
}

#[test]
fn a_fork_of_everything_knows_how_full_the_context_is() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    sql.run("update conversations set context = '{\"tokens\":7,\"limit\":9}'");
    let all = Branch { transcript_seq: None, files_version: None, ..behind(&store, "a", 1).0 };
    fork_of(&store, "a", &all, "b", 50);
    assert_eq!(store.context(&session("b")).unwrap().unwrap().tokens, 7);
    assert_eq!(listed(&store, "b"), (1, vec!["k1".to_owned()]));
}

#[test]
fn every_column_of_a_turn_is_copied_or_left_out_on_purpose() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    let columns = sql.texts("select name from pragma_table_info('turns')");
    let left_out = [
        "idempotency_key",
        "request_hash",
        "usage",
        "by_model",
        "counted",
        "instance",
        "parked",
        "first_n",
        "items_n",
        "waits_from",
        "waiting_since",
        "waited_ms",
    ];
    let set = |column: &String| match column.as_str() {
        "turn_id" | "session_id" | "seq" | "transcript_seq" => String::new(),
        name if sql.text(&format!("select type from pragma_table_info('turns') where name = '{name}'")) == "TEXT" => {
            format!("update turns set {name} = '\"x\"' where turn_id = '{}';", turn(1))
        }
        name => format!("update turns set {name} = 77 where turn_id = '{}';", turn(1)),
    };
    sql.run(&columns.iter().map(set).collect::<String>());
    sql.run("update turns set status = 'completed', files = '{\"version\":1}', steered_into = null");
    fork(&store, "a", 1, "b", 50);
    for column in columns {
        let of = |n| sql.text(&format!("select {column} from turns where turn_id = '{}'", turn(n)));
        match column.as_str() {
            "turn_id" | "session_id" | "request_id" => assert_ne!(of(1), of(50), "{column}"),
            name if left_out.contains(&name) => {
                assert!(
                    ["\"x\"", "77"].contains(&of(1).as_str()) && ["null", "0"].contains(&of(50).as_str()),
                    "{column}"
                );
            }
            _ => assert_eq!(of(1), of(50), "{column}"),
        }
    }
}

#[test]
fn every_column_of_a_conversation_is_copied_or_left_out_on_purpose() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    sql.run("update conversations set metadata = '{\"a\":\"b\"}', context = '{\"tokens\":1,\"limit\":2}', attachment_bytes = 7, grants = '[1]'");
    let all = Branch { transcript_seq: None, files_version: None, ..behind(&store, "a", 1).0 };
    fork_of(&store, "a", &all, "b", 50);
    let of = |id, column: &String| sql.text(&format!("select {column} from conversations where session_id = '{id}'"));
    let columns = sql.texts("select name from pragma_table_info('conversations')");
    let copied: Vec<&String> = columns.iter().filter(|column| of("a", column) == of("b", column)).collect();
    let wanted = ["title", "message_count", "message_bytes", "next_seq", "metadata", "context", "attachment_bytes"];
    assert_eq!(copied, wanted, "what was allowed and what was spent is not");
}

#[test]
fn attachments_count_as_far_as_the_branch_has_them() {
    let (store, sql) = store();
    for n in 1..=3 {
        exchange(&store, "a", n, false);
        let source =
            json!({ "type": "file", "path": "p.png", "media_type": "image/png", "size": 300 * n, "etag": HASH });
        let blocks = json!([{ "type": "image", "source": source }]);
        sql.run(&format!(
            "insert into turn_content values ('a', '{0}', 0, '[]'), ('a', '{0}', 1, '{blocks}')",
            turn(n.into())
        ));
    }
    sql.run("update conversations set attachment_bytes = 2400");
    let counted = |id: &str| store.attachment_bytes(&session(id)).unwrap();
    fork(&store, "a", 2, "b", 50);
    rewind(&store, "a", 1);
    assert_eq!((counted("b"), counted("a")), (1_200, 400));
}

#[test]
fn a_fork_can_itself_be_forked_and_rewound_and_goes_its_own_way() {
    let (store, sql) = store();
    totals(&store, &sql);
    for n in 1..=4 {
        exchange(&store, "a", n, true);
    }
    fork(&store, "a", 3, "b", 50);
    exchange(&store, "b", 60, true);
    assert_eq!(store.message_text(&session("b"), 7).unwrap().as_deref(), Some("q60"), "its messages go on behind");
    fork(&store, "b", 2, "c", 70);
    rewind(&store, "b", 1);
    assert_eq!(
        (said(&store, "a").len(), said(&store, "b"), said(&store, "c").len()),
        (8, vec!["q1".to_owned(), "a1".to_owned()], 4)
    );
    assert_eq!(["a", "b", "c"].map(|id| listed(&store, id).1.concat()), ["k4", "k1", "k2"]);
    assert_eq!(transcript(&sql, "c"), "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(doomed(&sql), ["k60"], "the others are named elsewhere");
    assert_eq!(totals(&store, &sql), (3, 14));
    exchange(&store, "c", 80, false);
    assert_eq!(said(&store, "c").last().map(String::as_str), Some("a80"));
    assert_eq!(sql.texts("select turn_id from turns where turn_id not in (select turn_id from messages)"), [""; 0]);
}

#[test]
fn turns_that_others_took_in_are_copied_with_them() {
    let (store, sql) = store();
    exchange(&store, "a", 1, false);
    exchange(&store, "a", 2, false);
    sql.run(&format!(
        "update turns set steered_into = '{}', started_at = null, transcript_seq = null where turn_id = '{}'",
        turn(1),
        turn(2)
    ));
    let steered = &store.ended_turns(&session("a")).unwrap()[1];
    assert_eq!((steered.ran, &steered.steered_into), (false, &Some(turn(1))));
    fork(&store, "a", 2, "b", 50);
    assert_eq!(store.turn(&turn(51)).unwrap().unwrap().steered_into, Some(turn(50)));
    assert_eq!(store.turn(&turn(51)).unwrap().unwrap().response.as_deref(), Some("a1"));
}

#[test]
fn a_rewind_deletes_what_came_after_and_keeps_what_was_spent() {
    let (store, sql) = store();
    totals(&store, &sql);
    let long = "é".repeat(1_000_000);
    for n in 1..=3 {
        exchange(&store, "a", n, true);
    }
    admit(&store, &admission(4, "a", &long)).unwrap();
    support::finish(&store, &turn(4), &long, at(4_000)).unwrap();
    exchange(&store, "other", 9, false);
    let spent = store.conversation(&session("a")).unwrap().unwrap().usage;
    for n in 1..=4 {
        sql.run(&format!("insert into turn_items values ('a', '{0}', 0, '[]'); insert into turn_content values ('a', '{0}', 0, '[]')", turn(n)));
    }
    sql.run("update conversations set context = '{\"tokens\":7,\"limit\":9}' where session_id = 'a'");
    rewind(&store, "a", 2);
    assert_eq!(said(&store, "a"), ["q1", "a1", "q2", "a2"]);
    assert_eq!(transcript(&sql, "a"), "{\"n\":1}\n{\"n\":2}\n");
    for table in ["turns", "turn_items", "turn_content"] {
        let ids = sql.texts(&format!("select turn_id from {table} where session_id = 'a' order by turn_id"));
        assert_eq!(ids, [turn(1), turn(2)].map(String::from), "{table}");
    }
    let left = store.conversation(&session("a")).unwrap().unwrap();
    assert_eq!((left.usage, left.message_count, left.message_bytes), (spent, 4, 8));
    assert_eq!((left.sdk_session, left.last_accessed_at), (Some(sdk_session(9)), at(200_000)));
    assert_eq!(store.context(&session("a")).unwrap(), None);
    assert_eq!(totals(&store, &sql), (2, 6));
    exchange(&store, "a", 5, false);
    assert_eq!(
        sql.text("select max(seq) from messages where session_id = 'a'"),
        "10",
        "the id of a message is not used again"
    );
    assert_eq!(totals(&store, &sql), (2, 8));
}

#[test]
fn a_conversation_that_is_rewound_before_its_first_turn_begins_anew() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    rewind(&store, "a", 0);
    let left = store.conversation(&session("a")).unwrap().unwrap();
    assert_eq!((left.message_count, left.message_bytes, left.sdk_session), (0, 0, None));
    assert_eq!((sql.count("messages"), sql.count("turns"), sql.count("transcripts")), (0, 0, 0));
    assert_eq!(listed(&store, "a"), (3, vec![]));
    assert_eq!(doomed(&sql), ["k1"]);
    assert_eq!(exchange(&store, "a", 2, true).unwrap().version, 4);
    assert_eq!(totals(&store, &sql), (1, 2));
}

#[test]
fn a_fork_that_fails_leaves_nothing() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    exchange(&store, "b", 2, false);
    let (branch, _) = behind(&store, "a", 1);
    let fork = |into: &str, turn_id: TurnId| {
        let fork = Fork {
            source: &session("a"),
            branch: &branch,
            session_id: &session(into),
            title: None,
            sdk_session: &sdk_session(5),
            request_id: &RequestId::new(Uuid::from_u128(5)),
            turn_ids: &[turn_id],
            max_index_bytes: 1_000,
            now: at(9),
        };
        store.fork(&fork)
    };
    let before = totals(&store, &sql);
    assert!(fork("b", turn(50)).is_err(), "the conversation is there");
    assert!(fork("c", turn(1)).is_err(), "the turn is there");
    assert_eq!(totals(&store, &sql), before);
    assert_eq!(sql.text("select sum(shared) from workspace_packs"), "0");
}

#[test]
fn what_a_branch_has_in_bytes_is_counted_with_its_messages_and_items() {
    let (store, sql) = store();
    exchange(&store, "a", 1, false);
    exchange(&store, "a", 2, false);
    sql.run(&format!("insert into turn_items values ('a', '{}', 0, '[12345678]')", turn(1)));
    let bytes = |n| store.bytes_of_branch(&session("a"), &behind(&store, "a", n).0).unwrap();
    assert_eq!((bytes(1), bytes(2)), (8 + 8 + 10, 16 + 8 + 10));
}

#[test]
fn more_turns_than_one_statement_copies_are_copied_and_deleted() {
    let (store, sql) = store();
    for n in 1..=1_003 {
        exchange(&store, "a", n, false);
    }
    fork(&store, "a", 1_003, "b", 5_000);
    assert_eq!((said(&store, "b").last().map(String::as_str), totals(&store, &sql)), (Some("a1003"), (2, 4_012)));
    rewind(&store, "a", 1);
    assert_eq!((said(&store, "a").len(), totals(&store, &sql)), (2, (2, 2_008)));
    assert_eq!(sql.count("turns"), 1_004);
}

#[test]
fn rows_that_a_save_a_fork_and_a_rewind_write() {
    let (store, sql) = store();
    let count = |act: &dyn Fn()| {
        let before = sql.rows_written();
        act();
        sql.rows_written() - before
    };
    for n in 1..=40 {
        exchange(&store, "a", n, true);
    }
    let (saving, calm) =
        (count(&|| drop(exchange(&store, "a", 41, true))), count(&|| drop(exchange(&store, "a", 42, false))));
    // A part and a pack closed, added and pruned, the workspace, the new key into and out of `doomed`, the old one into it.
    assert_eq!(saving - calm, 10);
    let turns: Vec<EndedTurn> = store.ended_turns(&session("a")).unwrap();
    assert_eq!(turns.len(), 42);
    let rows = count(&|| fork(&store, "a", 42, "b", 500));
    // The conversation twice; of each turn itself, two messages and a line of transcript; the workspace; 32 parts, and 32 packs in both.
    assert_eq!(rows, 2 + 42 * 4 + 1 + 32 + 2 * 32);
    let rows = count(&|| rewind(&store, "b", 41));
    assert_eq!(rows, 4 + 1 + 1, "a calm turn, the conversation, the workspace");
}
