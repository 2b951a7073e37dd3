//! Compacting a conversation, how full its context is, and why a turn was cancelled.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AnswerForm, Command, StartTurn};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::domain::{ContextUse, Include, Title, TurnId, TurnKind, TurnOptions, WhenBusy};
use serde_json::json;
use support::script::{Knows, Script, Step, entry, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

fn compacting(session_id: &str, instructions: &str, key: Option<&str>, answer: AnswerForm) -> Command {
    let options = TurnOptions { kind: TurnKind::Compact, ..TurnOptions::default() };
    let prompt = options.kind.prompt_told(instructions);
    Command::StartTurn(Box::new(StartTurn {
        session_id: Some(session(session_id)),
        title: Title::from_prompt(&prompt),
        prompt,
        content: None,
        include: Include::NOTHING,
        options,
        idempotency: key.map(|key| (key.parse().unwrap(), "hash".to_owned())),
        answer,
    }))
}

fn compact(stage: &Stage, session_id: &str, instructions: &str) -> Result<TurnId, AccountError> {
    match stage.handle(compacting(session_id, instructions, None, AnswerForm::Accepted))? {
        Response::Ready(Reply::Accepted { turn, .. }) => Ok(turn.turn_id),
        _ => unreachable!(),
    }
}

fn said(stage: &Stage) -> Vec<String> {
    let messages = stage.store.messages_before(&session("a"), i64::MAX).unwrap().messages;
    messages.into_iter().map(|message| message.content).collect()
}

fn summary() -> Script {
    Script::new([entry("summary"), result("")].map(Step::Frame))
}

#[test]
fn a_compaction_is_a_turn_that_the_history_shows_as_the_command_and_without_an_answer() {
    for (instructions, told) in [("", "/compact"), ("Keep /compact numbers.", "/compact Keep /compact numbers.")] {
        let stage = Stage::new();
        stage.query("a");
        stage.settle();
        stage.container.script(summary());
        let ended = stage.answer_to(compacting("a", instructions, None, AnswerForm::Json));
        stage.settle();
        let turn = ended.take().unwrap().unwrap();
        assert_eq!((stage.end(&turn.turn_id), turn.response), ("completed".to_owned(), None));
        assert_eq!(said(&stage), ["hello", "done", told]);
        let container = stage.container.state.borrow();
        let (query, compaction) = (&container.asked[0], &container.asked[1]);
        assert_eq!(query["options"].get("compact"), None);
        assert_eq!((&compaction["options"]["compact"], &compaction["prompt"]), (&json!(true), &json!(instructions)));
        assert_eq!(stage.store.conversation(&session("a")).unwrap().unwrap().message_count, 3);
        assert_eq!(stage.store.turn(&turn.turn_id).unwrap().unwrap().response, None);
    }
}

#[test]
fn a_compaction_waits_in_the_queue_survives_a_reset_and_happens_once_under_its_key() {
    let mut stage = Stage::new();
    stage.query_that("a", Script::new([Step::Frame(entry("said")), Step::Wait(5 * SECOND), Step::Frame(result("4"))]));
    stage.pass(SECOND);
    let ask = |stage: &Stage| match stage.handle(compacting("a", "Be brief.", Some("key"), AnswerForm::Accepted)) {
        Ok(Response::Ready(Reply::Accepted { turn, replayed })) => (turn.turn_id, replayed),
        _ => unreachable!(),
    };
    let (turn, first) = ask(&stage);
    stage.reset();
    stage.container.script(summary());
    let (same, again) = ask(&stage);
    stage.settle();
    assert_eq!((turn.clone(), first, again), (same, false, true));
    assert_eq!(stage.end(&turn), "completed");
    assert_eq!(stage.container.state.borrow().asked[1]["prompt"], "Be brief.");
    assert_eq!(said(&stage), ["hello", "4", "/compact Be brief."]);
}

#[test]
fn there_is_nothing_to_compact_where_there_is_no_conversation() {
    let stage = Stage::new();
    assert!(matches!(compact(&stage, "a", ""), Err(AccountError::NotFound)));
    stage.query("a");
    stage.settle();
    assert!(matches!(compact(&stage, "b", ""), Err(AccountError::NotFound)));
    assert_eq!(stage.sql.count("conversations"), 1);
    assert!(stage.query_when_busy("a", WhenBusy::Reject).is_ok());
}

#[test]
fn a_container_that_would_take_it_for_a_query_is_replaced() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().knows_turns = Knows { now: false, after_boot: false };
    stage.query("a");
    stage.settle();
    stage.container.state.borrow_mut().knows_turns.after_boot = true;
    let turn = compact(&stage, "a", "").unwrap();
    stage.settle();
    assert_eq!((stage.end(&turn).as_str(), stage.container.instance().as_deref()), ("completed", Some("instance-2")));
    assert_eq!(stage.container.state.borrow().replayed, [1]);
}

#[test]
fn a_container_that_never_can_fails_the_turn() {
    let stage = Stage::new();
    stage.container.state.borrow_mut().knows_turns = Knows { now: false, after_boot: false };
    stage.query("a");
    stage.settle();
    let turn = compact(&stage, "a", "").unwrap();
    stage.settle();
    assert_eq!(stage.end(&turn), "container_unavailable");
    assert_eq!(stage.container.state.borrow().asked.len(), 1, "it was never given to one");
}

#[test]
fn how_full_the_context_is_is_told_as_far_as_it_is_known() {
    let stage = Stage::new();
    let context = || match stage.handle(Command::ReadContext { session_id: session("a") }) {
        Ok(Response::Ready(Reply::Context(context))) => Some(context),
        Err(AccountError::NotFound) => None,
        _ => unreachable!(),
    };
    assert_eq!(context(), None);
    stage.query("a");
    stage.settle();
    assert_eq!(context(), Some(None));
    let mut answer = result("4");
    answer["context"] = json!({ "tokens": 7, "limit": 200_000 });
    stage.query_that("a", Script::new([Step::Frame(answer)]));
    stage.settle();
    assert_eq!(context(), Some(Some(ContextUse { tokens: 7, limit: 200_000, auto_compact_at: None })));
}

#[test]
fn whoever_waits_hears_why_a_turn_was_cancelled() {
    let stage = Stage::new();
    stage.container.script(Script::endless());
    let (running, queued) = (stage.ask("a", None), stage.ask("a", None));
    stage.pass(SECOND);
    stage.cancel_because("a", Some("The user left."));
    stage.cancel_because("a", Some("Too late."));
    stage.settle();
    for ended in [running, queued] {
        let turn = ended.take().unwrap().unwrap();
        let told = turn.error.unwrap().detail;
        assert_eq!(told, "The turn was cancelled: The user left.");
        assert_eq!(stage.turn(&turn.turn_id).error.unwrap().detail, told, "it is stored");
    }
    stage.container.script(Script::endless());
    let turn = stage.query("a");
    stage.pass(SECOND);
    stage.cancel("a");
    stage.settle();
    assert_eq!(stage.turn(&turn).error.unwrap().detail, "The turn was cancelled.");
}

#[test]
fn a_reason_is_told_of_cancelled_turns_alone() {
    let stage = Stage::new();
    let script = Script::new([Step::Frame(entry("said")), Step::Wait(SECOND), Step::Die { noticed: true }]);
    let turn = stage.query_that("a", script);
    stage.settle();
    stage.cancel_because("a", Some("It has ended."));
    assert_eq!(stage.end(&turn), "turn_interrupted");
}
