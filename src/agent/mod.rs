//! The client side of the container's protocol (`container/README.md`): starts the container, gives it turns, reads their frames, names its
//! failures. It owns the port to a container, which `platform` implements; it stores nothing and decides nothing about turns.

mod actions;
pub mod client;
pub mod continuation;
mod error;
mod frames;
mod options;
pub mod port;
pub mod protocol;
pub mod start;
mod workspace;

pub use client::{Agent, Offer, TurnRequest};
pub use error::AgentError;
pub use frames::Frames;
pub use options::{Rules, RunOptions, SystemPrompt};
pub use port::{Answer, Body, BodyChunks, Call, Container, ContainerError, Stream};
pub use start::Readiness;
