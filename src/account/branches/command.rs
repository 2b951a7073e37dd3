//! What is asked of a conversation's branches, and why there may be none.

use serde::{Deserialize, Serialize};

use crate::domain::{SessionId, Title, TurnId};

/// A conversation to be made of another's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForkAsked {
    /// The conversation that has it.
    pub source: SessionId,
    /// The turn at whose end it had it; its last one if absent.
    pub at: Option<TurnId>,
    /// The new conversation; one with an id of the account's choosing if absent.
    pub session_id: Option<SessionId>,
    /// The new conversation's title; the other's if absent.
    pub title: Option<Title>,
}

/// A state that a conversation is to go back to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RewindTo {
    /// That at the end of a turn.
    To(TurnId),
    /// That before a turn.
    Before(TurnId),
}

/// Why a conversation has no branch there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoBranch {
    /// No turn of it has ended.
    #[error("no turn has ended")]
    NoTurn,
    /// The turn ended before it was stored where the transcript stood at its end.
    #[error("it is not known where the transcript stood")]
    TranscriptUnknown,
    /// The files of that moment are kept no longer.
    #[error("the files are kept no longer")]
    FilesGone,
    /// There is more than a fork may copy.
    #[error("there is too much to copy")]
    TooLarge,
}
