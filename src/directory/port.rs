//! The ports of the directory: the runtime and the accounts as a shard sees them, and the shards as a Worker sees them.

use std::future::Future;
use std::time::Duration;

use super::command::{Command, Reply};
use crate::domain::account::ErasureStep;
use crate::domain::{AccountId, ErasureId, Millis, PurgeOutcome};
use crate::log::{Level, Line};

/// Another object did not answer, or not as it should. The detail is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// What a shard needs of the runtime.
pub trait Runtime: 'static {
    /// The current time.
    fn now(&self) -> Millis;

    /// Completes after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()>;

    /// Sets the shard's one alarm, in place of the one that was set.
    fn set_alarm(&self, at: Millis);

    /// Writes one line of the log.
    fn log(&self, level: Level, line: &Line<'_>);

    /// Has an account erase itself, as far as it comes; what it holds must have been stored (`counted`) before it begins.
    fn erase(
        &self,
        account_id: &AccountId,
        keep_account: bool,
        counted: bool,
        erasure_id: ErasureId,
    ) -> impl Future<Output = Result<ErasureStep, Unreachable>>;

    /// Has an account delete what is due, and returns what it deleted and left.
    fn visit(&self, account_id: &AccountId) -> impl Future<Output = Result<PurgeOutcome, Unreachable>>;
}

/// The shards, as a Worker sees them.
pub trait Shards {
    /// Sends a command to a shard.
    fn ask(&self, shard: u32, command: &Command) -> impl Future<Output = Result<Reply, Unreachable>>;

    /// Completes after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()>;
}
