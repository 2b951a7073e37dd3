//! What a container says of a turn is bounded before it is kept: frames, entries in parts, the sum of a turn, numbers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

const MIB: usize = 1024 * 1024;
const SECOND: Duration = Duration::from_secs(1);

fn part(text: &str, last: bool) -> Step {
    Step::Frame(json!({ "type": "transcript_part", "text": text, "last": last }))
}

/// An entry that takes so many parts of a MiB.
fn long_entry(parts: usize) -> (Value, Vec<Step>) {
    let entry = json!({ "type": "user", "text": "é".repeat(parts * MIB / 2 - 100) });
    let text = entry.to_string();
    let mut pieces: Vec<&str> = Vec::new();
    let mut rest = text.as_str();
    while rest.len() > MIB {
        let cut = (0..=MIB).rev().find(|at| rest.is_char_boundary(*at)).unwrap();
        pieces.push(&rest[..cut]);
        rest = &rest[cut..];
    }
    let steps = pieces.iter().map(|piece| part(piece, false)).chain([part(rest, true)]).collect();
    (entry, steps)
}

/// What is stored of the one conversation's transcript, line by line.
fn stored(stage: &Stage) -> Vec<Value> {
    let rows = stage.sql.texts("select lines from transcripts order by seq").concat();
    assert!(rows.is_empty() || rows.ends_with('\n'), "half a line is stored");
    rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn fails(stage: &Stage, steps: impl IntoIterator<Item = Step>) {
    let turn = stage.query_that("a", Script::new(steps.into_iter().chain([Step::Wait(600 * SECOND)])));
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.container.at_work().len()), ("agent_failed", 0));
    assert!(stage.turn(&turn).timing().unwrap().total_ms < 10_000, "it is not waited for");
}

#[test]
fn an_entry_in_parts_is_stored_whole() {
    let stage = Stage::new();
    let (long, parts) = long_entry(5);
    let steps =
        [Step::Frame(entry("before"))].into_iter().chain(parts).chain([entry("after"), result("4")].map(Step::Frame));
    let turn = stage.query_that("a", Script::new(steps));
    stage.settle();
    assert_eq!(stage.end(&turn), "completed");
    let entries: Vec<Value> = stored(&stage).into_iter().map(|line| line["entry"].clone()).collect();
    assert_eq!(entries, [entry("before")["entries"][0].clone(), long, entry("after")["entries"][0].clone()]);
}

#[test]
fn half_an_entry_is_never_stored() {
    let stage = Stage::new();
    let (_, parts) = long_entry(4);
    let halfway = [Step::Frame(entry("before"))].into_iter().chain(parts.into_iter().take(3));
    let turn = stage.query_that("a", Script::new(halfway.chain([Step::Wait(SECOND), Step::Die { noticed: true }])));
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stored(&stage).len()), ("turn_interrupted", 1));
}

#[test]
fn an_object_that_is_reset_between_two_parts_stores_the_entry_once() {
    let mut stage = Stage::new();
    let (_, parts) = long_entry(4);
    let big = Step::Frame(entry(&"x".repeat(2 * MIB)));
    let steps = [big].into_iter().chain(parts.into_iter().flat_map(|part| [part, Step::Wait(SECOND)]));
    let turn = stage.query_that("a", Script::new(steps.chain([Step::Frame(result("4"))])));
    stage.pass(SECOND * 5 / 2);
    stage.reset();
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stored(&stage).len()), ("completed", 2));
}

#[test]
fn parts_that_are_no_entry_fail_the_turn() {
    for bad in ["[]", "{", "{\"a\":1} {}", "null"] {
        fails(&Stage::new(), [part(bad, true)]);
    }
    let other = json!({ "type": "transcript_part", "subpath": "s", "text": "1}", "last": true });
    fails(&Stage::new(), [part("{\"a\":", false), Step::Frame(other)]);
    fails(&Stage::new(), [part("{\"a\":", false), Step::Frame(entry("x"))]);
}

#[test]
fn an_entry_of_12_mib_is_stored_and_a_longer_one_fails_the_turn() {
    let stage = Stage::new();
    let turn = stage.query_that("a", Script::new(long_entry(12).1.into_iter().chain([Step::Frame(result("4"))])));
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stored(&stage).len()), ("completed", 1));
    let stage = Stage::new();
    fails(&stage, long_entry(13).1);
    assert_eq!(stored(&stage).len(), 0);
}

#[test]
fn a_turn_stores_64_mib_at_most() {
    let stage = Stage::new();
    let big = Step::Line(format!(
        "{{\"n\":N,\"type\":\"transcript\",\"entries\":[{{\"text\":\"{}\"}}]}}",
        "x".repeat(4 * MIB - 200)
    ));
    fails(&stage, (0..18).flat_map(|_| [big.clone(), Step::Wait(SECOND / 100)]));
    let bytes: usize = stage.sql.text("select sum(octet_length(lines)) from transcripts").parse().unwrap();
    assert!((60 * MIB..=64 * MIB).contains(&bytes), "{bytes}");
}

#[test]
fn a_frame_over_4_mib_fails_the_turn() {
    fails(&Stage::new(), [Step::Frame(entry(&"x".repeat(5 * MIB)))]);
}

#[test]
fn a_frame_with_countless_entries_fails_the_turn_and_stores_nothing() {
    let stage = Stage::new();
    fails(&stage, [Step::Frame(json!({ "type": "transcript", "entries": vec![json!({}); 1_000_000] }))]);
    assert_eq!(stored(&stage).len(), 0);
    fails(&Stage::new(), [Step::Frame(json!({ "type": "transcript", "subpath": "s".repeat(MIB), "entries": [{}] }))]);
}

#[test]
fn numbers_beyond_all_measure_end_the_turn_once() {
    let stage = Stage::new();
    let usage = json!({ "input_tokens": u64::MAX, "output_tokens": u64::MAX });
    let result = json!({ "type": "result", "status": "completed", "text": "4", "usage": usage, "cost_usd": 1e300, "num_turns": u32::MAX, "duration_ms": 1e300 });
    for _ in 0..3 {
        let turn = stage.query_that("a", Script::new([Step::Frame(result.clone())]));
        stage.settle();
        assert_eq!(
            (stage.end(&turn).as_str(), stage.logged("turn_ended").len() % 3),
            ("completed", stage.sql.count("turns") % 3)
        );
    }
}
