//! A chat whose turn waits for somebody: its stream ends there, and an answer goes on with the turn, whatever has died meanwhile.

use claude_agent_service::account::chat::command::{ChatAnswer, ChatAnswers, ChatCommand};
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::domain::{ActionId, ActionStatus, TurnId, TurnStatus};
use serde_json::json;

use super::support::script::{Script, Step, entry, result};
use super::support::session;
use super::support::stage::Stage;
use super::{ChatReply, Duration, SECOND, Stream, Uuid, ask, follow, read, send};

const HOLD: Duration = Duration::from_mins(5);

/// A turn that makes these calls and is asked about them all at once, then answers.
fn asking(calls: &[&str]) -> Script {
    let begun = |call: &&str| {
        Step::Frame(
            json!({"type": "tool", "id": call, "name": "Bash", "status": "started", "input": {"command": call}}),
        )
    };
    let ask = Step::Ask(calls.iter().map(|call| (*call).to_owned()).collect());
    let steps = [Step::Frame(entry("said"))].into_iter().chain(calls.iter().map(begun));
    Script::new(steps.chain([ask, Step::Frame(result("done"))]))
}

/// A chat whose turn waits for leave to make these calls, and the end of its stream.
fn waiting(stage: &Stage, calls: &[&str]) -> TurnId {
    stage.container.script(asking(calls));
    let mut stream = send(stage, "m-1", "hello");
    stage.pass(SECOND);
    assert_eq!(asked(&mut stream).len(), calls.len());
    stream.turn()
}

/// The approvals that a stream asks for, which ends with them.
fn asked(stream: &mut Stream) -> Vec<ActionId> {
    let heard = stream.heard();
    assert!(heard.contains(r#""finishReason":"tool-calls""#) && heard.ends_with("data: [DONE]\n\n"), "{heard}");
    let ids = heard.split("\"approvalId\":\"").skip(1);
    ids.map(|rest| rest[..36].parse().unwrap()).collect()
}

fn ids(stage: &Stage) -> Vec<ActionId> {
    read(stage)[0].actions.iter().map(|action| action.action_id.clone()).collect()
}

fn approval(id: &ActionId, approved: bool) -> ChatAnswer {
    ChatAnswer::Approval { action_id: id.clone(), approved, reason: None }
}

fn answer(stage: &Stage, turn_id: &TurnId, answers: Vec<ChatAnswer>) -> Result<Stream, AccountError> {
    let answers = ChatAnswers { session_id: session("a"), turn_id: turn_id.clone(), has_steps: 1, answers };
    match ask(stage, &Command::Chat(ChatCommand::Answer(Box::new(answers))))? {
        ChatReply::Stream(stream) => Ok(Stream::new(*stream)),
        _ => panic!("no stream"),
    }
}

fn ran(stage: &Stage, call: &str) -> usize {
    stage.container.state.borrow().world.ran.get(call).copied().unwrap_or(0)
}

#[test]
fn a_stream_ends_where_its_turn_waits_and_the_answers_stream_is_the_rest() {
    let stage = Stage::new();
    let turn = waiting(&stage, &["a"]);
    assert_eq!(stage.turn(&turn).status, TurnStatus::RequiresAction);
    let id = ids(&stage).remove(0);
    assert_eq!(asked(&mut follow(&stage).unwrap()), std::slice::from_ref(&id));
    let mut rest = answer(&stage, &turn, vec![approval(&id, true)]).unwrap();
    stage.settle();
    let heard = rest.heard().to_owned();
    assert!(
        heard.contains(turn.as_str()) && heard.contains("reset-step") && heard.contains(r#""delta":"done""#),
        "{heard}"
    );
    assert!(!heard.contains("start-step\"}\n\ndata: {\"type\":\"tool-input-available"), "{heard}");
    assert_eq!((stage.turn(&turn).status, ran(&stage, "a")), (TurnStatus::Completed, 1));
    // The same again, as after a connection that was lost.
    let again = answer(&stage, &turn, vec![approval(&id, true)]).unwrap().heard().to_owned();
    assert!(again.contains(r#""delta":"done""#) && ran(&stage, "a") == 1, "{again}");
    assert!(follow(&stage).is_none());
}

#[test]
fn a_turn_waits_until_all_that_it_asks_is_answered() {
    let stage = Stage::new();
    let turn = waiting(&stage, &["a", "b"]);
    let ids = ids(&stage);
    let mut between = answer(&stage, &turn, vec![approval(&ids[0], true)]).unwrap();
    assert_eq!(asked(&mut between), [ids[0].clone(), ids[0].clone(), ids[1].clone()], "the first with its answer");
    // A client that sends at once what it has sent before is not served again and again.
    let same = answer(&stage, &turn, vec![approval(&ids[0], true)]);
    assert!(matches!(same, Err(AccountError::ActionPending(pending)) if pending == ids[1..]));
    let mut rest = answer(&stage, &turn, vec![approval(&ids[0], true), approval(&ids[1], false)]).unwrap();
    stage.settle();
    assert!(rest.heard().contains("tool-output-denied") && rest.heard().contains(r#""delta":"done""#));
    assert_eq!((ran(&stage, "a"), ran(&stage, "b")), (1, 0));
}

#[test]
fn an_answer_goes_on_with_a_turn_whose_process_or_container_or_object_is_gone() {
    let parked: fn(&mut Stage) = |stage| stage.pass(HOLD + SECOND);
    let died: fn(&mut Stage) = |stage| {
        stage.container.die(true);
        stage.pass(3 * 60 * SECOND);
    };
    let reset: fn(&mut Stage) = Stage::reset;
    let all: fn(&mut Stage) = |stage| {
        stage.pass(HOLD + SECOND);
        stage.container.die(false);
        stage.reset();
    };
    for (index, meanwhile) in [parked, died, reset, all].into_iter().enumerate() {
        let mut stage = Stage::new();
        let turn = waiting(&stage, &["a"]);
        let id = ids(&stage).remove(0);
        meanwhile(&mut stage);
        assert_eq!(asked(&mut follow(&stage).unwrap()), std::slice::from_ref(&id), "{index}");
        assert_eq!(read(&stage)[0].actions[0].status, ActionStatus::Pending, "{index}");
        let mut following = answer(&stage, &turn, vec![approval(&id, true)]).unwrap();
        stage.settle();
        assert!(following.heard().contains(r#""delta":"done""#), "{index}: {}", following.heard());
        assert_eq!((stage.turn(&turn).status, ran(&stage, "a")), (TurnStatus::Completed, 1), "{index}");
    }
}

#[test]
fn what_nobody_answers_in_time_is_not_answered_later() {
    let stage = Stage::new();
    let turn = waiting(&stage, &["a"]);
    let id = ids(&stage).remove(0);
    stage.pass(Duration::from_hours(25));
    assert_eq!((stage.turn(&turn).status, ran(&stage, "a")), (TurnStatus::Completed, 0));
    let late = answer(&stage, &turn, vec![approval(&id, true)]);
    assert!(matches!(late, Err(AccountError::ActionResolved(action)) if action.status == ActionStatus::Expired));
    assert_eq!(ran(&stage, "a"), 0);
}

#[test]
fn an_answer_that_nobody_asked_for_or_that_was_given_otherwise_is_refused() {
    let stage = Stage::new();
    let turn = waiting(&stage, &["a"]);
    let id = ids(&stage).remove(0);
    let other = TurnId::new(Uuid::from_u128(9));
    let none = ActionId::new(Uuid::from_u128(9));
    let output = ChatAnswer::Output { tool_call_id: "a".to_owned(), output: "4".into(), is_error: false };
    for (turn, given) in [(&other, approval(&id, true)), (&turn, approval(&none, true)), (&turn, output)] {
        assert!(matches!(answer(&stage, turn, vec![given]), Err(AccountError::NothingAsked)));
    }
    answer(&stage, &turn, vec![approval(&id, false)]).unwrap();
    stage.settle();
    let otherwise = answer(&stage, &turn, vec![approval(&id, true)]);
    assert!(matches!(otherwise, Err(AccountError::ActionResolved(_))));
    assert_eq!(ran(&stage, "a"), 0);
    let elsewhere =
        ChatAnswers { session_id: session("b"), turn_id: turn, has_steps: 1, answers: vec![approval(&id, false)] };
    let refused = ask(&stage, &Command::Chat(ChatCommand::Answer(Box::new(elsewhere))));
    assert!(matches!(refused, Err(AccountError::NothingAsked)));
}
