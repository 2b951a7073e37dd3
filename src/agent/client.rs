//! The calls of the agent server, and what its answers mean.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::lock::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::continuation::{ACTIONS_FEATURE, Continuation};
use super::error::AgentError;
use super::frames::Frames;
use super::options::RunOptions;
use super::port::{Body, BodyChunks, Call, Container, ContainerError, Method};
use super::protocol::{BaseHeld, TURNS_FEATURE, WORKSPACE_FEATURE, WantedWorkspace};
use crate::domain::{RawJson, SdkSession, TurnId};

/// Time limit of a health check, and of a call that returns nothing.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(5);
/// How long the end of a stream is waited for after its last frame.
const READ_OUT_LIMIT: Duration = Duration::from_secs(1);
/// Longest error body that is read of the agent server.
const MAX_ERROR_BYTES: usize = 64 * 1024;

/// The first line of `POST /turns`.
#[derive(Serialize)]
pub struct TurnRequest<'a> {
    /// The turn.
    pub turn_id: &'a TurnId,
    /// The SDK's session; none for a new conversation.
    #[serde(rename = "agent_session")]
    pub sdk_session: Option<&'a SdkSession>,
    /// What the user said.
    pub prompt: &'a str,
    /// The blocks that say it, if some of them are no words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<&'a RawJson>,
    /// Whether the SDK's session is an existing conversation.
    pub resume: bool,
    /// What it runs with.
    pub options: RunOptions<'a>,
    /// Whether the stored transcript follows.
    pub transcript: bool,
    /// Whether the turn may wait for somebody.
    pub actions: bool,
    /// The rules by which calls of the conversation run unasked.
    #[serde(skip_serializing_if = "<[RawJson]>::is_empty")]
    pub grants: &'a [RawJson],
    /// How the turn goes on, if it was parked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation: Option<&'a Continuation>,
    /// What its files must be; absent where files are not saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WantedWorkspace<'a>>,
}

/// A query that a running turn may take in.
#[derive(Serialize)]
pub struct Offer<'a> {
    /// The queued turn that it is.
    pub turn_id: &'a TurnId,
    /// What the user said.
    pub prompt: &'a str,
}

/// The response of `GET /healthz`.
#[derive(Debug, Deserialize)]
pub struct Health {
    /// The agent server's own id, new with each start.
    pub instance: String,
    #[serde(default)]
    turns: Vec<TurnId>,
    /// The ids of the running turns in version 1 of the protocol, later their count.
    #[serde(default)]
    running: Option<Box<RawValue>>,
    /// What the server can do beyond the protocol's first version.
    #[serde(default)]
    features: Vec<String>,
}

impl Health {
    /// The turns that have not ended, as far as they are named.
    #[must_use]
    pub fn into_turns(self) -> Vec<TurnId> {
        self.running.and_then(|running| serde_json::from_str(running.get()).ok()).unwrap_or(self.turns)
    }
}

#[derive(Default, Deserialize)]
struct AgentProblem {
    #[serde(default)]
    code: String,
    #[serde(default)]
    held: Option<BaseHeld>,
}

/// The agent server in the account's container.
pub struct Agent<C> {
    pub(super) container: C,
    pub(super) starting: Mutex<()>,
    pub(super) ready: Cell<bool>,
    /// Whether it was asked to stop: its silence is then no death.
    pub(super) stopped: Cell<bool>,
    instance: RefCell<Option<String>>,
    /// What the running container was started with.
    pub(super) token: RefCell<Option<String>>,
    /// How long questions after its health have gone unanswered, since its start or its last answer.
    pub(super) unanswered: Cell<Duration>,
    /// Whether it has answered one since its start.
    pub(super) answered: Cell<bool>,
    /// Whether it can save and restore workspaces, as its health said last.
    saves_workspaces: Cell<bool>,
    /// Whether it knows what turns have been able to hold since content blocks, as its health said last.
    knows_turns: Cell<bool>,
    /// Whether its turns can wait for somebody, as its health said last.
    knows_actions: Cell<bool>,
}

impl<C: Container> Agent<C> {
    /// Speaks to what runs in `container`.
    pub fn new(container: C) -> Self {
        Self {
            container,
            starting: Mutex::new(()),
            ready: Cell::new(false),
            stopped: Cell::new(false),
            instance: RefCell::new(None),
            token: RefCell::new(None),
            unanswered: Cell::new(Duration::ZERO),
            answered: Cell::new(false),
            saves_workspaces: Cell::new(false),
            knows_turns: Cell::new(false),
            knows_actions: Cell::new(false),
        }
    }

    /// Whether the platform says that the container runs; it learns of a death late.
    pub fn is_running(&self) -> bool {
        self.container.is_running()
    }

    /// Whether a container runs that was not asked to stop.
    pub fn is_up(&self) -> bool {
        self.container.is_running() && !self.stopped.get()
    }

    /// Goes on with a container that an earlier object started with this token, and whose agent server has `answered` it or not.
    pub fn adopt(&self, token: Option<String>, answered: bool) {
        self.token.replace(token);
        self.answered.set(answered);
    }

    pub(super) async fn limited<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, AgentError>>,
    ) -> Result<T, AgentError> {
        match select(pin!(call), pin!(self.container.sleep(limit))).await {
            Either::Left((result, _)) => result,
            Either::Right(_) => Err(silent(limit)),
        }
    }

    pub(super) fn call(&self, method: Method, path: String) -> Call {
        Call { bearer: self.token.borrow().clone(), ..Call::new(method, path) }
    }

    pub(super) async fn health(&self) -> Result<(), AgentError> {
        let answer = self.container.fetch(self.call(Method::Get, "/healthz".to_owned())).await?;
        let status = answer.status;
        let text = read_limited(answer.body).await?;
        match (status, serde_json::from_str::<Health>(&text)) {
            (200, Ok(health)) => {
                let has = |name: &str| health.features.iter().any(|feature| feature == name);
                self.saves_workspaces.set(has(WORKSPACE_FEATURE));
                self.knows_turns.set(has(TURNS_FEATURE));
                self.knows_actions.set(has(ACTIONS_FEATURE));
                self.instance.replace(Some(health.instance));
                self.answered.set(true);
                self.unanswered.set(Duration::ZERO);
                Ok(())
            }
            (503, _) => Err(AgentError::Draining),
            (401, _) => Err(AgentError::Unauthorized),
            (status, _) => Err(AgentError::Protocol(format!("GET /healthz answered {status}"))),
        }
    }

    /// Whether the agent server can save and restore workspaces.
    pub fn saves_workspaces(&self) -> bool {
        self.saves_workspaces.get()
    }

    /// Whether the agent server knows content blocks, schemas, steering and compaction.
    pub fn knows_turns(&self) -> bool {
        self.knows_turns.get()
    }

    /// Whether the agent server's turns can wait for somebody.
    pub fn knows_actions(&self) -> bool {
        self.knows_actions.get()
    }

    /// The running agent server's own id, as far as it is known.
    pub fn instance(&self) -> Option<String> {
        self.instance.borrow().clone()
    }

    /// [`Agent::instance`], if the server is believed to answer.
    pub fn ready_instance(&self) -> Option<String> {
        if self.ready.get() { self.instance() } else { None }
    }

    /// What the server has at work; one that drains tells it too.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`], or [`AgentError::Protocol`] if it cannot be read.
    pub async fn at_work(&self) -> Result<Health, AgentError> {
        let call = async {
            self.container.prepare().await?;
            let answer = self.container.fetch(self.call(Method::Get, "/healthz".to_owned())).await?;
            let text = read_limited(answer.body).await?;
            serde_json::from_str(&text).map_err(|e| AgentError::Protocol(e.to_string()))
        };
        self.limited(CALL_LIMIT, call).await
    }

    /// Starts a turn, or attaches to it if it is known; `transcript` gives the stored JSON lines, cut anywhere.
    ///
    /// # Errors
    /// Every [`AgentError`] but [`AgentError::UnknownTurn`].
    pub async fn run(
        &self,
        request: &TurnRequest<'_>,
        transcript: Option<BodyChunks>,
    ) -> Result<Frames<C::Body>, AgentError> {
        let first = serde_json::to_string(request).map_err(|e| AgentError::Protocol(e.to_string()))?;
        let call = Call { body: Some(first + "\n"), more: transcript, ..self.call(Method::Post, "/turns".to_owned()) };
        self.frames(call).await
    }

    /// The frames of a run of a turn after the `after`-th, then those that come.
    ///
    /// # Errors
    /// [`AgentError::UnknownTurn`] if the server has no memory of it, or [`AgentError::Unreachable`].
    pub async fn attach(&self, turn_id: &TurnId, after: u64, run: u64) -> Result<Frames<C::Body>, AgentError> {
        self.container.prepare().await?;
        let run = if run > 0 { format!("&run={run}") } else { String::new() };
        self.frames(self.call(Method::Get, format!("/turns/{turn_id}?after={after}{run}"))).await
    }

    async fn frames(&self, call: Call) -> Result<Frames<C::Body>, AgentError> {
        let answer = self.container.fetch(call).await.inspect_err(|_| self.ready.set(false))?;
        if answer.status == 200 {
            return Ok(Frames::new(answer.body));
        }
        let status = answer.status;
        let text = read_limited(answer.body).await.unwrap_or_default();
        let problem = serde_json::from_str::<AgentProblem>(&text).unwrap_or_default();
        Err(match (status, problem.code.as_str()) {
            (409, "workspace_required") => AgentError::WorkspaceRequired(problem.held),
            (404, _) => AgentError::UnknownTurn,
            (401, _) => {
                self.ready.set(false);
                AgentError::Unauthorized
            }
            (409, "transcript_required") => AgentError::TranscriptRequired,
            (409, "session_busy") => AgentError::SessionBusy,
            (503, "at_capacity") => AgentError::NoProcess,
            (503, _) => {
                self.ready.set(false);
                AgentError::Draining
            }
            (status, code) => AgentError::Protocol(format!("the agent server answered {status} {code}")),
        })
    }

    /// Reads a stream of which nothing more is wanted to its end: its connection then carries the next call.
    pub async fn read_out(&self, mut frames: Frames<C::Body>) {
        let end = async { while frames.next().await.is_ok() {} };
        select(pin!(end), pin!(self.container.sleep(READ_OUT_LIMIT))).await;
    }

    /// Offers a query to a running turn. That the turn has ended, or takes no more, is no error: the query runs by itself then.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn steer(&self, turn_id: &TurnId, offer: &Offer<'_>) -> Result<(), AgentError> {
        let body = serde_json::to_string(offer).map_err(|e| AgentError::Protocol(e.to_string()))?;
        let call = Call { body: Some(body), ..self.call(Method::Post, format!("/turns/{turn_id}/steer")) };
        let call = async { read_limited(self.container.fetch(call).await?.body).await.map(drop) };
        self.limited(CALL_LIMIT, call).await
    }

    /// Asks that a turn be ended; its `result` frame tells when it is.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn cancel(&self, turn_id: &TurnId) -> Result<(), AgentError> {
        self.tell(Method::Post, format!("/turns/{turn_id}/cancel")).await
    }

    /// Says that a turn's frames are stored and may be forgotten.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn forget_turn(&self, turn_id: &TurnId) -> Result<(), AgentError> {
        self.tell(Method::Delete, format!("/turns/{turn_id}")).await
    }

    /// Ends a conversation's process and its turn, and keeps its files. A server that does not know this call does nothing.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn stop_session(&self, sdk_session: &SdkSession) -> Result<(), AgentError> {
        self.tell(Method::Post, format!("/sessions/{sdk_session}/stop")).await
    }

    /// Ends a conversation's process and removes every trace of it.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn forget_session(&self, sdk_session: &SdkSession) -> Result<(), AgentError> {
        self.tell(Method::Delete, format!("/sessions/{sdk_session}")).await
    }

    async fn tell(&self, method: Method, path: String) -> Result<(), AgentError> {
        let call = async {
            let answer = self.container.fetch(self.call(method, path)).await?;
            read_limited(answer.body).await.map(drop)
        };
        self.limited(CALL_LIMIT, call).await
    }

    /// Marks the container as suspect: the next [`Agent::ensure`] checks its health.
    pub fn suspect(&self) {
        self.ready.set(false);
    }

    /// Ends the container at once, to be replaced by another.
    pub async fn destroy(&self) {
        self.ready.set(false);
        self.stopped.set(true);
        self.container.destroy().await;
    }

    /// Lets the container drain and stop (SIGTERM).
    pub fn stop(&self) {
        self.ready.set(false);
        self.stopped.set(true);
        self.container.terminate();
    }
}

pub(super) fn silent(limit: Duration) -> AgentError {
    AgentError::Silent(ContainerError(format!("the agent server did not answer within {} s", limit.as_secs())))
}

pub(super) async fn read_limited(body: impl Body) -> Result<String, AgentError> {
    read_at_most(body, MAX_ERROR_BYTES).await
}

/// A whole body of text.
pub(super) async fn read_at_most(mut body: impl Body, max_bytes: usize) -> Result<String, AgentError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if bytes.len() + chunk.len() > max_bytes {
            return Err(AgentError::Protocol("an answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|e| AgentError::Protocol(e.to_string()))
}
