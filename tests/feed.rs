//! The account's feed: a snapshot, then every change, for whoever reads it at that time.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::feed::{MAX_BUFFERED_CHANGES, MAX_READERS};
use claude_agent_service::account::files::command::{FilesCommand, FilesReply, Precondition};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::{Response, command};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{Title, WhenBusy};
use command::Command;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use support::listening::told;
use support::script::{Script, Step, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

fn turn_event(turn_id: &str, session_id: &str, status: &str, position: u64) -> (String, Value) {
    let data = json!({ "turn_id": turn_id, "session_id": session_id, "status": status, "position": position });
    ("turn".to_owned(), data)
}

fn conversation(session_id: &str, change: &str, title: Option<&str>) -> (String, Value) {
    let mut data = json!({ "session_id": session_id, "change": change });
    if let Some(title) = title {
        data["title"] = json!(title);
    }
    ("conversation".to_owned(), data)
}

fn file(path: &str, change: &str) -> (String, Value) {
    ("file".to_owned(), json!({ "session_id": "a", "path": path, "change": change }))
}

fn nothing() -> (String, Value) {
    ("snapshot".to_owned(), json!({ "conversations": [], "turns": [], "actions": [] }))
}

fn upload(stage: &Stage, path: &str) {
    let path = || path.parse().unwrap();
    let begin = FilesCommand::BeginUpload { path: path(), size: 3, precondition: Precondition::None };
    let ask = |ask| stage.handle(Command::Files { session_id: session("a"), ask });
    let Ok(Response::Ready(Reply::Files(reply))) = ask(begin) else { panic!("not begun") };
    let FilesReply::Upload { key } = *reply else { panic!("no key") };
    let etag = "d41d8cd98f00b204e9800998ecf8427e".to_owned();
    let commit =
        FilesCommand::CommitUpload { path: path(), key, size: 3, etag, precondition: Precondition::None, title: None };
    assert!(ask(commit).is_ok());
}

fn delete(stage: &Stage, path: &str) {
    let target = path.to_owned().try_into().unwrap();
    let ask = FilesCommand::Delete { target, precondition: Precondition::None };
    assert!(stage.handle(Command::Files { session_id: session("a"), ask }).is_ok());
}

#[test]
fn it_begins_with_what_goes_on() {
    let stage = Stage::new();
    let running = stage.query_that("a", Script::endless());
    stage.pass(SECOND);
    let [queued, last] = ["b", "a"].map(|conversation| stage.query(conversation));
    let open_turn =
        |turn: &str, conversation: &str, status, position| turn_event(turn, conversation, status, position).1;
    let open = |conversation: &str, turn: &str| json!({ "session_id": conversation, "title": "hello", "turn": turn });
    let expected = json!({
        "conversations": [open("a", running.as_str()), open("b", queued.as_str())],
        "turns": [
            open_turn(running.as_str(), "a", "running", 0),
            open_turn(queued.as_str(), "b", "queued", 1),
            open_turn(last.as_str(), "a", "queued", 2),
        ],
        "actions": [],
    });
    assert_eq!(told(&mut stage.feed()), [("snapshot".to_owned(), expected)]);
}

#[test]
fn it_tells_of_turns_and_conversations_as_they_change() {
    let stage = Stage::new();
    let mut feed = stage.feed();
    assert_eq!(told(&mut feed), [nothing()]);
    let running = stage.query_that("a", Script::endless());
    let queued = stage.query("b");
    let [running, queued] = [running.as_str(), queued.as_str()];
    assert_eq!(
        told(&mut feed),
        [
            conversation("a", "created", Some("hello")),
            turn_event(running, "a", "running", 0),
            conversation("b", "created", Some("hello")),
            turn_event(queued, "b", "queued", 1),
        ]
    );
    stage.pass(SECOND);
    stage.cancel("a");
    stage.settle();
    assert_eq!(
        told(&mut feed),
        [
            turn_event(running, "a", "cancelled", 0),
            turn_event(queued, "b", "running", 0),
            turn_event(queued, "b", "completed", 0),
        ]
    );
    let title = Some(Title::from_prompt("Sums"));
    assert!(stage.handle(Command::UpdateConversation { session_id: session("a"), title, metadata: None }).is_ok());
    stage.delete("a");
    stage.delete("a");
    assert_eq!(told(&mut feed), [conversation("a", "updated", Some("Sums")), conversation("a", "deleted", None)]);
    let waiting = stage.query_that("c", Script::endless());
    let cancelled = stage.query("c");
    stage.pass(SECOND);
    told(&mut feed);
    stage.cancel("c");
    stage.settle();
    let ends = [waiting, cancelled].map(|turn| turn_event(turn.as_str(), "c", "cancelled", 0));
    let all = told(&mut feed);
    assert!(ends.iter().all(|end| all.iter().filter(|event| *event == end).count() == 1), "{all:?}");
}

#[test]
fn it_tells_of_branches() {
    let stage = Stage::new();
    let turn = stage.query("a");
    stage.settle();
    let mut feed = stage.feed();
    told(&mut feed);
    let asked = ForkAsked { source: session("a"), at: None, session_id: Some(session("b")), title: None };
    assert!(stage.handle(Command::Fork(Box::new(asked))).is_ok());
    assert!(stage.handle(Command::Rewind { session_id: session("a"), to: RewindTo::Before(turn) }).is_ok());
    assert_eq!(
        told(&mut feed),
        [conversation("b", "created", Some("hello")), conversation("a", "updated", Some("hello"))]
    );
}

#[test]
fn it_tells_of_a_query_that_a_turn_took_in() {
    let stage = Stage::new();
    let mut feed = stage.feed();
    let steps = [Step::Wait(10 * SECOND), Step::TakeIn, Step::Frame(result("both"))];
    let running = stage.query_that("a", Script::new(steps));
    stage.pass(SECOND);
    let steering = stage.query_when_busy("a", WhenBusy::Steer).unwrap();
    told(&mut feed);
    stage.settle();
    let ends = [running, steering].map(|turn| turn_event(turn.as_str(), "a", "completed", 0));
    assert_eq!(told(&mut feed), ends);
}

#[test]
fn it_tells_what_a_purge_deletes() {
    let stage = Stage::new();
    stage.query("a");
    stage.query("kept");
    stage.settle();
    stage.sql.run("update conversations set last_accessed_at = 1 where session_id = 'a'");
    let mut feed = stage.feed();
    told(&mut feed);
    stage.visit();
    stage.pass(DAY);
    assert_eq!(told(&mut feed), [conversation("a", "deleted", None)]);
}

#[test]
fn it_tells_of_files_that_turns_and_users_change() {
    let stage = Stage::with_files(&[]);
    let mut feed = stage.feed();
    told(&mut feed);
    upload(&stage, "in/a.txt");
    upload(&stage, "in/a.txt");
    let created = conversation("a", "created", Some("in/a.txt"));
    assert_eq!(told(&mut feed), [created, file("in/a.txt", "added"), file("in/a.txt", "modified")]);
    for path in ["in/a.txt", ""] {
        delete(&stage, path);
        assert_eq!(told(&mut feed), [file(path, "deleted")]);
    }
    let turn = stage.query_that("a", Script::writes(&[("b.txt", "one")]));
    stage.settle();
    let all = told(&mut feed);
    let changed = serde_json::to_value(stage.turn(&turn).files.unwrap().changed).unwrap();
    let of_turn = file("b.txt", changed[0]["change"].as_str().unwrap());
    assert_eq!(all[1..], [of_turn, turn_event(turn.as_str(), "a", "completed", 0)]);
}

#[test]
fn a_reader_that_is_too_slow_is_cut_and_comes_back_to_what_goes_on_then() {
    let stage = Stage::new();
    let (mut slow, mut quick) = (stage.feed(), stage.feed());
    for n in 0..MAX_BUFFERED_CHANGES {
        stage.query(&format!("c{n}"));
        stage.settle();
        told(&mut quick);
    }
    assert!(told(&mut slow).len() < 3 * MAX_BUFFERED_CHANGES);
    assert!(slow.next().now_or_never().is_some_and(|event| event.is_none()), "the stream has ended");
    assert!(quick.next().now_or_never().is_none(), "the other goes on");
    assert_eq!(told(&mut stage.feed()), [nothing()]);
}

#[test]
fn readers_are_bounded_and_one_that_left_makes_room() {
    let stage = Stage::new();
    let mut first = stage.feed();
    let mut all: Vec<_> = (1..MAX_READERS).map(|_| stage.feed()).collect();
    told(&mut first);
    drop(all.pop());
    let mut last = stage.feed();
    stage.query("a");
    assert_eq!((told(&mut first).len(), told(&mut last).len()), (2, 3));
    let _one_more = stage.feed();
    assert!(first.next().now_or_never().is_some_and(|event| event.is_none()), "the oldest is cut");
}

#[test]
fn it_ends_with_its_object_and_begins_anew_with_the_next() {
    let mut stage = Stage::new();
    let mut feed = stage.feed();
    let turn = stage.query_that("a", Script::endless());
    stage.pass(SECOND);
    told(&mut feed);
    stage.reset();
    assert!(feed.next().now_or_never().is_some_and(|event| event.is_none()), "the stream has ended");
    let mut feed = stage.feed();
    let snapshot = told(&mut feed);
    assert_eq!(snapshot[0].1["turns"][0]["turn_id"], json!(turn.as_str()));
    stage.cancel("a");
    stage.settle();
    assert_eq!(told(&mut feed), [turn_event(turn.as_str(), "a", "cancelled", 0)]);
}

#[test]
fn without_a_reader_it_costs_nothing() {
    let rows = |stage: &Stage| {
        stage.query("a");
        stage.settle();
        stage.logged("turn_ended")[0]["rows_written"].as_u64().unwrap()
    };
    let (read, unread) = (Stage::new(), Stage::new());
    let _feed = read.feed();
    assert_eq!(rows(&read), rows(&unread), "nothing of it is stored");
}
