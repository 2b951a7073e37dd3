//! How a turn gets into the container, and how its frames come out of it again after a cut.

use std::rc::Rc;
use std::time::Duration;

use super::progress::Progress;
use super::state::Signal;
use crate::account::Account;
use crate::account::files::restore::NotRestored;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::{AgentError, BodyChunks, Container, ContainerError, Frames, Readiness, TurnRequest};
use crate::domain::trace::TraceParent;
use crate::domain::{SessionId, TurnKind};
use crate::log::{Level, Line};
use crate::store::StoreError;
use crate::store::sql::Sql;
use crate::store::turns::{ActiveTurn, TurnWork};
use crate::store::workspaces::Stored;

/// Tries to give a turn to a container that did not take it.
const SUBMIT_TRIES: u32 = 3;
/// Pause after the first try to attach; it doubles each time.
pub(in crate::account) const FIRST_ATTACH_PAUSE: Duration = Duration::from_millis(100);
/// Pause between two questions whether a container that had no room for the turn has it now, and how often it is asked: it stops,
/// it is full, or a turn of the conversation has not ended there.
const ROOM_PAUSE: Duration = Duration::from_millis(250);
const ROOM_TRIES: u32 = 100;
/// Every so many times that the container has no process for it, a turn has the oldest one parked that waits for somebody (each 5 s).
const FULL_TRIES: u32 = 20;
/// The `detail` of a turn that has no model call left when it goes on.
const NO_CALLS_LEFT: &str = "The turn needed more model calls than `max_turns` allows.";
/// Times that one turn puts its conversation's files into a container: the container may die as often as it is given the turn.
const RESTORES: u32 = SUBMIT_TRIES + 1;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Gives the turn to the container, starting it and replaying the transcript if that is needed.
    pub(in crate::account) async fn submit(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: Option<TurnWork>,
        progress: &mut Progress,
    ) -> Result<Frames<C::Body>, Signal> {
        let Some(work) = work else { return Err(Signal::Lost) };
        let (mut tries, mut waits, mut full) = (0, 0, 0);
        let (mut replay, mut restores) = (false, 0);
        loop {
            let error = match self.try_submit(turn, &work, replay, progress).await {
                Ok(frames) => return Ok(frames),
                Err(error) => error,
            };
            match error {
                SubmitError::Agent(AgentError::TranscriptRequired) if !replay => replay = true,
                SubmitError::Agent(AgentError::WorkspaceRequired(held)) if restores < RESTORES => {
                    restores += 1;
                    if let Err(error) = self.restore_for(turn, progress, held).await {
                        match error {
                            NotRestored::Agent(error) if tries < SUBMIT_TRIES => {
                                tries += 1;
                                self.agent.suspect();
                                self.log_turn_problem(turn, "restore_failed", &error);
                            }
                            error => return Err(self.no_files(turn, error)),
                        }
                    }
                }
                SubmitError::Files(error) => return Err(self.no_files(turn, error)),
                SubmitError::Start(AgentError::Draining)
                | SubmitError::Agent(AgentError::Draining | AgentError::SessionBusy | AgentError::NoProcess)
                    if waits < ROOM_TRIES =>
                {
                    waits += 1;
                    if matches!(error, SubmitError::Agent(AgentError::NoProcess)) {
                        if full % FULL_TRIES == 0 {
                            self.turns.park_oldest();
                        }
                        full += 1;
                    }
                    self.runtime.sleep(ROOM_PAUSE).await;
                }
                SubmitError::Agent(
                    error @ (AgentError::Draining | AgentError::SessionBusy | AgentError::NoProcess),
                ) => {
                    self.log_turn_problem(turn, "submit_failed", &error);
                    return Err(Signal::Unavailable);
                }
                SubmitError::Start(error) => {
                    self.fleet.count_failed_start();
                    self.log_turn_problem(turn, "container_start_failed", &error);
                    let full = matches!(error, AgentError::NoInstance(_));
                    return Err(if full { Signal::AtCapacity } else { Signal::Unavailable });
                }
                SubmitError::Agent(error) if tries < SUBMIT_TRIES => {
                    tries += 1;
                    self.agent.suspect();
                    self.log_turn_problem(turn, "submit_failed", &error);
                }
                SubmitError::Agent(error) => {
                    self.log_turn_problem(turn, "submit_failed", &error);
                    return Err(Signal::Unavailable);
                }
                SubmitError::NoCallsLeft => {
                    progress.refused = Some(NO_CALLS_LEFT);
                    return Err(Signal::Broken);
                }
                SubmitError::Gone => return Err(Signal::Lost),
                SubmitError::Store(error) => {
                    self.log_turn_problem(turn, "submit_failed", &error);
                    return Err(Signal::Lost);
                }
            }
        }
    }

    async fn try_submit(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        work: &TurnWork,
        replay: bool,
        progress: &mut Progress,
    ) -> Result<Frames<C::Body>, SubmitError> {
        let asked_at = self.runtime.now();
        let busy = self.turns.held_count() > 1;
        let readiness = self.ensure_agent(busy).await.map_err(SubmitError::Start)?;
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
                    trace_id: work.options.traceparent.as_ref().map(TraceParent::trace_id),
                    total_ms: u64::try_from(self.runtime.now().since(asked_at).as_millis()).ok(),
                    instance: instance.as_deref(),
                    ..Line::default()
                },
            );
        }
        // Deleted while the container started, it is gone.
        let origin = self.store.origin_of(&turn.turn_id)?.ok_or(SubmitError::Gone)?;
        if self.config.agent.needs_actions(&work.options) || turn.parked.is_some() {
            self.container_for_actions(turn, busy).await.map_err(SubmitError::Start)?;
        }
        // An agent server that does not know `compact` would run its instructions as a query.
        if work.options.kind == TurnKind::Compact || work.content.is_some() || origin.has_attachments {
            self.container_for_content(turn, busy).await.map_err(SubmitError::Start)?;
        }
        let mut sdk_session = origin.sdk_session;
        progress.sdk_session.clone_from(&sdk_session);
        let stored = self.files_for(turn, busy).await?;
        // What the container holds of a turn that was cut short is not what is stored.
        let forgotten = replay || progress.cold_container || self.cut_short.borrow().contains(&turn.session_id);
        let send_transcript = forgotten && sdk_session.is_some() && self.store.has_transcript(&turn.session_id)?;
        if forgotten && !send_transcript {
            // A conversation whose first turn left no transcript begins anew.
            sdk_session = None;
        }
        if sdk_session.is_none() && stored.is_some_and(|stored| stored != Stored::default()) {
            // Its folder is filled before its session begins.
            sdk_session = Some(self.session_to_begin(progress)?);
        }
        let resume = sdk_session.is_some() && sdk_session != progress.new_session;
        progress.workspace_of.clone_from(&sdk_session);
        let transcript = send_transcript.then(|| self.transcript(&turn.session_id));
        let continuation = self.continuation(turn)?;
        let goes_on = continuation.is_some();
        let mut options = self.config.agent.run_options(&work.options);
        if continuation.as_ref().is_some_and(|continuation| continuation.has_plan) {
            options.permission_mode = options.after_plan;
        }
        // Each of its runs counts anew.
        let spent = progress.behind.spent.num_turns;
        options.max_turns = options.max_turns.map(|most| most.saturating_sub(spent));
        if options.max_turns == Some(0) {
            return Err(SubmitError::NoCallsLeft);
        }
        let request = TurnRequest {
            turn_id: &turn.turn_id,
            sdk_session: sdk_session.as_ref(),
            prompt: if goes_on { "" } else { work.options.kind.prompt_given(&work.prompt) },
            content: work.content.as_ref().filter(|_| !goes_on),
            actions: self.agent.knows_actions(),
            grants: &origin.grants,
            continuation: continuation.as_ref(),
            resume,
            options,
            transcript: send_transcript,
            workspace: stored.map(|stored| self.wanted_workspace(stored)),
        };
        let instance = self.agent.instance();
        if progress.instance != instance {
            self.store.set_instance(&turn.turn_id, instance.as_deref())?;
            progress.instance = instance;
        }
        progress.given = true;
        let frames = self.agent.run(&request, transcript).await?;
        self.cut_short.borrow_mut().retain(|cut| *cut != turn.session_id);
        Ok(frames)
    }

    /// Whether no container can have begun a turn that a rebuilt object found and could not attach to.
    pub(in crate::account) async fn was_never_given(
        &self,
        work: Option<&TurnWork>,
        progress: &Progress,
        why: &NotAttached,
    ) -> bool {
        match (work.and_then(|work| work.instance.as_ref()), why) {
            _ if progress.has_run() => false,
            (None, _) => true,
            (Some(_), NotAttached::Dead) => false,
            // It was about to be given to the server that does not know it.
            (Some(given), NotAttached::Unknown) => {
                self.agent.at_work().await.is_ok_and(|at_work| at_work.instance == *given)
            }
        }
    }

    /// The stored transcript, a row at a time: whole, it may be larger than an object's memory.
    fn transcript(self: &Rc<Self>, session_id: &SessionId) -> BodyChunks {
        let (account, session_id, mut last) = (Rc::clone(self), session_id.clone(), 0);
        Box::new(move || {
            let row = account.store.transcript_row(&session_id, last).map_err(|e| ContainerError(e.to_string()))?;
            Ok(row.map(|(seq, lines)| {
                last = seq;
                lines
            }))
        })
    }

    /// The turn's frames after the `after`-th from a container that may have died.
    pub(in crate::account) async fn attach(
        &self,
        turn: &ActiveTurn,
        (after, run): (u64, u64),
        tries: u32,
    ) -> Result<Frames<C::Body>, NotAttached> {
        let mut pause = FIRST_ATTACH_PAUSE;
        for _ in 0..tries {
            if !self.agent.is_running() {
                break;
            }
            match self.agent.attach(&turn.turn_id, after, run).await {
                Ok(frames) => return Ok(frames),
                Err(error @ AgentError::UnknownTurn) => {
                    self.log_turn_problem(turn, "turn_unknown_to_container", &error);
                    return Err(NotAttached::Unknown);
                }
                Err(error) => self.log_turn_problem(turn, "attach_failed", &error),
            }
            self.runtime.sleep(pause).await;
            pause *= 2;
        }
        self.agent.suspect();
        self.log_turn_problem(turn, "container_died", &AgentError::Cut);
        Err(NotAttached::Dead)
    }
}

/// Why there are no frames of a turn.
pub enum NotAttached {
    /// The container has no memory of it.
    Unknown,
    /// The container does not answer.
    Dead,
}

enum SubmitError {
    /// The container does not start.
    Start(AgentError),
    /// The agent did not take the turn.
    Agent(AgentError),
    /// It has made all the model calls that it may make.
    NoCallsLeft,
    /// The turn or its conversation was deleted.
    Gone,
    /// The conversation's files are not to be had.
    Files(NotRestored),
    /// Storage failed.
    Store(StoreError),
}

impl From<AgentError> for SubmitError {
    fn from(error: AgentError) -> Self {
        Self::Agent(error)
    }
}

impl From<NotRestored> for SubmitError {
    fn from(error: NotRestored) -> Self {
        match error {
            NotRestored::Agent(error) => Self::Start(error),
            NotRestored::Store(error) => Self::Store(error),
            error @ NotRestored::Bucket(..) => Self::Files(error),
        }
    }
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
