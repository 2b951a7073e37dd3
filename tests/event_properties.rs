//! Whenever a reader comes, goes and comes back, and wherever the object is rebuilt: it hears what a reader hears that was there all the time,
//! for every `include`. After the end it hears what is kept of that.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::domain::Include;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::listening::{Reader, Sent, events_of};
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

const MS: Duration = Duration::from_millis(1);

fn parent() -> impl Strategy<Value = Value> {
    prop_oneof![3 => Just(Value::Null), 1 => Just(json!("toolu_9"))]
}

fn frame() -> impl Strategy<Value = Value> {
    let text = "[a-z\n\"é]{0,6}";
    prop_oneof![
        3 => text.prop_map(|text| json!({ "type": "delta", "text": text })),
        2 => (text, parent()).prop_map(|(text, parent)| json!({ "type": "thinking", "text": text, "parent": parent })),
        2 => (text, parent()).prop_map(|(json, parent)| json!({ "type": "tool_input", "id": "t", "json": json, "parent": parent })),
        3 => (text, parent()).prop_map(|(text, parent)| json!({ "type": "message", "text": text, "parent": parent })),
        2 => (text, parent()).prop_map(|(text, parent)| json!({ "type": "tool", "id": "t", "name": "Bash", "status": "started",
            "input": { "a": text }, "whole": { "a": text }, "parent": parent })),
        2 => (text, parent()).prop_map(|(text, parent)| json!({ "type": "tool", "id": "t", "name": "Bash", "status": "finished",
            "result": text, "truncated": true, "parent": parent })),
        1 => (0..9_u64, parent()).prop_map(|(tokens, parent)| json!({ "type": "usage", "model": "m", "input_tokens": tokens, "parent": parent })),
        1 => any::<bool>().prop_map(|retracted| json!({ "type": "retry", "attempt": 1, "delay_ms": 2.5, "retracted": retracted })),
        1 => Just(json!({ "type": "compacted", "trigger": "auto", "pre_tokens": 9 })),
        1 => text.prop_map(|reason| json!({ "type": "attachment_removed", "path": null, "reason": reason })),
        1 => text.prop_map(|text| json!({ "type": "notice", "code": "weather", "message": text })),
        1 => Just(entry("said")),
    ]
}

fn include() -> impl Strategy<Value = Include> {
    let words: Vec<&str> = Include::words().collect();
    prop::sample::subsequence(words.clone(), 0..=words.len()).prop_map(|words| Include::of(words).unwrap())
}

#[derive(Debug, Clone)]
struct Case {
    frames: Vec<(Value, u32)>,
    files: usize,
    /// What the result says of the answer: the last message's text, or another.
    says_the_last_message: bool,
    status: &'static str,
    include: Include,
    /// When the reader comes, leaves, and comes back, and when the object is rebuilt, in milliseconds.
    comes: u32,
    leaves: u32,
    back: u32,
    rebuilt: Option<u32>,
}

fn case() -> impl Strategy<Value = Case> {
    let frames = prop::collection::vec((frame(), 0..3_u32), 0..24);
    let status = prop_oneof![4 => Just("completed"), 1 => Just("failed")];
    let times = (0..50_u32, 0..50_u32, 0..80_u32, prop::option::of(0..50_u32));
    (frames, 0..3_usize, any::<bool>(), status, include(), times).prop_map(
        |(frames, files, says_the_last_message, status, include, (comes, leaves, back, rebuilt))| Case {
            frames,
            files,
            says_the_last_message,
            status,
            include,
            comes,
            leaves: comes + leaves,
            back: comes + leaves + back,
            rebuilt,
        },
    )
}

impl Case {
    fn script(&self) -> Script {
        let mut steps = Vec::new();
        for (frame, ms) in &self.frames {
            steps.extend([Step::Frame(frame.clone()), Step::Wait(MS * *ms)]);
        }
        for n in 0..self.files {
            steps.push(Step::Write(format!("f{n}"), Some(b"one".to_vec())));
        }
        let of_itself = |frame: &&Value| frame["type"] == "message" && frame["parent"].is_null();
        let last = self.frames.iter().map(|(frame, _)| frame).rfind(of_itself);
        let text = match last.filter(|_| self.says_the_last_message) {
            Some(frame) => frame["text"].as_str().unwrap().to_owned(),
            None => "another answer".to_owned(),
        };
        let mut end = result(&text);
        end["status"] = json!(self.status);
        if self.status == "failed" {
            end["error"] = json!({ "code": "model_failed" });
        }
        steps.push(Step::Frame(end));
        Script::new(steps)
    }

    /// The moments at which something happens, and what: a reader comes, leaves or comes back, or the object is rebuilt.
    fn moments(&self) -> Vec<(u32, &'static str)> {
        let mut moments = vec![(self.comes, "comes"), (self.leaves, "leaves"), (self.back, "back")];
        moments.extend(self.rebuilt.map(|at| (at, "rebuilt")));
        moments.sort_by_key(|(at, _)| *at);
        moments
    }
}

/// What happened, without how the turn stood whenever the reader came.
fn parts(text: &str) -> Vec<Sent> {
    events_of(text).into_iter().filter(|event| event.name != "turn").collect()
}

/// What is kept of what was heard.
fn kept(heard: &[Sent]) -> Vec<Sent> {
    heard.iter().filter(|event| !["delta", "tool_input"].contains(&event.name.as_str())).cloned().collect()
}

/// What a reader hears that is there from the beginning, of an object that is not rebuilt.
fn undisturbed(case: &Case) -> Vec<Sent> {
    let stage = Stage::with_files(&[]);
    stage.query_that("a", case.script());
    let reader = stage.reader("a", None, case.include).unwrap();
    stage.settle();
    parts(&reader.heard())
}

fn check(case: &Case) -> Result<(), TestCaseError> {
    let all = undisturbed(case);
    let mut stage = Stage::with_files(&[]);
    let turn = stage.query_that("a", case.script());
    let (mut now, mut reader): (u32, Option<Reader>) = (0, None);
    // What the reader has, from its first event to its last.
    let (mut has, mut last) = (String::new(), 0);
    let mut came_after_the_end = false;
    let mut after_the_end = false;
    for (at, what) in case.moments() {
        stage.pass(MS * (at - now));
        now = at;
        let mut left = |reader: Option<Reader>| {
            if let Some(mut reader) = reader {
                reader.read();
                has += &reader.text;
                last = reader.last;
            }
        };
        match what {
            "comes" => {
                came_after_the_end = stage.turn(&turn).status.is_end();
                reader = stage.reader("a", None, case.include);
            }
            "leaves" => left(reader.take()),
            "back" => {
                left(reader.take());
                after_the_end = stage.turn(&turn).status.is_end();
                reader = stage.reader("a", Some((&turn, last)), case.include);
            }
            _ => {
                // Its stream is cut with the object, and it comes back.
                let was_there = reader.is_some();
                left(reader.take());
                stage.reset();
                if was_there {
                    after_the_end |= stage.turn(&turn).status.is_end();
                    reader = stage.reader("a", Some((&turn, last)), case.include);
                }
            }
        }
    }
    stage.settle();
    if let Some(mut reader) = reader {
        reader.read();
        has += &reader.text;
    }
    let has = parts(&has);
    // Pieces that it was not there for are not kept after the end, and of a turn that told nothing the answer is told.
    let told_nothing = |events: &[Sent]| {
        events.iter().all(|event| ["delta", "tool_input", "file", "done", "error"].contains(&event.name.as_str()))
    };
    let substitutes =
        |events: &[Sent]| events.iter().filter(|event| event.name == "message" && !all.contains(event)).count();
    if came_after_the_end || after_the_end {
        let unheard = substitutes(&has);
        prop_assert!(unheard == 0 || (unheard == 1 && told_nothing(&all)), "{:?}", has);
        let has: Vec<Sent> = has.iter().filter(|event| all.contains(event)).cloned().collect();
        prop_assert_eq!(kept(&has), kept(&all));
        let heard: Vec<&Sent> = all.iter().filter(|event| has.contains(event)).collect();
        prop_assert_eq!(has.iter().collect::<Vec<_>>(), heard, "in their order, once");
    } else {
        prop_assert_eq!(&has, &all);
    }
    // Whoever comes after the end, after any event, hears what is kept of what comes after it.
    for after in [0].into_iter().chain(all.iter().filter_map(|event| event.n)) {
        let Some(again) = stage.reader("a", Some((&turn, after)), case.include) else {
            prop_assert_eq!(Some(after), all.last().and_then(|event| event.n));
            continue;
        };
        let again: Vec<Sent> = parts(&again.heard()).into_iter().filter(|event| all.contains(event)).collect();
        let rest: Vec<Sent> = all.iter().filter(|event| event.n > Some(after)).cloned().collect();
        prop_assert_eq!(again, kept(&rest), "after {}", after);
    }
    // The items are what a reader of everything hears of what is kept.
    let everything = undisturbed(&Case { include: Include::ALL, ..case.clone() });
    let items = stage.items(&turn).unwrap();
    let items: Vec<(Option<u64>, &str)> =
        items.iter().map(|item| (item["n"].as_u64(), item["type"].as_str().unwrap())).collect();
    let whole: Vec<(Option<u64>, &str)> = kept(&everything)
        .iter()
        .filter(|event| !["done", "error"].contains(&event.name.as_str()))
        .map(|event| (event.n, everything.iter().find(|e| *e == event).unwrap().name.as_str()))
        .collect();
    let items: Vec<_> = items.into_iter().filter(|item| *item.1 != *"message" || whole.contains(item)).collect();
    prop_assert_eq!(items, whole);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_heard_does_not_depend_on_when_a_reader_comes_or_the_object_is_rebuilt(case in case()) {
        check(&case)?;
    }
}
