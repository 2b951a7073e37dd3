//! What a reader of a turn's events hears: as much as before if it asks for nothing, and what it asks for beside that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::domain::Include;
use serde_json::{Value, json};
use support::listening::{Sent, events_of, names};
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

/// What a default reader heard of [`plain`] before there was anything else to hear (commit ab91a3b), byte for byte.
const DEFAULT: &str = include_str!("fixtures/events/default.txt");

fn frames(frames: impl IntoIterator<Item = Value>) -> Vec<Step> {
    frames.into_iter().map(Step::Frame).collect()
}

/// A turn of text and tools, as a container said it that knew no more.
fn plain() -> Vec<Value> {
    vec![
        json!({ "type": "delta", "text": "Let " }),
        json!({ "type": "delta", "text": "me\nsee." }),
        json!({ "type": "message", "text": "Let me\nsee." }),
        json!({ "type": "tool", "id": "toolu_1", "name": "Bash", "status": "started", "input": { "command": "ls" } }),
        json!({ "type": "tool", "id": "toolu_1", "name": "Bash", "status": "finished" }),
        json!({ "type": "tool", "id": "toolu_2", "name": "Read", "status": "started", "input": { "file_path": "é".repeat(1500) } }),
        json!({ "type": "tool", "id": "toolu_2", "name": "Read", "status": "failed" }),
        entry("said"),
        json!({ "type": "retry", "attempt": 1, "delay_ms": 512.5, "status": 529, "retracted": true }),
        json!({ "type": "retry", "attempt": 0, "delay_ms": 0, "status": null, "retracted": false }),
        json!({ "type": "delta", "text": "4" }),
        json!({ "type": "message", "text": "4" }),
        result("Let me\nsee.\n\n4"),
    ]
}

/// The same from a container that says all that it knows.
fn talkative() -> Vec<Value> {
    let mut all = Vec::new();
    let usage = json!({ "type": "usage", "model": "claude-opus-5-5", "input_tokens": 409, "output_tokens": 7,
        "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0 });
    for mut frame in plain() {
        all.push(json!({ "type": "thinking", "text": "hm" }));
        all.push(json!({ "type": "thinking", "text": "hm", "parent": "toolu_9" }));
        all.push(json!({ "type": "tool_input", "id": "toolu_1", "json": "{\"comm" }));
        all.push(json!({ "type": "tool_input", "id": "toolu_3", "json": "{", "parent": "toolu_9" }));
        all.push(json!({ "type": "message", "text": "I am a subagent.", "parent": "toolu_9" }));
        all.push(usage.clone());
        if frame["type"] == "tool" && frame["status"] == "started" {
            frame["whole"] = json!({ "command": "ls -la" });
        } else if frame["type"] == "tool" {
            frame["result"] = json!([{ "type": "text", "text": "a.txt" }]);
            frame["truncated"] = json!(true);
        } else if frame["type"] == "result" {
            frame["stop_reason"] = json!("end_turn");
            frame["by_model"] = json!({ "m": { "input_tokens": 3, "output_tokens": 1 } });
            frame["context"] = json!({ "tokens": 4, "limit": 200_000, "auto_compact_at": 160_000 });
        }
        all.push(frame);
    }
    all
}

/// What a reader of `include` hears live, and what it hears again after the end.
fn heard(script: Vec<Value>, include: Include) -> (String, String) {
    let stage = Stage::new();
    stage.query_that("a", Script::new(frames(script)));
    let live = stage.reader("a", None, include).unwrap();
    stage.settle();
    (live.heard(), stage.reader("a", None, include).unwrap().heard())
}

fn without_numbers(text: &str) -> Vec<Sent> {
    events_of(text).into_iter().map(|event| Sent { n: None, ..event }).collect()
}

/// How often each of these events is there.
fn counts(text: &str, wanted: &[&str]) -> Vec<usize> {
    let names = names(text);
    wanted.iter().map(|wanted| names.iter().filter(|name| name == wanted).count()).collect()
}

#[test]
fn a_reader_that_asks_for_nothing_hears_what_it_heard_before_byte_for_byte() {
    assert_eq!(heard(plain(), Include::NOTHING).0, DEFAULT);
}

#[test]
fn a_reader_that_asks_for_nothing_hears_nothing_more_of_a_turn_that_tells_more() {
    let (live, again) = heard(talkative(), Include::NOTHING);
    assert_eq!(without_numbers(&live), without_numbers(DEFAULT));
    assert_eq!(counts(&again, &["thinking", "tool_input", "usage"]), [0, 0, 0]);
    assert!(!again.contains("subagent") && !again.contains("a.txt") && !again.contains("ls -la"));
}

#[test]
fn each_word_brings_what_it_says_live_and_again() {
    let of = |include| heard(talkative(), include);
    let (live, again) = of(Include::THINKING);
    assert_eq!(counts(&live, &["thinking", "tool_input", "usage"]), [13, 0, 0]);
    assert_eq!(counts(&again, &["thinking", "tool_input", "usage"]), [13, 0, 0]);
    let (live, again) = of(Include::TOOL_INPUT);
    assert_eq!(counts(&live, &["thinking", "tool_input", "usage"]), [0, 13, 0]);
    assert_eq!(counts(&again, &["tool_input"]), [0], "pieces are not kept");
    assert!(live.contains(r#""whole_input":{"command":"ls -la"}"#) && again.contains("whole_input"));
    let (live, again) = of(Include::TOOL_RESULT);
    let end = r#""status":"finished","result":[{"text":"a.txt","type":"text"}],"truncated":true}"#;
    assert!(live.contains(end) && again.contains(end) && !live.contains("whole_input"));
    let (live, again) = of(Include::USAGE);
    assert_eq!((counts(&live, &["usage"]), counts(&again, &["usage"])), (vec![13], vec![13]));
    assert!(live.contains(
        r#""output_tokens":7,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cost_usd":0.001776}"#
    ));
    let (live, again) = of(Include::SUBAGENTS);
    assert_eq!(counts(&live, &["message", "thinking", "tool_input"]), [15, 0, 0], "thinking is another word");
    assert_eq!(counts(&again, &["message"]), [15]);
    let (live, _) = of(Include::ALL);
    assert_eq!(counts(&live, &["message", "thinking", "tool_input", "usage"]), [15, 26, 26, 13]);
}

#[test]
fn a_tool_of_a_subagent_says_whose_it_is() {
    let tool = json!({ "type": "tool", "id": "t", "name": "Read", "status": "denied", "parent": "toolu_9" });
    let (live, again) = heard(vec![tool, result("4")], Include::NOTHING);
    let told = r#"data: {"id":"t","name":"Read","status":"denied","parent":"toolu_9"}"#;
    assert!(live.contains(told) && again.contains(told));
}

#[test]
fn what_every_reader_should_know_is_told_to_every_reader() {
    let known = [
        json!({ "type": "compacted", "trigger": "auto", "pre_tokens": 9, "post_tokens": 3 }),
        json!({ "type": "attachment_removed", "path": "a.pdf", "reason": "too large" }),
        json!({ "type": "notice", "code": "weather", "message": "It rains." }),
    ];
    let (live, again) = heard(known.into_iter().chain([result("4")]).collect(), Include::NOTHING);
    assert_eq!(names(&live), ["turn", "compacted", "attachment_removed", "notice", "done"]);
    assert_eq!(names(&again), names(&live));
}

#[test]
fn the_end_tells_what_there_is_beside_the_answer() {
    let mut end = result("4");
    end["stop_reason"] = json!("max_tokens");
    end["by_model"] = json!({ "a": { "input_tokens": 1, "cost_usd": 0.5 }, "b": { "output_tokens": 2 } });
    let (live, again) = heard(vec![end], Include::NOTHING);
    let done = events_of(&live).pop().unwrap().data;
    assert_eq!(done["stop_reason"], "max_tokens");
    assert_eq!(
        (&done["usage"]["by_model"]["a"]["cost_usd"], &done["usage"]["by_model"]["b"]["output_tokens"]),
        (&json!(0.5), &json!(2))
    );
    for absent in ["output", "metadata", "steered_into"] {
        assert!(done.get(absent).is_none(), "{absent}");
    }
    assert_eq!(events_of(&again).pop().unwrap().data, done);
}
