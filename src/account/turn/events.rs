//! Who hears a turn's events: followers with a bounded buffer each, a bounded log for those who come later, and those who wait for the end.
//! A follower that is too slow is cut and may come back; it never slows the turn. What the log has dropped is told as a notice in its place.

use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::{mpsc, oneshot};
use futures_util::Stream;

pub use crate::domain::event::EventKind;
use crate::domain::event::{Notice, Paused};
use crate::domain::include::Includes;
use crate::domain::{EventId, Include, SessionId, Turn, TurnId, TurnStatus};
use crate::store::turns::LastEvents;

/// Events that a follower may be behind before it is cut.
pub const MAX_BUFFERED_EVENTS: usize = 1_024;
/// Bytes of events kept for those who come later. Beyond it the oldest go, pieces first: those that only some readers hear, then those of
/// the answer, which a `message` repeats.
pub const MAX_LOG_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that are left of a log that was over its bound: it is gone through once for many events.
const KEPT_LOG_BYTES: usize = MAX_LOG_BYTES / 8 * 7;
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

impl TurnEvent {
    /// Whether it tells a part of the turn, which nobody hears twice.
    const fn is_part(&self) -> bool {
        !matches!(self.kind, EventKind::Turn { .. } | EventKind::Paused(_) | EventKind::Ended(_))
    }

    /// Whether a reader hears it that has the events up to the `after`-th.
    const fn is_for(&self, include: Include, after: u64) -> bool {
        include.has(self.kind.needs()) && !(self.is_part() && self.id.n <= after)
    }

    fn bytes(&self) -> usize {
        EVENT_OVERHEAD_BYTES + self.kind.bytes()
    }
}

/// Consecutive events that the log has dropped.
struct Gap {
    from: u64,
    to: u64,
    needs: Includes,
}

/// What the log has of a turn.
enum Kept {
    Event(Rc<TurnEvent>),
    Gap(Gap),
}

/// A follower, and what it hears.
struct Follower {
    include: Include,
    after: u64,
    sender: mpsc::Sender<Rc<TurnEvent>>,
    /// Nothing follows for it when the turn waits for somebody.
    leaves_when_it_waits: bool,
}

/// Everyone who listens to one turn.
#[derive(Default)]
pub struct EventLog {
    log: VecDeque<Kept>,
    log_bytes: usize,
    followers: VecDeque<Follower>,
    waiters: Vec<oneshot::Sender<Rc<Turn>>>,
}

impl EventLog {
    /// Tells everyone, and keeps it for those who come later. What a follower does not hear takes no place in its buffer.
    pub fn publish(&mut self, event: TurnEvent) {
        let event = Rc::new(event);
        self.followers.retain_mut(|follower| {
            !event.is_for(follower.include, follower.after) || follower.sender.try_send(Rc::clone(&event)).is_ok()
        });
        if let EventKind::Ended(turn) = &event.kind {
            self.tell_waiters(turn);
        }
        self.log_bytes += event.bytes();
        self.log.push_back(Kept::Event(event));
        if self.log_bytes > MAX_LOG_BYTES {
            self.drop_while_over(|kind| kind.is_piece() && kind.needs() != Include::NOTHING);
            self.drop_while_over(EventKind::is_piece);
            self.drop_while_over(|_| true);
        }
    }

    /// Tells those who wait for the turn how it stands.
    pub fn tell_waiters(&mut self, turn: &Rc<Turn>) {
        for waiter in self.waiters.drain(..) {
            // A client that left does not wait any more.
            let _ = waiter.send(Rc::clone(turn));
        }
    }

    /// The last who came hears the turn only until it waits for somebody.
    pub fn leave_when_it_waits(&mut self) {
        if let Some(follower) = self.followers.back_mut() {
            follower.leaves_when_it_waits = true;
        }
    }

    /// Tells those who wait for the turn that it waits for somebody, and those who hear it only until then.
    pub fn tell_that_it_waits(&mut self, turn: &Rc<Turn>) {
        self.tell_waiters(turn);
        if self.followers.iter().any(|follower| follower.leaves_when_it_waits) {
            let event = Rc::new(waits(turn));
            self.followers.retain_mut(|follower| {
                if follower.leaves_when_it_waits {
                    // One that was too slow is cut without it.
                    let _ = follower.sender.try_send(Rc::clone(&event));
                }
                !follower.leaves_when_it_waits
            });
        }
    }

    /// Whether the log holds any part of the turn, kept or dropped.
    #[must_use]
    pub fn has_parts(&self) -> bool {
        self.log.iter().any(|kept| match kept {
            Kept::Event(event) => event.is_part(),
            Kept::Gap(_) => true,
        })
    }

    /// Drops the oldest events of a sort until [`KEPT_LOG_BYTES`] are left, and keeps what their numbers were.
    fn drop_while_over(&mut self, is_of_sort: impl Fn(&EventKind) -> bool) {
        if self.log_bytes <= KEPT_LOG_BYTES {
            return;
        }
        let before = std::mem::take(&mut self.log);
        for kept in before {
            let gap = match kept {
                Kept::Event(event) if self.log_bytes > KEPT_LOG_BYTES && is_of_sort(&event.kind) => {
                    self.log_bytes -= event.bytes();
                    let mut needs = Includes::default();
                    needs.add(event.kind.needs());
                    if !event.is_part() {
                        continue;
                    }
                    Gap { from: event.id.n, to: event.id.n, needs }
                }
                Kept::Gap(gap) => gap,
                event @ Kept::Event(_) => {
                    self.log.push_back(event);
                    continue;
                }
            };
            if let Some(Kept::Gap(last)) = self.log.back_mut() {
                last.to = gap.to;
                last.needs.add_all(gap.needs);
            } else {
                self.log.push_back(Kept::Gap(gap));
            }
        }
    }

    /// The turn's events after the `after`-th, `first` before them, then those that come: as many of them as `include` says.
    pub fn follow(&mut self, first: TurnEvent, after: u64, include: Include) -> Subscription {
        if self.followers.len() == MAX_FOLLOWERS {
            self.followers.pop_front();
        }
        let (sender, live) = mpsc::channel(MAX_BUFFERED_EVENTS);
        self.followers.push_back(Follower { include, after, sender, leaves_when_it_waits: false });
        // It carries the id that the client has: cut again right after it, the client comes back to the same place.
        let first = TurnEvent { id: EventId { n: after, ..first.id }, ..first };
        let turn_id = first.id.turn_id.clone();
        let missed = self.log.iter().filter_map(|kept| match kept {
            Kept::Event(event) => (event.is_part() && event.is_for(include, after)).then(|| Rc::clone(event)),
            Kept::Gap(gap) => (gap.to > after && gap.needs.any_within(include)).then(|| {
                let kind = EventKind::Notice(Notice::events_dropped(gap.from.max(after + 1), gap.to));
                Rc::new(TurnEvent { id: EventId { turn_id: turn_id.clone(), n: gap.to }, kind })
            }),
        });
        let missed = missed.collect::<Vec<_>>();
        Subscription { missed: std::iter::once(Rc::new(first)).chain(missed).collect(), live: Some(live), include }
    }

    /// The number of the last `message` of the turn itself, if it says this.
    #[must_use]
    pub fn number_of_last(&self, text: &str) -> Option<u64> {
        let mut messages = self.log.iter().rev().filter_map(|kept| match kept {
            Kept::Event(event) => match &event.kind {
                EventKind::Message(said) if said.parent.is_none() => Some((event.id.n, &said.content)),
                _ => None,
            },
            Kept::Gap(_) => None,
        });
        messages.next().filter(|(_, said)| *said == text).map(|(n, _)| n)
    }

    /// The turn's end, or that it waits for somebody, when that comes; none if [`MAX_WAITERS`] wait for it.
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
    include: Include,
}

impl Subscription {
    /// What is told of a turn that has ended after its `after`-th event, `told` being the events that are kept of it; none after its end.
    #[must_use]
    pub fn of_ended(
        turn: &Rc<Turn>,
        last: LastEvents,
        told: Vec<(u64, EventKind)>,
        after: u64,
        include: Include,
    ) -> Option<Self> {
        if after == last.end {
            return None;
        }
        Some(Self::closed(turn, told, (last.end, EventKind::Ended(Rc::clone(turn))), after, include))
    }

    /// What is told of a turn that waits without a process; none after the event that says so, which has the number `n`.
    #[must_use]
    pub fn of_paused(
        turn: &Turn,
        (n, paused): (u64, Rc<Paused>),
        told: Vec<(u64, EventKind)>,
        after: u64,
        include: Include,
    ) -> Option<Self> {
        if after == n {
            return None;
        }
        Some(Self::closed(turn, told, (n, EventKind::Paused(paused)), after, include))
    }

    /// All that is told of a turn that waits for somebody, with a process or without one.
    #[must_use]
    pub fn of_waiting(turn: &Turn, told: Vec<(u64, EventKind)>, include: Include) -> Self {
        let last = waits(turn);
        Self::closed(turn, told, (last.id.n, last.kind), 0, include)
    }

    fn closed(turn: &Turn, told: Vec<(u64, EventKind)>, last: (u64, EventKind), after: u64, include: Include) -> Self {
        let event = |n, kind| TurnEvent { id: EventId { turn_id: turn.turn_id.clone(), n }, kind };
        let head = EventKind::Turn { session_id: turn.session_id.clone(), status: turn.status, position: 0 };
        let told = told.into_iter().map(|(n, kind)| event(n, kind)).filter(|event| event.is_for(include, after));
        let all = [event(after, head)].into_iter().chain(told).chain([event(last.0, last.1)]);
        Self { missed: all.map(Rc::new).collect(), live: None, include }
    }

    /// What its reader hears.
    #[must_use]
    pub const fn include(&self) -> Include {
        self.include
    }
}

impl Stream for Subscription {
    type Item = Rc<TurnEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rc<TurnEvent>>> {
        if let Some(event) = self.missed.pop_front() {
            return Poll::Ready(Some(event));
        }
        let Some(live) = self.live.as_mut() else { return Poll::Ready(None) };
        let next = Pin::new(live).poll_next(cx);
        if let Poll::Ready(Some(event)) = &next
            && matches!(event.kind, EventKind::Paused(_) | EventKind::Ended(_))
        {
            self.live = None;
        }
        next
    }
}

/// That a turn waits for somebody, told where nothing follows. It has no number among the events.
fn waits(turn: &Turn) -> TurnEvent {
    let Turn { turn_id, session_id, status, .. } = turn;
    let paused =
        Paused { turn_id: turn_id.clone(), session_id: session_id.clone(), status: *status, actions: Vec::new() };
    TurnEvent { id: EventId { turn_id: turn_id.clone(), n: 0 }, kind: EventKind::Paused(Rc::new(paused)) }
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
mod tests;
