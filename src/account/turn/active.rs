//! The turns that have not ended, as this object's memory has them: which of them run, what they have asked of the model, how each is
//! stopped, and who hears of it. A turn enters when it is launched or when somebody first asks for its events, and leaves with its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use futures_channel::{mpsc, oneshot};

use super::events::{EventKind, EventLog, Subscription, TurnEvent, announcement};
use super::model_calls::ModelCalls;
use super::state::{Signal, Stop};
use super::wait::{Telling, Wait};
use crate::account::command::CallEnded;
use crate::domain::event::Paused;
use crate::domain::ledger::Counted;
use crate::domain::{EventId, Include, SdkSession, SessionId, Turn, TurnId};

/// A turn that has been launched.
struct Running {
    session_id: SessionId,
    /// The SDK's session; none until the container has named it or the conversation is deleted.
    sdk_session: Option<SdkSession>,
    calls: ModelCalls,
    signals: mpsc::UnboundedSender<Signal>,
    wait: Wait,
    telling: Telling,
    /// Why it was cancelled, as the first who did it said.
    reason: Option<String>,
}

/// A turn that has not ended.
#[derive(Default)]
struct Active {
    /// None while it waits in the queue, or in storage after it was given up.
    running: Option<Running>,
    log: EventLog,
}

/// Every turn that has not ended and that somebody runs or listens to.
#[derive(Default)]
pub(in crate::account) struct ActiveTurns(RefCell<BTreeMap<TurnId, Active>>);

impl ActiveTurns {
    /// Enters a turn as running, or as waiting, and announces it. Returns what happens to it here.
    pub fn launch(&self, turn_id: &TurnId, session_id: &SessionId, wait: Wait) -> mpsc::UnboundedReceiver<Signal> {
        let (signals, receiver) = mpsc::unbounded();
        let calls = ModelCalls::default();
        let (telling, reason) = (Telling::No, None);
        let mut turns = self.0.borrow_mut();
        let turn = turns.entry(turn_id.clone()).or_default();
        let session = session_id.clone();
        turn.running = Some(Running { session_id: session, sdk_session: None, calls, signals, wait, telling, reason });
        turn.log.publish(announcement(turn_id, session_id, wait.status(), 0));
        receiver
    }

    /// Whether a running turn waits for somebody; none if it does not run.
    pub fn wait_of(&self, turn_id: &TurnId) -> Option<Wait> {
        self.running(turn_id, |running| running.wait)
    }

    /// Whether a turn runs and nobody has to decide anything for it.
    pub fn takes_place(&self, turn_id: &TurnId) -> bool {
        self.running(turn_id, |running| running.wait.takes_place()).unwrap_or(false)
    }

    /// A running turn waits for somebody, and everyone hears of that. Nothing if it does already.
    pub fn begin_wait(&self, turn_id: &TurnId) {
        self.set_wait(turn_id, &[Wait::No, Wait::Answered], Wait::Holding, Some(Signal::Waits));
    }

    /// All that a turn that is held waited for is decided, and everyone hears of that: it is told.
    pub fn end_hold(&self, turn_id: &TurnId) {
        self.set_wait(turn_id, &[Wait::Holding], Wait::Answered, None);
    }

    /// A turn that is held gives up its process.
    pub fn begin_parking(&self, turn_id: &TurnId) {
        self.set_wait(turn_id, &[Wait::Holding, Wait::Answered], Wait::Parking, None);
    }

    /// The oldest turn that is held is asked to give up its process.
    pub fn park_oldest(&self) {
        let turns = self.0.borrow();
        let held = turns.values().filter_map(|turn| turn.running.as_ref()).find(|turn| turn.wait == Wait::Holding);
        if let Some(held) = held {
            drop(held.signals.unbounded_send(Signal::HoldOver));
        }
    }

    /// A turn that has its process goes on, and everyone hears of that.
    pub fn end_wait(&self, turn_id: &TurnId) {
        self.set_wait(turn_id, &[Wait::Holding, Wait::Answered, Wait::Parking], Wait::No, Some(Signal::GoesOn));
    }

    /// The process of a turn does not take in what was decided: the turn goes on without it, if that does no harm.
    pub fn leave_process(&self, turn_id: &TurnId) {
        self.running(turn_id, |running| {
            if running.wait == Wait::Answered {
                drop(running.signals.unbounded_send(Signal::HoldOver));
            }
        });
    }

    fn set_wait(&self, turn_id: &TurnId, from: &[Wait], to: Wait, signal: Option<Signal>) {
        let mut turns = self.0.borrow_mut();
        let Some(turn) = turns.get_mut(turn_id) else { return };
        let Some(running) = turn.running.as_mut().filter(|running| from.contains(&running.wait)) else { return };
        let told = running.wait.status();
        running.wait = to;
        if let Some(signal) = signal {
            drop(running.signals.unbounded_send(signal));
        }
        if to.status() != told && to != Wait::Parking {
            let session_id = running.session_id.clone();
            turn.log.publish(announcement(turn_id, &session_id, to.status(), 0));
        }
    }

    /// Begins to tell a turn what was decided. False: whoever does so already looks again.
    pub fn begin_telling(&self, turn_id: &TurnId) -> bool {
        self.running(turn_id, |running| running.telling.begins()).unwrap_or(false)
    }

    /// All is told that was decided when this began. True: more may have been since.
    pub fn end_telling(&self, turn_id: &TurnId) -> bool {
        self.running(turn_id, |running| running.telling.goes_on()).unwrap_or(false)
    }

    /// Tells the requests that wait for a turn that it waits for somebody.
    pub fn tell_waiters(&self, turn: Turn) {
        if let Some(active) = self.0.borrow_mut().get_mut(&turn.turn_id) {
            active.log.tell_that_it_waits(&Rc::new(turn));
        }
    }

    /// Who came last to hear a turn does so only until it waits for somebody.
    pub fn leave_when_it_waits(&self, turn_id: &TurnId) {
        if let Some(active) = self.0.borrow_mut().get_mut(turn_id) {
            active.log.leave_when_it_waits();
        }
    }

    /// A turn waits without a process, and everyone hears of that; `n` is the number of that event. Without one it goes on at once, and whoever
    /// listens goes on listening.
    pub fn pause(&self, turn_id: &TurnId, paused: Option<(u64, Paused)>) {
        let mut turns = self.0.borrow_mut();
        let Some((n, paused)) = paused else {
            if let Some(turn) = turns.get_mut(turn_id) {
                turn.running = None;
            }
            return;
        };
        let Some(mut turn) = turns.remove(turn_id) else { return };
        let id = EventId { turn_id: turn_id.clone(), n };
        turn.log.publish(TurnEvent { id, kind: EventKind::Paused(Rc::new(paused)) });
    }

    /// Whether this object's memory has what a turn did.
    pub fn knows_parts_of(&self, turn_id: &TurnId) -> bool {
        self.0.borrow().get(turn_id).is_some_and(|turn| turn.log.has_parts())
    }

    /// Enters what a turn did before this object's memory began.
    pub fn recall(&self, turn_id: &TurnId, told: Vec<(u64, EventKind)>) {
        let mut turns = self.0.borrow_mut();
        let log = &mut turns.entry(turn_id.clone()).or_default().log;
        for (n, kind) in told {
            log.publish(TurnEvent { id: EventId { turn_id: turn_id.clone(), n }, kind });
        }
    }

    /// Asks a running turn to end. One that is ending at this moment ignores it.
    pub fn cancel(&self, turn_id: &TurnId, reason: Option<&str>) {
        self.running(turn_id, |running| {
            running.reason = running.reason.take().or_else(|| reason.map(str::to_owned));
            drop(running.signals.unbounded_send(Signal::Stop(Stop::Cancel)));
        });
    }

    /// Why a running turn was cancelled, if somebody said so.
    pub fn reason_of(&self, turn_id: &TurnId) -> Option<String> {
        self.running(turn_id, |running| running.reason.clone()).flatten()
    }

    /// Asks a running turn to end, since it may spend no more.
    pub fn end_for_budget(&self, turn_id: &TurnId) {
        self.running(turn_id, |running| drop(running.signals.unbounded_send(Signal::Stop(Stop::Budget))));
    }

    /// Removes a turn that has ended, and tells everyone; `n` is the number of that event.
    pub fn end(&self, turn: Turn, n: u64) {
        let Some(mut active) = self.0.borrow_mut().remove(&turn.turn_id) else { return };
        let id = EventId { turn_id: turn.turn_id.clone(), n };
        active.log.publish(TurnEvent { id, kind: EventKind::Ended(Rc::new(turn)) });
    }

    /// Removes a turn whose storage failed. Its event streams end early, and its waiting requests fail.
    pub fn give_up(&self, turn_id: &TurnId) {
        self.0.borrow_mut().remove(turn_id);
    }

    /// Tells everyone who listens to a running turn.
    pub fn publish(&self, turn_id: &TurnId, n: u64, kind: EventKind) {
        if let Some(turn) = self.0.borrow_mut().get_mut(turn_id) {
            turn.log.publish(TurnEvent { id: EventId { turn_id: turn_id.clone(), n }, kind });
        }
    }

    /// A turn's events after the `after`-th, with `first` before them.
    pub fn follow(&self, turn_id: &TurnId, first: TurnEvent, after: u64, include: Include) -> Subscription {
        self.0.borrow_mut().entry(turn_id.clone()).or_default().log.follow(first, after, include)
    }

    /// A turn's end, when it comes; none if too many requests wait for it already.
    pub fn wait(&self, turn_id: TurnId) -> Option<oneshot::Receiver<Rc<Turn>>> {
        self.0.borrow_mut().entry(turn_id).or_default().log.wait()
    }

    /// The number of the turn's last `message`, if that is this text.
    pub fn number_of_last(&self, turn_id: &TurnId, text: &str) -> Option<u64> {
        self.0.borrow().get(turn_id)?.log.number_of_last(text)
    }

    /// How many turns run, and wait for nobody: they take the account's places.
    pub fn running_count(&self) -> usize {
        self.count(|running| running.wait.takes_place())
    }

    /// How many turns the container has: they run, or wait with a process.
    pub fn held_count(&self) -> usize {
        self.count(|_| true)
    }

    fn count(&self, counts: impl Fn(&Running) -> bool) -> usize {
        self.0.borrow().values().filter(|turn| turn.running.as_ref().is_some_and(&counts)).count()
    }

    /// Whether this turn runs.
    pub fn is_running(&self, turn_id: &TurnId) -> bool {
        self.running(turn_id, |_| ()).is_some()
    }

    /// The conversation of a running turn.
    pub fn session_of(&self, turn_id: &TurnId) -> Option<SessionId> {
        self.running(turn_id, |running| running.session_id.clone())
    }

    /// The running turn of a conversation.
    pub fn turn_of(&self, session_id: &SessionId) -> Option<TurnId> {
        self.find(|running| running.session_id == *session_id)
    }

    /// The SDK's session of a running turn, as far as it is known.
    pub fn sdk_session_of(&self, turn_id: &TurnId) -> Option<SdkSession> {
        self.running(turn_id, |running| running.sdk_session.clone()).flatten()
    }

    /// Takes the SDK's session that the container has named.
    pub fn set_sdk_session(&self, turn_id: &TurnId, sdk_session: &SdkSession) {
        self.running(turn_id, |running| running.sdk_session = Some(sdk_session.clone()));
    }

    /// Gives the running turns of a deleted conversation its SDK session, which each forgets when it ends. Returns whether there are any.
    pub fn delete_conversation(&self, session_id: &SessionId, sdk_session: Option<&SdkSession>) -> bool {
        let mut turns = self.0.borrow_mut();
        let running = turns.values_mut().filter_map(|turn| turn.running.as_mut());
        let mut any = false;
        for running in running.filter(|running| running.session_id == *session_id) {
            any = true;
            running.sdk_session = running.sdk_session.take().or_else(|| sdk_session.cloned());
        }
        any
    }

    /// The running turn that a call of the model of that SDK session is counted for: that of the session, else the first; none if no turn runs.
    pub fn turn_of_call(&self, sdk_session: Option<&SdkSession>) -> Option<TurnId> {
        let named = |running: &Running| running.sdk_session.is_some() && running.sdk_session.as_ref() == sdk_session;
        self.find(named).or_else(|| self.find(|_| true))
    }

    /// Counts a call of the model for a running turn.
    pub fn begin_call(&self, turn_id: &TurnId, counts: bool) {
        self.running(turn_id, |running| running.calls.begin(counts));
    }

    /// Adds what a call used to its turn, if that still runs, and returns the turn's conversation.
    pub fn end_call(&self, call: &CallEnded, counted: &Counted) -> Option<SessionId> {
        self.running(&call.turn_id, |running| {
            running.calls.end(call, counted);
            running.session_id.clone()
        })
    }

    /// Takes what an object before this one counted of a running turn.
    pub fn set_counted(&self, turn_id: &TurnId, counted: Counted) {
        self.running(turn_id, |running| running.calls.counted = counted);
    }

    /// What a running turn has asked of the model so far.
    pub fn calls_of(&self, turn_id: &TurnId) -> ModelCalls {
        self.running(turn_id, |running| running.calls).unwrap_or_default()
    }

    fn running<T>(&self, turn_id: &TurnId, f: impl FnOnce(&mut Running) -> T) -> Option<T> {
        self.0.borrow_mut().get_mut(turn_id)?.running.as_mut().map(f)
    }

    fn find(&self, is_it: impl Fn(&Running) -> bool) -> Option<TurnId> {
        let turns = self.0.borrow();
        turns.iter().find(|(_, turn)| turn.running.as_ref().is_some_and(&is_it)).map(|(turn_id, _)| turn_id.clone())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, StreamExt};
    use uuid::Uuid;

    use super::*;
    use crate::domain::TurnStatus;

    fn turn_id(n: u128) -> TurnId {
        TurnId::new(Uuid::from_u128(n))
    }

    fn sdk_session(n: u128) -> SdkSession {
        Uuid::from_u128(n).to_string().parse().unwrap()
    }

    fn ended(turn_id: TurnId) -> Turn {
        Turn {
            turn_id,
            session_id: "s".parse().unwrap(),
            status: TurnStatus::Cancelled,
            created_at: crate::domain::Millis::new(1),
            started_at: None,
            finished_at: None,
            request_id: crate::domain::RequestId::new(Uuid::nil()),
            response: None,
            error: None,
            model: None,
            usage: None,
            num_turns: None,
            duration_ms: None,
            files: None,
            stop_reason: None,
            by_model: None,
            metadata: serde_json::Map::new(),
            has_output: false,
            trigger: None,
            steered_into: None,
        }
    }

    #[test]
    fn a_queued_turn_has_followers_and_does_not_run_until_it_is_launched() {
        let (turns, id, session_id) = (ActiveTurns::default(), turn_id(1), "s".parse().unwrap());
        let mut events = turns.follow(&id, announcement(&id, &session_id, TurnStatus::Queued, 1), 0, Include::NOTHING);
        assert_eq!((turns.running_count(), turns.is_running(&id), turns.turn_of(&session_id)), (0, false, None));
        let mut stops = turns.launch(&id, &session_id, Wait::No);
        assert_eq!((turns.running_count(), turns.session_of(&id)), (1, Some(session_id.clone())));
        turns.cancel(&id, None);
        assert_eq!(stops.next().now_or_never(), Some(Some(Signal::Stop(Stop::Cancel))));
        let end = turns.wait(id.clone()).unwrap();
        turns.end(ended(id.clone()), 9);
        assert_eq!((turns.running_count(), end.now_or_never().unwrap().unwrap().turn_id.clone()), (0, id));
        let heard: Vec<u64> = std::iter::from_fn(|| events.next().now_or_never().flatten()).map(|e| e.id.n).collect();
        assert_eq!(heard, [0, 0, 9]);
    }

    #[test]
    fn a_call_of_the_model_is_counted_for_the_turn_that_the_container_names_or_else_for_the_first() {
        let turns = ActiveTurns::default();
        let begin = |sdk_session: Option<&SdkSession>, counts| {
            let turn_id = turns.turn_of_call(sdk_session)?;
            turns.begin_call(&turn_id, counts);
            Some(turn_id)
        };
        assert_eq!(begin(None, true), None);
        let _stops = [1, 2].map(|n| turns.launch(&turn_id(n), &format!("s{n}").parse().unwrap(), Wait::No));
        turns.set_sdk_session(&turn_id(2), &sdk_session(2));
        assert_eq!(begin(Some(&sdk_session(2)), true), Some(turn_id(2)));
        assert_eq!(begin(Some(&sdk_session(3)), true), Some(turn_id(1)));
        assert_eq!(begin(None, false), Some(turn_id(1)));
        assert_eq!([1, 2].map(|n| turns.calls_of(&turn_id(n)).begun), [1, 1]);
    }

    #[test]
    fn a_turn_that_was_given_up_leaves_its_followers_without_an_end() {
        let (turns, id, session_id) = (ActiveTurns::default(), turn_id(1), "s".parse().unwrap());
        let _stops = turns.launch(&id, &session_id, Wait::No);
        let end = turns.wait(id.clone()).unwrap();
        turns.give_up(&id);
        assert!(end.now_or_never().unwrap().is_err() && !turns.is_running(&id));
    }
}
