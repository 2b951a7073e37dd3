//! Followers, the log and what it drops.

use super::*;
use crate::domain::event::{Delta, Thinking, ToolInput};
use futures_util::{FutureExt, StreamExt};
use uuid::Uuid;

fn turn_id() -> TurnId {
    TurnId::new(Uuid::from_u128(1))
}

fn delta(n: u64, text: &str) -> TurnEvent {
    TurnEvent { id: EventId { turn_id: turn_id(), n }, kind: EventKind::Delta(Delta { text: text.to_owned() }) }
}

fn first() -> TurnEvent {
    announcement(&turn_id(), &"s".parse().unwrap(), TurnStatus::Running, 0)
}

fn numbers(subscription: &mut Subscription) -> Vec<u64> {
    std::iter::from_fn(|| subscription.next().now_or_never().flatten()).map(|event| event.id.n).collect()
}

#[test]
fn whoever_comes_back_hears_what_was_missed_and_then_what_comes() {
    let mut events = EventLog::default();
    for n in 1..=5 {
        events.publish(delta(n, "x"));
    }
    let mut late = events.follow(first(), 3, Include::NOTHING);
    events.publish(delta(6, "x"));
    assert_eq!(numbers(&mut late), [3, 4, 5, 6]);
}

#[test]
fn whoever_comes_back_to_a_rebuilt_object_hears_nothing_twice() {
    let mut events = EventLog::default();
    let mut back = events.follow(first(), 2, Include::NOTHING);
    for n in 1..=4 {
        events.publish(delta(n, "x"));
    }
    assert_eq!(numbers(&mut back), [2, 3, 4]);
}

#[test]
fn a_follower_that_does_not_read_is_cut_and_the_others_are_not() {
    let mut events = EventLog::default();
    let mut slow = events.follow(first(), 0, Include::NOTHING);
    let mut quick = events.follow(first(), 0, Include::NOTHING);
    let total = u64::try_from(MAX_BUFFERED_EVENTS).unwrap() + 50;
    let mut heard = 0;
    for n in 1..=total {
        events.publish(delta(n, "x"));
        heard += numbers(&mut quick).iter().filter(|n| **n > 0).count();
    }
    assert_eq!(u64::try_from(heard).unwrap(), total);
    let got = numbers(&mut slow);
    assert!(got.len() < usize::try_from(total).unwrap());
    assert_eq!(slow.next().now_or_never(), Some(None), "the stream has ended");
}

impl PartialEq for TurnEvent {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[test]
fn those_who_wait_are_bounded_and_one_that_left_makes_room() {
    let mut events = EventLog::default();
    let mut waiting: Vec<_> = (0..MAX_WAITERS).map(|_| events.wait().unwrap()).collect();
    assert!(events.wait().is_none());
    waiting.pop();
    assert!(events.wait().is_some());
}

fn thinking(n: u64, text: &str) -> TurnEvent {
    let kind = EventKind::Thinking(Thinking { text: text.to_owned(), parent: None });
    TurnEvent { kind, ..delta(n, "") }
}

fn message(n: u64, text: &str) -> TurnEvent {
    TurnEvent { kind: EventKind::said(text.to_owned()), ..delta(n, "") }
}

/// What a reader missed that has the events up to the `after`-th: numbers, and of a notice what it stands for.
fn missed(events: &mut EventLog, after: u64, include: Include) -> Vec<(u64, Option<(u64, u64)>)> {
    let mut late = events.follow(first(), after, include);
    let all = std::iter::from_fn(|| late.next().now_or_never().flatten());
    let stands_for = |kind: &EventKind| match kind {
        EventKind::Notice(notice) => notice.from.zip(notice.to),
        _ => None,
    };
    all.skip(1).map(|event| (event.id.n, stands_for(&event.kind))).collect()
}

#[test]
fn the_log_is_bounded_and_says_what_it_has_dropped() {
    let mut events = EventLog::default();
    let text = "x".repeat(1024 * 1024);
    for n in 1..=20 {
        events.publish(delta(n, &text));
    }
    assert!(events.log_bytes <= MAX_LOG_BYTES);
    let kept = [(18, None), (19, None), (20, None)];
    for (after, notice) in [(0, Some((17, Some((1, 17))))), (9, Some((17, Some((10, 17))))), (17, None)] {
        let heard: Vec<_> = notice.into_iter().chain(kept).collect();
        assert_eq!(missed(&mut events, after, Include::NOTHING), heard, "after {after}");
    }
}

#[test]
fn pieces_go_first_and_those_that_only_some_readers_hear_before_all() {
    let mut events = EventLog::default();
    // The log holds eight of them, and keeps seven when there are more.
    let text = "x".repeat(500 * 1024);
    events.publish(message(1, &text));
    events.publish(delta(2, &text));
    for n in 3..=5 {
        events.publish(thinking(n, &text));
    }
    events.publish(delta(6, &text));
    for n in 7..=9 {
        events.publish(message(n, &text));
    }
    let whole = |numbers: &[u64]| numbers.iter().map(|n| (*n, None)).collect::<Vec<_>>();
    let plain = missed(&mut events, 0, Include::NOTHING);
    assert_eq!(plain, whole(&[1, 2, 6, 7, 8, 9]), "nothing that it hears is dropped");
    let mut with_thinking = whole(&[1, 2, 4, 5, 6, 7, 8, 9]);
    with_thinking[2].1 = Some((3, 4));
    assert_eq!(missed(&mut events, 0, Include::THINKING), with_thinking);
    events.publish(message(10, &text));
    events.publish(message(11, &text));
    let mut without_a_delta = whole(&[1, 5, 6, 7, 8, 9, 10, 11]);
    without_a_delta[1].1 = Some((2, 5));
    assert_eq!(missed(&mut events, 0, Include::NOTHING), without_a_delta);
    events.publish(message(12, &text));
    events.publish(message(13, &text));
    let mut gaps_that_met = whole(&[6, 7, 8, 9, 10, 11, 12, 13]);
    gaps_that_met[0].1 = Some((1, 6));
    assert_eq!(missed(&mut events, 0, Include::NOTHING), gaps_that_met);
}

#[test]
fn what_a_follower_does_not_hear_takes_no_place_in_its_buffer() {
    let mut events = EventLog::default();
    let mut plain = events.follow(first(), 0, Include::NOTHING);
    let mut slow = events.follow(first(), 0, Include::TOOL_INPUT);
    let many = u64::try_from(MAX_BUFFERED_EVENTS).unwrap() + 50;
    for n in 1..=many {
        let kind = EventKind::ToolInput(ToolInput { id: "t".into(), json: "x".into(), parent: None });
        events.publish(TurnEvent { kind, ..delta(n, "") });
    }
    events.publish(delta(many + 1, "x"));
    assert_eq!(numbers(&mut plain), [0, many + 1]);
    numbers(&mut slow);
    assert_eq!(slow.next().now_or_never(), Some(None), "the other was cut");
}

#[test]
fn a_follower_that_was_cut_comes_back_to_what_it_missed_or_to_a_notice() {
    let mut events = EventLog::default();
    let mut slow = events.follow(first(), 0, Include::NOTHING);
    let text = "x".repeat(2 * 1024);
    for n in 1..=4_000 {
        events.publish(delta(n, &text));
    }
    let last = numbers(&mut slow).last().copied().unwrap();
    let back = missed(&mut events, last, Include::NOTHING);
    let (to, notice) = back[0];
    assert_eq!(notice, Some((last + 1, to)));
    let rest: Vec<u64> = back[1..].iter().map(|(n, _)| *n).collect();
    assert_eq!(rest, (to + 1..=4_000).collect::<Vec<u64>>());
}
