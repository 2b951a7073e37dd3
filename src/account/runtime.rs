//! The ports to the runtime: clock, randomness, tasks, the alarm and the log; and to the directory of accounts.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::account::AccountStatus;
use crate::domain::{AccountId, Millis};
use crate::log::{Level, Line};

/// What an object's use cases need of the runtime.
pub trait Runtime: 'static {
    /// The current time.
    fn now(&self) -> Millis;

    /// A fresh, time-ordered UUID.
    fn uuid(&self) -> Uuid;

    /// Completes after `time`.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static;

    /// Runs a task that outlives the request at hand.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Sets the object's one alarm, in place of the one that was set.
    fn set_alarm(&self, at: Millis);

    /// Writes one line of the log.
    fn log(&self, level: Level, line: &Line<'_>);
}

/// The directory did not register an account. The detail is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotRegistered(pub String);

/// The directory of accounts, as an account sees it.
pub trait Directory: 'static {
    /// Registers the account. None of its conversations was last accessed before `oldest_access_at`.
    fn register(
        &self,
        account_id: &AccountId,
        oldest_access_at: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static;

    /// Records that the account runs a turn, or what its status is.
    fn note(
        &self,
        account_id: &AccountId,
        active: bool,
        status: Option<AccountStatus>,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static;
}
