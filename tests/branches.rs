//! Branches through an account: a fork and a rewound conversation go on with the history and the files of their turn, in a session of their own, and
//! whatever the container held of another state never comes back.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::branches::MAX_FORK_BYTES;
use claude_agent_service::account::branches::command::{ForkAsked, NoBranch, RewindTo};
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, FilesRefusal, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::file::{Target, Unsaved};
use claude_agent_service::domain::{Conversation, RequestId, TurnId};
use support::bucket::BucketFault;
use support::script::{Fault, Script};
use support::session;
use support::stage::Stage;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

/// A turn that writes these files; it has ended.
fn writes(stage: &Stage, session_id: &str, files: &[(&str, &str)]) -> TurnId {
    let turn = stage.query_that(session_id, Script::writes(files));
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    turn
}

fn forking(source: &str, at: Option<&TurnId>, into: Option<&str>) -> Command {
    let session_id = into.map(session);
    Command::Fork(Box::new(ForkAsked { source: session(source), at: at.cloned(), session_id, title: None }))
}

fn rewinding(session_id: &str, to: RewindTo) -> Command {
    Command::Rewind { session_id: session(session_id), to }
}

fn conversation(reply: Result<Response<String>, AccountError>) -> Result<Conversation, AccountError> {
    match reply? {
        Response::Ready(Reply::Forked(made) | Reply::Updated(made)) => Ok(*made),
        _ => unreachable!(),
    }
}

fn fork(stage: &Stage, source: &str, at: Option<&TurnId>, into: &str) -> Result<Conversation, AccountError> {
    conversation(stage.handle(forking(source, at, Some(into))))
}

fn rewind(stage: &Stage, session_id: &str, to: RewindTo) -> Result<Conversation, AccountError> {
    conversation(stage.handle(rewinding(session_id, to)))
}

/// The folder of a conversation in the container.
fn folder(stage: &Stage, session_id: &str) -> BTreeMap<String, String> {
    let agent = stage.sql.text(&format!("select agent_session from conversations where session_id = '{session_id}'"));
    let files = stage.container.folder(&agent).into_iter();
    files.map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap())).collect()
}

fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

/// How many lines of transcript the last turn was begun with, if it brought any.
fn replayed(stage: &Stage) -> Option<usize> {
    stage.container.state.borrow().replayed.last().copied()
}

fn version(stage: &Stage, session_id: &str) -> u64 {
    stage.store.stored_workspace(&session(session_id)).unwrap().version
}

fn three_turns(stage: &Stage) -> [TurnId; 3] {
    [
        writes(stage, "a", &[("f", "one")]),
        writes(stage, "a", &[("f", "two"), ("g", "x")]),
        writes(stage, "a", &[("f", "three")]),
    ]
}

#[test]
fn a_fork_goes_on_with_the_history_and_the_files_of_its_turn() {
    for cold in [false, true] {
        let stage = Stage::with_files(&[]);
        let turns = three_turns(&stage);
        let made = fork(&stage, "a", Some(&turns[1]), "b").unwrap();
        assert_eq!((made.message_count, made.session_id), (4, session("b")));
        assert_eq!(stage.bucket.calls("get") + stage.bucket.calls("put"), 3, "no object is read or written");
        if cold {
            stage.container.die(true);
        }
        writes(&stage, "b", &[("h", "of b")]);
        assert_eq!(replayed(&stage), Some(2));
        assert_eq!(folder(&stage, "b"), files(&[("f", "two"), ("g", "x"), ("h", "of b")]));
        writes(&stage, "a", &[("h", "of a")]);
        assert_eq!(folder(&stage, "a"), files(&[("f", "three"), ("g", "x"), ("h", "of a")]));
        assert_eq!((version(&stage, "a"), version(&stage, "b")), (4, 3));
    }
}

#[test]
fn a_fork_without_a_turn_is_of_the_last_that_has_ended_and_gets_an_id() {
    let stage = Stage::with_files(&[]);
    three_turns(&stage);
    let made = conversation(stage.handle(forking("a", None, None))).unwrap();
    assert_eq!(made.message_count, 6);
    assert!(made.session_id.as_str().starts_with("session_"), "{}", made.session_id);
    assert_eq!(version(&stage, made.session_id.as_str()), 3);
}

#[test]
fn uploads_that_wait_are_no_part_of_a_turns_end() {
    let stage = Stage::with_files(&[]);
    let turn = writes(&stage, "a", &[("f", "one")]);
    upload(&stage, "a", "u").unwrap();
    fork(&stage, "a", Some(&turn), "b").unwrap();
    writes(&stage, "b", &[]);
    assert_eq!(folder(&stage, "b"), files(&[("f", "one")]));
    rewind(&stage, "a", RewindTo::To(turn)).unwrap();
    writes(&stage, "a", &[]);
    assert_eq!(folder(&stage, "a"), files(&[("f", "one"), ("u", "xyz")]), "what waits is found by the next turn");
}

#[test]
fn a_rewound_conversation_goes_on_from_there_and_the_container_forgets_the_rest() {
    for cold in [false, true] {
        let stage = Stage::with_files(&[]);
        let turns = three_turns(&stage);
        let left = stage.sql.text("select agent_session from conversations");
        let gone_back = rewind(&stage, "a", RewindTo::To(turns[0].clone())).unwrap();
        assert_eq!(gone_back.message_count, 2);
        assert_ne!(
            gone_back.sdk_session.as_ref().map(claude_agent_service::domain::SdkSession::as_str),
            Some(left.as_str())
        );
        stage.settle();
        assert_eq!(stage.container.state.borrow().deleted_workspaces, [left]);
        if cold {
            stage.container.die(true);
        }
        writes(&stage, "a", &[("h", "new")]);
        assert_eq!(replayed(&stage), Some(1));
        assert_eq!(folder(&stage, "a"), files(&[("f", "one"), ("h", "new")]));
        assert_eq!(version(&stage, "a"), 6);
    }
}

#[test]
fn a_question_is_edited_by_going_back_before_it() {
    let stage = Stage::with_files(&[]);
    let turns = three_turns(&stage);
    rewind(&stage, "a", RewindTo::Before(turns[2].clone())).unwrap();
    writes(&stage, "a", &[]);
    assert_eq!((replayed(&stage), folder(&stage, "a")), (Some(2), files(&[("f", "two"), ("g", "x")])));
    rewind(&stage, "a", RewindTo::Before(turns[0].clone())).unwrap();
    let replays = stage.container.state.borrow().replayed.len();
    let turn = writes(&stage, "a", &[("f", "anew")]);
    assert_eq!(stage.container.state.borrow().replayed.len(), replays, "there is nothing to replay");
    assert_eq!(folder(&stage, "a"), files(&[("f", "anew")]));
    assert_eq!(stage.turn(&turn).files.unwrap().version, 8);
    stage.pass(Duration::from_hours(1));
    assert_eq!(stage.bucket.keys().len(), 1, "the objects of what came after are gone");
}

#[test]
fn a_save_that_the_container_still_holds_is_never_taken_up() {
    let stage = Stage::with_files(&[]);
    let first = writes(&stage, "a", &[("f", "one")]);
    // The bucket takes nothing: the container holds what it packed under version 2.
    for _ in 0..2 {
        stage.bucket.fault("put", BucketFault::Fail);
    }
    let second = writes(&stage, "a", &[("f", "two")]);
    assert_eq!(stage.turn(&second).files.unwrap().reason, Some(Unsaved::StorageUnavailable));
    // And its answer to being told to forget is lost, or it never hears of it.
    for fault in [Fault::LoseAnswer, Fault::Fail] {
        stage.container.fault("DELETE /sessions/", fault);
        rewind(&stage, "a", RewindTo::To(first.clone())).unwrap();
        let turn = writes(&stage, "a", &[("g", "new")]);
        assert_eq!(folder(&stage, "a"), files(&[("f", "one"), ("g", "new")]));
        assert!(stage.turn(&turn).files.unwrap().saved);
    }
}

#[test]
fn neither_is_done_while_a_turn_is_open() {
    let stage = Stage::with_files(&[("ACCOUNT_CONCURRENCY", "2")]);
    let ended = writes(&stage, "a", &[]);
    let open = stage.query_that("a", Script::endless());
    let queued = stage.query("a");
    stage.pass(SECOND);
    let busy = |reply: Result<Conversation, AccountError>| matches!(reply, Err(AccountError::ConversationBusy));
    assert!(busy(fork(&stage, "a", Some(&ended), "b")) && busy(fork(&stage, "a", None, "b")));
    assert!(busy(fork(&stage, "a", Some(&open), "b")) && busy(fork(&stage, "a", Some(&queued), "b")));
    for to in [RewindTo::To(ended.clone()), RewindTo::Before(ended), RewindTo::To(open)] {
        assert!(busy(rewind(&stage, "a", to)));
    }
    let other = writes_while_busy(&stage);
    assert!(fork(&stage, "other", Some(&other), "b").is_ok(), "a turn of another conversation is in nobody's way");
    stage.cancel("a");
    stage.settle();
    assert!(fork(&stage, "a", None, "c").is_ok());
}

fn writes_while_busy(stage: &Stage) -> TurnId {
    let turn = stage.query_that("other", Script::writes(&[]));
    stage.pass(5 * SECOND);
    turn
}

#[test]
fn what_is_not_there_is_not_found_and_what_is_there_is_not_replaced() {
    let stage = Stage::with_files(&[]);
    let turn = writes(&stage, "a", &[]);
    let other = writes(&stage, "other", &[]);
    let not_found = |reply: Result<Conversation, AccountError>| matches!(reply, Err(AccountError::NotFound));
    assert!(not_found(fork(&stage, "nobody", None, "b")) && not_found(fork(&stage, "nobody", Some(&turn), "b")));
    assert!(
        not_found(fork(&stage, "a", Some(&other), "b")) && not_found(fork(&stage, "a", Some(&support::turn(77)), "b"))
    );
    assert!(not_found(rewind(&stage, "a", RewindTo::To(other.clone()))));
    assert!(not_found(rewind(&stage, "nobody", RewindTo::Before(turn.clone()))));
    for taken in ["a", "other"] {
        assert!(matches!(fork(&stage, "a", Some(&turn), taken), Err(AccountError::ConversationExists)));
    }
    upload(&stage, "new", "u").unwrap();
    assert!(matches!(fork(&stage, "new", None, "b"), Err(AccountError::NoBranch(NoBranch::NoTurn))));
    assert!(matches!(fork(&stage, "a", None, "new"), Err(AccountError::ConversationExists)));
}

#[test]
fn an_id_whose_deleted_conversation_has_a_turn_at_work_is_taken() {
    let stage = Stage::with_files(&[("ACCOUNT_CONCURRENCY", "2")]);
    writes(&stage, "a", &[]);
    stage.query_that("b", Script::deaf());
    stage.pass(SECOND);
    stage.delete("b");
    assert!(matches!(fork(&stage, "a", None, "b"), Err(AccountError::ConversationExists)));
    stage.settle();
    assert!(fork(&stage, "a", None, "b").is_ok());
}

#[test]
fn a_turn_of_before_branches_is_one_only_as_the_last() {
    let stage = Stage::with_files(&[]);
    let turns = three_turns(&stage);
    stage.sql.run("update turns set transcript_seq = null");
    let unknown = |reply: Result<Conversation, AccountError>| {
        matches!(reply, Err(AccountError::NoBranch(NoBranch::TranscriptUnknown)))
    };
    assert!(unknown(fork(&stage, "a", Some(&turns[1]), "b")));
    assert!(unknown(rewind(&stage, "a", RewindTo::Before(turns[2].clone()))));
    fork(&stage, "a", Some(&turns[2]), "b").unwrap();
    rewind(&stage, "a", RewindTo::Before(turns[0].clone())).unwrap();
    writes(&stage, "b", &[]);
    assert_eq!((replayed(&stage), folder(&stage, "b")), (Some(3), files(&[("f", "three"), ("g", "x")])));
}

#[test]
fn there_is_no_branch_whose_files_are_kept_no_longer() {
    let stage = Stage::with_files(&[]);
    let turns = three_turns(&stage);
    let everything = FilesCommand::Delete { target: Target::Everything, precondition: Precondition::None };
    ask_files(&stage, "a", everything).unwrap();
    let gone =
        |reply: Result<Conversation, AccountError>| matches!(reply, Err(AccountError::NoBranch(NoBranch::FilesGone)));
    assert!(gone(fork(&stage, "a", Some(&turns[1]), "b")) && gone(rewind(&stage, "a", RewindTo::To(turns[0].clone()))));
    fork(&stage, "a", Some(&turns[2]), "b").unwrap();
    writes(&stage, "b", &[]);
    assert_eq!(folder(&stage, "b"), files(&[]), "the last turn's files are those that are there");
    rewind(&stage, "a", RewindTo::Before(turns[0].clone())).unwrap();
}

#[test]
fn a_fork_has_a_bound() {
    let stage = Stage::new();
    writes(&stage, "a", &[]);
    // It counts as if it were there.
    stage.sql.run(&format!("update conversations set message_bytes = {MAX_FORK_BYTES}"));
    assert!(matches!(fork(&stage, "a", None, "b"), Err(AccountError::NoBranch(NoBranch::TooLarge))));
}

#[test]
fn branches_need_no_bucket() {
    let stage = Stage::new();
    let first = writes(&stage, "a", &[]);
    writes(&stage, "a", &[]);
    fork(&stage, "a", Some(&first), "b").unwrap();
    writes(&stage, "b", &[]);
    assert_eq!(replayed(&stage), Some(1));
    rewind(&stage, "a", RewindTo::To(first)).unwrap();
    writes(&stage, "a", &[]);
    assert_eq!((replayed(&stage), stage.sql.count("workspaces")), (Some(1), 0));
}

#[test]
fn what_is_sent_again_after_a_reset_is_done_once() {
    let mut stage = Stage::with_files(&[]);
    let turns = three_turns(&stage);
    let id = |n| RequestId::new(Uuid::from_u128(n));
    let made = |reply: Result<Reply<String>, AccountError>| match reply {
        Ok(Reply::Forked(made) | Reply::Updated(made)) => *made,
        _ => panic!(),
    };
    let first = made(stage.handle_again(forking("a", None, None), &id(900), false));
    stage.reset();
    let again = made(stage.handle_again(forking("a", None, None), &id(900), true));
    assert_eq!((&again.session_id, stage.sql.count("conversations")), (&first.session_id, 2));
    let back = || rewinding("a", RewindTo::Before(turns[1].clone()));
    made(stage.handle_again(back(), &id(901), false));
    stage.reset();
    assert_eq!(made(stage.handle_again(back(), &id(901), true)).message_count, 2);
    assert!(matches!(stage.handle_again(back(), &id(902), false), Err(AccountError::NotFound)));
    made(stage.handle_again(forking("a", None, Some("c")), &id(903), true));
    assert_eq!(stage.sql.count("conversations"), 3, "one that did not come through the first time is carried out");
}

#[test]
fn a_kill_after_the_rewind_leaves_nothing_of_the_old_state_in_the_way() {
    let mut stage = Stage::with_files(&[]);
    let turns = three_turns(&stage);
    rewind(&stage, "a", RewindTo::To(turns[0].clone())).unwrap();
    // Before the container was told to forget.
    stage.reset();
    writes(&stage, "a", &[("h", "new")]);
    assert_eq!((replayed(&stage), folder(&stage, "a")), (Some(1), files(&[("f", "one"), ("h", "new")])));
}

fn ask_files(stage: &Stage, session_id: &str, ask: FilesCommand) -> Result<FilesReply, AccountError> {
    match stage.handle(Command::Files { session_id: session(session_id), ask })? {
        Response::Ready(Reply::Files(reply)) => Ok(*reply),
        _ => unreachable!(),
    }
}

/// Uploads three bytes.
fn upload(stage: &Stage, session_id: &str, path: &str) -> Result<(), AccountError> {
    let at = || path.parse().unwrap();
    let begin = FilesCommand::BeginUpload { path: at(), size: 3, precondition: Precondition::None };
    let FilesReply::Upload { key } = ask_files(stage, session_id, begin)? else { unreachable!() };
    stage.bucket.put_directly(&key, b"xyz");
    let etag = "e".to_owned();
    let commit =
        FilesCommand::CommitUpload { path: at(), key, size: 3, etag, precondition: Precondition::None, title: None };
    ask_files(stage, session_id, commit).map(drop)
}

/// A third of what the accounts of these tests may hold, `n` of them.
fn thirds(n: usize, filler: char) -> String {
    filler.to_string().repeat(n * (1 << 20) / 3)
}

#[test]
fn older_versions_give_way_to_what_is_new() {
    let stage = Stage::with_files(&[("ACCOUNT_FILES_BYTES", "1MiB")]);
    for filler in ['1', '2', '3'] {
        writes(&stage, "a", &[("f", &thirds(1, filler))]);
    }
    assert_eq!(stage.store.kept_versions(&session("a")).unwrap(), (0, 3));
    let turn = writes(&stage, "b", &[("f", &thirds(1, '4'))]);
    assert!(stage.turn(&turn).files.unwrap().saved);
    assert_eq!(stage.store.kept_versions(&session("a")).unwrap(), (3, 3), "those of another conversation, too");
    let turn = writes(&stage, "b", &[("f", &thirds(2, '5'))]);
    assert_eq!(stage.turn(&turn).files.unwrap().reason, None, "the version that it replaces gives way as well");
    assert_eq!(stage.store.kept_versions(&session("b")).unwrap(), (2, 2));
    let turn = stage.query_that("b", Script::writes(&[("g", &thirds(3, '6'))]));
    stage.settle();
    assert_eq!(stage.turn(&turn).files.unwrap().reason, Some(Unsaved::StorageFull));
}

#[test]
fn nothing_older_is_given_up_for_what_would_not_fit_all_the_same() {
    let stage = Stage::with_files(&[("ACCOUNT_FILES_BYTES", "1MiB")]);
    writes(&stage, "a", &[("f", &thirds(1, '1'))]);
    writes(&stage, "a", &[("f", &thirds(1, '2'))]);
    let turn = stage.query_that("a", Script::writes(&[("f", &thirds(4, '3'))]));
    stage.settle();
    assert_eq!(stage.turn(&turn).files.unwrap().reason, Some(Unsaved::StorageFull));
    assert_eq!(stage.store.kept_versions(&session("a")).unwrap(), (0, 2));
    let begin =
        FilesCommand::BeginUpload { path: "u".parse().unwrap(), size: 900_000, precondition: Precondition::None };
    assert!(matches!(ask_files(&stage, "a", begin), Err(AccountError::Files(FilesRefusal::StorageFull))));
    assert_eq!(stage.store.kept_versions(&session("a")).unwrap(), (0, 2));
    let begin =
        FilesCommand::BeginUpload { path: "u".parse().unwrap(), size: 500_000, precondition: Precondition::None };
    ask_files(&stage, "a", begin).unwrap();
    assert_eq!(stage.store.kept_versions(&session("a")).unwrap(), (2, 2), "an upload for which they make room");
}
