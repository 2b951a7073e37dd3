//! What is kept of actions: for how long, how much of it a page or a request holds, which rules outlive their turn, and whom webhooks tell.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::branches::command::{ForkAsked, RewindTo};
use claude_agent_service::account::command::{AnswerForm, Command, DecideAction};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::action::{ActionsOf, Remember};
use claude_agent_service::domain::content::{Attachment, Block, Bytes, MediaType, Source};
use claude_agent_service::domain::{Action, ActionStatus, Decision, Include, TurnId, TurnStatus};
use serde_json::{Value, json};
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;
use support::webhooks::{types, with_webhook};

const SECOND: Duration = Duration::from_secs(1);
/// Longer than `ACTION_HOLD`: what waits is parked.
const HELD: Duration = Duration::from_secs(301);
const MEBIBYTE: usize = 1024 * 1024;

fn page(stage: &Stage, of: ActionsOf) -> (Vec<Action>, bool) {
    match stage.handle(Command::ListActions { of, limit: 200 }).unwrap() {
        Response::Ready(Reply::Actions { actions, more, .. }) => (actions, more),
        _ => unreachable!(),
    }
}

fn all(stage: &Stage) -> Vec<Action> {
    page(stage, ActionsOf::default()).0
}

fn decide(stage: &Stage, action: &Action, decision: Decision) -> Result<(), AccountError> {
    let (action_id, answer) = (action.action_id.clone(), AnswerForm::Accepted);
    let asked = DecideAction { action_id, decision, answer, include: Include::NOTHING };
    stage.handle(Command::DecideAction(Box::new(asked))).map(drop)
}

const fn allow(remember: Option<Remember>) -> Decision {
    Decision::Allow { input: None, remember }
}

/// What the caller's tool returns, so many bytes.
fn output(bytes: usize) -> Decision {
    Decision::Result { content: json!("x".repeat(bytes)), is_error: false }
}

/// A turn of that conversation which asks about these calls at once; it waits.
fn waits(stage: &Stage, session_id: &str, calls: &[&str]) -> TurnId {
    let calls = calls.iter().map(|call| (*call).to_owned()).collect();
    let turn = stage.query_that(session_id, Script::new([Step::Ask(calls), Step::Frame(result("done"))]));
    stage.pass(SECOND);
    assert_eq!(stage.turn(&turn).status, TurnStatus::RequiresAction);
    turn
}

/// The rules that came with each request for a turn.
fn grants_sent(stage: &Stage) -> Vec<Value> {
    stage.container.state.borrow().asked.iter().map(|first| first["grants"].clone()).collect()
}

fn rule(command: &str) -> Value {
    json!([{ "type": "addRules", "behavior": "allow", "rules": [{ "toolName": "Bash", "ruleContent": command }] }])
}

#[test]
fn what_is_remembered_goes_with_each_later_turn_of_its_conversation_and_with_no_other() {
    let stage = Stage::new();
    waits(&stage, "c", &["ls"]);
    decide(&stage, &all(&stage)[0], allow(Some(Remember::Conversation))).unwrap();
    stage.settle();
    stage.query("c");
    stage.query("other");
    let forked = ForkAsked { source: session("c"), at: None, session_id: Some(session("fork")), title: None };
    stage.settle();
    stage.handle(Command::Fork(Box::new(forked))).unwrap();
    stage.query("fork");
    stage.settle();
    let sent = grants_sent(&stage);
    assert_eq!((&sent[1], sent.iter().filter(|grants| !grants.is_null()).count()), (&rule("ls"), 1));
}

#[test]
fn what_is_remembered_of_a_parked_turn_goes_with_its_next_run() {
    let stage = Stage::new();
    waits(&stage, "c", &["ls"]);
    stage.pass(HELD);
    decide(&stage, &all(&stage)[0], allow(Some(Remember::Conversation))).unwrap();
    stage.settle();
    assert_eq!(grants_sent(&stage), [Value::Null, rule("ls")]);
}

#[test]
fn a_rewound_conversation_has_neither_the_actions_of_what_is_gone_nor_what_was_remembered() {
    let stage = Stage::new();
    let first = stage.query("c");
    stage.settle();
    waits(&stage, "c", &["ls"]);
    decide(&stage, &all(&stage)[0], allow(Some(Remember::Conversation))).unwrap();
    stage.settle();
    stage.handle(Command::Rewind { session_id: session("c"), to: RewindTo::To(first) }).unwrap();
    assert_eq!(all(&stage), []);
    stage.query("c");
    stage.settle();
    assert_eq!(grants_sent(&stage).last(), Some(&Value::Null));
}

#[test]
fn a_purge_ends_what_waits_in_a_conversation_that_is_due_and_deletes_it() {
    let stage = Stage::with(&[("RETENTION_DAYS", "1"), ("ACTION_TTL", "720h")]);
    let turn = waits(&stage, "c", &["ls"]);
    let events = stage.handle(Command::Purge).is_ok();
    assert!(events && stage.turn(&turn).status == TurnStatus::RequiresAction, "it is not due");
    stage.pass(Duration::from_hours(26));
    stage.visit();
    assert_eq!(stage.sql.texts("select name from sqlite_schema where name in ('turns', 'actions')"), [""; 0]);
}

#[test]
fn a_page_of_actions_holds_a_mebibyte_and_the_next_goes_on_behind_it() {
    let stage = Stage::new();
    let names: Vec<String> = (0..10).map(|n| format!("tool-{n}")).collect();
    waits(&stage, "c", &names.iter().map(String::as_str).collect::<Vec<_>>());
    for action in all(&stage) {
        decide(&stage, &action, output(MEBIBYTE / 3)).unwrap();
    }
    stage.settle();
    let (mut of, mut seen) = (ActionsOf::default(), Vec::new());
    loop {
        let (actions, more) = page(&stage, of);
        assert!((1..=3).contains(&actions.len()), "{} actions", actions.len());
        seen.extend(actions.iter().map(|action| action.tool_call_id.clone().unwrap()));
        if !more {
            break;
        }
        of = ActionsOf {
            after: actions.last().map(|last| (last.created_at, last.action_id.clone())),
            ..ActionsOf::default()
        };
    }
    assert_eq!(seen, names);
}

#[test]
fn what_is_decided_at_once_has_a_bound_and_what_is_beyond_it_stays_pending() {
    let stage = Stage::new();
    let names: Vec<String> = (0..17).map(|n| format!("tool-{n:02}")).collect();
    let turn = waits(&stage, "c", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let actions = all(&stage);
    for action in &actions[..16] {
        decide(&stage, action, output(MEBIBYTE - 1024)).unwrap();
    }
    assert!(matches!(decide(&stage, &actions[16], output(MEBIBYTE)), Err(AccountError::DecisionsTooLarge)));
    assert_eq!(stage.sql.text("select count(*) from actions where status = 'pending'"), "1");
    decide(&stage, &actions[16], output(8)).unwrap();
    stage.settle();
    assert_eq!(stage.turn(&turn).status, TurnStatus::Completed);
}

#[test]
fn webhooks_hear_of_each_action_that_comes_up_and_of_each_that_expires() {
    let (stage, _) = with_webhook();
    let turn = waits(&stage, "c", &["one", "two"]);
    decide(&stage, &all(&stage)[0], allow(None)).unwrap();
    stage.pass(Duration::from_hours(25));
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(types(&arrivals), ["turn.requires_action", "turn.requires_action", "action.expired", "turn.completed"]);
    let (asked, actions) = (arrivals[0].json(), all(&stage));
    let action_id = actions[0].action_id.as_str();
    assert_eq!(asked["data"]["action_id"], action_id);
    assert_eq!((&asked["data"]["kind"], &asked["data"]["turn_id"]), (&json!("permission"), &json!(turn.as_str())));
    assert_eq!(arrivals[2].json()["data"]["action_id"], actions[1].action_id.as_str());
    assert_eq!(actions[1].status, ActionStatus::Expired);
}

#[test]
fn an_account_that_has_too_many_pending_actions_has_further_calls_denied() {
    let stage = Stage::with(&[("MAX_PENDING_ACTIONS", "2")]);
    let turn = waits(&stage, "c", &["one", "two", "three"]);
    let actions = all(&stage);
    assert_eq!(
        actions.iter().map(|action| action.status).collect::<Vec<_>>(),
        [ActionStatus::Pending, ActionStatus::Pending, ActionStatus::Cancelled]
    );
    assert!(
        matches!(&actions[2].decision, Some(Decision::Deny { message: Some(message) }) if message.contains("Too many"))
    );
    for action in &actions[..2] {
        decide(&stage, action, allow(None)).unwrap();
    }
    stage.settle();
    assert_eq!(stage.turn(&turn).status, TurnStatus::Completed);
    let ran = |call: &str| stage.container.state.borrow().world.ran.get(call).copied();
    assert_eq!((ran("one"), ran("two"), ran("three")), (Some(1), Some(1), None));
}

fn image() -> Vec<Block> {
    let source = Source::Base64 { media_type: MediaType::Png, data: Bytes(b"\x89PNG\r\n\x1a\n".repeat(100)) };
    vec![Block::Image(Attachment { source, title: None, context: None, citations: None })]
}

#[test]
fn attachments_count_if_the_model_got_them() {
    let bytes = |stage: &Stage| stage.sql.text("select attachment_bytes from conversations");
    let stage = Stage::new();
    stage.container.script(Script::new([Step::Frame(entry("said")), Step::Frame(result("done"))]));
    stage.query_of("c", image(), None).unwrap();
    stage.settle();
    let once = bytes(&stage);
    assert_ne!(once, "0");
    let refused = json!({ "type": "result", "status": "failed", "code": "unsupported_attachment", "message": "no" });
    stage.container.script(Script::new([Step::Frame(refused)]));
    stage.query_of("c", image(), None).unwrap();
    stage.settle();
    assert_eq!(bytes(&stage), once, "turned away by the container");
    stage.query_that("c", Script::endless());
    stage.query_of("c", image(), None).unwrap();
    stage.cancel("c");
    stage.settle();
    assert_eq!(bytes(&stage), once, "cancelled in the queue");
}
