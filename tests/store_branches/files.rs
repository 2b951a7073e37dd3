//! What forks and rewinds do to files, their versions and the keys of the bucket.

use crate::fixtures::{behind, doomed, exchange, fork, listed, rewind};
use crate::support::{NOW, Rusqlite, at, made_store, sdk_session, session, store, turn};
use claude_agent_service::domain::RequestId;
use claude_agent_service::domain::file::KEPT_VERSIONS;
use claude_agent_service::store::Store;
use claude_agent_service::store::branches::Fork;
use claude_agent_service::store::schema::{ACCOUNT, migrate};
use uuid::Uuid;

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
