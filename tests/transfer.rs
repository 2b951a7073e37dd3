//! An account's conversations move as lines: what an export writes, an import reads, and every read of the copy is that of the original.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::manage::command::{ImportBatch, ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::api::answer::{Answer, Body};
use claude_agent_service::domain::transfer::ExportPlace;
use claude_agent_service::domain::{MetadataPatch, Page, Title};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;

/// Bytes after which a page ends.
const PAGE_BYTES: usize = 512 * 1024;

fn manage(stage: &Stage, ask: ManageCommand) -> Result<ManageReply, AccountError> {
    match stage.handle(Command::Manage(ask))? {
        Response::Ready(Reply::Managed(reply)) => Ok(*reply),
        _ => panic!("another reply"),
    }
}

fn page(stage: &Stage, place: Option<ExportPlace>) -> (String, Option<ExportPlace>) {
    match manage(stage, ManageCommand::Export(place)).unwrap() {
        ManageReply::Exported { text, next } => (text, next),
        _ => panic!("another reply"),
    }
}

/// All pages, each with what happens before the next.
fn pages(stage: &Stage, mut between: impl FnMut(usize)) -> Vec<String> {
    let (mut all, mut place) = (Vec::new(), None);
    loop {
        let (text, next) = page(stage, place);
        all.push(text);
        match next {
            Some(next) => place = Some(next),
            None => return all,
        }
        between(all.len());
    }
}

fn exported(stage: &Stage) -> String {
    pages(stage, |_| {}).concat()
}

fn import(stage: &Stage, lines: &str, first_line: u64, is_last: bool) -> Result<u64, AccountError> {
    let batch = ImportBatch { lines: lines.to_owned(), first_line, is_last, by_operator: true, resume: false };
    match manage(stage, ManageCommand::Import(Box::new(batch)))? {
        ManageReply::Imported { conversations } => Ok(conversations),
        _ => panic!("another reply"),
    }
}

/// Imports batch by batch, as many lines each.
fn import_all(stage: &Stage, text: &str, lines_at_once: usize) -> Result<u64, AccountError> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut conversations = 0;
    for (at, batch) in lines.chunks(lines_at_once).enumerate() {
        let first = u64::try_from(at * lines_at_once).unwrap() + 1;
        conversations += import(stage, &batch.concat(), first, (at + 1) * lines_at_once >= lines.len())?;
    }
    Ok(conversations)
}

/// The lines of conversations: what follows the head.
fn conversations(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.starts_with("{\"type\":\"export\"")).collect()
}

fn read(stage: &Stage, command: Command) -> String {
    let Ok(Response::Ready(reply)) = stage.handle(command) else { panic!("no reply") };
    match Answer::of(reply, &"zoë".parse().unwrap(), &stage.request_id()).body {
        Body::Text(text) | Body::Document(text) => text,
        _ => panic!("not a document"),
    }
}

/// What a client reads of these conversations.
fn reads(stage: &Stage, ids: &[&str]) -> Vec<String> {
    let page = Page { after: None, skip: 0 };
    let mut all = vec![read(stage, Command::ListConversations { limit: 50, page, words: None })];
    for id in ids {
        let session_id = session(id);
        for items in [false, true] {
            all.push(read(stage, Command::ReadConversation { session_id: session_id.clone(), before: None, items }));
        }
        let turns = read(stage, Command::ListTurns { session_id: session_id.clone(), before: None, limit: 100 });
        let Value::Array(list) = serde_json::from_str(&turns).unwrap() else { panic!("no list") };
        for turn in list {
            let turn_id = turn["turn_id"].as_str().unwrap().parse().unwrap();
            all.push(read(stage, Command::ReadTurn { turn_id, items: true }));
        }
        all.push(turns);
        all.push(read(stage, Command::ReadContext { session_id }));
    }
    all
}

/// An account with a conversation of every sort: small, failed, long, and with a turn that runs.
fn account() -> Stage {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.query_that("small", Script::answer("é \"4\"\n"));
        stage.settle();
    }
    let patch = MetadataPatch::try_from(json!({ "z": "1.50", "a": "é" })).unwrap();
    let update = Command::UpdateConversation { session_id: session("small"), title: None, metadata: Some(patch) };
    stage.handle(update).unwrap();
    stage.query_that("failed", Script::endless());
    stage.pass(Duration::from_secs(1));
    stage.cancel("failed");
    stage.settle();
    for n in 0..3 {
        let said = format!("{n}{}", "x\n\"".repeat(100_000));
        stage.query_that("long", Script::new([Step::Frame(entry(&said)), Step::Frame(result(&said))]));
        stage.settle();
    }
    stage.query_that("runs", Script::answer("before"));
    stage.settle();
    stage.query_that("runs", Script::endless());
    stage.pass(Duration::from_secs(1));
    stage
}

const ALL: [&str; 3] = ["failed", "long", "small"];

/// An account without anything, some seconds after the others: what comes from the future is dated anew.
fn empty() -> Stage {
    let stage = Stage::new();
    stage.pass(Duration::from_secs(20));
    stage
}

#[test]
fn every_read_of_the_copy_is_that_of_the_original_and_so_is_its_export() {
    let stage = account();
    let text = exported(&stage);
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    for lines_at_once in [2, 1_000] {
        let copy = empty();
        assert_eq!(import_all(&copy, &text, lines_at_once).unwrap(), 4);
        assert_eq!(reads(&copy, &ALL)[1..], reads(&stage, &ALL)[1..]);
        assert_eq!(conversations(&exported(&copy)), conversations(&text));
        let runs = read(&copy, Command::ReadConversation { session_id: session("runs"), before: None, items: false });
        let runs: Value = serde_json::from_str(&runs).unwrap();
        assert_eq!((runs["messages"].as_array().unwrap().len(), &runs["metadata"]["message_count"]), (2, &2.into()));
    }
}

#[test]
fn the_next_turn_of_an_imported_conversation_replays_its_transcript() {
    let text = exported(&account());
    let copy = empty();
    import_all(&copy, &text, 10).unwrap();
    for _ in 0..1_000 {
        copy.request_id();
    }
    let next = copy.query("small");
    copy.settle();
    assert_eq!(
        (copy.end(&next).as_str(), copy.container.state.borrow().replayed.as_slice()),
        ("completed", [3].as_slice())
    );
}

#[test]
fn a_page_is_bounded_and_an_export_goes_on_behind_any_whole_conversation() {
    let stage = account();
    let all = pages(&stage, |_| {});
    assert!(all.len() > 2 && all.iter().all(|page| page.len() < 4 * PAGE_BYTES), "{}", all.len());
    let whole = all.concat();
    let after = ExportPlace { after: "failed".to_owned(), ..ExportPlace::default() };
    let (rest, _) = page(&stage, Some(after));
    assert!(
        !rest.contains("\"session_id\":\"failed\"")
            && rest.starts_with("{\"type\":\"conversation\",\"session_id\":\"long\"")
    );
    assert!(whole.ends_with("{\"type\":\"done\"}\n"));
}

#[test]
fn a_conversation_that_changes_while_it_is_written_is_begun_again() {
    let stage = account();
    let mut changed = false;
    let text = pages(&stage, |n| {
        if n == 1 {
            let title = Some(Title::from_prompt("Changed"));
            let update = Command::UpdateConversation { session_id: session("long"), title, metadata: None };
            stage.handle(update).unwrap();
            changed = true;
        }
    })
    .concat();
    let begun =
        text.lines().filter(|line| line.starts_with("{\"type\":\"conversation\",\"session_id\":\"long\"")).count();
    assert!(changed && begun == 2, "{begun}");
    let copy = empty();
    assert_eq!(import_all(&copy, &text, 2).unwrap(), 4);
    assert_eq!(reads(&copy, &["long"])[1..], reads(&stage, &["long"])[1..]);
}

#[test]
fn conversations_that_are_there_are_listed_and_nothing_is_stored() {
    let text = exported(&account());
    let there = Stage::new();
    // Ids of turns are never the same twice, but on stages.
    for _ in 0..1_000 {
        there.request_id();
    }
    for id in ["small", "mine"] {
        there.query(id);
        there.settle();
    }
    let before = exported(&there);
    match import_all(&there, &text, 1_000) {
        Err(AccountError::ImportConflicts(ids)) => assert_eq!(ids, [session("small")]),
        other => panic!("{other:?}"),
    }
    assert_eq!(conversations(&exported(&there)), conversations(&before));
    there.delete("small");
    assert_eq!(import_all(&there, &text, 7).unwrap(), 4, "beside what is there");
    let page = Page { after: None, skip: 0 };
    let list: Value =
        serde_json::from_str(&read(&there, Command::ListConversations { limit: 50, page, words: None })).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 5);
}

#[test]
fn an_import_that_ends_in_the_middle_leaves_whole_conversations_only() {
    let text = exported(&account());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for cut in (1..lines.len()).step_by(11) {
        let mut copy = empty();
        import(&copy, &lines[..cut].concat(), 1, false).unwrap();
        copy.reset();
        assert!(manage(&copy, ManageCommand::DropImport).is_ok());
        let ends = lines[..cut].iter().filter(|line| line.starts_with("{\"type\":\"end\"")).count();
        assert_eq!(copy.sql.count("conversations"), ends);
        let strangers = "select count(*) from turns where session_id not in (select session_id from conversations)";
        assert_eq!(copy.sql.text(strangers), "0");
    }
}

#[test]
fn a_line_that_no_export_writes_is_refused_by_its_number() {
    let text = exported(&account());
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let at = lines.iter().position(|line| line.starts_with("{\"type\":\"turn\"")).unwrap();
    for (bad, why) in [
        ("x\n".to_owned(), "not a JSON object"),
        (
            format!("{{\"type\":\"conversations\",\"session_ids\":[{}]}}\n", ["\"a\""; 1_001].join(",")),
            "at most 1000 ids",
        ),
        (lines[at].replace("\"session_id\":\"failed\"", "\"session_id\":\"small\""), "not of the conversation"),
        (lines[at].replace("\"seq\":1", "\"seq\":\"1\""), "seq: an integer"),
        (lines[at].replace("\"status\":\"cancelled\"", "\"status\":\"running\""), ""),
        (lines[at].replace("\"options\":{", "\"options\":{\"metadata\":7,"), ""),
        (lines[at].replace("\"options\":", "\"items\":\"{\",\"options\":"), "items: "),
    ] {
        let copy = empty();
        let with = [&lines[..at], &[bad.as_str()], &lines[at + 1..]].concat().concat();
        match import(&copy, &with, 1, true) {
            Err(AccountError::BadImport(said)) => assert!(said.starts_with("line ") && said.contains(why), "{said}"),
            other => panic!("{bad}: {other:?}"),
        }
        assert_eq!(copy.sql.count("conversations"), 0);
    }
    let copy = empty();
    assert!(matches!(import(&copy, "{\"type\":\"export\",\"version\":2}\n", 1, true), Err(AccountError::BadImport(_))));
}

#[test]
fn an_access_is_never_of_the_future_and_never_so_old_that_the_import_is_deleted_at_once() {
    let stage = Stage::new();
    stage.query("a");
    stage.settle();
    let text = exported(&stage);
    let told = stage.sql.text("select cast(last_accessed_at as text) from conversations");
    let field = |at: &str| format!("\"last_accessed_at\":{at}");
    for at in ["9000000000000000", "0", "-1"] {
        let copy = Stage::with(&[("RETENTION_DAYS", "30")]);
        copy.pass(Duration::from_hours(1));
        let now = copy.executor.now();
        assert_eq!(import(&copy, &text.replace(&field(&told), &field(at)), 1, true).unwrap(), 1);
        let stored = copy.sql.text("select cast(last_accessed_at as text) from conversations");
        assert_eq!(stored, now.get().to_string(), "{at}");
        assert_eq!(copy.visit().map(|visit| visit.deleted), Some(0), "{at}");
        copy.pass(Duration::from_hours(24 * 31));
        copy.visit();
        assert!(!exported(&copy).contains("\"type\":\"conversation\""), "{at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever the lines say, what was stored reads back, and no other conversation is touched.
    #[test]
    fn no_lines_make_a_conversation_that_cannot_be_read(cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[\"{}:,0-9a-z]{0,3}"), 1..4)) {
        let text = SMALL.with(Clone::clone);
        let mut lines: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
        for (line, at, with) in cuts {
            let n = line.index(lines.len());
            let at = at.index(lines[n].len());
            if lines[n].is_char_boundary(at) && lines[n].is_char_boundary(at + 1) && at + 1 < lines[n].len() {
                lines[n].replace_range(at..=at, &with);
            }
        }
        let copy = empty();
        copy.query("mine");
        copy.settle();
        let mine = reads(&copy, &["mine"])[1..].to_vec();
        let stored = import(&copy, &lines.concat(), 1, true);
        prop_assert!(matches!(stored, Ok(_) | Err(AccountError::BadImport(_) | AccountError::ImportConflicts(_))), "{stored:?}");
        prop_assert_eq!(&reads(&copy, &["mine"])[1..], &mine[..]);
        let ids = copy.sql.texts("select session_id from conversations");
        reads(&copy, &ids.iter().map(String::as_str).collect::<Vec<_>>());
        exported(&copy);
    }
}

thread_local! {
    static SMALL: String = {
        let stage = Stage::new();
        stage.query_that("a", Script::answer("4"));
        stage.settle();
        stage.query_that("a", Script::endless());
        stage.pass(Duration::from_secs(1));
        stage.cancel("a");
        stage.settle();
        exported(&stage)
    };
}
