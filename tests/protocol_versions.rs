//! A deployment changes Workers, objects and containers one after the other, so each version talks to its neighbours. What version 1
//! (commit 4ee8198) said is recorded in `fixtures/protocol/v1`; what it understood is copied as types into
//! `support/v1.rs`.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::chat::command::{ChatAnswer, ChatAnswers, ChatCommand};
use claude_agent_service::account::command::{
    AnswerForm, CallBegun, CallEnded, Command, DecideAction, Envelope, LookUpAttachments, StartTurn,
};
use claude_agent_service::account::files::command::FilesCommand;
use claude_agent_service::account::manage::command::{ManageCommand, UsageAsk};
use claude_agent_service::account::schedules::command::{SchedulesCommand, SetSchedule};
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand};
use claude_agent_service::agent::protocol::{Frame, FrameBody};
use claude_agent_service::agent::{RunOptions, SystemPrompt, TurnRequest};
use claude_agent_service::api::problem::ApiError;
use claude_agent_service::directory;
use claude_agent_service::domain::action::ActionsOf;
use claude_agent_service::domain::ledger::{Day, Group};
use claude_agent_service::domain::price::Extras;
use claude_agent_service::domain::{
    Decision, EventId, EventType, Include, MetadataPatch, Millis, Missed, Page, PurgeOutcome, RequestId, RunId, Title,
    Trigger, TurnOptions, Usage,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use support::script::{Script, Step};
use support::stage::Stage;
use support::v1;
use support::{sdk_session, session, turn};
use uuid::Uuid;

const COMMANDS: &str = include_str!("fixtures/protocol/v1/commands.jsonl");
const DIRECTORY_COMMANDS: &str = include_str!("fixtures/protocol/v1/directory_commands.jsonl");
const DIRECTORY_REPLIES: &str = include_str!("fixtures/protocol/v1/directory_replies.jsonl");
const VISITS: &str = include_str!("fixtures/protocol/v1/visits.jsonl");
const TURN_REQUESTS: &str = include_str!("fixtures/protocol/v1/turn_requests.jsonl");
const FRAMES: &str = include_str!("fixtures/protocol/v1/frames.jsonl");
const RESULTS: &str = include_str!("fixtures/protocol/v1/results.jsonl");
const HEALTH: &str = include_str!("fixtures/protocol/v1/healthz.json");
const PROBLEMS: &str = include_str!("fixtures/protocol/v1/problems.jsonl");
const SECOND: Duration = Duration::from_secs(1);

fn request_id() -> RequestId {
    RequestId::new(Uuid::from_u128(5))
}

/// One of every command that is sent today; whether version 1 has it.
fn commands() -> Vec<(Command, bool)> {
    let start = |full: bool| {
        Command::StartTurn(Box::new(StartTurn {
            session_id: full.then(|| session("diary")),
            prompt: "What is 2+2?".to_owned(),
            content: None,
            title: Title::from_prompt("What is 2+2?"),
            options: if full {
                TurnOptions {
                    model: Some("m".into()),
                    effort: None,
                    system_prompt: Some("s".into()),
                    max_turns: Some(3),
                    ..TurnOptions::default()
                }
            } else {
                TurnOptions::default()
            },
            idempotency: full.then(|| ("key".parse().unwrap(), "hash".to_owned())),
            answer: if full { AnswerForm::Events } else { AnswerForm::Json },
            include: Include::NOTHING,
        }))
    };
    let patch = MetadataPatch::try_from(json!({ "a": "1", "b": null })).unwrap();
    let words = "two words".to_owned().try_into().ok();
    let session_id = session("diary");
    let event = EventId { turn_id: turn(1), n: 7 };
    let ended = CallEnded {
        turn_id: turn(1),
        status: 200,
        model: None,
        usage: Usage::default(),
        extras: Extras::default(),
        total_ms: 1,
        retry_after_s: None,
    };
    let all = vec![
        start(true),
        start(false),
        Command::ListConversations { limit: 20, page: Page::default(), words },
        Command::ReadConversation { session_id: session_id.clone(), before: Some(41), items: false },
        Command::UpdateConversation {
            session_id: session_id.clone(),
            title: Some(Title::from_prompt("New")),
            metadata: Some(patch),
        },
        Command::FollowConversation {
            session_id: session_id.clone(),
            last_event_id: Some(event),
            include: Include::NOTHING,
        },
        Command::CancelConversation { session_id: session_id.clone(), reason: None },
        Command::CancelConversation { session_id: session_id.clone(), reason: Some("Enough.".to_owned()) },
        Command::ReadContext { session_id: session_id.clone() },
        Command::Fork(Box::new(ForkAsked {
            source: session_id.clone(),
            at: Some(turn(1)),
            session_id: Some(session("other")),
            title: Some(Title::from_prompt("Other")),
        })),
        Command::Rewind { session_id: session_id.clone(), to: RewindTo::Before(turn(1)) },
        Command::DeleteConversation { session_id: session_id.clone() },
        Command::ListTurns { session_id: session_id.clone(), before: Some(turn(1)), limit: 20 },
        Command::Files {
            session_id: session_id.clone(),
            ask: FilesCommand::Find { path: "a/b".parse().unwrap(), at: None },
        },
        Command::Files { session_id, ask: FilesCommand::Find { path: "a/b".parse().unwrap(), at: Some(turn(1)) } },
        Command::LookUpAttachments(Box::new(LookUpAttachments {
            session_id: None,
            paths: vec!["a/b".parse().unwrap()],
            idempotency: Some(("key".parse().unwrap(), "hash".to_owned())),
            answer: AnswerForm::Json,
            include: Include::NOTHING,
        })),
        Command::ReadTurn { turn_id: turn(1), items: false },
        Command::StorageStats,
        Command::Purge,
        Command::Visit,
        Command::Prewarm,
        Command::FollowAccount,
        Command::BeginCall(CallBegun { sdk_session: Some(sdk_session(1)), counts: true }),
        Command::EndCall(ended),
        Command::Manage(ManageCommand::Usage(UsageAsk {
            group: Group::Conversation,
            from: Day::new(1),
            to: Day::new(2),
            after: Some(session("a")),
            limit: 5,
            csv: true,
        })),
    ];
    let with_age = |command: Command| {
        let known = is_of_version_1(&command);
        (command, known)
    };
    all.into_iter().chain(automation()).map(with_age).collect()
}

/// The commands about webhooks and schedules.
fn automation() -> Vec<Command> {
    vec![
        Command::Webhooks(WebhooksCommand::Set(Box::new(SetWebhook {
            name: "crm".parse().unwrap(),
            url: "https://hooks.example.com".to_owned(),
            types: vec![EventType::TurnFailed],
            include: Vec::new(),
            secret: None,
            rotate: false,
        }))),
        Command::Schedules(SchedulesCommand::Set(Box::new(SetSchedule {
            name: "daily".parse().unwrap(),
            cron: "0 9 * * *".to_owned(),
            timezone: "UTC".to_owned(),
            query: "hi".to_owned(),
            options: TurnOptions::default(),
            session_id: None,
            missed: Missed::RunOnce,
            enabled: true,
        }))),
        Command::Chat(ChatCommand::MakeWay(session("diary"), "msg-1".parse().unwrap())),
        Command::Chat(ChatCommand::Answer(Box::new(ChatAnswers {
            session_id: session("diary"),
            turn_id: "turn_0123456789abcdef0123456789abcdef".parse().unwrap(),
            has_steps: 2,
            answers: vec![
                ChatAnswer::Approval {
                    action_id: "act_0123456789abcdef0123456789abcdef".parse().unwrap(),
                    approved: false,
                    reason: Some("no".to_owned()),
                },
                ChatAnswer::Output { tool_call_id: "toolu_1".to_owned(), output: "4".into(), is_error: false },
            ],
        }))),
        Command::Schedules(SchedulesCommand::Runs("daily".parse().unwrap(), 20)),
        Command::DecideAction(Box::new(DecideAction {
            action_id: "act_0123456789abcdef0123456789abcdef".parse().unwrap(),
            decision: Decision::Allow { input: None, remember: None },
            answer: AnswerForm::Json,
            include: Include::NOTHING,
        })),
        Command::ListActions { of: ActionsOf::default(), limit: 50 },
        Command::ReadAction { action_id: "act_0123456789abcdef0123456789abcdef".parse().unwrap() },
        Command::Webhooks(WebhooksCommand::Deliveries { name: "crm".parse().unwrap(), before: None, limit: 50 }),
    ]
}

/// A command that is added belongs into `commands`, too.
fn is_of_version_1(command: &Command) -> bool {
    match command {
        Command::StartTurn(_)
        | Command::ListConversations { .. }
        | Command::ReadConversation { .. }
        | Command::UpdateConversation { .. }
        | Command::FollowConversation { .. }
        | Command::CancelConversation { .. }
        | Command::DeleteConversation { .. }
        | Command::ReadTurn { .. }
        | Command::StorageStats
        | Command::Purge
        | Command::Visit
        | Command::NoteRefusal(_) => true,
        Command::Prewarm
        | Command::LookUpAttachments(_)
        | Command::FollowAccount
        | Command::ReadContext { .. }
        | Command::Fork(_)
        | Command::Rewind { .. }
        | Command::ListTurns { .. }
        | Command::Files { .. }
        | Command::BeginCall(_)
        | Command::EndCall(_)
        | Command::DecideAction(_)
        | Command::ListActions { .. }
        | Command::ReadAction { .. }
        | Command::Manage(_)
        | Command::Webhooks(_)
        | Command::Schedules(_)
        | Command::Chat(_) => false,
    }
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
fn a_container_of_version_1_understands_every_turn() {
    let servers = RawValue::from_string("{}".to_owned()).unwrap();
    let list = ["Bash".to_owned()];
    let all = RunOptions {
        model: Some("m"),
        effort: None,
        system_prompt: Some(SystemPrompt::Append("a")),
        max_turns: Some(2),
        allowed_tools: &list,
        disallowed_tools: &list,
        permission_mode: Some("plan"),
        max_budget_usd: Some(0.5),
        mcp_servers: Some(&servers),
        ..RunOptions::default()
    };
    let (turn_id, sdk_session) = (turn(1), sdk_session(1));
    for (sdk_session, options) in [(Some(&sdk_session), all), (None, RunOptions::default())] {
        let request = TurnRequest {
            turn_id: &turn_id,
            sdk_session,
            prompt: "hi",
            content: None,
            resume: true,
            options,
            transcript: true,
            actions: true,
            grants: &[],
            continuation: None,
            workspace: None,
        };
        let json = serde_json::to_string(&request).unwrap();
        assert!(serde_json::from_str::<v1::TurnRequest>(&json).is_ok(), "{json}");
    }
    for line in TURN_REQUESTS.lines() {
        assert!(serde_json::from_str::<v1::TurnRequest>(line).is_ok(), "{line}");
    }
}

#[test]
fn a_turn_in_a_container_of_version_1_is_answered() {
    let stage = Stage::new();
    let frames = FRAMES.lines().skip(1).filter(|line| !line.contains("\"end\""));
    let script = frames.map(|line| Step::Frame(serde_json::from_str(line).unwrap()));
    let turn = stage.query_that("a", Script::new(script));
    stage.settle();
    let turn = stage.turn(&turn);
    assert_eq!(turn.response.as_deref(), Some("The answer is 4."));
    let usage = turn.usage.unwrap();
    let tokens = (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens);
    assert_eq!((tokens, usage.cost_usd.to_string().as_str()), ((12, 3, 2), "0.00123"));
    assert_eq!((turn.model.as_deref(), turn.num_turns, turn.duration_ms), (Some("claude-test"), Some(2), Some(412)));
    let lines = stage.sql.texts("select lines from transcripts").concat();
    assert_eq!(lines.lines().count(), 3);
    assert!(
        lines.ends_with("{\"subpath\":\"subagents/agent-1\",\"entry\":{\"type\":\"user\",\"uuid\":\"u3\"}}\n"),
        "{lines}"
    );
}

#[test]
fn the_ends_of_turns_of_version_1_have_their_codes() {
    let codes = [
        "model_rate_limited",
        "model_auth_failed",
        "model_failed",
        "agent_failed",
        "turn_interrupted",
        "turn_cancelled",
    ];
    let stage = Stage::new();
    for (line, code) in RESULTS.lines().zip(codes) {
        let turn = stage.query_that("a", Script::new([Step::Frame(serde_json::from_str(line).unwrap())]));
        stage.settle();
        assert_eq!(stage.end(&turn), code);
    }
}

#[test]
fn a_container_of_version_1_that_refuses_a_turn_is_understood() {
    for line in PROBLEMS.lines() {
        let problem: Value = serde_json::from_str(line).unwrap();
        let (status, code) = (problem["status"].as_u64().unwrap(), problem["body"]["code"].as_str().unwrap());
        let stage = Stage::new();
        stage.container.refuse("POST /turns", u16::try_from(status).unwrap(), problem["body"].to_string());
        let turn = stage.query("a");
        stage.settle();
        assert_eq!((stage.end(&turn).as_str(), stage.container.calls("POST /turns")), ("completed", 2), "{code}");
    }
}

#[test]
fn a_container_of_version_1_that_cannot_end_a_process_alone_ends_its_turn() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().knows_stop = false;
    let turn = stage.query_that("a", Script { ends_within: Some(4 * SECOND), ..Script::endless() });
    stage.pass(SECOND);
    stage.cancel("a");
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.container.at_work().len()), ("turn_cancelled", 0));
    assert_eq!((stage.container.calls("POST /sessions/"), stage.container.workspaces().len()), (1, 1));
}

#[test]
fn the_health_of_version_1_tells_what_is_at_work() {
    let health: claude_agent_service::agent::client::Health = serde_json::from_str(HEALTH).unwrap();
    assert_eq!(health.instance, "1f0c2c52-7c58-4b42-9f3b-6a2f3b1f0002");
    assert_eq!(health.into_turns(), ["turn_0123456789abcdef0123456789abcdef".parse().unwrap()]);
}

#[test]
fn what_a_gateway_asks_of_an_object_is_pinned() {
    let begun = Command::BeginCall(CallBegun { sdk_session: Some(sdk_session(1)), counts: true });
    let json = r#"{"begin_call":{"agent_session":"00000000-0000-0000-0000-000000000001","counts":true}}"#;
    assert_eq!(serde_json::to_string(&begun).unwrap(), json);
}
