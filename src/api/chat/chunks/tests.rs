//! What a client gets of each event, and that it can take it: `Client` holds the stream to the AI SDK's own rules.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::*;
use crate::domain::event::{Delta, Message, Notice, Thinking};
use crate::domain::{EventId, Failure, FailureCode, Millis, Role, Usage};

const TURN: &str = "turn_0123456789abcdef0123456789abcdef";

fn encoder() -> Encoder {
    encoder_for(Vec::new(), None)
}

fn encoder_for(known: Vec<Action>, has_steps: Option<u32>) -> Encoder {
    Encoder::new("req_0123456789abcdef0123456789abcdef".parse().unwrap(), known, has_steps)
}

fn event(kind: EventKind) -> TurnEvent {
    TurnEvent { id: EventId { turn_id: TURN.parse().unwrap(), n: 1 }, kind }
}

fn started() -> EventKind {
    EventKind::Turn { session_id: "s".parse().unwrap(), status: TurnStatus::Running, position: 0 }
}

fn delta(text: &str) -> EventKind {
    EventKind::Delta(Delta { text: text.to_owned() })
}

fn said(text: &str) -> EventKind {
    EventKind::said(text.to_owned())
}

fn thinking(text: &str) -> EventKind {
    EventKind::Thinking(Thinking { text: text.to_owned(), parent: None })
}

fn retracted() -> EventKind {
    EventKind::Retry(Retry { attempt: 2, delay_ms: 1.0, status: None, retracted: true })
}

#[expect(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
fn tool(id: &str, status: &str, more: Value) -> EventKind {
    let mut tool = json!({"id": id, "name": "Bash", "status": status});
    tool.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    EventKind::Tool(serde_json::from_value(tool).unwrap())
}

fn turn(status: TurnStatus, response: Option<&str>, error: Option<Failure>) -> EventKind {
    EventKind::Ended(std::rc::Rc::new(Turn {
        turn_id: TURN.parse().unwrap(),
        session_id: "s".parse().unwrap(),
        status,
        created_at: Millis::new(1),
        started_at: Some(Millis::new(2)),
        finished_at: Some(Millis::new(3)),
        request_id: "req_0123456789abcdef0123456789abcdef".parse().unwrap(),
        response: response.map(str::to_owned),
        error,
        model: Some("m".to_owned()),
        usage: Some(Usage::default()),
        num_turns: Some(1),
        duration_ms: Some(5),
        files: None,
        stop_reason: None,
        by_model: None,
        metadata: Map::new(),
        has_output: false,
        trigger: None,
        steered_into: None,
    }))
}

fn done(response: &str) -> EventKind {
    turn(TurnStatus::Completed, Some(response), None)
}

/// The message that a client builds of chunks, by the rules of the AI SDK; it breaks where that does.
#[derive(Default)]
struct Client {
    kinds: Vec<String>,
    parts: Vec<Value>,
    open: BTreeSet<(String, String)>,
    last: Value,
    is_done: bool,
}

impl Client {
    fn hear(events: Vec<EventKind>) -> Self {
        let mut client = Self::default();
        client.take_all(encoder(), events);
        client
    }

    /// Hears another response with the same message, as the answer to its own answers.
    fn hear_on(&mut self, known: Vec<Action>, events: Vec<EventKind>) {
        let steps = self.parts.iter().filter(|part| part["type"] == "step-start").count();
        self.is_done = false;
        self.take_all(encoder_for(known, Some(u32::try_from(steps).unwrap())), events);
    }

    fn take_all(&mut self, mut encoder: Encoder, events: Vec<EventKind>) {
        for kind in events {
            self.take(&encoder.take(&event(kind)));
        }
    }

    fn take(&mut self, text: &str) {
        for block in text.split_terminator("\n\n") {
            assert!(!self.is_done, "something comes behind the end");
            let data = block.strip_prefix("data: ").unwrap();
            assert!(!data.contains('\n'));
            if data == "[DONE]" {
                self.is_done = true;
                continue;
            }
            let chunk: Value = serde_json::from_str(data).unwrap();
            assert!(chunk.as_object().unwrap().values().all(|value| !value.is_null()), "{chunk}");
            self.chunk(&chunk);
            self.last = chunk;
        }
    }

    fn chunk(&mut self, chunk: &Value) {
        let kind = chunk["type"].as_str().unwrap();
        self.kinds.push(kind.to_owned());
        let of_step = self.parts.iter().rposition(|part| part["type"] == "step-start").map_or(0, |at| at + 1);
        if let Some((part, what)) = kind.split_once('-').filter(|(part, _)| ["text", "reasoning"].contains(part)) {
            let key = (part.to_owned(), chunk["id"].as_str().unwrap().to_owned());
            if what == "start" {
                assert!(self.open.insert(key.clone()), "{chunk}");
                self.parts.push(json!({"type": part, "id": key.1, "text": "", "state": "streaming"}));
                return;
            }
            assert!(self.open.contains(&key), "{chunk}");
            let at = self.parts.iter_mut().rev().find(|one| one["id"] == key.1.as_str()).unwrap();
            if what == "delta" {
                at["text"] = format!("{}{}", at["text"].as_str().unwrap(), chunk["delta"].as_str().unwrap()).into();
            } else {
                at["state"] = "done".into();
                self.open.remove(&key);
            }
        } else if kind == "tool-input-available" {
            assert_eq!(chunk["dynamic"], json!(true));
            let part = json!({"type": "tool", "toolCallId": chunk["toolCallId"], "input": chunk["input"],
                "state": if chunk["providerExecuted"] == true { "called" } else { "offered" }});
            let known = self.parts.iter().position(|part| part["toolCallId"] == chunk["toolCallId"]);
            match known {
                Some(at) if part["state"] == "offered" && at >= of_step => self.parts[at] = part,
                None => self.parts.push(part),
                Some(_) => panic!("there twice: {chunk}"),
            }
        } else if kind == "tool-approval-request" {
            let part = self.parts.iter_mut().find(|part| part["toolCallId"] == chunk["toolCallId"]).unwrap();
            (part["state"], part["approval"]) = ("asked".into(), chunk["approvalId"].clone());
        } else if kind == "tool-approval-response" {
            let part = self.parts.iter_mut().find(|part| part["approval"] == chunk["approvalId"]).unwrap();
            part["state"] = "answered".into();
        } else if let Some(what) = kind.strip_prefix("tool-output-") {
            let part = self.parts.iter_mut().find(|part| part["toolCallId"] == chunk["toolCallId"]).unwrap();
            part["state"] = what.into();
            part["output"] = if what == "error" { chunk["errorText"].clone() } else { chunk["output"].clone() };
        } else if kind == "start-step" {
            self.parts.push(json!({"type": "step-start"}));
        } else if kind == "reset-step" {
            self.open.clear();
            self.parts.truncate(of_step);
        } else if kind.starts_with("data-") && chunk["transient"] != true {
            self.parts.push(json!({"type": kind}));
        }
    }

    /// The parts, one word each.
    fn told(&self) -> Vec<String> {
        let word = |part: &Value| match part["type"].as_str().unwrap() {
            "step-start" => "|".to_owned(),
            "tool" => format!("{}:{}", part["toolCallId"].as_str().unwrap(), part["state"].as_str().unwrap()),
            "text" => part["text"].as_str().unwrap().to_owned(),
            "reasoning" => format!("({})", part["text"].as_str().unwrap()),
            other => other.to_owned(),
        };
        self.parts.iter().map(word).collect()
    }

    /// Whether the AI SDK's own rule would send the answers of the last step.
    fn sends(&self) -> bool {
        let of_step = self.parts.iter().rposition(|part| part["type"] == "step-start").unwrap();
        let mut states = self.parts[of_step..].iter().filter(|part| part["type"] == "tool").map(|part| &part["state"]);
        let answered = states.clone().any(|state| state == "answered");
        answered && states.all(|state| ["answered", "available", "error", "denied"].iter().any(|word| state == word))
    }

    fn answer(&mut self, call: &str) {
        let part = self.parts.iter_mut().find(|part| part["toolCallId"] == call).unwrap();
        assert_eq!(part["state"], "asked");
        part["state"] = "answered".into();
    }

    fn is_whole(&self) -> bool {
        self.is_done && self.open.is_empty() && self.parts.iter().all(|part| part["state"] != "streaming")
    }
}

#[test]
fn an_answer_is_pinned() {
    let mut encoder = encoder();
    let all = [started(), delta("4"), said("4"), done("4")].map(|kind| encoder.take(&event(kind)));
    let usage = r#"{"input_tokens":0,"output_tokens":0,"cache_read_input_tokens":0,"cache_creation_input_tokens":0,"cost_usd":0.0}"#;
    let expected = format!(
        r#"data: {{"type":"start","messageId":"{TURN}","messageMetadata":{{"turn_id":"{TURN}","session_id":"s","status":"running"}}}}

data: {{"type":"data-turn","data":{{"status":"running","position":0}},"transient":true}}

data: {{"type":"start-step"}}

data: {{"type":"text-start","id":"1"}}

data: {{"type":"text-delta","id":"1","delta":"4"}}

data: {{"type":"text-end","id":"1"}}

data: {{"type":"finish-step"}}

data: {{"type":"finish","finishReason":"stop","messageMetadata":{{"turn_id":"{TURN}","session_id":"s","status":"completed","model":"m","usage":{usage},"duration_ms":5}}}}

data: [DONE]

"#
    );
    assert_eq!(all.concat(), expected);
}

#[test]
fn text_thinking_and_calls_are_parts_in_steps_of_the_model() {
    let client = Client::hear(vec![
        started(),
        thinking("hm"),
        thinking("!"),
        delta("I lo"),
        delta("ok."),
        said("I look."),
        tool("a", "started", json!({"input": {"command": "l…"}, "whole_input": {"command": "ls"}})),
        tool("b", "started", json!({})),
        tool("a", "finished", json!({"result": "x"})),
        tool("b", "failed", json!({"result": [{"type": "text", "text": "no"}, {"type": "text", "text": "such"}]})),
        delta("Done."),
        said("Done."),
        EventKind::File(serde_json::from_value(json!({"path": "a", "change": "added", "size": 1})).unwrap()),
        done("Done."),
    ]);
    assert_eq!(client.told(), ["|", "(hm!)", "I look.", "a:available", "b:error", "|", "Done.", "data-file"]);
    assert_eq!(
        (&client.parts[3]["input"], &client.parts[4]["output"]),
        (&json!({"command": "ls"}), &json!("no\nsuch"))
    );
    assert!(client.is_whole());
}

#[test]
fn what_the_model_takes_back_is_gone_and_what_was_whole_stays() {
    let client = Client::hear(vec![
        started(),
        thinking("hm"),
        said("Whole."),
        tool("a", "started", json!({})),
        delta("void"),
        retracted(),
        delta("Ag"),
        delta("ain."),
        said("Again."),
        done("Again."),
    ]);
    assert_eq!(client.told(), ["|", "(hm)", "Whole.", "a:error", "Again."]);
    assert!(client.is_whole());
    let nothing = Client::hear(vec![started(), retracted(), done("4")]);
    assert_eq!(nothing.told(), ["|", "4"]);
}

#[test]
fn a_block_whose_pieces_are_kept_no_more_is_told_whole_and_once() {
    let gap = || EventKind::Notice(Notice::events_dropped(1, 9));
    for events in [
        vec![started(), said("abc"), done("abc")],
        vec![started(), delta("ab"), said("abc"), done("abc")],
        vec![started(), delta("bc"), said("abc"), done("abc")],
        vec![started(), done("abc")],
    ] {
        assert_eq!(Client::hear(events).told(), ["|", "abc"]);
    }
    let late = Client::hear(vec![started(), gap(), delta("c"), said("abc"), done("abc")]);
    assert_eq!(late.told(), ["data-notice", "|", "abc"]);
}

#[test]
fn subagents_are_told_by_their_calls_alone() {
    let client = Client::hear(vec![
        started(),
        tool("task", "started", json!({})),
        EventKind::Message(Message { role: Role::Assistant, content: "inner".into(), parent: Some("task".into()) }),
        EventKind::Thinking(Thinking { text: "inner".into(), parent: Some("task".into()) }),
        tool("inner", "started", json!({"parent": "task"})),
        tool("inner", "finished", json!({"parent": "task"})),
        tool("task", "finished", json!({"result": "r"})),
        said("Done."),
        done("Done."),
    ]);
    assert_eq!(client.told(), ["|", "task:available", "inner:available", "|", "Done."]);
}

#[test]
fn a_call_whose_beginning_is_kept_no_more_has_a_part_all_the_same() {
    let client =
        Client::hear(vec![started(), tool("a", "finished", json!({"result": "x"})), said("Done."), done("Done.")]);
    assert_eq!(client.told(), ["|", "a:available", "|", "Done."]);
}

#[test]
fn a_failure_is_a_sentence_and_its_code_is_in_the_metadata() {
    let failure = Failure::new(FailureCode::ModelFailed, "The model said no.");
    let client = Client::hear(vec![started(), delta("a"), turn(TurnStatus::Failed, None, Some(failure))]);
    assert_eq!(client.last, json!({"type": "error", "errorText": "The model said no."}));
    assert!(client.is_whole() && client.kinds.contains(&"message-metadata".to_owned()));
    let mut encoder = encoder();
    let failure = Failure::new(FailureCode::ModelFailed, "The model said no.");
    let text = encoder.take(&event(turn(TurnStatus::Failed, None, Some(failure))));
    assert!(text.contains(r#""code":"model_failed""#), "{text}");
}

#[test]
fn a_cancelled_turn_is_interrupted_with_nothing_left_open() {
    let failure = Failure::new(FailureCode::TurnCancelled, "Cancelled.");
    let events =
        vec![started(), delta("a"), tool("t", "started", json!({})), turn(TurnStatus::Cancelled, None, Some(failure))];
    let client = Client::hear(events);
    assert_eq!((&client.last["type"], &client.last["finishReason"]), (&json!("finish"), &json!("interrupted")));
    assert_eq!(client.told(), ["|", "a", "t:error"]);
    assert!(client.is_whole() && client.kinds.contains(&"abort".to_owned()));
}

#[test]
fn a_stream_that_lost_its_turn_ends_with_an_error() {
    let mut encoder = encoder();
    let mut client = Client::default();
    for kind in [started(), delta("a")] {
        client.take(&encoder.take(&event(kind)));
    }
    client.take(&encoder.cut());
    assert_eq!((&client.last["type"], client.is_done), (&json!("error"), false));
    assert!(client.open.is_empty());
}

#[test]
fn the_same_turn_announced_again_begins_no_second_message() {
    let queued = EventKind::Turn { session_id: "s".parse().unwrap(), status: TurnStatus::Queued, position: 2 };
    let client = Client::hear(vec![queued, started(), said("4"), done("4")]);
    assert_eq!(client.kinds.iter().filter(|kind| *kind == "start").count(), 1);
    assert_eq!(client.kinds.iter().filter(|kind| *kind == "data-turn").count(), 2);
}

mod approvals;
