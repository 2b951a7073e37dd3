//! The port to the runtime: clock, randomness, tasks, the alarm and the log.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::Millis;
use crate::log::{Level, Line};

/// What an object's use cases need of the runtime.
pub trait Host: 'static {
    /// The time.
    fn now(&self) -> Millis;

    /// A fresh, time-ordered UUID.
    fn uuid(&self) -> Uuid;

    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static;

    /// Runs a task that outlives the request at hand.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);

    /// Sets the object's one alarm, in place of the one that was set.
    fn set_alarm(&self, at: Millis);

    /// Writes one line of the log.
    fn log(&self, level: Level, line: &Line<'_>);
}
