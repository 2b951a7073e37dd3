//! Turns that wait for somebody: what a client is asked, what it hears when it has answered, and what it finds when it comes back.

use super::*;
use crate::account::chat::command::ChatTurn;
use crate::api::chat::messages;
use crate::domain::event::{ActionResolved, Paused};
use crate::domain::{ActionKind, ActionStatus, Decision};

/// The action about a call, whose name has one letter.
fn asked(call: &str, kind: &str) -> Action {
    let id = format!("act_{}", call.repeat(32));
    serde_json::from_value(
        json!({"action_id": id, "turn_id": TURN, "session_id": "s", "kind": kind, "tool_call_id": call,
        "tool": "Bash", "input": {"of": call}, "status": "pending", "created_at": 1, "expires_at": 2}),
    )
    .unwrap()
}

fn decided(call: &str, decision: Value) -> Action {
    let decision: Decision = serde_json::from_value(decision).unwrap();
    Action { status: ActionStatus::Resolved, decision: Some(decision), ..asked(call, "permission") }
}

fn allowed(call: &str) -> Action {
    decided(call, json!({"decision": "allow"}))
}

fn denied(call: &str) -> Action {
    decided(call, json!({"decision": "deny", "message": "No."}))
}

fn expired(call: &str) -> Action {
    Action { status: ActionStatus::Expired, ..asked(call, "permission") }
}

fn of_kind(action: Action, kind: &str) -> Action {
    Action { kind: ActionKind::parse(kind).unwrap(), ..action }
}

fn action(call: &str) -> EventKind {
    EventKind::Action(std::rc::Rc::new(asked(call, "permission")))
}

fn resolved(action: &Action) -> EventKind {
    EventKind::ActionResolved(ActionResolved::of(action))
}

fn waits() -> EventKind {
    EventKind::Paused(std::rc::Rc::new(Paused {
        turn_id: TURN.parse().unwrap(),
        session_id: "s".parse().unwrap(),
        status: TurnStatus::RequiresAction,
        actions: Vec::new(),
    }))
}

fn begun(call: &str) -> EventKind {
    tool(call, "started", json!({"input": {"of": call}}))
}

fn ended(call: &str) -> EventKind {
    tool(call, "finished", json!({"result": "done"}))
}

/// What somebody finds who loads the messages of a turn that did this.
fn loaded(last: EventKind, actions: Vec<Action>, told: Vec<EventKind>) -> Vec<String> {
    let turn = match last {
        EventKind::Ended(turn) => (*turn).clone(),
        _ => match turn(TurnStatus::RequiresAction, None, None) {
            EventKind::Ended(turn) => (*turn).clone(),
            _ => unreachable!(),
        },
    };
    let all = messages::of(&[ChatTurn { turn, message: None, said: "q".into(), attachments: None, told, actions }]);
    let all: Value = serde_json::from_str(&all).unwrap();
    let word = |part: &Value| match part["type"].as_str().unwrap() {
        "step-start" => "|".to_owned(),
        "dynamic-tool" => {
            let state = match part["state"].as_str().unwrap() {
                "input-available" if part["providerExecuted"] == true => "called",
                "input-available" => "offered",
                "approval-requested" => "asked",
                "approval-responded" => "answered",
                other => other.strip_prefix("output-").unwrap(),
            };
            format!("{}:{state}", part["toolCallId"].as_str().unwrap())
        }
        "text" => part["text"].as_str().unwrap().to_owned(),
        other => other.to_owned(),
    };
    all[1]["parts"].as_array().unwrap().iter().map(word).collect()
}

fn joined(pieces: &[&[EventKind]]) -> Vec<EventKind> {
    pieces.concat()
}

#[test]
fn a_call_waits_for_leave_and_goes_on_in_the_same_message() {
    let before = [started(), said("I ask."), begun("a"), action("a")];
    let mut client = Client::hear(joined(&[&before, &[waits()]]));
    assert_eq!(client.told(), ["|", "I ask.", "a:asked"]);
    assert_eq!((&client.last["type"], &client.last["finishReason"]), (&json!("finish"), &json!("tool-calls")));
    assert_eq!(loaded(waits(), vec![asked("a", "permission")], before[1..].to_vec()), client.told());
    assert!(client.is_whole() && !client.sends());
    client.answer("a");
    assert!(client.sends());
    let after = [resolved(&allowed("a")), ended("a"), delta("Do"), said("Done."), done("Done.")];
    client.hear_on(vec![allowed("a")], joined(&[&before, &after]));
    assert_eq!(client.told(), ["|", "I ask.", "a:available", "|", "Done."]);
    assert!(client.is_whole() && !client.sends());
    assert_eq!(
        loaded(done("Done."), vec![allowed("a")], joined(&[&before[1..], &after[..2], &after[3..4]])),
        client.told()
    );
    // Whoever comes later hears all of it.
    assert_eq!(Client::hear(joined(&[&before, &after])).told(), client.told());
}

#[test]
fn steps_that_the_client_has_are_not_told_again() {
    let before = [started(), said("One."), begun("a"), ended("a"), said("Two."), begun("b"), action("b")];
    let mut client = Client::hear(joined(&[&before, &[waits()]]));
    client.answer("b");
    client.parts[1]["text"] = "kept".into();
    let after = [resolved(&allowed("b")), ended("b"), begun("c"), action("c")];
    client.hear_on(vec![allowed("b"), asked("c", "permission")], joined(&[&before, &after, &[waits()]]));
    let step = ["|", "kept", "a:available", "|", "Two.", "b:available", "|", "c:asked"];
    assert_eq!(client.told(), step);
    client.answer("c");
    let last = [resolved(&allowed("c")), ended("c"), said("Done."), done("Done.")];
    client.hear_on(vec![allowed("b"), allowed("c")], joined(&[&before, &after, &last]));
    assert_eq!(client.told(), [&step[..7], &["c:available", "|", "Done."]].concat());
    assert!(client.is_whole());
}

#[test]
fn a_message_without_steps_or_with_too_many_is_told_to_its_end() {
    let all = || vec![started(), said("One."), begun("a"), ended("a"), said("Two."), done("Two.")];
    let mut none = Client { parts: vec![json!({"type": "data-notice"})], ..Client::default() };
    none.hear_on(Vec::new(), all());
    assert_eq!(none.told(), ["|", "One.", "a:available", "|", "Two."]);
    let mut many = Client::hear(all());
    many.parts.extend((0..9).map(|_| json!({"type": "step-start"})));
    let told = many.told();
    many.hear_on(Vec::new(), vec![started(), said("One."), begun("x"), done("One.")]);
    assert_eq!((many.told(), many.is_done), (told, true));
}

#[test]
fn calls_that_wait_behind_another_are_out_of_sight_until_they_are_asked_about() {
    let before = [started(), begun("a"), begun("b"), action("a")];
    let mut client = Client::hear(joined(&[&before, &[waits()]]));
    assert_eq!(client.told(), ["|", "a:asked"]);
    assert_eq!(loaded(waits(), vec![asked("a", "permission")], before[1..].to_vec()), client.told());
    client.answer("a");
    assert!(client.sends());
    let between = [resolved(&allowed("a")), ended("a"), action("b")];
    let known = || vec![allowed("a"), asked("b", "permission")];
    client.hear_on(known(), joined(&[&before, &between, &[waits()]]));
    assert_eq!(client.told(), ["|", "a:available", "b:asked"]);
    assert_eq!(loaded(waits(), known(), joined(&[&before[1..], &between])), client.told());
    client.answer("b");
    let after = [resolved(&denied("b")), tool("b", "denied", json!({"result": "No."})), said("Done."), done("Done.")];
    client.hear_on(vec![allowed("a"), denied("b")], joined(&[&before, &between, &after]));
    assert_eq!(client.told(), ["|", "a:available", "b:denied", "|", "Done."]);
}

#[test]
fn of_two_calls_one_is_answered_and_the_other_waits_on() {
    let before = [started(), begun("a"), begun("b"), action("a"), action("b")];
    let mut client = Client::hear(joined(&[&before, &[waits()]]));
    assert_eq!(client.told(), ["|", "a:asked", "b:asked"]);
    client.answer("a");
    assert!(!client.sends());
    // An app that sends all the same.
    let known = vec![allowed("a"), asked("b", "permission")];
    client.hear_on(known.clone(), joined(&[&before, &[waits()]]));
    assert_eq!(client.told(), ["|", "a:answered", "b:asked"]);
    assert_eq!(loaded(waits(), known, before[1..].to_vec()), client.told());
    client.answer("b");
    let both = [allowed("a"), denied("b")];
    let after = [resolved(&both[0]), resolved(&both[1]), ended("a"), tool("b", "failed", json!({})), done("Done.")];
    client.hear_on(both.to_vec(), joined(&[&before, &after]));
    assert_eq!(client.told(), ["|", "a:available", "b:denied", "|", "Done."]);
}

#[test]
fn what_nobody_answered_is_told_as_that_and_not_as_a_denial() {
    let events = |tail: &[EventKind]| joined(&[&[started(), begun("a"), action("a"), resolved(&expired("a"))], tail]);
    let late = tool("a", "failed", json!({"result": "Nobody answered in time. This is not a refusal."}));
    for (tail, words) in
        [(vec![], "Nobody answered in time."), (vec![late], "Nobody answered in time. This is not a refusal.")]
    {
        let all = events(&joined(&[&tail, &[said("Done."), done("Done.")]]));
        let client = Client::hear(all);
        assert_eq!((client.told().join(" "), &client.parts[1]["output"]), ("| a:error | Done.".into(), &json!(words)));
    }
}

#[test]
fn a_call_that_was_given_up_waits_on_and_is_made_again_when_it_was_allowed() {
    // The process gives the call up when the turn is parked by a message; if it was lost, nothing is said of the call.
    let given_up = tool("a", "denied", json!({"result": "The turn ended before anybody answered."}));
    for lost in [vec![given_up], vec![]] {
        let before = joined(&[&[started(), begun("a"), action("a")], &lost]);
        let mut client = Client::hear(joined(&[&before, &[waits()]]));
        assert_eq!(client.told(), ["|", "a:asked"]);
        assert_eq!(loaded(waits(), vec![asked("a", "permission")], before[1..].to_vec()), client.told());
        client.answer("a");
        let after = [resolved(&allowed("a")), begun("c"), ended("c"), said("Done."), done("Done.")];
        let mut other = Client { parts: client.parts.clone(), ..Client::default() };
        client.hear_on(vec![allowed("a")], joined(&[&before, &after]));
        assert_eq!(client.told(), ["|", "a:available", "|", "c:available", "|", "Done."]);
        assert!(client.parts[1]["output"].as_str().unwrap().starts_with("Allowed. The agent makes this call again"));
        assert_eq!(loaded(done("Done."), vec![allowed("a")], joined(&[&before[1..], &after[..4]])), client.told());
        let no = [resolved(&denied("a")), said("Done."), done("Done.")];
        other.hear_on(vec![denied("a")], joined(&[&before, &no]));
        assert_eq!(other.told(), ["|", "a:denied", "|", "Done."]);
    }
}

#[test]
fn a_call_of_the_clients_is_offered_to_it_and_has_the_output_that_it_gave() {
    for (kind, decision) in [
        ("tool", json!({"decision": "result", "content": "shipped"})),
        ("question", json!({"decision": "answer", "answers": {"Which?": "tea"}})),
    ] {
        let event = EventKind::Action(std::rc::Rc::new(asked("a", kind)));
        let before = [started(), begun("a"), begun("b"), event];
        let mut client = Client::hear(joined(&[&before, &[waits()]]));
        assert_eq!(client.told(), ["|", "a:offered"]);
        assert_eq!(loaded(waits(), vec![asked("a", kind)], before[1..].to_vec()), client.told());
        let known = of_kind(decided("a", decision), kind);
        client.hear_on(vec![known.clone()], joined(&[&before, &[waits()]]));
        assert_eq!(client.told(), ["|", "a:available"]);
        let after = [resolved(&known), ended("a"), ended("b"), said("Done."), done("Done.")];
        client.hear_on(vec![known.clone()], joined(&[&before, &after]));
        assert_eq!(client.told(), ["|", "a:available", "b:available", "|", "Done."]);
        assert_eq!(client.parts[1]["output"], "done");
        assert_eq!(loaded(done("Done."), vec![known], joined(&[&before[1..], &after[..4]])), client.told());
    }
}

#[test]
fn what_is_asked_about_no_call_is_a_part_of_its_own_and_keeps_the_client_from_sending() {
    let about_none = Action { tool_call_id: None, ..asked("e", "elicitation") };
    let event = EventKind::Action(std::rc::Rc::new(about_none.clone()));
    let mut client = Client::hear(vec![started(), begun("a"), begun("m"), action("a"), event, waits()]);
    assert_eq!(client.told(), ["|", "a:asked", "m:called", "data-action"]);
    client.answer("a");
    assert!(!client.sends());
}

#[test]
fn a_turn_that_ends_while_it_waits_leaves_nothing_to_answer() {
    let failure = || Failure::new(FailureCode::TurnCancelled, "Cancelled.");
    let before = [started(), begun("a"), action("a")];
    let end = turn(TurnStatus::Cancelled, None, Some(failure()));
    let client = Client::hear(joined(&[&before, std::slice::from_ref(&end)]));
    assert_eq!(client.told(), ["|", "a:error"]);
    let cancelled = Action { status: ActionStatus::Cancelled, ..asked("a", "permission") };
    assert_eq!(loaded(end, vec![cancelled], before[1..].to_vec()), client.told());
}

#[test]
fn a_question_that_is_not_asked_since_too_many_wait_is_the_end_of_its_call() {
    let refusal = Decision::Deny { message: Some("Too many.".to_owned()) };
    let full = Action { status: ActionStatus::Cancelled, decision: Some(refusal), ..asked("a", "permission") };
    let end = tool("a", "denied", json!({"result": "Too many."}));
    let event = EventKind::Action(std::rc::Rc::new(full.clone()));
    let client = Client::hear(vec![started(), begun("a"), event, resolved(&full), end, done("Done.")]);
    assert_eq!(client.told(), ["|", "a:error", "|", "Done."]);
    assert_eq!(client.parts[1]["output"], "Too many.");
}
