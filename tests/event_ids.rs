//! The ids of a turn's events: one each, whether it is heard live or told again after the end, so that whoever comes back hears what
//! comes after, once, and nothing after the end.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::turn::events::{EventKind, Subscription};
use claude_agent_service::domain::{EventId, Include, TurnId};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use support::script::{Script, Step, result};
use support::session;
use support::stage::Stage;

const SECOND: Duration = Duration::from_secs(1);

fn delta(text: &str) -> Step {
    Step::Frame(json!({ "type": "delta", "text": text }))
}

fn message(text: &str) -> Step {
    Step::Frame(json!({ "type": "message", "text": text }))
}

/// The events of the conversation from there on; none where nothing follows.
fn follow(stage: &Stage, last: Option<(&TurnId, u64)>) -> Option<Subscription> {
    let last_event_id = last.map(|(turn_id, n)| EventId { turn_id: turn_id.clone(), n });
    match stage.handle(Command::FollowConversation {
        session_id: session("a"),
        last_event_id,
        include: Include::NOTHING,
    }) {
        Ok(Response::Ready(Reply::Events { subscription, .. })) => Some(subscription),
        Ok(Response::Ready(Reply::NothingFollows)) => None,
        _ => panic!("neither events nor their end"),
    }
}

/// What a subscription has told so far: the number and the kind of each event.
fn heard(mut subscription: Subscription) -> Vec<(u64, &'static str)> {
    let events = std::iter::from_fn(|| subscription.next().now_or_never().flatten());
    let kind = |kind: &EventKind| match kind {
        EventKind::Turn { .. } => "turn",
        EventKind::Ended(_) => "end",
        part => part.data(Include::ALL).map_or("", |(name, _)| name),
    };
    events.map(|event| (event.id.n, kind(&event.kind))).collect()
}

/// The same after the end.
fn told_again(stage: &Stage, last: Option<(&TurnId, u64)>) -> Vec<(u64, &'static str)> {
    follow(stage, last).map(heard).unwrap_or_default()
}

/// The numbers of these kinds of events.
fn of_kind(events: &[(u64, &'static str)], wanted: &str) -> Vec<u64> {
    events.iter().filter(|(_, kind)| *kind == wanted).map(|(n, _)| *n).collect()
}

/// A turn that says this in the container, and all that a follower heard of it live.
fn turn_that(stage: &Stage, steps: impl IntoIterator<Item = Step>) -> (TurnId, Vec<(u64, &'static str)>) {
    let turn = stage.query_that("a", Script::new(steps));
    let live = follow(stage, None).unwrap();
    stage.settle();
    (turn, heard(live))
}

#[test]
fn an_event_that_is_told_again_after_the_end_has_the_id_that_it_had_live() {
    let stage = Stage::new();
    let (_, live) = turn_that(&stage, [delta("1"), delta("2"), message("12"), Step::Frame(result("12"))]);
    let again = told_again(&stage, None);
    assert_eq!(again.iter().map(|(_, kind)| *kind).collect::<Vec<_>>(), ["turn", "message", "end"]);
    for kind in ["message", "end"] {
        assert_eq!(of_kind(&again, kind), of_kind(&live, kind), "{kind}");
    }
}

#[test]
fn whoever_comes_back_after_the_end_hears_what_comes_after_and_nothing_after_the_end() {
    let stage = Stage::new();
    let (turn, live) = turn_that(&stage, [delta("12"), message("12"), Step::Frame(result("12"))]);
    let [piece, message, end] = ["delta", "message", "end"].map(|kind| of_kind(&live, kind)[0]);
    assert_eq!(told_again(&stage, Some((&turn, piece))), [(piece, "turn"), (message, "message"), (end, "end")]);
    assert_eq!(told_again(&stage, Some((&turn, message))), [(message, "turn"), (end, "end")]);
    assert!(follow(&stage, Some((&turn, end))).is_none());
}

#[test]
fn an_answer_that_several_messages_said_is_told_again_as_they_were() {
    let stage = Stage::new();
    let steps = [message("Let me see."), message("12?"), Step::Frame(result("12"))];
    let (turn, live) = turn_that(&stage, steps);
    let (said, end) = (of_kind(&live, "message"), of_kind(&live, "end")[0]);
    assert_eq!(told_again(&stage, Some((&turn, said[0]))), [(said[0], "turn"), (said[1], "message"), (end, "end")]);
    assert_eq!(told_again(&stage, Some((&turn, said[1]))), [(said[1], "turn"), (end, "end")]);
}

#[test]
fn an_answer_of_a_turn_that_told_nothing_is_told_before_the_end() {
    let stage = Stage::new();
    let (turn, live) = turn_that(&stage, [delta("1"), Step::Frame(result("12"))]);
    let (last, end) = (of_kind(&live, "delta")[0], of_kind(&live, "end")[0]);
    assert_eq!(told_again(&stage, Some((&turn, last))), [(last, "turn"), (end - 1, "message"), (end, "end")]);
    assert_eq!(told_again(&stage, Some((&turn, end - 1))), [(end - 1, "turn"), (end, "end")]);
}

#[test]
fn the_ids_are_the_same_when_the_object_is_reset_while_the_turn_runs() {
    let mut stage = Stage::new();
    let steps = [delta("1"), message("1"), Step::Wait(SECOND), delta("12"), message("12"), Step::Frame(result("12"))];
    let turn = stage.query_that("a", Script::new(steps));
    stage.pass(SECOND / 2);
    stage.reset();
    let live = follow(&stage, None).unwrap();
    stage.settle();
    let live = heard(live);
    let (last, end) = (of_kind(&live, "message")[1], of_kind(&live, "end")[0]);
    assert_eq!(told_again(&stage, Some((&turn, last))), [(last, "turn"), (end, "end")]);
    assert!(follow(&stage, Some((&turn, end))).is_none());
}

#[test]
fn the_end_of_a_turn_without_an_answer_has_one_id_too() {
    let stage = Stage::new();
    let turn = stage.query_that("a", Script::endless());
    let live = follow(&stage, None).unwrap();
    stage.pass(SECOND);
    let queued = stage.query("a");
    let waiting = follow(&stage, Some((&queued, 0))).unwrap();
    stage.cancel("a");
    stage.settle();
    for (turn, live) in [(&turn, heard(live)), (&queued, heard(waiting))] {
        let end = of_kind(&live, "end")[0];
        assert_eq!(told_again(&stage, Some((turn, 0))), [(0, "turn"), (end, "end")]);
        assert!(follow(&stage, Some((turn, end))).is_none());
    }
}

#[test]
fn of_a_turn_that_ended_before_ids_were_stored_the_last_events_have_their_own() {
    let stage = Stage::new();
    let (turn, live) = turn_that(&stage, [message("12"), Step::Frame(result("12"))]);
    stage.sql.run("update turns set message_n = null, end_n = null");
    let above = 1 << 52;
    let last = of_kind(&live, "end")[0];
    assert_eq!(told_again(&stage, Some((&turn, last))), [(last, "turn"), (above, "message"), (above + 1, "end")]);
    assert!(follow(&stage, Some((&turn, above + 1))).is_none());
}

#[test]
fn an_id_of_no_turn_of_the_conversation_gets_the_latest_turn_whose_events_name_it() {
    let stage = Stage::new();
    let (turn, _) = turn_that(&stage, [message("12"), Step::Frame(result("12"))]);
    let stranger: TurnId = "turn_0123456789abcdef0123456789abcdef".parse().unwrap();
    let mut events = follow(&stage, Some((&stranger, 9))).unwrap();
    let first = events.next().now_or_never().flatten().unwrap();
    assert_eq!(first.id, EventId { turn_id: turn, n: 0 });
}
