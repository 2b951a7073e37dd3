//! Workspaces in storage: a save is committed with the end of its turn or not at all, keys of the bucket are named from before their put until
//! after their delete, and what users see is the current version under what waits in the inbox.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::file::{Target, TurnFiles, Unsaved};
use claude_agent_service::domain::{Content, FrameRange};
use claude_agent_service::domain::{TurnId, TurnStatus};
use claude_agent_service::store::Store;
use claude_agent_service::store::files::PageOf;
use claude_agent_service::store::inbox::Upload;
use claude_agent_service::store::sql::Sql;
use claude_agent_service::store::transactions::Finished;
use claude_agent_service::store::turns::{LastEvents, TurnEnd};
use claude_agent_service::store::usage::LedgerEntry;
use claude_agent_service::store::workspaces::{FilesEnd, Pack, Save, Stored};
use claude_agent_service::workspace::index::Part;
use serde_json::json;
use support::{Rusqlite, admission, admit, at, exchange, session, store, turn};

const HASH: &str = "ungWv48Bz-pBQUDeXa4iIw";

fn pack(no: u64, key: &str) -> Pack {
    Pack { no, key: key.to_owned(), bytes: 100 }
}

/// A part with a file of 10 bytes at each path, in pack 1.
fn entries(paths: &[&str]) -> String {
    let entry = |path: &&str| json!([path, 0o644, 10, 5, HASH, 7, [[1, 0, 20, 0]]]);
    json!(paths.iter().map(entry).collect::<Vec<_>>()).to_string()
}

fn parts<'a>(all: &'a [(&str, String)]) -> Vec<Part<'a>> {
    all.iter().map(|(path, entries)| Part { first_path: (*path).to_owned(), entries }).collect()
}

fn save<'a>(base: u64, keep: &'a [u64], packs: &'a [Pack], parts: Vec<Part<'a>>) -> Box<Save<'a>> {
    let told = TurnFiles::unchanged(base + 1);
    Box::new(Save { base, inbox: 0, files: 1, bytes: 10, keep, packs, parts, kept_versions: 1, told })
}

/// Ends a turn of the conversation `a` with this end of its files.
fn finish(store: &Store<Rusqlite>, turn_id: &TurnId, files: FilesEnd<'_>) -> Option<TurnFiles> {
    let end = TurnEnd {
        status: TurnStatus::Completed,
        error: None,
        model: None,
        usage: None,
        num_turns: None,
        duration_ms: None,
        finished_at: at(9_000),
        last_events: LastEvents { message: 1, end: 2 },
        counted: None,
        stop_reason: None,
        by_model: None,
    };
    let id = session("a");
    let finished = Finished {
        has_waited: false,
        turn_id,
        end,
        answer: Some("4"),
        transcript: "",
        sdk_session: None,
        items: "",
        context: None,
        frees_key: false,
        steered: &[],
        files: Some((&id, files)),
        usage: &LedgerEntry::default(),
    };
    store.finish(&finished).unwrap().and_then(|turn| turn.files)
}

/// A turn of the conversation `a` that ends so.
fn turn_that(store: &Store<Rusqlite>, n: u128, files: FilesEnd<'_>) -> Option<TurnFiles> {
    admit(store, &admission(n, "a", "hi")).unwrap();
    finish(store, &turn(n), files)
}

/// The conversation `a` with version 1: `b` and `c` in one part, `x` in another, all in the pack with the key `k1`.
fn saved() -> (Store<Rusqlite>, Rusqlite) {
    let (store, sql) = store();
    store.doom(&["k1".to_owned()], at(1)).unwrap();
    let all = [("b", entries(&["b", "c"])), ("x", entries(&["x"]))];
    let files = turn_that(&store, 1, FilesEnd::Save(save(0, &[], &[pack(1, "k1")], parts(&all))));
    assert_eq!(files, Some(TurnFiles::unchanged(1)));
    (store, sql)
}

fn doomed(sql: &Rusqlite) -> Vec<String> {
    sql.texts("select object_key || ' ' || since from doomed order by object_key")
}

fn listed(store: &Store<Rusqlite>, prefix: &str) -> Vec<String> {
    let page = PageOf { prefix, after: "", limit: 100, content: false };
    store.files(&session("a"), page).unwrap().unwrap().files.into_iter().map(|file| file.path).collect()
}

fn upload(store: &Store<Rusqlite>, path: &str, key: &str) {
    store.doom(&[key.to_owned()], at(2)).unwrap();
    let upload = Upload { key: key.to_owned(), size: 3, etag: "e".to_owned() };
    assert!(store.commit_upload((&session("a"), None), &path.parse().unwrap(), &upload, at(0), at(3)).unwrap());
}

fn delete(store: &Store<Rusqlite>, path: &str) {
    store.delete_in_inbox(&session("a"), &Target::try_from(path.to_owned()).unwrap(), at(4)).unwrap();
}

#[test]
fn a_save_is_committed_with_the_end_of_its_turn() {
    let (store, sql) = saved();
    assert_eq!(doomed(&sql), [""; 0]);
    assert_eq!(store.stored_workspace(&session("a")).unwrap(), Stored { version: 1, inbox: 0 });
    assert_eq!(store.turn(&turn(1)).unwrap().unwrap().files, Some(TurnFiles::unchanged(1)));
    assert_eq!(listed(&store, ""), ["b", "c", "x"]);
    assert_eq!(sql.text("select version || ' ' || files || ' ' || bytes || ' ' || saved_at from workspaces"), {
        format!("1 1 10 {}", at(9_000).get())
    });
}

#[test]
fn a_part_with_the_same_entries_stays_and_a_pack_that_nothing_needs_is_doomed() {
    let (store, sql) = saved();
    store.doom(&["k2".to_owned()], at(1)).unwrap();
    let all = [("b", entries(&["b", "d"])), ("x", entries(&["x"]))];
    let before = sql.rows_written();
    admit(&store, &admission(2, "a", "hi")).unwrap();
    let admitted = sql.rows_written() - before;
    let packs = [pack(2, "k2")];
    let new_parts = parts(&all);
    let files = finish(&store, &turn(2), FilesEnd::Save(save(1, &[], &packs, new_parts.clone())));
    assert_eq!(files.unwrap().version, 2);
    assert_eq!(sql.texts("select first_path || from_version from workspace_parts"), ["b2", "x1"]);
    assert_eq!(doomed(&sql), [format!("k1 {}", at(9_000).get())]);
    assert_eq!(listed(&store, ""), ["b", "d", "x"]);
    assert!(sql.rows_written() - before - admitted <= 12, "{}", sql.rows_written() - before - admitted);
}

#[test]
fn a_turn_without_changes_writes_no_row_more() {
    let (store, sql) = saved();
    let count = |n, files: Option<FilesEnd<'_>>| {
        admit(&store, &admission(n, "a", "hi")).unwrap();
        let before = sql.rows_written();
        match files {
            Some(files) => drop(finish(&store, &turn(n), files)),
            None => drop(support::finish(&store, &turn(n), "4", at(9_000)).unwrap()),
        }
        sql.rows_written() - before
    };
    // The shared helper stores a line of transcript.
    assert_eq!(count(2, Some(FilesEnd::Same)) + 1, count(3, None));
}

#[test]
fn a_save_from_another_version_is_given_up_and_its_keys_stay_doomed() {
    let (store, sql) = saved();
    store.doom(&["k2".to_owned()], at(1)).unwrap();
    for (n, base) in [(2, 0), (3, 2)] {
        let packs = [pack(2, "k2")];
        let files = turn_that(&store, n, FilesEnd::Save(save(base, &[], &packs, Vec::new())));
        assert_eq!(files, Some(TurnFiles::unsaved(1, Unsaved::InvalidSave)));
    }
    assert_eq!(doomed(&sql).len(), 1);
    assert_eq!(listed(&store, ""), ["b", "c", "x"]);
    assert_eq!(sql.text("select unsaved from workspaces"), "invalid_save");
    turn_that(&store, 4, FilesEnd::Same);
    assert_eq!(sql.text("select unsaved from workspaces"), "null", "what is saved is not unsaved");
}

#[test]
fn a_save_whose_key_was_drained_is_given_up() {
    let (store, _) = saved();
    let packs = [pack(2, "k2")];
    let files = turn_that(&store, 2, FilesEnd::Save(save(1, &[1], &packs, Vec::new())));
    assert_eq!(files, Some(TurnFiles::unsaved(1, Unsaved::StorageUnavailable)));
}

#[test]
fn a_save_of_a_turn_that_has_ended_or_is_deleted_is_not_committed() {
    let (store, sql) = saved();
    store.doom(&["k2".to_owned()], at(1)).unwrap();
    let packs = [pack(2, "k2")];
    for ended in [turn(1), turn(77)] {
        finish(&store, &ended, FilesEnd::Save(save(1, &[1], &packs, Vec::new())));
    }
    assert_eq!(store.stored_workspace(&session("a")).unwrap().version, 1);
    assert_eq!(doomed(&sql).len(), 1);
}

#[test]
fn versions_are_kept_as_many_as_are_wanted() {
    let (store, sql) = saved();
    for n in 2..=4_u64 {
        let key = format!("k{n}");
        store.doom(std::slice::from_ref(&key), at(1)).unwrap();
        let all = [("b", entries(&[&format!("b{n}")])), ("x", entries(&["x"]))];
        let (packs, new_parts) = ([pack(n, &key)], parts(&all));
        let three = Box::new(Save { kept_versions: 3, ..*save(n - 1, &[], &packs, new_parts) });
        turn_that(&store, u128::from(n), FilesEnd::Save(three));
    }
    let valid = |n: u64, columns: &str, table: &str| {
        sql.texts(&format!(
            "select {columns} from {table} where from_version <= {n} and (to_version is null or to_version > {n})"
        ))
    };
    for n in 2..=4 {
        assert_eq!(valid(n, "first_path || from_version", "workspace_parts"), [format!("b{n}"), "x1".to_owned()]);
        assert_eq!(valid(n, "object_key", "workspace_packs"), [format!("k{n}")]);
    }
    assert_eq!(valid(1, "first_path", "workspace_parts"), ["x"], "version 1 is pruned");
    assert_eq!(doomed(&sql), [format!("k1 {}", at(9_000).get())]);
}

#[test]
fn a_deleted_or_purged_conversation_dooms_all_that_it_names() {
    for purge in [false, true] {
        let (store, sql) = saved();
        upload(&store, "u", "k9");
        exchange(&store, 50, "b", "hi", "4");
        if purge {
            assert_eq!(store.transaction(|| store.purge_batch(at(10_000))).unwrap().conversations, 1);
        } else {
            store.transaction(|| store.delete_conversation(&session("a"))).unwrap();
        }
        assert_eq!(doomed(&sql), ["k1 0", "k9 0"]);
        for table in ["workspaces", "workspace_parts", "workspace_packs", "inbox"] {
            assert_eq!(sql.count(table), 0, "{table}");
        }
    }
}

#[test]
fn a_key_that_another_conversation_names_is_told_from_one_that_nothing_names() {
    let (store, sql) = saved();
    exchange(&store, 50, "b", "hi", "4");
    sql.run("insert into workspace_packs (session_id, pack_no, from_version, to_version, object_key, bytes) values ('b', 1, 1, null, 'k1', 100)");
    store.delete_conversation(&session("a")).unwrap();
    let keys = ["k1".to_owned(), "k2".to_owned()];
    assert_eq!(store.named(&keys).unwrap(), ["k1"]);
    assert_eq!(store.unknown(&keys).unwrap(), ["k2"]);
}

#[test]
fn an_upload_is_seen_at_once_and_lies_over_the_version() {
    let (store, sql) = saved();
    upload(&store, "c", "k5");
    upload(&store, "d/e", "k6");
    assert_eq!(listed(&store, ""), ["b", "c", "d/e", "x"]);
    let file = store.file(&session("a"), "c").unwrap().unwrap();
    assert_eq!((file.size, file.etag.as_str(), file.content), (3, "e", Some(Content::Object("k5".to_owned()))));
    let file = store.file(&session("a"), "b").unwrap().unwrap();
    let frame = FrameRange { key: "k1".to_owned(), offset: 0, length: 20, raw_offset: 0 };
    assert_eq!((file.size, file.etag.as_str(), file.content), (10, HASH, Some(Content::Frames(vec![frame]))));
    assert_eq!(doomed(&sql), [""; 0]);
    assert_eq!(store.files_bytes().unwrap(), 106);
    upload(&store, "c", "k7");
    assert_eq!(doomed(&sql), [format!("k5 {}", at(3).get())], "what an upload replaces is doomed");
    assert_eq!(store.stored_workspace(&session("a")).unwrap(), Stored { version: 1, inbox: 3 });
}

#[test]
fn a_deletion_hides_what_it_names_and_an_upload_after_it_is_seen() {
    let (store, sql) = saved();
    upload(&store, "d/e", "k6");
    delete(&store, "b");
    delete(&store, "d/");
    assert_eq!(listed(&store, ""), ["c", "x"]);
    assert_eq!(store.file(&session("a"), "b").unwrap(), None);
    assert_eq!(doomed(&sql), [format!("k6 {}", at(4).get())]);
    upload(&store, "d/f", "k7");
    assert_eq!(listed(&store, "d/"), ["d/f"]);
    let waiting = store.inbox_after(&session("a"), 0).unwrap();
    let order: Vec<_> = waiting.iter().map(|row| (row.path.as_str(), row.seq, row.upload.is_some())).collect();
    assert_eq!(order, [("b", 2, false), ("d/", 3, false), ("d/f", 4, true)]);
}

#[test]
fn a_save_takes_in_what_it_holds_of_the_inbox_and_nothing_that_came_later() {
    let (store, sql) = saved();
    upload(&store, "d", "k5");
    upload(&store, "e", "k6");
    let all = [("b", entries(&["b", "c", "d"]))];
    let new_parts = parts(&all);
    turn_that(&store, 2, FilesEnd::Save(Box::new(Save { inbox: 1, ..*save(1, &[1], &[], new_parts.clone()) })));
    assert_eq!(store.stored_workspace(&session("a")).unwrap(), Stored { version: 2, inbox: 2 });
    assert_eq!(doomed(&sql), [format!("k5 {}", at(9_000).get())]);
    assert_eq!(listed(&store, ""), ["b", "c", "d", "e"]);
    turn_that(&store, 3, FilesEnd::Save(Box::new(Save { inbox: 2, ..*save(2, &[1], &[], new_parts.clone()) })));
    upload(&store, "f", "k7");
    assert_eq!(store.stored_workspace(&session("a")).unwrap().inbox, 3, "numbers are not used again");
}

#[test]
fn an_upload_makes_its_conversation_and_counts_it_once() {
    let (store, sql) = store();
    assert!(store.files(&session("a"), PageOf { prefix: "", after: "", limit: 9, content: false }).unwrap().is_none());
    let retention = std::time::Duration::from_hours(24);
    store.storage_stats(retention, at(1)).unwrap();
    upload(&store, "notes/plan.md", "k1");
    exchange(&store, 1, "a", "hi", "4");
    let counted = store.storage_stats(retention, at(1)).unwrap();
    assert!(counted.contains("\"total_conversations\":1,") && counted.contains("\"total_messages\":2,"), "{counted}");
    assert_eq!(sql.text("select title from conversations"), "notes/plan.md");
    assert_eq!(listed(&store, ""), ["notes/plan.md"]);
}

#[test]
fn an_upload_whose_key_was_drained_is_refused_and_doomed_again() {
    let (store, sql) = saved();
    let late = Upload { key: "k8".to_owned(), size: 3, etag: "e".to_owned() };
    assert!(!store.commit_upload((&session("a"), None), &"u".parse().unwrap(), &late, at(0), at(7)).unwrap());
    assert_eq!(doomed(&sql), [format!("k8 {}", at(7).get())]);
    upload(&store, "u", "k9");
    let again = Upload { key: "k9".to_owned(), ..late };
    assert!(
        store.commit_upload((&session("a"), None), &"u".parse().unwrap(), &again, at(0), at(8)).unwrap(),
        "sent twice"
    );
    assert_eq!(doomed(&sql).len(), 1, "what is named is not doomed");
}

#[test]
fn a_listing_has_pages_by_the_bytes_of_paths() {
    let (store, _) = saved();
    store.doom(&["k2".to_owned()], at(1)).unwrap();
    let names = ["a", "d/1", "d/2", "d0", "\u{FFFD}", "\u{1F600}"];
    let all: Vec<_> = names.chunks(2).map(|names| (names[0], entries(names))).collect();
    let packs = [pack(2, "k2")];
    let new_parts = parts(&all);
    turn_that(&store, 2, FilesEnd::Save(save(1, &[1], &packs, new_parts.clone())));
    upload(&store, "d/15", "k5");
    let (mut after, mut seen) = (String::new(), Vec::new());
    for pages in 1.. {
        let page = PageOf { prefix: "", after: &after, limit: 2, content: false };
        let page = store.files(&session("a"), page).unwrap().unwrap();
        seen.extend(page.files.into_iter().map(|file| file.path));
        let Some(next) = page.next else {
            assert_eq!(pages, 4);
            break;
        };
        after = next;
    }
    assert_eq!(seen, ["a", "d/1", "d/15", "d/2", "d0", "\u{FFFD}", "\u{1F600}"]);
    assert_eq!(listed(&store, "d/"), ["d/1", "d/15", "d/2"]);
    assert_eq!(listed(&store, "d/2"), ["d/2"]);
    assert_eq!(listed(&store, "e"), [""; 0]);
    assert_eq!(listed(&store, "\u{1F600}"), ["\u{1F600}"]);
}

#[test]
fn an_emptied_workspace_is_a_new_version_without_files() {
    let (store, sql) = saved();
    upload(&store, "d", "k5");
    assert!(store.empty_workspace(&session("a"), at(5)).unwrap());
    assert_eq!(store.stored_workspace(&session("a")).unwrap(), Stored { version: 2, inbox: 0 });
    assert_eq!((doomed(&sql).len(), sql.count("workspace_parts"), sql.count("inbox")), (2, 0, 0));
    assert!(!store.empty_workspace(&session("nobody"), at(5)).unwrap());
}

#[test]
fn the_packs_of_a_save_are_stored_ones_and_new_ones() {
    let (store, _) = saved();
    let of = |keep: &[u64], new: &[(u64, u64)]| {
        store.packs_of_save(&session("a"), keep, new.iter().copied()).unwrap().map(|packs| packs.into_iter().collect())
    };
    assert_eq!(of(&[1], &[(2, 50)]), Some(vec![(1, 100), (2, 50)]));
    assert_eq!(of(&[2], &[]), None, "it keeps what is not stored");
    assert_eq!(of(&[], &[(1, 50)]), None, "a number is used again");
}
