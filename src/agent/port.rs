//! The port to a container: what the agent's client needs of the platform.

use std::future::Future;
use std::time::Duration;

/// A platform's failure to start or reach a container. The detail is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ContainerError(pub String);

/// An HTTP method of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// POST
    Post,
    /// DELETE
    Delete,
}

impl Method {
    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
        }
    }
}

/// The rest of a body, piece by piece: each is asked for when the one before it has left, so that one at a time is in memory.
pub type BodyChunks = Box<dyn FnMut() -> Result<Option<String>, ContainerError>>;

/// One HTTP request to the agent server.
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path and query.
    pub path: String,
    /// The token of the container that it is for, as `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// Its body, or how it begins.
    pub body: Option<String>,
    /// What follows of the body. A failure cuts the request.
    pub more: Option<BodyChunks>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, path: String) -> Self {
        Self { method, path, bearer: None, body: None, more: None }
    }
}

/// The answer to a [`Call`], its body yet to be read.
pub struct Answer<B> {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: B,
}

/// A body that is read piece by piece; dropping it ends the request.
pub trait Body {
    /// The next piece; none at the end.
    fn chunk(&mut self) -> impl Future<Output = Result<Option<Vec<u8>>, ContainerError>>;
}

/// One account's container.
pub trait Container {
    /// The bodies of its answers.
    type Body: Body + 'static;

    /// Whether the platform believes that it runs.
    fn is_running(&self) -> bool;

    /// Makes a running or a coming container ready to be used by this object; may be called again and again.
    fn prepare(&self) -> impl Future<Output = Result<(), ContainerError>>;

    /// Starts it, with the token that its agent server asks every call for. It must not be running.
    fn start(&self, token: &str) -> impl Future<Output = Result<(), ContainerError>>;

    /// Sends a request to the agent server's port.
    fn fetch(&self, call: Call) -> impl Future<Output = Result<Answer<Self::Body>, ContainerError>>;

    /// Sends SIGTERM to the container if it runs.
    fn terminate(&self);

    /// Ends the container at once and completes when it has ended; does nothing if it is not running.
    fn destroy(&self) -> impl Future<Output = ()>;

    /// Completes after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()>;
}
