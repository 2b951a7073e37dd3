//! The port to the bucket that holds packs and uploads. Bodies pass through as they came, in both directions: a body that is pumped through
//! this program's memory costs three times the time and loses its length.

use std::future::Future;
use std::pin::Pin;

use crate::agent::Stream;

/// Most keys that one deletion names: R2's limit.
pub const MAX_KEYS_PER_DELETE: usize = 1_000;

/// The bucket did not do what it was asked. The detail is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bucket: {0}")]
pub struct BucketError(pub String);

/// What the bucket answers, when it does.
pub type Asked<T> = Pin<Box<dyn Future<Output = Result<T, BucketError>>>>;

/// A key that a listing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// It.
    pub key: String,
    /// When its object was put, in milliseconds since the epoch.
    pub uploaded_at: i64,
}

/// A bucket, as the object of one account uses it.
pub trait Bucket: 'static {
    /// What the keys of this account begin with; no other account's do.
    fn prefix(&self) -> &str;

    /// Stores a body under a key, and returns how many bytes it had.
    fn put(&self, key: &str, body: Stream) -> Asked<u64>;

    /// The body under a key; none if there is no such key.
    fn get(&self, key: &str) -> Asked<Option<Stream>>;

    /// Deletes keys, at most [`MAX_KEYS_PER_DELETE`]. A key that there is not is deleted.
    fn delete(&self, keys: &[String]) -> Asked<()>;

    /// The first keys of this account behind a key, in their order; none at the end.
    fn list(&self, after: Option<&str>) -> Asked<Vec<Found>>;
}
