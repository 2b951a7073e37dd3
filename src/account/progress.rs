//! What is known of a running turn: what its frames said so far, and how much of it is stored.

use std::fmt::Write;

use crate::domain::frame::{Started, Transcript};
use crate::domain::{AgentSession, SessionId, TurnId};
use crate::store::sql::Sql;
use crate::store::{Store, StoreError};

/// Bytes of transcript that wait in memory for the turn's end; more is stored at once.
const MAX_WAITING_TRANSCRIPT_BYTES: usize = 1_000_000;

/// The state of a running turn in memory.
#[derive(Default)]
pub struct Progress {
    /// The last frame that was seen.
    pub last_n: u64,
    /// The SDK's session, once the agent has said it.
    pub agent_session: Option<AgentSession>,
    /// Whether a live process took the turn.
    pub warm: bool,
    /// Whether the container was started for it.
    pub cold_container: bool,
    frames_stored: u64,
    transcript: String,
}

impl Progress {
    /// A turn whose transcript is stored up to the frame `frames_stored`.
    pub fn new(frames_stored: u64) -> Self {
        Self { frames_stored, ..Self::default() }
    }

    /// Takes what the `started` frame says.
    pub fn started(&mut self, started: Started) {
        self.agent_session = Some(started.agent_session);
        self.warm = started.warm;
    }

    /// Takes a `transcript` frame, in the form in which the container gets it back: one line an entry.
    /// What is stored already is passed over.
    pub fn transcript<S: Sql>(
        &mut self,
        n: u64,
        transcript: &Transcript,
        store: &Store<S>,
        (turn_id, session_id): (&TurnId, &SessionId),
    ) -> Result<(), StoreError> {
        if n <= self.frames_stored {
            return Ok(());
        }
        let subpath = serde_json::to_string(&transcript.subpath).unwrap_or_else(|_| "null".to_owned());
        for entry in &transcript.entries {
            // Writing to a String does not fail.
            let _ = writeln!(self.transcript, "{{\"subpath\":{subpath},\"entry\":{}}}", entry.get());
        }
        if self.transcript.len() > MAX_WAITING_TRANSCRIPT_BYTES {
            store.transaction(|| {
                store.append_transcript(session_id, &self.transcript)?;
                store.set_frames_stored(turn_id, n)
            })?;
            self.frames_stored = n;
            self.transcript.clear();
        }
        Ok(())
    }

    /// The lines that are not stored yet.
    pub fn waiting_transcript(&self) -> &str {
        &self.transcript
    }
}
