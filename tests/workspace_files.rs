//! What users do with the files of a conversation, and what is left of them in the bucket when a conversation or an account is deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesRefusal, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::file::Target;
use claude_agent_service::domain::{Content, FilePath, StoredFile, TurnId};
use support::bucket::{BucketFault, PREFIX};
use support::script::Script;
use support::session;
use support::stage::Stage;

const DAY: Duration = Duration::from_hours(24);

fn ask(stage: &Stage, id: &str, ask: FilesCommand) -> Result<FilesReply, AccountError> {
    match stage.handle(Command::Files { session_id: session(id), ask })? {
        Response::Ready(Reply::Files(reply)) => Ok(*reply),
        _ => unreachable!(),
    }
}

fn refused(outcome: Result<FilesReply, AccountError>) -> FilesRefusal {
    match outcome {
        Err(AccountError::Files(refusal)) => refusal,
        Err(error) => panic!("{error}"),
        Ok(reply) => panic!("{reply:?}"),
    }
}

fn path(text: &str) -> FilePath {
    text.parse().unwrap()
}

fn begin(stage: &Stage, at: &str, size: u64, precondition: Precondition) -> Result<String, AccountError> {
    let reply = ask(stage, "a", FilesCommand::BeginUpload { path: path(at), size, precondition })?;
    let FilesReply::Upload { key } = reply else { unreachable!() };
    Ok(key)
}

fn commit(stage: &Stage, at: &str, key: &str, text: &str) -> Result<FilesReply, AccountError> {
    stage.bucket.put_directly(key, text.as_bytes());
    let (size, precondition) = (u64::try_from(text.len()).unwrap(), Precondition::default());
    let commit = FilesCommand::CommitUpload {
        path: path(at),
        key: key.to_owned(),
        size,
        etag: format!("e-{}", text.replace(' ', "-")),
        precondition,
        title: None,
    };
    ask(stage, "a", commit)
}

fn upload(stage: &Stage, at: &str, text: &str) {
    let key = begin(stage, at, u64::try_from(text.len()).unwrap(), Precondition::default()).unwrap();
    commit(stage, at, &key, text).unwrap();
}

fn delete(stage: &Stage, target: &str) -> Result<FilesReply, AccountError> {
    let target = Target::try_from(target.to_owned()).unwrap();
    ask(stage, "a", FilesCommand::Delete { target, precondition: Precondition::default() })
}

fn listed(stage: &Stage) -> Vec<String> {
    let list = FilesCommand::List { prefix: String::new(), after: None, limit: 100, content: false };
    let Ok(FilesReply::Page(page)) = ask(stage, "a", list) else { return Vec::new() };
    page.files.into_iter().map(|file| file.path).collect()
}

fn writes(stage: &Stage, files: &[(&str, &str)]) -> String {
    let turn = stage.query_that("a", Script::writes(files));
    stage.settle();
    stage.end(&turn)
}

fn folder(stage: &Stage) -> Vec<(String, String)> {
    let agent = stage.sql.text("select agent_session from conversations where session_id = 'a'");
    let files = stage.container.folder(&agent);
    files.into_iter().map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

fn owned(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// Whether the bucket and its tables hold nothing.
fn is_clean(stage: &Stage) -> bool {
    let is_made = !stage.sql.texts("select 1 from sqlite_schema where name = 'doomed'").is_empty();
    stage.bucket.keys().is_empty() && (!is_made || stage.sql.count("doomed") == 0)
}

#[test]
fn an_upload_is_seen_at_once_and_by_the_agent_at_its_next_turn() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    upload(&stage, "in/data é.csv", "1,2");
    assert_eq!(listed(&stage), ["a.txt", "in/data é.csv"]);
    assert_eq!(writes(&stage, &[]), "completed");
    assert_eq!(folder(&stage), owned(&[("a.txt", "one"), ("in/data é.csv", "1,2")]));
    assert_eq!((stage.sql.count("inbox"), stage.container.calls("PUT ")), (0, 1), "the warm folder is kept");
    delete(&stage, "in/").unwrap();
    assert_eq!(listed(&stage), ["a.txt"]);
    writes(&stage, &[]);
    assert_eq!(folder(&stage), owned(&[("a.txt", "one")]));
    stage.pass(DAY);
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (2, 0), "the version before still holds it");
    delete(&stage, "").unwrap();
    stage.pass(DAY);
    assert!(is_clean(&stage), "and goes with all files");
}

#[test]
fn a_conversation_may_begin_with_uploads() {
    let stage = Stage::with_files(&[]);
    upload(&stage, "plan.md", "do it");
    assert_eq!(writes(&stage, &[("out.txt", "done")]), "completed");
    assert_eq!(folder(&stage), owned(&[("out.txt", "done"), ("plan.md", "do it")]));
    assert_eq!(writes(&stage, &[]), "completed");
    let seen = stage.container.state.borrow();
    assert!(seen.begun[0].1 == seen.begun[1].1, "it goes on in the session that was filled");
}

#[test]
fn an_upload_while_a_turn_runs_waits_for_the_next_one_and_wins() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.container.state.borrow_mut().packing = Duration::from_secs(5);
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "the agent's")]));
    stage.pass(Duration::from_secs(1));
    upload(&stage, "a.txt", "the user's");
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.sql.count("inbox")), ("completed", 1));
    writes(&stage, &[]);
    assert_eq!(folder(&stage), owned(&[("a.txt", "the user's")]));
}

#[test]
fn an_upload_that_was_lost_is_told_before_the_turn_begins() {
    let stage = Stage::with_files(&[]);
    upload(&stage, "plan.md", "do it");
    stage.bucket.state.borrow_mut().objects.clear();
    assert_eq!(writes(&stage, &[]), "workspace_damaged");
    delete(&stage, "").unwrap();
    assert_eq!(writes(&stage, &[]), "completed");
}

#[test]
fn everything_can_be_deleted_and_every_copy_is_stale_then() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one"), ("b.txt", "two")]);
    delete(&stage, "").unwrap();
    assert_eq!(listed(&stage), [""; 0]);
    assert_eq!(writes(&stage, &[("c.txt", "three")]), "completed");
    assert_eq!(folder(&stage), owned(&[("c.txt", "three")]));
    stage.pass(DAY);
    assert_eq!(stage.bucket.keys().len(), 1);
}

#[test]
fn preconditions_limits_and_keys_are_checked() {
    let stage = Stage::with_files(&[("MAX_UPLOAD_BYTES", "100"), ("ACCOUNT_FILES_BYTES", "1MiB")]);
    upload(&stage, "a.txt", "one");
    let matches = |tag: &str| Precondition::Matches(vec![tag.to_owned()]);
    let begun = |at: &str, precondition| begin(&stage, at, 3, precondition);
    assert!(begun("a.txt", matches("e-one")).is_ok() && begun("a.txt", matches("*")).is_ok());
    assert!(begun("b.txt", Precondition::Absent).is_ok());
    let failed = |outcome: Result<String, AccountError>| {
        matches!(outcome, Err(AccountError::Files(FilesRefusal::PreconditionFailed)))
    };
    assert!(failed(begun("a.txt", matches("e-two"))) && failed(begun("b.txt", matches("*"))));
    assert!(failed(begun("a.txt", Precondition::Absent)));
    let large = begin(&stage, "c", 101, Precondition::default());
    assert!(matches!(large, Err(AccountError::Files(FilesRefusal::UploadTooLarge))));
    stage.sql.run("insert into workspace_packs values ('a', 9, 1, null, '0a1b/full', 1048530, 0)");
    let full = begin(&stage, "c", 100, Precondition::default());
    assert!(matches!(full, Err(AccountError::Files(FilesRefusal::StorageFull))));
    stage.sql.run("delete from workspace_packs");
    assert_eq!(refused(commit(&stage, "c", "another-account/key", "x")), FilesRefusal::BadUpload);
    let key = format!("{PREFIX}never-begun");
    assert_eq!(refused(commit(&stage, "c", &key, "x")), FilesRefusal::UploadExpired);
    assert!(matches!(delete(&stage, "nothing"), Err(AccountError::NotFound)));
    assert!(matches!(delete(&stage, "nothing/"), Err(AccountError::NotFound)));
}

#[test]
fn as_many_uploads_wait_as_may() {
    let stage = Stage::with_files(&[]);
    for n in 0..500 {
        upload(&stage, &format!("f{n}"), "x");
    }
    let more = begin(&stage, "one-more", 1, Precondition::default());
    assert!(matches!(more, Err(AccountError::Files(FilesRefusal::InboxFull))));
    assert!(begin(&stage, "f7", 1, Precondition::default()).is_ok(), "in place of one that waits");
    assert_eq!(writes(&stage, &[]), "completed");
    assert!(begin(&stage, "one-more", 1, Precondition::default()).is_ok());
}

#[test]
fn an_upload_that_is_never_committed_or_too_late_leaves_nothing() {
    let stage = Stage::with_files(&[]);
    let key = begin(&stage, "a.txt", 3, Precondition::default()).unwrap();
    stage.bucket.put_directly(&key, b"one");
    stage.pass(Duration::from_mins(11));
    assert!(is_clean(&stage));
    assert_eq!(refused(commit(&stage, "a.txt", &key, "one")), FilesRefusal::UploadExpired);
    stage.pass(Duration::from_hours(2));
    assert!(is_clean(&stage));
    assert_eq!(stage.sql.texts("select name from sqlite_schema where type = 'table'"), [""; 0]);
}

#[test]
fn without_a_bucket_every_command_is_refused() {
    let stage = Stage::new();
    let find = || FilesCommand::Find { path: path("a"), at: None };
    assert_eq!(refused(ask(&stage, "a", find())), FilesRefusal::NotConfigured);
    writes(&stage, &[]);
    assert_eq!(refused(ask(&stage, "a", find())), FilesRefusal::NotConfigured);
}

#[test]
fn a_file_is_read_as_it_was_at_the_end_of_a_turn() {
    let stage = Stage::with_files(&[]);
    let run = |id: &str, script| {
        let turn = stage.query_that(id, script);
        stage.settle();
        turn
    };
    let at = |turn: &TurnId, name: &str| {
        let find = FilesCommand::Find { path: path(name), at: Some(turn.clone()) };
        ask(&stage, "a", find).map(|reply| match reply {
            FilesReply::File(StoredFile { size, content: Some(Content::Frames(frames)), .. }) => {
                assert!(frames.iter().all(|frame| stage.bucket.keys().contains(&frame.key)));
                size
            }
            reply => panic!("{reply:?}"),
        })
    };
    let first = run("a", Script::writes(&[("a.txt", "1")]));
    let second = run("a", Script::writes(&[("a.txt", "22"), ("b/c.txt", "4444")]));
    upload(&stage, "a.txt", "a user's");
    upload(&stage, "d.txt", "a user's");
    delete(&stage, "b/").unwrap();
    assert_eq!(
        (at(&first, "a.txt").unwrap(), at(&second, "a.txt").unwrap(), at(&second, "b/c.txt").unwrap()),
        (1, 2, 4)
    );
    for (turn, name) in [(&first, "b/c.txt"), (&second, "d.txt"), (&second, "b")] {
        let outcome = at(turn, name).map(|_| FilesReply::Deleted);
        assert_eq!(refused(outcome), FilesRefusal::NotThen, "{name}");
    }
    let third = run("a", Script::writes(&[]));
    assert_eq!((at(&second, "a.txt").unwrap(), at(&third, "a.txt").unwrap(), at(&third, "d.txt").unwrap()), (2, 8, 8));
    let elsewhere = run("b", Script::writes(&[("a.txt", "1")]));
    assert!(matches!(at(&elsewhere, "a.txt"), Err(AccountError::NotFound)), "a turn of another conversation");
    delete(&stage, "").unwrap();
    assert_eq!(refused(at(&third, "a.txt").map(|_| FilesReply::Deleted)), FilesRefusal::VersionGone);
}

#[test]
fn a_deleted_conversation_leaves_no_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    upload(&stage, "b.txt", "two");
    stage.query_that("b", Script::writes(&[("a.txt", "three")]));
    stage.settle();
    stage.delete("a");
    stage.pass(Duration::from_mins(1));
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
}

#[test]
fn a_conversation_that_is_deleted_in_mid_save_leaves_no_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.bucket.state.borrow_mut().latency = Duration::from_secs(2);
    stage.query_that("a", Script::writes(&[("a.txt", "two")]));
    stage.pass(Duration::from_secs(1));
    stage.delete("a");
    stage.settle();
    stage.pass(Duration::from_hours(2));
    assert!(is_clean(&stage), "{:?}", stage.bucket.keys());
}

#[test]
fn a_bucket_that_does_not_delete_is_asked_again() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    for fault in [BucketFault::Fail, BucketFault::Stall, BucketFault::LoseAnswer] {
        stage.bucket.fault("delete", fault);
    }
    stage.delete("a");
    stage.pass(Duration::from_mins(5));
    assert_eq!(stage.bucket.calls("delete"), 1);
    stage.pass(Duration::from_hours(1));
    assert!(is_clean(&stage));
    assert!(stage.bucket.calls("delete") <= 5, "{}", stage.bucket.calls("delete"));
}

#[test]
fn a_purged_account_leaves_no_object_and_no_table_and_looks_once_more() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    upload(&stage, "b.txt", "two");
    stage.bucket.fault("list", BucketFault::Fail);
    // The conversation is due after 30 days, and the account looks by itself two days later.
    stage.pass(31 * DAY);
    assert_eq!(stage.bucket.keys().len(), 2);
    stage.pass(2 * DAY);
    assert!(is_clean(&stage));
    assert_eq!(stage.sql.texts("select name from sqlite_schema where type = 'table'"), [""; 0]);
    let (lists, alarms) = (stage.bucket.calls("list"), stage.alarm());
    assert_eq!(alarms, None, "and sleeps");
    assert!(lists >= 3, "it looked, failed, looked again and once more an hour later: {lists}");
}

#[test]
fn an_object_without_a_name_is_found_by_a_visit() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    for n in 0..7 {
        stage.bucket.put_directly(&format!("{PREFIX}left-{n}"), b"x");
    }
    stage.visit();
    stage.pass(Duration::from_mins(30));
    assert_eq!(stage.bucket.keys().len(), 8, "what is new may be named soon");
    stage.pass(DAY);
    stage.visit();
    stage.pass(Duration::from_mins(30));
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
}

#[test]
fn a_doomed_key_that_another_conversation_names_keeps_its_object() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.query_that("b", Script::writes(&[]));
    stage.settle();
    stage
        .sql
        .run("insert into workspace_packs select 'b', pack_no, 1, null, object_key, bytes, 1 from workspace_packs");
    stage.delete("a");
    stage.pass(DAY);
    assert_eq!((stage.bucket.keys().len(), stage.sql.count("doomed")), (1, 0));
    stage.delete("b");
    stage.pass(DAY);
    assert!(is_clean(&stage));
}

#[test]
fn an_upload_is_refused_once_its_object_may_be_deleted() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[]);
    let key = begin(&stage, "a.txt", 3, Precondition::default()).unwrap();
    stage.bucket.state.borrow_mut().is_down = true;
    stage.pass(Duration::from_mins(11));
    assert_eq!(stage.sql.count("doomed"), 1);
    assert_eq!(refused(commit(&stage, "a.txt", &key, "one")), FilesRefusal::UploadExpired);
    stage.bucket.state.borrow_mut().is_down = false;
    stage.pass(DAY);
    assert!(is_clean(&stage));
}

#[test]
fn what_comes_late_into_the_bucket_of_a_cleared_account_is_deleted_by_a_second_look() {
    let stage = Stage::with_files(&[]);
    writes(&stage, &[("a.txt", "one")]);
    stage.delete("a");
    stage.pass(Duration::from_mins(50));
    assert_eq!(stage.sql.texts("select name from sqlite_schema where type = 'table'"), [""; 0]);
    stage.bucket.put_directly(&format!("{PREFIX}late"), b"x");
    stage.bucket.fault("list", BucketFault::Fail);
    stage.pass(Duration::from_hours(3));
    assert!(is_clean(&stage));
    assert_eq!(stage.alarm(), None);
}

#[test]
fn a_commit_that_is_sent_again_has_stored_the_upload_whatever_it_asked_of_the_file_before() {
    let stage = Stage::with_files(&[]);
    let key = begin(&stage, "a.txt", 3, Precondition::Absent).unwrap();
    stage.bucket.put_directly(&key, b"one");
    let commit = || {
        let (etag, precondition) = ("e-one".to_owned(), Precondition::Absent);
        let commit = FilesCommand::CommitUpload {
            path: path("a.txt"),
            key: key.clone(),
            size: 3,
            etag,
            precondition,
            title: None,
        };
        ask(&stage, "a", commit).unwrap()
    };
    assert_eq!(commit(), commit());
    assert_eq!(listed(&stage), ["a.txt"]);
    assert!(begin(&stage, "a.txt", 3, Precondition::Absent).is_err(), "there is one by now");
}
