//! Who hears a turn's events: followers with a bounded buffer each, a bounded log for those who come later, and those who wait for the end.
//! A follower that is too slow is cut and may come back; it never slows the turn.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_channel::{mpsc, oneshot};
use futures_util::Stream;

pub use crate::agent::protocol::{Retry, Tool};
use crate::domain::{EventId, SessionId, Turn, TurnId, TurnStatus};
use crate::store::turns::LastEvents;

/// Events that a follower may be behind before it is cut.
pub const MAX_BUFFERED_EVENTS: usize = 1_024;
/// Bytes of events kept for those who come later; beyond it the oldest go, pieces of text first. Whoever comes then finds a gap in the
/// numbers; a `message` says again what its pieces said.
pub const MAX_LOG_BYTES: usize = 4 * 1024 * 1024;
/// Followers of one turn; the oldest is cut for one more.
pub const MAX_FOLLOWERS: usize = 64;
/// Requests that wait for the end of one turn.
pub const MAX_WAITERS: usize = 64;
/// What an event takes in memory beside its text.
const EVENT_OVERHEAD_BYTES: usize = 96;

/// One event of a turn. Its number is that of the container's frame, so that it stays the same when the object is rebuilt in the middle.
#[derive(Debug)]
pub struct TurnEvent {
    /// `<turn_id>:<n>`.
    pub id: EventId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a turn.
#[derive(Debug)]
pub enum EventKind {
    /// Its place in the queue, or that it runs.
    Turn {
        /// Its conversation.
        session_id: SessionId,
        /// Queued or running, or its end for one that has ended.
        status: TurnStatus,
        /// How many turns of the account are before it.
        position: usize,
    },
    /// A piece of the answer.
    Delta(String),
    /// A whole text block.
    Message(String),
    /// A tool call.
    Tool(Tool),
    /// The model is asked again.
    Retry(Retry),
    /// It has ended; nothing follows.
    Ended(Rc<Turn>),
}

impl TurnEvent {
    /// Whether it tells a part of the answer, which nobody hears twice.
    fn is_part(&self) -> bool {
        !matches!(self.kind, EventKind::Turn { .. } | EventKind::Ended(_))
    }
}

impl EventKind {
    fn bytes(&self) -> usize {
        EVENT_OVERHEAD_BYTES
            + match self {
                Self::Delta(text) | Self::Message(text) => text.len(),
                Self::Tool(tool) => tool.input.as_ref().map_or(0, |input| input.get().len()),
                Self::Turn { .. } | Self::Retry(_) | Self::Ended(_) => 0,
            }
    }
}

/// Everyone who listens to one turn.
#[derive(Default)]
pub struct EventLog {
    log: VecDeque<Rc<TurnEvent>>,
    log_bytes: usize,
    followers: VecDeque<mpsc::Sender<Rc<TurnEvent>>>,
    waiters: Vec<oneshot::Sender<Rc<Turn>>>,
}

impl EventLog {
    /// Tells everyone, and keeps it for those who come later.
    pub fn publish(&mut self, event: TurnEvent) {
        let event = Rc::new(event);
        self.followers.retain_mut(|follower| follower.try_send(Rc::clone(&event)).is_ok());
        if let EventKind::Ended(turn) = &event.kind {
            for waiter in self.waiters.drain(..) {
                // A client that left does not wait any more.
                let _ = waiter.send(Rc::clone(turn));
            }
        }
        self.log_bytes += event.kind.bytes();
        self.log.push_back(event);
        while self.log_bytes > MAX_LOG_BYTES {
            let piece = self.log.iter().position(|event| matches!(event.kind, EventKind::Delta(_)));
            let Some(gone) = self.log.remove(piece.unwrap_or(0)) else { break };
            self.log_bytes -= gone.kind.bytes();
        }
    }

    /// The turn's events after the `after`-th, `first` before them, then those that come.
    pub fn follow(&mut self, first: TurnEvent, after: u64) -> Subscription {
        if self.followers.len() == MAX_FOLLOWERS {
            self.followers.pop_front();
        }
        let (sender, live) = mpsc::channel(MAX_BUFFERED_EVENTS);
        self.followers.push_back(sender);
        // It carries the id that the client has: cut again right after it, the client comes back to the same place.
        let first = TurnEvent { id: EventId { n: after, ..first.id }, ..first };
        let missed = self.log.iter().filter(|event| event.id.n > after).cloned();
        Subscription { missed: std::iter::once(Rc::new(first)).chain(missed).collect(), live: Some(live), after }
    }

    /// The number of the last `message`, if it says this.
    #[must_use]
    pub fn number_of_last(&self, text: &str) -> Option<u64> {
        let mut messages = self.log.iter().rev().filter_map(|event| {
            if let EventKind::Message(said) = &event.kind { Some((event.id.n, said)) } else { None }
        });
        messages.next().filter(|(_, said)| *said == text).map(|(n, _)| n)
    }

    /// The turn's end, when it comes; none if [`MAX_WAITERS`] wait for it.
    pub fn wait(&mut self) -> Option<oneshot::Receiver<Rc<Turn>>> {
        self.waiters.retain(|waiter| !waiter.is_canceled());
        if self.waiters.len() == MAX_WAITERS {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        self.waiters.push(sender);
        Some(receiver)
    }
}

/// A turn's events, one after the other. It ends after the turn's end, or early if its reader was too slow.
pub struct Subscription {
    missed: VecDeque<Rc<TurnEvent>>,
    live: Option<mpsc::Receiver<Rc<TurnEvent>>>,
    /// The last event that the client has. An object that was rebuilt hears a turn's frames from the first again.
    after: u64,
}

impl Subscription {
    /// What is told of a turn that has ended after its `after`-th event; none after its end.
    #[must_use]
    pub fn of_ended(turn: &Rc<Turn>, last: Option<LastEvents>, after: u64) -> Option<Self> {
        let last = last.unwrap_or(UNKNOWN_LAST_EVENTS);
        if after == last.end {
            return None;
        }
        let event = |n, kind| Rc::new(TurnEvent { id: EventId { turn_id: turn.turn_id.clone(), n }, kind });
        let head = EventKind::Turn { session_id: turn.session_id.clone(), status: turn.status, position: 0 };
        let response = turn.response.clone().filter(|_| last.message > after);
        let message = response.map(|text| event(last.message, EventKind::Message(text)));
        let end = event(last.end, EventKind::Ended(Rc::clone(turn)));
        Some(Self { missed: [event(after, head)].into_iter().chain(message).chain([end]).collect(), live: None, after })
    }
}

/// The numbers of the events of a turn that ended before they were stored: above that of any frame.
const UNKNOWN_LAST_EVENTS: LastEvents = LastEvents { message: 1 << 52, end: (1 << 52) + 1 };

impl Stream for Subscription {
    type Item = Rc<TurnEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rc<TurnEvent>>> {
        if let Some(event) = self.missed.pop_front() {
            return Poll::Ready(Some(event));
        }
        let after = self.after;
        let Some(live) = self.live.as_mut() else { return Poll::Ready(None) };
        loop {
            let next = ready!(Pin::new(&mut *live).poll_next(cx));
            if next.as_ref().is_some_and(|event| event.is_part() && event.id.n <= after) {
                continue;
            }
            if next.as_ref().is_some_and(|event| matches!(event.kind, EventKind::Ended(_))) {
                self.live = None;
            }
            return Poll::Ready(next);
        }
    }
}

/// The announcement of a turn.
#[must_use]
pub fn announcement(turn_id: &TurnId, session_id: &SessionId, status: TurnStatus, position: usize) -> TurnEvent {
    TurnEvent {
        id: EventId { turn_id: turn_id.clone(), n: 0 },
        kind: EventKind::Turn { session_id: session_id.clone(), status, position },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, StreamExt};
    use uuid::Uuid;

    fn turn_id() -> TurnId {
        TurnId::new(Uuid::from_u128(1))
    }

    fn delta(n: u64, text: &str) -> TurnEvent {
        TurnEvent { id: EventId { turn_id: turn_id(), n }, kind: EventKind::Delta(text.to_owned()) }
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
        let mut late = events.follow(first(), 3);
        events.publish(delta(6, "x"));
        assert_eq!(numbers(&mut late), [3, 4, 5, 6]);
    }

    #[test]
    fn whoever_comes_back_to_a_rebuilt_object_hears_nothing_twice() {
        let mut events = EventLog::default();
        let mut back = events.follow(first(), 2);
        for n in 1..=4 {
            events.publish(delta(n, "x"));
        }
        assert_eq!(numbers(&mut back), [2, 3, 4]);
    }

    #[test]
    fn a_follower_that_does_not_read_is_cut_and_the_others_are_not() {
        let mut events = EventLog::default();
        let mut slow = events.follow(first(), 0);
        let mut quick = events.follow(first(), 0);
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

    #[test]
    fn the_log_is_bounded() {
        let mut events = EventLog::default();
        let text = "x".repeat(1024 * 1024);
        for n in 1..=20 {
            events.publish(delta(n, &text));
        }
        assert!(events.log_bytes <= MAX_LOG_BYTES);
        assert_eq!(numbers(&mut events.follow(first(), 0)), [0, 18, 19, 20]);
    }
}
