//! An import that goes on: an export comes in parts, or again after a cut, and what is there already is passed over.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::error::AccountError;
use support::moving::{export, import, resume};
use support::script::Script;
use support::stage::Stage;

/// An account of three conversations, one of which has files.
fn account() -> Stage {
    let stage = Stage::with_files(&[]);
    for text in ["one", "two"] {
        stage.query_that("files", Script::writes(&[("a.txt", text), ("in/b.txt", "another")]));
        stage.settle();
    }
    for id in ["plain", "short"] {
        for _ in 0..2 {
            stage.query_that(id, Script::answer("4"));
            stage.settle();
        }
    }
    stage
}

fn empty() -> Stage {
    let stage = Stage::with_files(&[]);
    stage.pass(Duration::from_hours(1));
    // Ids of objects are never the same twice, but on stages.
    for _ in 0..1_000 {
        stage.request_id();
    }
    stage
}

/// All lines but the first, which has a time.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').skip(1).collect()
}

/// Whether a part may begin with this line: one of bytes belongs to the one before.
fn begins_part(line: &str) -> bool {
    !line.starts_with("{\"type\":\"bytes\"")
}

#[test]
fn an_export_that_comes_in_two_parts_is_whole_wherever_it_is_parted() {
    let text = export(&account(), true);
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    for at in (1..all.len()).filter(|at| begins_part(all[*at])) {
        let copy = empty();
        let stored = resume(&copy, &all[..at].concat()).unwrap() + resume(&copy, &all[at..].concat()).unwrap();
        assert_eq!((stored, lines(&export(&copy, true))), (3, lines(&text)), "parted before line {}", at + 1);
    }
}

#[test]
fn an_export_that_comes_again_is_passed_over_with_the_bytes_of_its_files() {
    let text = export(&account(), true);
    let copy = empty();
    assert_eq!(import(&copy, &text, true).unwrap(), 3);
    let keys = copy.bucket.keys();
    assert_eq!(resume(&copy, &text).unwrap(), 0);
    assert_eq!((copy.bucket.keys(), copy.sql.count("doomed")), (keys, 0));
    assert_eq!(lines(&export(&copy, true)), lines(&text));
    assert!(matches!(import(&copy, &text, true), Err(AccountError::ImportConflicts(_))), "without `resume`");
}

#[test]
fn an_export_that_was_cut_anywhere_comes_again_and_is_whole() {
    let text = export(&account(), true);
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    for at in (1..all.len()).step_by(3) {
        let mut copy = empty();
        // A file that is cut in its bytes is refused; what came before it stays.
        let before = resume(&copy, &all[..at].concat()).unwrap_or_default();
        copy.reset();
        let after = resume(&copy, &text).unwrap();
        assert!(before + after <= 3, "{before} + {after}");
        assert_eq!(lines(&export(&copy, true)), lines(&text), "cut before line {}", at + 1);
        copy.pass(Duration::from_hours(1));
        copy.settle();
        assert_eq!(copy.sql.count("doomed"), 0, "what was put of a file and not stored is deleted");
    }
}

#[test]
fn a_conversation_that_is_not_whole_is_refused_at_the_end_and_dropped_by_an_import_without_resume() {
    let text = export(&account(), true);
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let end = all.iter().position(|line| line.starts_with("{\"type\":\"end\"")).unwrap();
    let copy = empty();
    let why = |refused: Result<u64, AccountError>| match refused {
        Err(AccountError::BadImport(why)) => why,
        other => panic!("{other:?}"),
    };
    resume(&copy, &all[..end].concat()).unwrap();
    assert!(why(resume(&copy, &all[end + 1..].concat())).ends_with("the conversation before has no end"));
    assert!(why(resume(&copy, all.last().unwrap())).ends_with("the conversation before has no end"));
    assert_eq!(import(&copy, &text, true).unwrap(), 3);
}

#[test]
fn a_conversation_of_the_account_that_has_the_same_id_stays_as_it_is() {
    let text = export(&account(), true);
    let copy = empty();
    copy.query_that("plain", Script::answer("mine"));
    copy.settle();
    let mine = copy.sql.text("select json_group_array(content) from messages where session_id = 'plain'");
    assert_eq!(resume(&copy, &text).unwrap(), 2);
    assert_eq!(copy.sql.text("select json_group_array(content) from messages where session_id = 'plain'"), mine);
}
