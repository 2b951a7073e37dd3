//! Files as they were at the end of a turn.

use std::time::Duration;

use crate::fixtures::{ask, delete, path, refused, upload};
use crate::support::script::Script;
use crate::support::stage::Stage;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesRefusal, FilesReply};
use claude_agent_service::domain::{Content, StoredFile, TurnId};

/// The size of a file of the conversation `a` as it was at the end of a turn.
fn size_at(stage: &Stage, turn: &TurnId, name: &str) -> Result<u64, AccountError> {
    let find = FilesCommand::Find { path: path(name), at: Some(turn.clone()) };
    ask(stage, "a", find).map(|reply| match reply {
        FilesReply::File(StoredFile { size, content: Some(Content::Frames(frames)), .. }) => {
            assert!(frames.iter().all(|frame| stage.bucket.keys().contains(&frame.key)));
            size
        }
        reply => panic!("{reply:?}"),
    })
}

#[test]
fn a_file_is_read_as_it_was_at_the_end_of_a_turn() {
    let stage = Stage::with_files(&[]);
    let run = |id: &str, script| {
        let turn = stage.query_that(id, script);
        stage.settle();
        turn
    };
    let at = |turn: &TurnId, name: &str| size_at(&stage, turn, name);
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
fn a_turn_that_never_ran_has_the_files_of_the_one_before() {
    let stage = Stage::with_files(&[]);
    let never = stage.query("a");
    stage.cancel("a");
    stage.settle();
    let first = stage.query_that("a", Script::writes(&[("a.txt", "1")]));
    stage.settle();
    let running = stage.query_that("a", Script::endless());
    let queued = stage.query("a");
    stage.pass(Duration::from_secs(1));
    for turn in [&first, &running, &queued] {
        assert_eq!(size_at(&stage, turn, "a.txt").unwrap(), 1);
    }
    stage.cancel("a");
    stage.settle();
    stage.container.die(true);
    stage.container.state.borrow_mut().refuses_to_start = Some("the image cannot be pulled");
    let failed = stage.query("a");
    stage.settle();
    stage.container.state.borrow_mut().refuses_to_start = None;
    let last = stage.query_that("a", Script::writes(&[("a.txt", "22")]));
    stage.settle();
    assert_eq!(
        (stage.end(&queued), stage.end(&failed)),
        ("turn_cancelled".to_owned(), "container_unavailable".to_owned())
    );
    for turn in [&first, &queued, &failed] {
        assert_eq!(size_at(&stage, turn, "a.txt").unwrap(), 1);
    }
    assert_eq!(size_at(&stage, &last, "a.txt").unwrap(), 2);
    let outcome = size_at(&stage, &never, "a.txt").map(|_| FilesReply::Deleted);
    assert_eq!(refused(outcome), FilesRefusal::NotThen, "nothing came before it");
}
