//! What is known of a running turn: what its frames said so far, and how much of it is stored.
//! Of a transcript only whole entries are ever stored, each a line.

use super::items::Items;
use crate::agent::protocol::{BadTranscript, MAX_ENTRY_BYTES, Started, Transcript, TranscriptPart};
use crate::domain::trace::TraceParent;
use crate::domain::{SdkSession, SessionId, TurnId, TurnKind};
use crate::store::sql::Sql;
use crate::store::waiting::Behind;
use crate::store::{Store, StoreError};

/// Bytes of transcript that wait in memory for the turn's end; more is stored at once.
const MAX_WAITING_TRANSCRIPT_BYTES: usize = 1_000_000;
/// Bytes of transcript that one turn may store.
pub const MAX_TURN_STORED_BYTES: usize = 64 * 1024 * 1024;

/// Events that a turn which waits may have told since it began to wait.
const MAX_UNSEEN_EVENTS: u64 = 10_000;

/// Why a frame was refused.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The frame breaks the protocol.
    #[error(transparent)]
    Bad(#[from] BadTranscript),
}

/// An entry that comes in parts.
struct Open {
    subpath: Option<String>,
    /// Where its text begins in the waiting transcript.
    begins: usize,
}

/// The state of a running turn in memory.
#[derive(Default)]
pub struct Progress {
    /// The last frame that was seen.
    pub last_n: u64,
    /// The SDK's session, once it is known.
    pub sdk_session: Option<SdkSession>,
    /// Whether a live process took the turn.
    pub warm: bool,
    /// Whether the container was started for it.
    pub cold_container: bool,
    /// Whether the container may have it.
    pub given: bool,
    /// The agent server that it was given to last, as it is stored.
    pub instance: Option<String>,
    /// The SDK's session that it was given to the container with last, if any.
    pub workspace_of: Option<SdkSession>,
    /// The SDK's session that it begins, where files of its conversation are in the container before.
    pub new_session: Option<SdkSession>,
    /// What the turn does.
    pub kind: TurnKind,
    /// The trace that the turn belongs to.
    pub traceparent: Option<TraceParent>,
    /// What the container said that it must not say, for the caller.
    pub refused: Option<&'static str>,
    /// What it did so far.
    pub items: Items,
    /// The turns whose messages it has taken in.
    pub steered: Vec<TurnId>,
    /// What it had behind it when this run of it began.
    pub behind: Behind,
    /// What it had said before.
    pub text_before: String,
    frames_stored: u64,
    /// Of this turn, stored and waiting.
    bytes: usize,
    transcript: String,
    /// So many bytes of the waiting transcript are whole lines.
    whole: usize,
    open: Option<Open>,
}

impl Progress {
    /// A turn whose transcript is stored up to the frame `frames_stored`.
    pub fn new(frames_stored: u64) -> Self {
        Self { frames_stored, ..Self::default() }
    }

    /// The same of one that has something behind it.
    pub fn after(self, behind: Behind, text_before: String) -> Self {
        let items = Items::behind(behind.items_n);
        Self { items, behind, text_before, ..self }
    }

    /// Whether it waits or has waited for somebody.
    pub const fn has_waited(&self) -> bool {
        self.behind.waits_from > 0
    }

    /// The number of the event that a frame is.
    pub const fn number_of(&self, frame: u64) -> u64 {
        self.behind.first_n.saturating_add(frame)
    }

    /// The number of the last event. Of a turn whose frames this object never saw, since its container was gone with the object's memory, it is above
    /// all that anybody can have heard.
    pub const fn last_event(&self) -> u64 {
        let (seen, stored) = (self.number_of(self.last_n), self.behind.items_n);
        if seen < stored { stored.saturating_add(MAX_UNSEEN_EVENTS) } else { seen }
    }

    /// All that it said up to this frame is stored.
    pub fn set_stored(&mut self, frame: u64) {
        self.frames_stored = frame;
        self.transcript.clear();
        self.whole = 0;
        self.items.set_stored(self.number_of(frame));
    }

    /// Whether an entry of its transcript has come in part.
    pub const fn has_open_entry(&self) -> bool {
        self.open.is_some()
    }

    /// Whether something that it said is stored.
    pub fn has_run(&self) -> bool {
        self.frames_stored > 0
    }

    /// Whether the conversation's transcript has anything of it, and so the model whatever it was asked.
    pub const fn is_in_history(&self) -> bool {
        self.bytes > 0 || self.frames_stored > 0 || self.has_waited()
    }

    /// Takes what the `started` frame says.
    pub fn started(&mut self, started: Started) {
        self.sdk_session = Some(started.sdk_session);
        self.warm = started.warm;
    }

    /// Takes a `transcript` frame, in the form in which the container gets it back: one line an entry.
    /// What is stored already is passed over.
    pub fn transcript<S: Sql>(
        &mut self,
        n: u64,
        transcript: &Transcript,
        store: &Store<S>,
        turn: (&TurnId, &SessionId),
    ) -> Result<(), NotTaken> {
        if n <= self.frames_stored {
            return Ok(self.count(transcript.entries.get().len())?);
        }
        if self.open.is_some() {
            return Err(BadTranscript("an entry that comes in parts was interrupted").into());
        }
        transcript.write_lines(&mut self.transcript)?;
        self.close_line(n, store, turn)
    }

    /// Takes a part of an entry. Nothing of it is stored before its last part has come.
    pub fn part<S: Sql>(
        &mut self,
        n: u64,
        part: TranscriptPart,
        store: &Store<S>,
        turn: (&TurnId, &SessionId),
    ) -> Result<(), NotTaken> {
        if n <= self.frames_stored {
            return Ok(self.count(part.text.len())?);
        }
        part.check()?;
        let open = match self.open.take() {
            Some(open) if open.subpath == part.subpath => open,
            Some(_) => return Err(BadTranscript("an entry that comes in parts was interrupted").into()),
            None => {
                Transcript::begin_line(part.subpath.as_deref(), &mut self.transcript)?;
                Open { subpath: part.subpath, begins: self.transcript.len() }
            }
        };
        self.transcript.push_str(&part.text);
        let entry = self.transcript.get(open.begins..).unwrap_or_default();
        if entry.len() > MAX_ENTRY_BYTES {
            return Err(BadTranscript("an entry is too long").into());
        }
        if !part.last {
            self.open = Some(open);
            return Ok(());
        }
        Transcript::check_entry(entry)?;
        Transcript::end_line(&mut self.transcript);
        self.close_line(n, store, turn)
    }

    /// The lines up to here are whole, and were said up to the frame `n`.
    fn close_line<S: Sql>(
        &mut self,
        n: u64,
        store: &Store<S>,
        (turn_id, session_id): (&TurnId, &SessionId),
    ) -> Result<(), NotTaken> {
        self.count(self.transcript.len() - self.whole)?;
        self.whole = self.transcript.len();
        if self.whole > MAX_WAITING_TRANSCRIPT_BYTES {
            store.transaction(|| {
                store.append_transcript(session_id, &self.transcript)?;
                store.set_frames_stored(turn_id, n)
            })?;
            self.frames_stored = n;
            self.transcript.clear();
            self.whole = 0;
        }
        Ok(())
    }

    fn count(&mut self, bytes: usize) -> Result<(), BadTranscript> {
        self.bytes += bytes;
        if self.bytes > MAX_TURN_STORED_BYTES {
            Err(BadTranscript("the turn's transcript is too long"))
        } else {
            Ok(())
        }
    }

    /// The whole lines that are not stored yet.
    pub fn waiting_transcript(&self) -> &str {
        self.transcript.get(..self.whole).unwrap_or_default()
    }
}
