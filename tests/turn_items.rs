//! What a turn did is stored with its end, in as few rows as it takes, and goes with its conversation.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::api::answer::{Answer, Body};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{Include, RequestId, TurnId};
use claude_agent_service::store::items::MAX_INLINE_ITEMS_BYTES;
use serde_json::{Value, json};
use support::listening::{events_of, names};
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;
use uuid::Uuid;

const SECOND: Duration = Duration::from_secs(1);

/// A turn that says this in the container, to its end.
fn turn(stage: &Stage, frames: impl IntoIterator<Item = Value>) -> TurnId {
    let turn = stage.query_that("a", Script::new(frames.into_iter().map(Step::Frame)));
    stage.settle();
    turn
}

fn usage() -> Value {
    json!({ "type": "usage", "model": "claude-opus-5-5", "input_tokens": 3, "output_tokens": 1,
        "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0 })
}

fn message(text: &str) -> Value {
    json!({ "type": "message", "text": text })
}

/// A tool call with a result of so many bytes.
fn tool(result_bytes: usize) -> Vec<Value> {
    let call = json!({ "type": "tool", "id": "t", "name": "Bash", "status": "started", "input": { "command": "ls" } });
    let end =
        json!({ "type": "tool", "id": "t", "name": "Bash", "status": "finished", "result": "x".repeat(result_bytes) });
    vec![call, end]
}

/// The rows that each turn wrote that has ended.
fn rows(stage: &Stage) -> Vec<u64> {
    let totals: Vec<u64> =
        stage.logged("turn_ended").iter().map(|line| line["rows_written"].as_u64().unwrap()).collect();
    totals.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// The types of a turn's items.
fn types(stage: &Stage, turn: &TurnId) -> Vec<String> {
    stage.items(turn).unwrap().iter().map(|item| item["type"].as_str().unwrap().to_owned()).collect()
}

fn stored_inline(stage: &Stage) -> usize {
    stage.sql.texts("select 1 from turns where items is not null").len()
}

#[test]
fn a_plain_turn_writes_as_many_rows_as_before_and_its_answer_once() {
    let stage = Stage::new();
    for _ in 0..3 {
        let said = json!({ "type": "delta", "text": "4" });
        turn(&stage, [entry("said"), said, message("4"), result("4")]);
    }
    assert_eq!(
        rows(&stage),
        [8, 9],
        "commit ab91a3b wrote 7; the ledger adds one, and what is to be reported, another"
    );
    assert_eq!((stored_inline(&stage), stage.sql.count("turn_items")), (0, 0));
    let stage = Stage::new();
    for _ in 0..3 {
        turn(&stage, [entry("said"), usage(), message("4"), result("4")]);
    }
    assert_eq!((rows(&stage), stage.sql.count("turn_items")), (vec![8, 9], 0), "what a call used is in the turn's row");
    assert!(stage.sql.texts("select items from turns").iter().all(|items| !items.contains("message")));
}

#[test]
fn turns_that_end_within_a_minute_write_one_row_more_each_until_they_are_reported() {
    let stage = Stage::new();
    for _ in 0..4 {
        turn(&stage, [entry("said"), message("4"), result("4")]);
    }
    assert_eq!(rows(&stage), [8, 9, 9]);
}

#[test]
fn items_are_the_events_as_they_were_with_their_numbers() {
    let stage = Stage::new();
    let frames = [json!({ "type": "thinking", "text": "hm" }), json!({ "type": "delta", "text": "4" }), message("4")];
    let turn =
        turn(&stage, frames.into_iter().chain(tool(3)).chain([usage(), message("It is 4."), result("It is 4.")]));
    let items = stage.items(&turn).unwrap();
    assert_eq!(items[0], json!({ "n": 2, "type": "thinking", "text": "hm" }));
    assert_eq!(items[1], json!({ "n": 4, "type": "message", "role": "assistant", "content": "4" }));
    assert_eq!(
        items[3],
        json!({ "n": 6, "type": "tool", "id": "t", "name": "Bash", "status": "finished", "result": "xxx" })
    );
    assert_eq!(items[5], json!({ "n": 8, "type": "message", "role": "assistant", "content": "It is 4." }));
    assert_eq!(types(&stage, &turn), ["thinking", "message", "tool", "tool", "usage", "message"]);
}

#[test]
fn few_items_are_in_the_turns_row_and_many_in_rows_of_their_own() {
    let stage = Stage::new();
    turn(&stage, [message("4"), result("4")]);
    turn(&stage, [message("4"), result("4")]);
    turn(&stage, tool(MAX_INLINE_ITEMS_BYTES / 2).into_iter().chain([message("4"), result("4")]));
    turn(&stage, tool(MAX_INLINE_ITEMS_BYTES).into_iter().chain([message("4"), result("4")]));
    assert_eq!((stored_inline(&stage), stage.sql.count("turn_items")), (1, 1));
    assert_eq!(rows(&stage)[2], rows(&stage)[1] + 1);
    let large = turn(&stage, (0..150).flat_map(|_| tool(16_000)).chain([message("4"), result("4")]));
    assert_eq!(stage.sql.texts("select part from turn_items order by turn_id, part"), ["0", "0", "1"]);
    assert_eq!(types(&stage, &large).len(), 301);
}

#[test]
fn a_turn_that_did_more_than_is_stored_says_so() {
    let stage = Stage::new();
    let turn = turn(&stage, (0..400).flat_map(|_| tool(16_000)).chain([message("4"), result("4")]));
    let types = types(&stage, &turn);
    assert_eq!((types[types.len() - 2].as_str(), types.last().unwrap().as_str()), ("notice", "message"));
    assert!(types.len() < 802 && stage.sql.count("turn_items") == 3, "{}", types.len());
    let again = stage.reader("a", None, Include::NOTHING).unwrap().heard();
    assert!(again.contains("items_cut") && again.contains("event: done"));
}

#[test]
fn a_turn_that_failed_or_was_cut_short_has_done_what_it_did() {
    let stage = Stage::new();
    let failed = json!({ "type": "result", "status": "failed", "error": { "code": "model_failed" } });
    let failed = turn(&stage, tool(3).into_iter().chain([failed]));
    assert_eq!(types(&stage, &failed), ["tool", "tool"]);
    let steps = tool(3).into_iter().map(Step::Frame).chain([Step::Wait(SECOND), Step::Die { noticed: true }]);
    let cut = stage.query_that("a", Script::new(steps));
    assert_eq!(stage.items(&cut), None, "not before its end");
    stage.settle();
    assert_eq!((stage.end(&cut).as_str(), types(&stage, &cut).len()), ("turn_interrupted", 2));
}

#[test]
fn an_object_that_takes_a_turn_up_again_stores_its_items_once() {
    let mut stage = Stage::new();
    let steps = tool(3).into_iter().map(Step::Frame).chain([Step::Wait(SECOND)]);
    let steps = steps.chain([usage(), message("4"), result("4")].map(Step::Frame));
    let turn = stage.query_that("a", Script::new(steps));
    stage.pass(SECOND / 2);
    stage.reset();
    stage.settle();
    assert_eq!(types(&stage, &turn), ["tool", "tool", "usage", "message"]);
}

#[test]
fn files_are_told_before_the_end_and_again_with_the_same_numbers() {
    let stage = Stage::with_files(&[]);
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "one"), ("b/c.txt", "three")]));
    let live = stage.reader("a", None, Include::NOTHING).unwrap();
    stage.settle();
    let live = live.heard();
    assert_eq!(names(&live), ["turn", "file", "file", "done"]);
    let events = events_of(&live);
    let changed = serde_json::to_value(stage.turn(&turn).files.unwrap().changed).unwrap();
    assert_eq!(json!([events[1].data, events[2].data]), changed);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event.n).collect();
    assert_eq!(numbers[1..], [numbers[1], numbers[1] + 1, numbers[1] + 2], "without a gap");
    let message = numbers[1] - 1;
    let again = stage.reader("a", None, Include::NOTHING).unwrap().heard();
    let again = events_of(&again);
    assert_eq!((again[1].name.as_str(), again[1].n), ("message", Some(message)), "an answer that no message said");
    assert_eq!(again[2..], events[1..]);
    let after_the_first = stage.reader("a", Some((&turn, numbers[1])), Include::NOTHING).unwrap().heard();
    assert_eq!(events_of(&after_the_first)[1..], events[2..]);
    assert!(stage.reader("a", Some((&turn, numbers[3])), Include::NOTHING).is_none());
    assert_eq!(types(&stage, &turn), ["message", "file", "file"]);
    let stored = stage.sql.texts("select coalesce(items, '') from turns");
    assert_eq!(stored, [""], "they are stored as the turn's files alone");
}

#[test]
fn files_that_could_not_be_stored_are_not_told() {
    let stage = Stage::with_files(&[]);
    stage.sql.run("create trigger no_room before insert on workspace_parts begin select raise(abort, 'no room'); end");
    let turn = stage.query_that("a", Script::writes(&[("a.txt", "one")]));
    let live = stage.reader("a", None, Include::NOTHING).unwrap();
    stage.settle();
    assert_eq!(
        (stage.end(&turn).as_str(), names(&live.heard())),
        ("completed", vec!["turn".to_owned(), "done".to_owned()])
    );
    let end = stage.store.last_events(&turn).unwrap().unwrap();
    assert_eq!(end.end, end.message + 1);
}

#[test]
fn items_go_with_their_conversation() {
    let stage = Stage::new();
    turn(&stage, tool(16_000).into_iter().chain([result("4")]));
    assert_eq!(stage.sql.count("turn_items"), 1);
    stage.delete("a");
    assert_eq!((stage.sql.count("turn_items"), stage.sql.count("turns")), (0, 0));
    turn(&stage, tool(16_000).into_iter().chain([result("4")]));
    stage.query("kept");
    stage.settle();
    stage.sql.run("update conversations set last_accessed_at = 1 where session_id = 'a'");
    stage.visit();
    stage.pass(DAY);
    assert_eq!((stage.sql.count("conversations"), stage.sql.count("turn_items")), (1, 0));
}

/// The answer of a conversation that is read with what its turns did.
fn read(stage: &Stage) -> Value {
    let command = Command::ReadConversation { session_id: session("a"), before: None, items: true };
    let Ok(Response::Ready(reply @ Reply::Conversation { .. })) = stage.handle(command) else {
        panic!("another reply")
    };
    match Answer::of(reply, &"zoë".parse().unwrap(), &RequestId::new(Uuid::nil())).body {
        Body::Text(text) => serde_json::from_str(&text).unwrap(),
        _ => panic!("not a text"),
    }
}

#[test]
fn a_conversation_gives_the_items_of_its_turns_as_far_as_an_answer_has_room() {
    let stage = Stage::new();
    let plain = turn(&stage, [message("4"), result("4")]);
    let old = turn(&stage, (0..80).flat_map(|_| tool(16_000)).chain([result("4")]));
    let new = turn(&stage, (0..10).flat_map(|_| tool(16_000)).chain([message("4"), result("4")]));
    let items = read(&stage)["items"].take();
    assert_eq!(items.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), [old.as_str(), new.as_str()]);
    assert!(items.get(plain.as_str()).is_none() && items[old.as_str()].is_null());
    assert_eq!(items[new.as_str()].as_array().unwrap().len(), 21);
    assert_eq!(stage.items(&old).unwrap().len(), 160, "the turn has them");
    let command = Command::ReadConversation { session_id: session("a"), before: None, items: false };
    assert!(matches!(stage.handle(command), Ok(Response::Ready(Reply::Document(json))) if !json.contains("items")));
}

#[test]
fn of_a_turn_of_before_its_message_is_all_that_is_known() {
    let stage = Stage::new();
    let turn = turn(&stage, tool(3).into_iter().chain([message("4"), result("4")]));
    stage.sql.run("update turns set items = null, message_n = null, end_n = null");
    let items = stage.items(&turn).unwrap();
    assert_eq!(items, [json!({ "n": 1_u64 << 52, "type": "message", "role": "assistant", "content": "4" })]);
}

#[test]
fn the_end_stores_how_full_the_context_is_and_where_the_transcript_ends() {
    let stage = Stage::new();
    let with_context = |tokens: u64| {
        let mut end = result("4");
        end["context"] = json!({ "tokens": tokens, "limit": 200_000, "auto_compact_at": 160_000 });
        end
    };
    let context = || stage.sql.text("select context from conversations");
    turn(&stage, [entry("said"), with_context(5)]);
    assert_eq!(context(), r#"{"tokens":5,"limit":200000,"auto_compact_at":160000}"#);
    turn(&stage, [result("4")]);
    assert!(context().contains("\"tokens\":5"), "what is not said stays");
    turn(&stage, [entry("said"), entry(&"x".repeat(1_600_000)), with_context(7)]);
    let ends = stage.sql.texts("select transcript_seq from turns order by seq");
    let last = stage.sql.text("select max(seq) from transcripts");
    assert_eq!(ends[..2], ["1", "1"]);
    assert_eq!(ends[2], last);
    let nothing = Stage::new();
    turn(&nothing, [result("4")]);
    assert_eq!(nothing.sql.texts("select transcript_seq from turns"), ["0"]);
}
