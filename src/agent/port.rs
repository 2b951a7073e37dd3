//! The port to a container: what the agent's client needs of the platform.

use std::any::Any;
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
    /// PUT
    Put,
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
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// The rest of a body, piece by piece: each is asked for when the one before it has left, so that one at a time is in memory.
pub type BodyChunks = Box<dyn FnMut() -> Result<Option<String>, ContainerError>>;

/// A body that is passed on as it came, between a container and a bucket: its bytes are never in this program's memory, and only the platform
/// knows what it is.
pub struct Stream {
    /// How many bytes it has, as its sender says.
    pub length: Option<u64>,
    body: Box<dyn Any>,
}

impl Stream {
    /// A body of the platform's.
    #[must_use]
    pub fn new(length: Option<u64>, body: impl Any) -> Self {
        Self { length, body: Box::new(body) }
    }

    /// The platform's body again; none if it is of another type.
    #[must_use]
    pub fn into_body<T: Any>(self) -> Option<T> {
        self.body.downcast().ok().map(|body| *body)
    }
}

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
    /// Its whole body, if that is passed on and not made here.
    pub stream: Option<Stream>,
}

impl Call {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, path: String) -> Self {
        Self { method, path, bearer: None, body: None, more: None, stream: None }
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

    /// The body of which no piece has been read, to be passed on; none if it cannot be.
    fn into_stream(self) -> Option<Stream>
    where
        Self: Sized,
    {
        None
    }
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
