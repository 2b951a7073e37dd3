//! One turn in the container, from its start to its end, whatever happens to the client, the object or the container.

use std::future::pending;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::finish::Ending;
use super::listeners::{Event as Heard, EventKind};
use super::progress::{NotTaken, Progress};
use super::state::{Event, State, Stop, Todo, step};
use super::submit::{FIRST_ATTACH_PAUSE, NotAttached};
use crate::account::Account;
use crate::account::host::{Host, Registry};
use crate::agent::protocol::Frame;
use crate::agent::protocol::{FrameBody, TurnResult};
use crate::agent::{AgentError, Container, Frames};
use crate::domain::EventId;
use crate::store::sql::Sql;
use crate::store::turns::{ActiveTurn, TurnWork};

/// How long the agent has to end a turn that it was asked to end; clients hear of the end within 2 s.
const STOP_LIMIT: Duration = Duration::from_millis(1_500);
/// Tries to attach again to a stream that was cut, and the pause after the first; it doubles each time (3.1 s in all).
const ATTACH_TRIES: u32 = 5;
/// The same for a turn that a rebuilt object takes up, whose container may still be starting (12.7 s in all).
const TAKE_UP_TRIES: u32 = 7;
/// Cuts in a row without a new frame after which a turn is given up, and the longest pause after one (56 s of pauses in all). A
/// stream may be cut and silent for minutes while a tool works.
const MAX_IDLE_CUTS: u32 = 16;
const MAX_CUT_PAUSE: Duration = Duration::from_secs(5);
/// What a caller hears where the container said what cannot be a frame.
const NOT_A_FRAME: &str = "The container said something that its protocol does not allow.";

/// How a turn is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The container does not know it yet.
    Submit,
    /// The object was rebuilt; the container may have it.
    Attach,
}

impl<S: Sql + 'static, C: Container + 'static, H: Host + Registry> Account<S, C, H> {
    /// Runs a turn to its stored end; `work` where the caller has it at hand.
    pub(in crate::account) async fn run(
        self: Rc<Self>,
        turn: ActiveTurn,
        begin: Begin,
        work: Option<TurnWork>,
        mut stops: mpsc::UnboundedReceiver<Stop>,
    ) {
        let work = match work.map_or_else(|| self.store.turn_work(&turn.turn_id), |work| Ok(Some(work))) {
            Ok(work) => work,
            Err(error) => return self.give_up(&turn, &error),
        };
        let mut progress = Progress::new(work.as_ref().map_or(0, |work| work.frames_stored));
        // One that was given to a container before may be at work there.
        progress.given = begin == Begin::Attach;
        progress.instance = work.as_ref().and_then(|work| work.instance.clone());
        let mut rest = None;
        let ending = self.work_until_end(&turn, work, begin, &mut progress, &mut rest, &mut stops).await;
        let saved = match rest {
            Some(frames) => self.save(&turn, &progress, frames).await,
            None => None,
        };
        if let Err(error) = self.finish(&turn, &progress, &ending, saved.as_ref()) {
            self.give_up(&turn, &error);
        }
    }

    async fn work_until_end(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: Option<TurnWork>,
        begin: Begin,
        progress: &mut Progress,
        rest: &mut Option<Frames<C::Body>>,
        stops: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Ending {
        let started_at = turn.started_at.unwrap_or_else(|| self.host.now());
        let left = started_at.plus(self.config.turn_timeout).since(self.host.now());
        let mut timer = Box::pin(self.host.sleep(left));
        let mut work = pin!(self.work(turn, work, begin, progress, rest));
        let mut state = State::Running;
        loop {
            let mut result = None;
            let event = {
                // Where nobody can stop it any more, nobody does.
                let stop = pin!(async {
                    match stops.next().await {
                        Some(why) => why,
                        None => pending().await,
                    }
                });
                let stop_or_time = select(stop, timer.as_mut());
                match select(work.as_mut(), stop_or_time).await {
                    Either::Left(((event, told), _)) => {
                        result = told;
                        event
                    }
                    Either::Right((Either::Left((why, _)), _)) => Event::Stop(why),
                    Either::Right((Either::Right(_), _)) if matches!(state, State::Stopping(_)) => Event::StopOverdue,
                    Either::Right((Either::Right(_), _)) => Event::Stop(Stop::Timeout),
                }
            };
            let (next, todo) = step(state, event);
            state = next;
            match todo {
                Todo::AskToStop => {
                    timer = Box::pin(self.host.sleep(STOP_LIMIT));
                    let (account, turn_id) = (Rc::clone(self), turn.turn_id.clone());
                    // Where it cannot be asked, the time limit ends it.
                    self.host.spawn(async move { drop(account.agent.cancel(&turn_id).await) });
                }
                Todo::End(status, code) => return Ending { status, code, result },
                Todo::Nothing => {}
            }
        }
    }

    /// Reads a turn's frames until something ends it. What follows a result is left in `rest` where files are saved.
    async fn work(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: Option<TurnWork>,
        begin: Begin,
        progress: &mut Progress,
        rest: &mut Option<Frames<C::Body>>,
    ) -> (Event, Option<Box<TurnResult>>) {
        let opened = match begin {
            Begin::Submit => self.submit(turn, work, progress).await,
            Begin::Attach => match self.attach(turn, 0, TAKE_UP_TRIES).await {
                Err(why) if self.was_never_given(work.as_ref(), progress, &why).await => {
                    self.submit(turn, work, progress).await
                }
                Err(NotAttached::Unknown | NotAttached::Dead) => Err(Event::Lost),
                Ok(frames) => Ok(frames),
            },
        };
        let mut frames = match opened {
            Ok(frames) => frames,
            Err(event) => return (event, None),
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
                        return (Event::Result(result.status, code), Some(result));
                    }
                    Err(NotTaken::Store(error)) => {
                        self.log_turn_problem(turn, "frame_not_stored", &error);
                        return (Event::Lost, None);
                    }
                    Err(NotTaken::Bad(error)) => {
                        self.log_turn_problem(turn, "frame_refused", &error);
                        progress.refused = Some(error.0);
                        return (Event::Broken, None);
                    }
                },
                Err(error @ AgentError::Protocol(_)) => {
                    self.log_turn_problem(turn, "frame_refused", &error);
                    progress.refused = Some(NOT_A_FRAME);
                    return (Event::Broken, None);
                }
                Err(error) => {
                    self.log_turn_problem(turn, "frames_cut", &error);
                    idle_cuts += 1;
                    if idle_cuts > MAX_IDLE_CUTS {
                        return (Event::Lost, None);
                    }
                    self.host.sleep(MAX_CUT_PAUSE.min(FIRST_ATTACH_PAUSE * (1 << (idle_cuts - 1)))).await;
                    match self.attach(turn, progress.last_n, ATTACH_TRIES).await {
                        Ok(again) => frames = again,
                        Err(NotAttached::Unknown | NotAttached::Dead) => return (Event::Lost, None),
                    }
                }
            }
        }
    }

    /// Reads a stream of which nothing more is wanted to its end.
    pub(in crate::account) fn read_out_later(self: &Rc<Self>, frames: Frames<C::Body>) {
        // Not yet: whatever the object does now, the end's commit and the answer wait for.
        let (account, answered) = (Rc::clone(self), self.host.sleep(Duration::ZERO));
        self.host.spawn(async move {
            answered.await;
            account.agent.read_out(frames).await;
        });
    }

    /// Takes one frame; returns the result where it is one.
    fn take(
        &self,
        turn: &ActiveTurn,
        frame: Frame,
        progress: &mut Progress,
    ) -> Result<Option<Box<TurnResult>>, NotTaken> {
        let n = frame.n;
        progress.last_n = n;
        let kind = match frame.body {
            FrameBody::Started(started) => {
                if let Some(running) = self.running.borrow_mut().get_mut(&turn.turn_id) {
                    running.agent_session = Some(started.agent_session.clone());
                }
                progress.started(started);
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
            FrameBody::Result(result) => return Ok(Some(result)),
            FrameBody::Workspace(_) | FrameBody::End | FrameBody::Unknown => return Ok(None),
            FrameBody::Delta(delta) => EventKind::Delta(delta.text),
            FrameBody::Message(message) => EventKind::Message(message.text),
            FrameBody::Tool(tool) => EventKind::Tool(tool),
            FrameBody::Retry(retry) => EventKind::Retry(retry),
        };
        if let Some(listeners) = self.listeners.borrow_mut().get_mut(&turn.turn_id) {
            listeners.publish(Heard { id: EventId { turn_id: turn.turn_id.clone(), n }, kind });
        }
        Ok(None)
    }
}
