//! What can go wrong between an account and its agent server.

use super::port::ContainerError;
use super::protocol::BaseHeld;

/// Why the agent did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The container did not start, or does not answer. The detail is for the log.
    #[error("container: {0}")]
    Unreachable(#[from] ContainerError),
    /// The container did not answer in time. The detail is for the log.
    #[error("container: {0}")]
    Silent(ContainerError),
    /// The platform has no room for another container. The detail is for the log.
    #[error("container: {0}")]
    NoInstance(ContainerError),
    /// The agent server was started with another token than the account has.
    #[error("the agent server does not take the token")]
    Unauthorized,
    /// The stream of frames broke off before its end.
    #[error("the stream of frames was cut")]
    Cut,
    /// The agent server does not know this turn.
    #[error("unknown turn")]
    UnknownTurn,
    /// The agent server no longer holds this conversation and wants its transcript.
    #[error("transcript required")]
    TranscriptRequired,
    /// The agent server does not hold the workspace that the turn must stand on.
    #[error("workspace required")]
    WorkspaceRequired(Option<BaseHeld>),
    /// The agent server is about to stop and takes no new turn.
    #[error("draining")]
    Draining,
    /// A turn of the conversation has not ended there.
    #[error("the conversation is busy")]
    SessionBusy,
    /// Every process that it may have is taken by a running turn.
    #[error("every process is taken")]
    NoProcess,
    /// The agent server said what the protocol does not allow. The detail is for the log.
    #[error("protocol: {0}")]
    Protocol(String),
}
