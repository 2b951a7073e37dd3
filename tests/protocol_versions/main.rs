//! A deployment changes Workers, objects and containers one after the other, so each version talks to its neighbours. What version 1
//! (commit 4ee8198) said is recorded in `fixtures/protocol/v1`; what it understood is copied as types into
//! `support/v1.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod commands;
mod containers;
#[path = "../support/mod.rs"]
mod support;

use claude_agent_service::account::chat::command::ChatCommand;
use claude_agent_service::account::command::{CallBegun, Command, Envelope};
use claude_agent_service::agent::protocol::{Frame, FrameBody};
use claude_agent_service::api::problem::ApiError;
use claude_agent_service::directory;
use claude_agent_service::domain::{Millis, PurgeOutcome, RequestId, RunId, Trigger};
use commands::commands;
use serde_json::{Value, json};
use support::{sdk_session, v1};
use uuid::Uuid;

const COMMANDS: &str = include_str!("../fixtures/protocol/v1/commands.jsonl");
const DIRECTORY_COMMANDS: &str = include_str!("../fixtures/protocol/v1/directory_commands.jsonl");
const DIRECTORY_REPLIES: &str = include_str!("../fixtures/protocol/v1/directory_replies.jsonl");
const VISITS: &str = include_str!("../fixtures/protocol/v1/visits.jsonl");
const FRAMES: &str = include_str!("../fixtures/protocol/v1/frames.jsonl");
const RESULTS: &str = include_str!("../fixtures/protocol/v1/results.jsonl");

fn request_id() -> RequestId {
    RequestId::new(Uuid::from_u128(5))
}

/// The same JSON with a field more in every object of it.
fn with_unknown_fields(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let known = fields.iter().map(|(name, value)| (name.clone(), with_unknown_fields(value)));
            Value::Object(known.chain([("field_of_tomorrow".to_owned(), json!({ "x": 1 }))]).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn what_workers_sent_ahead_of_a_message_in_the_place_of_another_is_accepted() {
    let line =
        r#"{"request_id":"req_0123456789abcdef0123456789abcdef","command":{"chat":{"make_way":["diary","msg-1"]}}}"#;
    assert!(matches!(Envelope::read(line).unwrap().command, Command::Chat(ChatCommand::MakeWay(_))));
}

#[test]
fn an_object_understands_every_command_of_version_1() {
    let mut names = Vec::new();
    for line in COMMANDS.lines() {
        let read = Envelope::read(line).unwrap_or_else(|_| panic!("not understood: {line}"));
        assert!(!read.again);
        let command: Value = serde_json::from_str::<Value>(line).unwrap()["command"].clone();
        names.push(
            command
                .as_object()
                .map_or_else(|| command.as_str().unwrap().to_owned(), |fields| fields.keys().next().unwrap().clone()),
        );
        if let Command::NoteRefusal(_) = read.command {
            continue;
        }
        assert_eq!(serde_json::to_value(&read.command).unwrap(), command, "nothing of it is lost");
    }
    names.dedup();
    assert_eq!(names.len(), 12, "all of them: {names:?}");
    for line in DIRECTORY_COMMANDS.lines() {
        let read: directory::command::Command = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), line);
    }
}

#[test]
fn a_worker_understands_what_objects_of_version_1_reply() {
    for line in VISITS.lines() {
        let visit: PurgeOutcome = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&visit).unwrap(), line);
    }
    for line in DIRECTORY_REPLIES.lines() {
        let reply: directory::command::Reply = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&reply).unwrap(), line);
    }
}

#[test]
fn an_object_of_version_1_understands_every_command_but_those_that_are_new() {
    for (command, known) in commands() {
        let json = serde_json::to_string(&Envelope::new(request_id(), command)).unwrap();
        assert_eq!(serde_json::from_str::<v1::Envelope>(&json).is_ok(), known, "{json}");
        assert!(Envelope::read(&json).is_ok(), "and one of today all of them: {json}");
    }
    let oldest_access_at = Millis::new(1);
    let run_id = RunId::new(Uuid::from_u128(9));
    for command in [
        directory::command::Command::Register { account_id: "zoë".parse().unwrap(), oldest_access_at },
        directory::command::Command::StartRun { run_id, trigger: Trigger::Operator },
        directory::command::Command::ListRuns,
    ] {
        let json = serde_json::to_string(&command).unwrap();
        assert!(serde_json::from_str::<v1::DirectoryCommand>(&json).is_ok(), "{json}");
    }
}

#[test]
fn fields_of_another_version_are_passed_over() {
    for line in COMMANDS.lines() {
        let mut more: Value = with_unknown_fields(&serde_json::from_str(line).unwrap());
        // The variant is the object's one key, and metadata's keys are the caller's.
        if let Some(command) = more["command"].as_object_mut() {
            command.remove("field_of_tomorrow");
            if let Some(patch) = command.get_mut("update_conversation").and_then(|fields| fields.get_mut("metadata")) {
                patch.as_object_mut().map(|patch| patch.remove("entries"));
                *patch = json!(null);
            }
        }
        assert!(Envelope::read(&more.to_string()).is_ok(), "{more}");
        assert!(serde_json::from_str::<v1::Envelope>(&more.to_string()).is_ok(), "{more}");
    }
    for line in FRAMES.lines().chain(RESULTS.lines()) {
        let mut more = with_unknown_fields(&serde_json::from_str(line).unwrap());
        assert!(Frame::parse(&more.to_string()).is_ok(), "{more}");
        more["type"] = json!("type_of_tomorrow");
        assert!(matches!(Frame::parse(&more.to_string()).unwrap().body, FrameBody::Unknown));
    }
}

#[test]
fn a_command_of_tomorrow_is_refused_as_one_that_can_be_sent_again() {
    let envelope = |command: Value| json!({ "request_id": request_id(), "command": command, "again": 1 }).to_string();
    for command in [json!("erase_all"), json!({ "fork": { "session_id": "a" } }), json!({ "purge": { "x": 1 } })] {
        let unknown = Envelope::read(&envelope(command)).unwrap_err();
        assert_eq!(unknown.request_id, Some(request_id()));
    }
    assert!(Envelope::read("{}").unwrap_err().request_id.is_none());
    let refusal = ApiError::object_reset();
    assert_eq!((refusal.code.status(), refusal.code.as_str()), (503, "object_reset"));
    assert!(refusal.retry_after_s.is_some());
}

#[test]
fn what_a_gateway_asks_of_an_object_is_pinned() {
    let begun = Command::BeginCall(CallBegun { sdk_session: Some(sdk_session(1)), counts: true });
    let json = r#"{"begin_call":{"agent_session":"00000000-0000-0000-0000-000000000001","counts":true}}"#;
    assert_eq!(serde_json::to_string(&begun).unwrap(), json);
}
