//! One turn in the container, from its start to its end, whatever happens to the client, the object or the container.

use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::finish::Outcome;
use super::items;
use super::progress::{NotTaken, Progress};
use super::state::{Effect, Signal, State, Stop, step};
use super::submit::{FIRST_ATTACH_PAUSE, NotAttached};
use super::wait::Wait;
use crate::account::Account;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::protocol::Frame;
use crate::agent::protocol::{FrameBody, MAX_STEERED, TurnResult};
use crate::agent::{AgentError, Container, Frames};
use crate::domain::TurnStatus;
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::{ActiveTurn, TurnWork};
use crate::store::waiting::Behind;

/// How long the agent has to end a turn that it was asked to end; clients hear of the end within 2 s.
const STOP_LIMIT: Duration = Duration::from_millis(1_500);
/// Tries to attach again to a stream that was cut, and the pause after the first; it doubles each time (3.1 s in all).
const ATTACH_TRIES: u32 = 5;
/// Tries for a turn that a rebuilt object takes up, whose container may still be starting (12.7 s in all).
const TAKE_UP_TRIES: u32 = 7;
/// Cuts in a row without a new frame after which a turn is given up, and the longest pause after one (56 s of pauses in all). A
/// stream may be cut and silent for minutes while a tool works.
const MAX_IDLE_CUTS: u32 = 16;
const MAX_CUT_PAUSE: Duration = Duration::from_secs(5);
/// How long the container has to park a turn that waits: what it was allowed to do before may have to end first.
const PARK_LIMIT: Duration = Duration::from_secs(30);
/// The `detail` of a turn whose container sent a line that is no frame.
const NOT_A_FRAME: &str = "The container violated its protocol.";

/// How a turn enters the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// It is new there.
    Submit,
    /// The object was rebuilt: the container may have the turn already.
    Reattach,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Runs a turn to its stored end; `work` if the caller has it at hand.
    pub(in crate::account) async fn run(
        self: Rc<Self>,
        turn: ActiveTurn,
        entry: Entry,
        work: Option<TurnWork>,
        mut signals: mpsc::UnboundedReceiver<Signal>,
    ) {
        let work = match work.map_or_else(|| self.store.turn_work(&turn.turn_id), |work| Ok(Some(work))) {
            Ok(work) => work,
            Err(error) => return self.give_up(&turn, &error),
        };
        let mut progress = Progress::new(work.as_ref().map_or(0, |work| work.frames_stored));
        // One that was given to a container before may be at work there.
        progress.given = entry == Entry::Reattach;
        progress.kind = work.as_ref().map(|work| work.options.kind).unwrap_or_default();
        progress.traceparent = work.as_ref().and_then(|work| work.options.traceparent.clone());
        progress.instance = work.as_ref().and_then(|work| work.instance.clone());
        let has_output = work.as_ref().is_some_and(|work| work.options.output_schema.is_some());
        // Of most turns nothing is behind them that a look into the database could tell.
        let mut progress = if entry == Entry::Reattach || turn.parked.is_some() {
            match self.behind(&turn, has_output) {
                Ok((behind, text)) => progress.after(behind, text),
                Err(error) => return self.give_up(&turn, &error),
            }
        } else {
            progress
        };
        let mut rest = None;
        let outcome = self.work_until_end(&turn, work, entry, &mut progress, &mut rest, &mut signals).await;
        let saved = match rest {
            Some(frames) => self.save(&turn, &progress, frames).await,
            None => None,
        };
        let stored = if outcome.status == TurnStatus::RequiresAction {
            self.park(&turn, &mut progress, &outcome, saved.as_ref())
        } else {
            self.finish(&turn, &progress, &outcome, saved.as_ref())
        };
        if let Err(error) = stored {
            self.give_up(&turn, &error);
        }
    }

    /// What the turn has behind it, and what it said in its runs before this one; nothing, if its answer is a value.
    fn behind(&self, turn: &ActiveTurn, has_output: bool) -> Result<(Behind, String), StoreError> {
        let behind = self.store.behind(&turn.turn_id)?;
        let said = if behind.first_n == 0 || has_output {
            String::new()
        } else {
            items::text(&self.store.items(&turn.session_id, &turn.turn_id)?, behind.first_n)
        };
        Ok((behind, said))
    }

    async fn work_until_end(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: Option<TurnWork>,
        entry: Entry,
        progress: &mut Progress,
        rest: &mut Option<Frames<C::Body>>,
        signals: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> Outcome {
        let now = self.runtime.now();
        let waits = Wait::of(turn) != Wait::No;
        // Its time limit counts the time that it runs.
        let (mut runs_since, since) = (now, turn.waiting_since.filter(|_| waits).unwrap_or(now));
        let mut left = turn.counts_from(now).plus(self.config.turn_timeout).since(since);
        let hold = self.config.action_hold;
        let first = if waits { since.plus(hold).since(now) } else { left };
        let mut timer = Box::pin(self.runtime.sleep(first));
        let mut work = pin!(self.work(turn, work, entry, progress, rest));
        let mut state = if waits { State::Waiting } else { State::Running };
        loop {
            let mut result = None;
            let signal = {
                // Once nobody can stop the turn, the other events are waited for alone.
                let stop = pin!(async {
                    match signals.next().await {
                        Some(signal) => signal,
                        None => pending().await,
                    }
                });
                let stop_or_time = select(stop, timer.as_mut());
                match select(work.as_mut(), stop_or_time).await {
                    Either::Left(((signal, told), _)) => {
                        result = told;
                        signal
                    }
                    Either::Right((Either::Left((signal, _)), _)) => signal,
                    Either::Right((Either::Right(_), _)) => time_over(state),
                }
            };
            let (next, effect) = step(state, signal);
            match (state, next) {
                (State::Running, State::Waiting) => {
                    left = left.saturating_sub(self.runtime.now().since(runs_since));
                    timer = Box::pin(self.runtime.sleep(hold));
                }
                (State::Waiting | State::Parking, State::Running) => {
                    runs_since = self.runtime.now();
                    timer = Box::pin(self.runtime.sleep(left));
                }
                _ => {}
            }
            state = next;
            match effect {
                Effect::AskToStop => {
                    timer = Box::pin(self.runtime.sleep(STOP_LIMIT));
                    let (account, turn_id) = (Rc::clone(self), turn.turn_id.clone());
                    // If the container cannot be asked, the time limit ends the turn.
                    self.runtime.spawn(async move { drop(account.agent.cancel(&turn_id).await) });
                }
                Effect::AskToPark => {
                    timer = Box::pin(self.runtime.sleep(PARK_LIMIT));
                    self.turns.begin_parking(&turn.turn_id);
                    let (account, turn_id) = (Rc::clone(self), turn.turn_id.clone());
                    self.runtime.spawn(async move { drop(account.agent.park(&turn_id).await) });
                }
                Effect::Park => return Outcome { status: TurnStatus::RequiresAction, code: None, result },
                Effect::End(status, code) => return Outcome { status, code, result },
                Effect::Nothing => {}
            }
        }
    }

    /// Reads a turn's frames until something ends it. What follows a result is left in `rest` where files are saved.
    async fn work(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: Option<TurnWork>,
        entry: Entry,
        progress: &mut Progress,
        rest: &mut Option<Frames<C::Body>>,
    ) -> (Signal, Option<Box<TurnResult>>) {
        let opened = match entry {
            Entry::Submit => self.submit(turn, work, progress).await,
            Entry::Reattach => match self.attach(turn, (0, progress.behind.first_n), TAKE_UP_TRIES).await {
                Err(why) if self.was_never_given(work.as_ref(), progress, &why).await => {
                    self.submit(turn, work, progress).await
                }
                Err(NotAttached::Unknown | NotAttached::Dead) => Err(Signal::Lost),
                Ok(frames) => Ok(frames),
            },
        };
        let mut frames = match opened {
            Ok(frames) => frames,
            Err(signal) => return (signal, None),
        };
        let mut idle_cuts = 0;
        loop {
            match frames.next().await {
                Ok(frame) if frame.n <= progress.last_n => {}
                Ok(frame) => match self.take(turn, frame, progress) {
                    Ok(None) => idle_cuts = 0,
                    Ok(Some(result)) => {
                        let code = result.error.as_ref().map(|error| error.code);
                        if self.files.is_on() {
                            *rest = Some(frames);
                        } else {
                            self.read_out_later(frames);
                        }
                        return (Signal::Result(result.status, code), Some(result));
                    }
                    Err(NotTaken::Store(error)) => {
                        self.log_turn_problem(turn, "frame_not_stored", &error);
                        return (Signal::Lost, None);
                    }
                    Err(NotTaken::Bad(error)) => {
                        self.log_turn_problem(turn, "frame_refused", &error);
                        progress.refused = Some(error.0);
                        return (Signal::Broken, None);
                    }
                },
                Err(error @ AgentError::Protocol(_)) => {
                    self.log_turn_problem(turn, "frame_refused", &error);
                    progress.refused = Some(NOT_A_FRAME);
                    return (Signal::Broken, None);
                }
                Err(error) => {
                    self.log_turn_problem(turn, "frames_cut", &error);
                    idle_cuts += 1;
                    if idle_cuts > MAX_IDLE_CUTS {
                        return (Signal::Lost, None);
                    }
                    self.runtime.sleep(MAX_CUT_PAUSE.min(FIRST_ATTACH_PAUSE * (1 << (idle_cuts - 1)))).await;
                    match self.attach(turn, (progress.last_n, progress.behind.first_n), ATTACH_TRIES).await {
                        Ok(again) => {
                            frames = again;
                            if progress.has_waited() && self.turns.takes_place(&turn.turn_id) {
                                self.deliver_later(&turn.turn_id, &turn.session_id);
                            }
                        }
                        Err(NotAttached::Unknown | NotAttached::Dead) => return (Signal::Lost, None),
                    }
                }
            }
        }
    }

    /// Reads a stream of which nothing more is wanted to its end.
    pub(in crate::account) fn read_out_later(self: &Rc<Self>, frames: Frames<C::Body>) {
        // Deferred: work done now would delay the commit of the end and the response.
        let (account, answered) = (Rc::clone(self), self.runtime.sleep(Duration::ZERO));
        self.runtime.spawn(async move {
            answered.await;
            account.agent.read_out(frames).await;
        });
    }

    /// Takes one frame; returns the result if it is one.
    fn take(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        frame: Frame,
        progress: &mut Progress,
    ) -> Result<Option<Box<TurnResult>>, NotTaken> {
        let n = frame.n;
        progress.last_n = n;
        let kind = match frame.body {
            FrameBody::Started(started) => {
                self.turns.set_sdk_session(&turn.turn_id, &started.sdk_session);
                progress.started(started);
                self.offer_waiting(&turn.turn_id, &turn.session_id);
                return Ok(None);
            }
            FrameBody::Transcript(transcript) => {
                progress.transcript(n, &transcript, &self.store, (&turn.turn_id, &turn.session_id))?;
                return Ok(None);
            }
            FrameBody::TranscriptPart(part) => {
                progress.part(n, part, &self.store, (&turn.turn_id, &turn.session_id))?;
                return Ok(None);
            }
            FrameBody::Action(asked) => {
                self.take_action(turn, n, *asked, progress)?;
                return Ok(None);
            }
            FrameBody::ActionResolved(let_go) => {
                self.take_resolved(turn, n, &let_go, progress)?;
                return Ok(None);
            }
            FrameBody::Result(result) => return Ok(Some(result)),
            FrameBody::Steered(turns) => {
                let room = MAX_STEERED.saturating_sub(progress.steered.len());
                progress.steered.extend(turns.into_iter().take(room));
                return Ok(None);
            }
            FrameBody::Workspace(_) | FrameBody::End | FrameBody::Unknown => return Ok(None),
            FrameBody::Event(kind) => kind,
        };
        let n = progress.number_of(n);
        progress.items.take(n, &kind);
        self.turns.publish(&turn.turn_id, n, kind);
        Ok(None)
    }
}

/// What it means that the time is over which a turn has in this state.
const fn time_over(state: State) -> Signal {
    match state {
        State::Waiting => Signal::HoldOver,
        State::Parking => Signal::ParkOverdue,
        State::Stopping(_) => Signal::StopOverdue,
        State::Queued | State::Running | State::Parked | State::Ended(_) => Signal::Stop(Stop::Timeout),
    }
}
