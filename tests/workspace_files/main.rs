//! What users do with the files of a conversation, and what is left of them in the bucket when a conversation or an account is deleted.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod at_turn;
mod fixtures;
mod left;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesRefusal, Precondition};
use fixtures::{DAY, ask, begin, commit, delete, folder, is_clean, listed, owned, path, refused, upload, writes};
use support::bucket::PREFIX;
use support::script::Script;
use support::stage::Stage;

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
