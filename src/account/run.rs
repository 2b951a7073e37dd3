//! One turn in the container, from its start to its stored end, whatever happens to the client, the object or the container.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::mpsc;
use futures_util::StreamExt;
use futures_util::future::{Either, select};

use super::host::Host;
use super::listeners::{Event as Heard, EventKind};
use super::progress::Progress;
use super::turn::{Event, State, Stop, Todo, step};
use super::{Account, AccountError, TurnEnd};
use crate::agent::{AgentError, Container, Frames, Readiness, TurnRequest};
use crate::domain::frame::{FrameBody, TurnResult};
use crate::domain::{
    AgentSession, EventId, Failure, FailureCode, Frame, Message, Millis, Role, Turn, TurnOptions, TurnStatus, Usage,
};
use crate::log::{Level, Line};
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;

/// How long the agent has to end a turn that it was asked to end; clients hear of the end within 2 s.
const STOP_LIMIT: Duration = Duration::from_millis(1_500);
/// Tries to give a turn to a container that did not take it.
const SUBMIT_TRIES: u32 = 3;
/// Tries to attach again to a stream that was cut, and the pause before the first; it doubles each time (3.1 s in all).
const ATTACH_TRIES: u32 = 5;
const FIRST_ATTACH_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two questions whether a stopping container has stopped, and how often it is asked.
const DRAIN_PAUSE: Duration = Duration::from_millis(250);
const DRAIN_TRIES: u32 = 100;

/// How a turn is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The container does not know it yet.
    Submit,
    /// The object was rebuilt; the container may have it.
    Attach,
}

/// How the work on a turn ended.
struct Ending {
    status: TurnStatus,
    code: Option<FailureCode>,
    result: Option<Box<TurnResult>>,
}

impl<S: Sql + 'static, C: Container + 'static, H: Host> Account<S, C, H> {
    /// Runs a turn to its stored end.
    pub(super) async fn run(self: Rc<Self>, turn: ActiveTurn, begin: Begin, mut stops: mpsc::UnboundedReceiver<Stop>) {
        let frames_stored = match self.store.turn_work(&turn.turn_id) {
            Ok(work) => work.map_or(0, |work| work.frames_stored),
            Err(error) => return self.give_up(&turn, &error),
        };
        let mut progress = Progress::new(frames_stored);
        let ending = self.work_until_end(&turn, begin, &mut progress, &mut stops).await;
        if let Err(error) = self.finish(&turn, &progress, &ending) {
            self.give_up(&turn, &error);
        }
    }

    async fn work_until_end(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        begin: Begin,
        progress: &mut Progress,
        stops: &mut mpsc::UnboundedReceiver<Stop>,
    ) -> Ending {
        let started_at = turn.started_at.unwrap_or_else(|| self.host.now());
        let left = started_at.plus(self.config.turn_timeout).since(self.host.now());
        let mut timer = Box::pin(self.host.sleep(left));
        let mut work = pin!(self.work(turn, begin, progress));
        let mut state = State::Running;
        loop {
            let mut result = None;
            let event = {
                let stop_or_time = select(stops.next(), timer.as_mut());
                match select(work.as_mut(), stop_or_time).await {
                    Either::Left(((event, told), _)) => {
                        result = told;
                        event
                    }
                    Either::Right((Either::Left((why, _)), _)) => Event::Stop(why.unwrap_or(Stop::Cancel)),
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
                Todo::Nothing | Todo::Start => {}
            }
        }
    }

    /// Reads a turn's frames until something ends it.
    async fn work(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        begin: Begin,
        progress: &mut Progress,
    ) -> (Event, Option<Box<TurnResult>>) {
        let opened = match begin {
            Begin::Submit => self.submit(turn, progress).await,
            Begin::Attach => self.attach(turn, 0).await,
        };
        let mut frames = match opened {
            Ok(frames) => frames,
            Err(event) => return (event, None),
        };
        loop {
            match frames.next().await {
                Ok(frame) if frame.n <= progress.last_n => {}
                Ok(frame) => match self.take(turn, frame, progress) {
                    Ok(None) => {}
                    Ok(Some(result)) => {
                        let code = result.error.as_ref().map(|error| error.code);
                        return (Event::Result(result.status, code), Some(result));
                    }
                    Err(error) => {
                        self.log_turn_problem(turn, "frame_not_stored", &error);
                        return (Event::Lost, None);
                    }
                },
                Err(error) => {
                    self.log_turn_problem(turn, "frames_cut", &error);
                    match self.attach(turn, progress.last_n).await {
                        Ok(again) => frames = again,
                        Err(event) => return (event, None),
                    }
                }
            }
        }
    }

    /// Gives the turn to the container, starting it and replaying the transcript where that is needed.
    async fn submit(&self, turn: &ActiveTurn, progress: &mut Progress) -> Result<Frames<C::Body>, Event> {
        let (mut tries, mut drains) = (0, 0);
        let mut replay = false;
        loop {
            let error = match self.try_submit(turn, replay, progress).await {
                Ok(frames) => return Ok(frames),
                Err(error) => error,
            };
            match error {
                SubmitError::Agent(AgentError::TranscriptRequired) if !replay => replay = true,
                SubmitError::Start(AgentError::Draining) | SubmitError::Agent(AgentError::Draining)
                    if drains < DRAIN_TRIES =>
                {
                    drains += 1;
                    self.host.sleep(DRAIN_PAUSE).await;
                }
                SubmitError::Start(error) => {
                    self.log_turn_problem(turn, "container_start_failed", &error);
                    return Err(Event::Unavailable);
                }
                SubmitError::Agent(error) if tries < SUBMIT_TRIES => {
                    tries += 1;
                    self.agent.suspect();
                    self.log_turn_problem(turn, "submit_failed", &error);
                }
                SubmitError::Agent(error) => {
                    self.log_turn_problem(turn, "submit_failed", &error);
                    return Err(Event::Unavailable);
                }
                SubmitError::Gone => return Err(Event::Lost),
                SubmitError::Store(error) => {
                    self.log_turn_problem(turn, "submit_failed", &error);
                    return Err(Event::Lost);
                }
            }
        }
    }

    async fn try_submit(
        &self,
        turn: &ActiveTurn,
        replay: bool,
        progress: &mut Progress,
    ) -> Result<Frames<C::Body>, SubmitError> {
        let asked_at = self.host.now();
        let busy = self.running.borrow().len() > 1;
        let readiness = self.agent.ensure(busy).await.map_err(SubmitError::Start)?;
        if readiness == Readiness::Replaced {
            self.log_turn_problem(turn, "container_died", &"it did not answer any more");
        }
        if readiness != Readiness::Ready {
            progress.cold_container = true;
            let instance = self.agent.instance();
            self.log(
                Level::Info,
                Line {
                    event: "container_started",
                    turn_id: Some(&turn.turn_id),
                    total_ms: u64::try_from(self.host.now().since(asked_at).as_millis()).ok(),
                    instance: instance.as_deref(),
                    ..Line::default()
                },
            );
        }
        let work = self.store.turn_work(&turn.turn_id)?.ok_or(SubmitError::Gone)?;
        let conversation = self.store.conversation(&turn.session_id)?.ok_or(SubmitError::Gone)?;
        // A conversation whose first turn left no transcript begins anew.
        let stored = conversation.agent_session.is_some() && self.store.has_transcript(&turn.session_id)?;
        let forgotten = replay || progress.cold_container;
        let send_transcript = stored && forgotten;
        let agent_session = conversation.agent_session.filter(|_| stored || !forgotten);
        let transcript = if send_transcript { Some(self.store.transcript(&turn.session_id)?) } else { None };
        let request = TurnRequest {
            turn_id: &turn.turn_id,
            agent_session: agent_session.as_ref(),
            prompt: &work.prompt,
            resume: agent_session.is_some(),
            options: &self.with_defaults(work.options),
            transcript: send_transcript,
        };
        Ok(self.agent.run(&request, transcript).await?)
    }

    fn with_defaults(&self, options: TurnOptions) -> TurnOptions {
        let defaults = &self.config.turn_defaults;
        TurnOptions {
            model: options.model.or_else(|| defaults.model.clone()),
            system_prompt: options.system_prompt.or_else(|| defaults.system_prompt.clone()),
            max_turns: options.max_turns.or(defaults.max_turns),
        }
    }

    /// The turn's frames after the `after`-th from a container that may have died.
    async fn attach(&self, turn: &ActiveTurn, after: u64) -> Result<Frames<C::Body>, Event> {
        let mut pause = FIRST_ATTACH_PAUSE;
        for _ in 0..ATTACH_TRIES {
            if !self.agent.is_running() {
                break;
            }
            match self.agent.attach(&turn.turn_id, after).await {
                Ok(frames) => return Ok(frames),
                Err(error @ AgentError::UnknownTurn) => {
                    self.log_turn_problem(turn, "turn_unknown_to_container", &error);
                    return Err(Event::Lost);
                }
                Err(error) => self.log_turn_problem(turn, "attach_failed", &error),
            }
            self.host.sleep(pause).await;
            pause *= 2;
        }
        self.agent.suspect();
        self.log_turn_problem(turn, "container_died", &AgentError::Cut);
        Err(Event::Lost)
    }

    /// Takes one frame; returns the result where it is one.
    fn take(
        &self,
        turn: &ActiveTurn,
        frame: Frame,
        progress: &mut Progress,
    ) -> Result<Option<Box<TurnResult>>, StoreError> {
        let n = frame.n;
        progress.last_n = n;
        let kind = match frame.body {
            FrameBody::Started(started) => {
                progress.started(started);
                return Ok(None);
            }
            FrameBody::Transcript(transcript) => {
                progress.transcript(n, &transcript, &self.store, (&turn.turn_id, &turn.session_id))?;
                return Ok(None);
            }
            FrameBody::Result(result) => return Ok(Some(result)),
            FrameBody::End | FrameBody::Unknown => return Ok(None),
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

    /// Stores the end of a turn, tells everyone, and lets the next one start.
    fn finish(self: &Rc<Self>, turn: &ActiveTurn, progress: &Progress, ending: &Ending) -> Result<(), AccountError> {
        let now = self.host.now();
        let failure = ending.code.map(|code| failure(code, ending.result.as_deref()));
        let usage = ending.result.as_ref().map(|result| Usage { cost_usd: result.cost_usd, ..result.usage });
        let answer = ending.result.as_ref().filter(|_| ending.status == TurnStatus::Completed);
        let end = TurnEnd {
            status: ending.status,
            error: failure.as_ref(),
            model: ending.result.as_ref().and_then(|result| result.model.as_deref()),
            usage,
            num_turns: ending.result.as_ref().map(|result| result.num_turns),
            duration_ms: ending.result.as_ref().map(|result| whole_ms(result.duration_ms)),
            finished_at: now,
        };
        self.store.transaction(|| -> Result<(), StoreError> {
            let Some((session_id, seq)) = self.store.end_turn(&turn.turn_id, &end)? else { return Ok(()) };
            if let Some(answer) = answer {
                let message = Message {
                    seq: seq + 1,
                    turn_id: turn.turn_id.clone(),
                    role: Role::Assistant,
                    content: answer.text.clone(),
                    timestamp: now,
                };
                self.store.insert_message(&session_id, &message)?;
            }
            self.store.append_transcript(&session_id, progress.waiting_transcript())?;
            let answer_bytes = answer.map(|answer| answer.text.len());
            let agent_session = progress.agent_session.as_ref();
            self.store.close_turn_of_conversation(
                &session_id,
                agent_session,
                answer_bytes,
                usage.unwrap_or_default(),
                now,
            )
        })?;
        let stored = self.store.turn(&turn.turn_id)?;
        self.clean_up_after(turn, progress, ending, stored.is_none());
        let ended = stored.unwrap_or_else(|| deleted_turn(turn, now, self.host.uuid()));
        self.log_end(&ended, progress);
        self.running.borrow_mut().remove(&turn.turn_id);
        if self.running.borrow().is_empty() {
            self.idle_since.set(Some(now));
        }
        self.tell_end(ended, progress.last_n + 1);
        self.pump()?;
        self.set_alarm()
    }

    /// Ends a turn that was still waiting.
    pub(super) fn end_queued(self: &Rc<Self>, turn: &ActiveTurn) -> Result<(), AccountError> {
        let (_, todo) = step(State::Queued, Event::Stop(Stop::Cancel));
        let Todo::End(status, code) = todo else { return Ok(()) };
        let failure = code.map(|code| failure(code, None));
        let finished_at = self.host.now();
        let end = TurnEnd {
            status,
            error: failure.as_ref(),
            model: None,
            usage: None,
            num_turns: None,
            duration_ms: None,
            finished_at,
        };
        self.store.end_turn(&turn.turn_id, &end)?;
        let ended = self.turn(&turn.turn_id)?;
        self.log_end(&ended, &Progress::default());
        self.tell_end(ended, 1);
        Ok(())
    }

    fn tell_end(&self, turn: Turn, n: u64) {
        let Some(mut listeners) = self.listeners.borrow_mut().remove(&turn.turn_id) else { return };
        let id = EventId { turn_id: turn.turn_id.clone(), n };
        listeners.publish(Heard { id, kind: EventKind::Ended(Rc::new(turn)) });
    }

    /// Lets the container forget what is stored, or what is gone.
    fn clean_up_after(self: &Rc<Self>, turn: &ActiveTurn, progress: &Progress, ending: &Ending, deleted: bool) {
        if ending.code == Some(FailureCode::ContainerUnavailable) {
            return;
        }
        let (account, turn_id) = (Rc::clone(self), turn.turn_id.clone());
        // Without a result it may still be at work: its process is ended, the next turn resumes from the transcript.
        let at_work = ending.result.is_none() && ending.status != TurnStatus::Interrupted;
        let forget_session = progress.agent_session.clone().filter(|_| deleted || at_work);
        self.host.spawn(async move {
            if at_work {
                drop(account.agent.cancel(&turn_id).await);
            }
            if let Some(agent_session) = forget_session {
                account.forget_session(&agent_session).await;
            }
            // What is not forgotten here is bounded there.
            drop(account.agent.forget_turn(&turn_id).await);
        });
    }

    pub(super) async fn forget_session(&self, agent_session: &AgentSession) {
        if let Err(error) = self.agent.forget_session(agent_session).await {
            let why = error.to_string();
            self.log(Level::Warn, Line { event: "session_not_forgotten", error: Some(&why), ..Line::default() });
        }
    }

    /// Storage failed: the turn stays as it is stored, and the alarm takes it up again.
    fn give_up(&self, turn: &ActiveTurn, error: &dyn std::fmt::Display) {
        self.log_turn_problem(turn, "turn_not_stored", error);
        self.running.borrow_mut().remove(&turn.turn_id);
        self.listeners.borrow_mut().remove(&turn.turn_id);
    }

    fn log_turn_problem(&self, turn: &ActiveTurn, event: &str, error: &dyn std::fmt::Display) {
        let why = error.to_string();
        let line = Line {
            event,
            turn_id: Some(&turn.turn_id),
            session_id: Some(&turn.session_id),
            error: Some(&why),
            ..Line::default()
        };
        self.log(Level::Warn, line);
    }

    fn log_end(&self, turn: &Turn, progress: &Progress) {
        let timing = turn.timing();
        let usage = turn.usage.unwrap_or_default();
        let level = if turn.error.is_some() { Level::Warn } else { Level::Info };
        self.log(
            level,
            Line {
                event: "turn_ended",
                request_id: Some(&turn.request_id),
                turn_id: Some(&turn.turn_id),
                session_id: Some(&turn.session_id),
                status: Some(turn.status),
                code: turn.error.as_ref().map(|error| error.code),
                queue_ms: timing.map(|timing| timing.queue_ms),
                agent_ms: timing.map(|timing| timing.agent_ms),
                total_ms: timing.map(|timing| timing.total_ms),
                input_tokens: Some(usage.input_tokens),
                output_tokens: Some(usage.output_tokens),
                warm: Some(progress.warm),
                cold_container: Some(progress.cold_container),
                rows_written: Some(self.store.rows_written()),
                ..Line::default()
            },
        );
    }
}

enum SubmitError {
    /// The container does not start.
    Start(AgentError),
    /// The agent did not take the turn.
    Agent(AgentError),
    /// The turn or its conversation was deleted.
    Gone,
    /// Storage failed.
    Store(StoreError),
}

impl From<AgentError> for SubmitError {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The sentence that a failure tells its caller.
fn failure(code: FailureCode, result: Option<&TurnResult>) -> Failure {
    let told = result.and_then(|result| result.error.as_ref());
    let sentence = match code {
        FailureCode::TurnCancelled => "The turn was cancelled.",
        FailureCode::TurnTimeout => "The turn ran longer than TURN_TIMEOUT allows.",
        FailureCode::TurnInterrupted => "The container died under the turn. It is safe to send it again.",
        FailureCode::ContainerUnavailable => "The account's container does not start. Try again later.",
        FailureCode::AgentFailed
        | FailureCode::ModelAuthFailed
        | FailureCode::ModelFailed
        | FailureCode::ModelRateLimited => told
            .map(|error| error.message.as_str())
            .filter(|message| !message.is_empty())
            .unwrap_or("No detail is known."),
    };
    let retry_after_s = told.and_then(|error| error.retry_after).map(|seconds| whole_ms(seconds.ceil()));
    Failure { retry_after_s, ..Failure::new(code, sentence) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
fn whole_ms(number: f64) -> u64 {
    number.clamp(0.0, 9e15) as u64
}

/// What is told of a turn whose conversation was deleted under it.
fn deleted_turn(turn: &ActiveTurn, now: Millis, uuid: uuid::Uuid) -> Turn {
    Turn {
        turn_id: turn.turn_id.clone(),
        session_id: turn.session_id.clone(),
        status: TurnStatus::Cancelled,
        created_at: turn.started_at.unwrap_or(now),
        started_at: turn.started_at,
        finished_at: Some(now),
        request_id: crate::domain::RequestId::new(uuid),
        response: None,
        error: Some(failure(FailureCode::TurnCancelled, None)),
        model: None,
        usage: None,
        num_turns: None,
        duration_ms: None,
    }
}
