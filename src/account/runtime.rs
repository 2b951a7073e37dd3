//! The ports to the runtime: clock, randomness, tasks, the alarm and the log; and to the directory of accounts.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::account::AccountStatus;
use crate::domain::fleet::FleetReport;
use crate::domain::{AccountId, Millis, Turn};
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

    /// Posts `body` to a server of the internet with these headers, and returns the status of its response, whose body is not read. A
    /// redirect is a response like any other. What takes longer than `limit` is given up.
    fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<u16, NotSent>> + 'static;

    /// How many seconds clocks in a time zone are ahead of UTC at a moment; none if there is no such zone.
    fn utc_offset_s(&self, zone: &str, at: Millis) -> Option<i32>;

    /// A turn as the public contract shows it, as JSON.
    fn turn_json(&self, turn: &Turn) -> String;
}

/// Why a server of the internet gave no response. Whoever chose its address is told no more than this: it is no way to look around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSent {
    /// It cannot be reached, or the connection broke.
    Unreachable,
    /// It took too long.
    Timeout,
    /// Its address is not one that is asked.
    Refused,
}

impl NotSent {
    /// The word that is stored and shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
        }
    }
}

/// The directory did not register an account. The detail is for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotRegistered(pub String);

/// The directory of accounts, as an account sees it.
pub trait Directory: 'static {
    /// The shard that knows the account: the one that was told of it before, or its own by the number of shards.
    fn shard_of(&self, account_id: &AccountId, known: Option<u32>) -> u32;

    /// Registers the account. None of its conversations was last accessed before `oldest_access_at`.
    fn register(
        &self,
        shard: u32,
        account_id: &AccountId,
        oldest_access_at: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static;

    /// Records that the account runs a turn, or what its status is.
    fn note(
        &self,
        shard: u32,
        account_id: &AccountId,
        active: bool,
        status: Option<AccountStatus>,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static;

    /// Reports what the account is at.
    fn report(
        &self,
        shard: u32,
        account_id: &AccountId,
        report: FleetReport,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static;

    /// Has the shard forget the account, of which nothing is left.
    fn forget(&self, shard: u32, account_id: &AccountId) -> impl Future<Output = Result<(), NotRegistered>> + 'static;
}
