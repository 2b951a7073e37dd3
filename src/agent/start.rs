//! How the container gets to where its agent server answers: started, waited for, started again, given up.

use std::cell::RefCell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::client::{Agent, CALL_LIMIT, silent};
use super::error::AgentError;
use super::port::{Container, ContainerError};

/// How long a turn waits for a container that starts, whatever goes wrong with it meanwhile. Most starts take a few seconds; of
/// 700 measured ones the slowest took 58.6 s (alchemy-run/alchemy#723).
pub const START_LIMIT: Duration = Duration::from_mins(1);
/// How long a container that boots may leave health checks unanswered.
const BOOT_LIMIT: Duration = Duration::from_mins(1);
/// The same limit for a container that has answered before: it is dead, or hangs. One health check without a response is enough.
const SILENCE_LIMIT: Duration = Duration::from_secs(1);
/// How many health checks may be accepted and not answered while it boots: a server that boots refuses them.
const MAX_BOOT_SILENCES: u32 = 3;
/// Pause before a container is asked for again that did not start or that died as it booted; it doubles each time, up to the longest.
const FIRST_START_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_START_PAUSE: Duration = Duration::from_secs(3);
/// What the platform's error says if it has no room for another container, or if too many are requested at once.
const AT_CAPACITY: &[&str] = &["no container instance", "too many containers"];
/// Pause between two health checks while it starts.
const START_POLL: Duration = Duration::from_millis(100);

/// What it took until the agent server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nothing: it does.
    Ready,
    /// The container was started.
    Started,
    /// The container that ran did not answer and was replaced.
    Replaced,
}

impl<C: Container> Agent<C> {
    /// Makes sure that the agent server answers; concurrent callers share one start. A server that drains is left to do so while it is `busy`
    /// with other turns. `mint` makes the token that a container is started with, and has it stored.
    ///
    /// A container that boots is waited for, here and by the next caller; a start that the platform refuses, or a container that dies while it
    /// boots, is followed by another start.
    ///
    /// # Errors
    /// After [`START_LIMIT`], the last thing that went wrong: [`AgentError::NoInstance`] if the platform has no room, [`AgentError::Unreachable`]
    /// or [`AgentError::Silent`] if the container did not start or answer. [`AgentError::Draining`] if it must be waited for.
    pub async fn ensure(
        &self,
        busy: bool,
        mint: &dyn Fn() -> Result<String, ContainerError>,
    ) -> Result<Readiness, AgentError> {
        let _one_at_a_time = self.starting.lock().await;
        if self.ready.get() {
            return Ok(Readiness::Ready);
        }
        let was_running = self.container.is_running();
        let last_error = RefCell::new(None);
        let work = self.until_healthy(busy, mint, &last_error);
        let outcome = match select(pin!(work), pin!(self.container.sleep(START_LIMIT))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(last_error.take().unwrap_or_else(|| silent(START_LIMIT))),
        };
        let started = outcome?;
        self.ready.set(true);
        let died = was_running && started && !self.stopped.get();
        if started {
            self.stopped.set(false);
        }
        Ok(match (started, died) {
            (false, _) => Readiness::Ready,
            (true, false) => Readiness::Started,
            (true, true) => Readiness::Replaced,
        })
    }

    /// Waits for the health of what runs, and starts what does not; whether it had to start. Ends when it is healthy, or must be left alone.
    async fn until_healthy(
        &self,
        busy: bool,
        mint: &dyn Fn() -> Result<String, ContainerError>,
        last_error: &RefCell<Option<AgentError>>,
    ) -> Result<bool, AgentError> {
        let (mut started, mut tries, mut pause) = (false, 0_u32, FIRST_START_PAUSE);
        loop {
            if !self.container.is_running() {
                if tries > 0 {
                    self.container.sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_START_PAUSE);
                }
                tries += 1;
                if let Err(error) = self.start(mint).await {
                    last_error.replace(Some(error));
                    continue;
                }
                started = true;
            }
            // Rules of an earlier object, or of a platform that was restarted, may be gone.
            let asked = async {
                self.container.prepare().await?;
                self.health().await
            };
            let error = match self.limited(CALL_LIMIT, asked).await {
                Ok(()) => return Ok(started),
                Err(AgentError::Draining) if busy => return Err(AgentError::Draining),
                Err(error) => error,
            };
            let silent = matches!(error, AgentError::Silent(_));
            let waited = if silent { BOOT_LIMIT / MAX_BOOT_SILENCES } else { START_POLL };
            self.unanswered.set(self.unanswered.get() + waited);
            let limit = if self.answered.get() { SILENCE_LIMIT } else { BOOT_LIMIT };
            let takes_no_turns = matches!(error, AgentError::Draining | AgentError::Unauthorized);
            last_error.replace(Some(error));
            if takes_no_turns || self.unanswered.get() >= limit {
                self.container.destroy().await;
            } else {
                self.container.sleep(START_POLL).await;
            }
        }
    }

    async fn start(&self, mint: &dyn Fn() -> Result<String, ContainerError>) -> Result<(), AgentError> {
        let token = mint()?;
        self.unanswered.set(Duration::ZERO);
        self.answered.set(false);
        let begun = self.container.start(&token).await;
        self.token.replace(Some(token));
        begun.map_err(|error| {
            let said = error.0.to_lowercase();
            let full = AT_CAPACITY.iter().any(|text| said.contains(text));
            if full { AgentError::NoInstance(error) } else { AgentError::Unreachable(error) }
        })
    }
}
