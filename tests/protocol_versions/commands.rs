//! One of every command that a Worker sends to an object.

use crate::support::{sdk_session, session, turn};
use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::chat::command::{ChatAnswer, ChatAnswers, ChatCommand};
use claude_agent_service::account::command::{
    AnswerForm, CallBegun, CallEnded, Command, DecideAction, LookUpAttachments, StartTurn,
};
use claude_agent_service::account::files::command::FilesCommand;
use claude_agent_service::account::manage::command::{ManageCommand, UsageAsk};
use claude_agent_service::account::schedules::command::{SchedulesCommand, SetSchedule};
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand};
use claude_agent_service::domain::action::ActionsOf;
use claude_agent_service::domain::ledger::{Day, Group};
use claude_agent_service::domain::{
    Decision, EventId, EventType, Include, MetadataPatch, Missed, Page, Title, TurnOptions, Usage,
};
use serde_json::json;

/// One of every command that is sent today; whether version 1 has it.
pub fn commands() -> Vec<(Command, bool)> {
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
            replaces: Some("msg-1".parse().unwrap()),
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
