//! The client side of the container's protocol (`container/README.md`): starts the container, gives it turns, reads their frames, names its
//! failures. It owns the port to a container, which `platform` implements; it stores nothing and decides nothing about turns.

mod client;
mod error;
mod frames;
mod port;
pub mod protocol;
mod start;
mod workspace;

pub use client::{Agent, Health, TurnRequest};
pub use error::AgentError;
pub use frames::Frames;
pub use port::{Answer, Body, Call, Container, ContainerError, Method, Pieces, Stream};
pub use start::{Readiness, START_LIMIT};
