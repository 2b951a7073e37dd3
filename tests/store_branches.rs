//! Branches in storage: a fork has what the conversation had at the end of a turn and can itself be forked and rewound, a rewind deletes what came
//! after, and neither loses or leaks a key of the bucket.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::file::{KEPT_VERSIONS, TurnFiles};
use claude_agent_service::domain::{RequestId, TurnId, TurnStatus, Usage};
use claude_agent_service::store::Store;
use claude_agent_service::store::branches::{Branch, EndedTurn, Fork};
use claude_agent_service::store::files::PageOf;
use claude_agent_service::store::schema::{ACCOUNT, migrate};
use claude_agent_service::store::sql::Sql;
use claude_agent_service::store::transactions::Finished;
use claude_agent_service::store::turns::{LastEvents, TurnEnd};
use claude_agent_service::store::usage::LedgerEntry;
use claude_agent_service::store::workspaces::{FilesEnd, Pack, Save};
use claude_agent_service::workspace::index::Part;
use serde_json::{Value, json};
use support::{NOW, Rusqlite, USAGE, admission, admit, at, made_store, sdk_session, session, store, turn};
use uuid::Uuid;

const HASH: &str = "ungWv48Bz-pBQUDeXa4iIw";

/// A turn that says `q<n>` and `a<n>`, writes a line of transcript, and leaves the conversation's one file with that content in a pack of its own,
/// if it writes it.
fn exchange(store: &Store<Rusqlite>, session_id: &str, n: u64, writes: bool) -> Option<TurnFiles> {
    let turn_id = turn(n.into());
    admit(store, &admission(n.into(), session_id, &format!("q{n}"))).unwrap();
    let id = session(session_id);
    let (_, base) = store.kept_versions(&id).unwrap();
    let key = format!("k{n}");
    let (kept, packs, entries);
    let files = if writes {
        store.doom(std::slice::from_ref(&key), at(1)).unwrap();
        let no = (base + 1) * 1_024;
        packs = [Pack { no, key, bytes: 100 }];
        entries = json!([["f", 0o644, 10, 5, HASH, n, [[no, 0, 20, 0]]]]).to_string();
        let parts = vec![Part { first_path: "f".to_owned(), entries: &entries }];
        kept = [];
        let told = TurnFiles::unchanged(base + 1);
        let kept_versions = KEPT_VERSIONS;
        let save = Save { base, inbox: 0, files: 1, bytes: 10, keep: &kept, packs: &packs, parts, kept_versions, told };
        FilesEnd::Save(Box::new(save))
    } else {
        FilesEnd::Same
    };
    let end = TurnEnd {
        status: TurnStatus::Completed,
        error: None,
        model: Some("claude-test"),
        usage: Some(USAGE),
        num_turns: Some(1),
        by_model: None,
        stop_reason: None,
        duration_ms: Some(900),
        finished_at: at(i64::try_from(n).unwrap() * 1_000),
        last_events: LastEvents { message: 3, end: 5 },
        counted: None,
    };
    let finished = Finished {
        has_waited: false,
        turn_id: &turn_id,
        end,
        answer: Some(&format!("a{n}")),
        transcript: &format!("{{\"n\":{n}}}\n"),
        sdk_session: Some(&sdk_session(1)),
        items: "",
        context: None,
        frees_key: false,
        steered: &[],
        files: Some((&id, files)),
        usage: &LedgerEntry::default(),
    };
    store.finish(&finished).unwrap().unwrap().files
}

/// The branch behind the `n`-th turn of those that have ended, and the turns that came later.
fn behind(store: &Store<Rusqlite>, session_id: &str, n: usize) -> (Branch, Vec<TurnId>) {
    let turns = store.ended_turns(&session(session_id)).unwrap();
    let (kept, removed) = turns.split_at(n);
    let last = kept.last();
    let (transcript_seq, files_version) =
        (last.map_or(Some(0), |turn| turn.transcript_seq), last.map_or(Some(0), |turn| turn.files_version));
    let branch = Branch { turns: kept.to_vec(), transcript_seq, files_version };
    (branch, removed.iter().map(|turn| turn.turn_id.clone()).collect())
}

/// Forks a conversation behind its `n`-th turn. The turns' ids count up from `first_id`.
fn fork(store: &Store<Rusqlite>, source: &str, n: usize, into: &str, first_id: u128) {
    let (branch, _) = behind(store, source, n);
    fork_of(store, source, &branch, into, first_id);
}

fn fork_of(store: &Store<Rusqlite>, source: &str, branch: &Branch, into: &str, first_id: u128) {
    let turn_ids: Vec<TurnId> = (0..branch.turns.len() as u128).map(|n| turn(first_id + n)).collect();
    let fork = Fork {
        source: &session(source),
        branch,
        session_id: &session(into),
        title: None,
        sdk_session: &sdk_session(first_id),
        request_id: &RequestId::new(Uuid::from_u128(first_id)),
        turn_ids: &turn_ids,
        max_index_bytes: 1_000_000,
        now: at(100_000),
    };
    store.fork(&fork).unwrap();
}

fn rewind(store: &Store<Rusqlite>, session_id: &str, n: usize) {
    let (branch, removed) = behind(store, session_id, n);
    store.rewind(&session(session_id), &branch, &removed, &sdk_session(9), at(200_000)).unwrap();
}

fn said(store: &Store<Rusqlite>, session_id: &str) -> Vec<String> {
    let messages = store.messages_before(&session(session_id), i64::MAX).unwrap().messages;
    messages.into_iter().map(|message| message.content).collect()
}

fn transcript(sql: &Rusqlite, session_id: &str) -> String {
    sql.texts(&format!("select lines from transcripts where session_id = '{session_id}' order by seq")).concat()
}

/// The keys of the files that a conversation lists, with the version of the listing.
fn listed(store: &Store<Rusqlite>, session_id: &str) -> (u64, Vec<String>) {
    let page = PageOf { prefix: "", after: "", limit: 100, content: true };
    let page = store.files(&session(session_id), page).unwrap().unwrap();
    let keys = page.files.iter().map(|file| {
        let content = serde_json::to_value(file.content.as_ref().unwrap()).unwrap();
        content["frames"][0]["key"].as_str().unwrap().to_owned()
    });
    (page.version, keys.collect())
}

fn doomed(sql: &Rusqlite) -> Vec<String> {
    sql.texts("select object_key from doomed order by object_key")
}

/// What `GET /storage-stats` tells of conversations and messages, counted anew and as it is kept.
fn totals(store: &Store<Rusqlite>, sql: &Rusqlite) -> (u64, u64) {
    let told = |store: &Store<Rusqlite>| {
        let stats: Value =
            serde_json::from_str(&store.storage_stats(std::time::Duration::from_hours(1), at(0)).unwrap()).unwrap();
        (stats["total_conversations"].as_u64().unwrap(), stats["total_messages"].as_u64().unwrap())
    };
    assert_eq!(told(store), told(&made_store(sql.clone(), NOW)), "what is kept is what is stored");
    assert_eq!(
        sql.texts("select session_id from conversations as c where message_count <> (select count(*) from messages as m where m.session_id = c.session_id) \
             or message_bytes <> (select coalesce(sum(octet_length(content)), 0) from messages as m where m.session_id = c.session_id)"),
        [""; 0]
    );
    told(store)
}

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
fn files_go_back_under_a_number_that_no_container_holds_a_save_for() {
    let (store, sql) = store();
    for n in 1..=4 {
        exchange(&store, "a", n, true);
    }
    rewind(&store, "a", 2);
    assert_eq!(listed(&store, "a"), (6, vec!["k2".to_owned()]));
    assert_eq!(doomed(&sql), ["k3", "k4"]);
    assert_eq!(
        sql.text("select version || ' ' || files || ' ' || bytes || ' ' || saved_at from workspaces"),
        format!("6 1 10 {}", at(200_000).get())
    );
    assert_eq!(store.current_packs(&session("a")).unwrap().len(), 1);
    assert_eq!(exchange(&store, "a", 5, true).unwrap().version, 7);
    rewind(&store, "a", 1);
    assert_eq!(listed(&store, "a"), (9, vec!["k1".to_owned()]));
    rewind(&store, "a", 1);
    assert_eq!(listed(&store, "a"), (11, vec!["k1".to_owned()]), "nothing came after: a new number all the same");
}

#[test]
fn an_object_is_doomed_when_the_last_conversation_that_names_it_lets_it_go() {
    type End = fn(&Store<Rusqlite>, &str);
    let all = ["k1", "k2", "k3"];
    let delete: End = |store, id| drop(store.transaction(|| store.delete_conversation(&session(id))).unwrap());
    let empty: End = |store, id| assert!(store.empty_workspace(&session(id), at(5)).unwrap());
    let drop_older: End = |store, id| store.drop_older_versions(&session(id), at(5)).unwrap();
    let rewind_all: End = |store, id| rewind(store, id, 0);
    for (first, second) in
        [(delete, delete), (delete, empty), (empty, delete), (empty, empty), (rewind_all, empty), (delete, rewind_all)]
    {
        for order in [["a", "b"], ["b", "a"]] {
            let (store, sql) = store();
            for n in 1..=3 {
                exchange(&store, "a", n, true);
            }
            fork(&store, "a", 3, "b", 50);
            assert_eq!(store.files_bytes().unwrap(), 300, "an object counts once");
            drop_older(&store, order[0]);
            assert_eq!(doomed(&sql), [""; 0]);
            first(&store, order[0]);
            assert_eq!(doomed(&sql), [""; 0], "{order:?}");
            assert_eq!(listed(&store, order[1]).1, ["k3"]);
            second(&store, order[1]);
            assert_eq!(doomed(&sql), all);
            assert_eq!(sql.count("workspace_packs"), 0);
        }
    }
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    fork(&store, "a", 1, "b", 50);
    store.transaction(|| store.purge_batch(at(1_000_000))).unwrap();
    assert_eq!((sql.count("conversations"), doomed(&sql)), (0, vec!["k1".to_owned()]), "both went at once");
}

#[test]
fn a_purge_of_one_keeps_what_its_fork_names() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    fork(&store, "a", 1, "b", 50);
    assert_eq!(store.transaction(|| store.purge_batch(at(50_000))).unwrap().conversations, 1);
    assert_eq!((doomed(&sql), listed(&store, "b").1), (vec![], vec!["k1".to_owned()]));
}

#[test]
fn a_save_of_a_fork_lets_only_its_own_objects_go() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    fork(&store, "a", 1, "b", 50);
    for n in 101..=100 + KEPT_VERSIONS + 1 {
        exchange(&store, "b", n, true);
    }
    assert_eq!(doomed(&sql), ["k101"], "the thirty-second before it; k1 is named by the other");
    assert_eq!(listed(&store, "a").1, ["k1"]);
}

#[test]
fn thirty_two_versions_are_kept_and_a_version_that_was_gone_back_from_is_none() {
    let (store, sql) = store();
    for n in 1..=40 {
        exchange(&store, "a", n, true);
    }
    assert_eq!(store.kept_versions(&session("a")).unwrap(), (9, 40));
    assert_eq!((sql.count("workspace_parts"), sql.count("workspace_packs"), doomed(&sql).len()), (32, 32, 8));
    for n in 41..=60 {
        rewind(&store, "a", 39);
        exchange(&store, "a", n, true);
    }
    let (oldest, _) = store.kept_versions(&session("a")).unwrap();
    assert_eq!(oldest, 9, "asking the last question again takes no version from those before");
    fork(&store, "a", 9, "b", 500);
    assert_eq!(listed(&store, "b"), (9, vec!["k9".to_owned()]));
}

#[test]
fn older_versions_are_copied_unless_they_are_too_large() {
    for (max_index_bytes, kept) in [(1_000_000, 3), (100, 1)] {
        let (store, sql) = store();
        for n in 1..=3 {
            exchange(&store, "a", n, true);
        }
        let (branch, _) = behind(&store, "a", 3);
        let turn_ids = [turn(50), turn(51), turn(52)];
        let fork = Fork {
            source: &session("a"),
            branch: &branch,
            session_id: &session("b"),
            title: Some(&"Other".to_owned().try_into().unwrap()),
            sdk_session: &sdk_session(5),
            request_id: &RequestId::new(Uuid::from_u128(5)),
            turn_ids: &turn_ids,
            max_index_bytes,
            now: at(9),
        };
        store.fork(&fork).unwrap();
        assert_eq!(sql.text("select count(*) from workspace_parts where session_id = 'b'"), kept.to_string());
        assert_eq!(store.kept_versions(&session("b")).unwrap(), (if kept == 1 { 3 } else { 0 }, 3));
        assert_eq!(listed(&store, "b").1, ["k3"]);
        assert_eq!(store.conversation(&session("b")).unwrap().unwrap().title, "Other");
    }
}

#[test]
fn emptying_a_workspace_deletes_its_older_versions() {
    let (store, sql) = store();
    for n in 1..=3 {
        exchange(&store, "a", n, true);
    }
    assert!(store.empty_workspace(&session("a"), at(5)).unwrap());
    assert_eq!(doomed(&sql), ["k1", "k2", "k3"]);
    assert_eq!(store.kept_versions(&session("a")).unwrap(), (4, 4));
    assert_eq!(sql.count("workspace_parts"), 0);
}

#[test]
fn of_files_of_before_versions_were_kept_the_current_one_alone_is_whole() {
    let sql = Rusqlite::in_memory();
    migrate(&sql, &ACCOUNT[..6], NOW).unwrap();
    sql.run(
        "insert into conversations (session_id, title, created_at, last_accessed_at) values ('a', 'x', 1, 1); \
         insert into workspaces (session_id, version) values ('a', 7)",
    );
    let store = made_store(sql, at(1));
    assert_eq!(store.kept_versions(&session("a")).unwrap(), (7, 7));
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
fn whoever_dooms_an_object_finds_its_other_names_by_an_index() {
    let (store, sql) = store();
    exchange(&store, "a", 1, true);
    rewind(&store, "a", 0);
    store.delete_conversation(&session("a")).unwrap();
    for words in [
        "to_version <= ?2 and (pack.shared",
        "from_version > ?2 and (pack.shared",
        "union select object_key, 0 from inbox",
    ] {
        let plan = sql.plan_of(words).join("\n");
        assert!(plan.contains("INDEX workspace_packs_shared"), "{plan}");
    }
}

/// What SQLite reads of older versions when somebody reads the current one.
#[test]
fn reading_the_current_version_is_a_search_by_the_primary_key() {
    let (store, sql) = store();
    for n in 1..=40 {
        exchange(&store, "a", n, true);
    }
    let plan_of = |read: &dyn Fn()| {
        read();
        sql.plan_of_last().join("\n")
    };
    for plan in [
        plan_of(&|| drop(store.part_of(&session("a"), "f").unwrap())),
        plan_of(&|| drop(store.part_after(&session("a"), "").unwrap())),
        plan_of(&|| drop(store.current_packs(&session("a")).unwrap())),
    ] {
        assert!(
            plan.contains("SEARCH") && plan.contains("USING PRIMARY KEY") && !plan.contains("TEMP B-TREE"),
            "{plan}"
        );
    }
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
