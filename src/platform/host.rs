//! The runtime's clock, randomness, tasks, alarm and log.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uuid::{NoContext, Timestamp, Uuid};
use worker::js_sys::Date;
use worker::wasm_bindgen_futures::{JsFuture, spawn_local};

use super::bindings::{self, ObjectContext};
use crate::account::host::Host;
use crate::domain::Millis;
use crate::log::{Level, Line};

/// The time.
pub fn now() -> Millis {
    #[expect(clippy::cast_possible_truncation, reason = "whole milliseconds below 2^53")]
    Millis::new(Date::now() as i64)
}

/// A fresh UUID, ordered by time.
pub fn uuid() -> Uuid {
    let ms = u64::try_from(now().get()).unwrap_or(0);
    let nanos = u32::try_from(ms % 1_000).unwrap_or(0) * 1_000_000;
    Uuid::new_v7(Timestamp::from_unix(NoContext, ms / 1_000, nanos))
}

/// Waits.
pub fn sleep(time: Duration) -> impl Future<Output = ()> + 'static {
    worker::Delay::from(time)
}

/// Runs a task. Boxed, so that one instance of the runtime's code serves every task.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    let boxed: Pin<Box<dyn Future<Output = ()>>> = Box::pin(task);
    spawn_local(boxed);
}

/// Writes one line of the log.
pub fn log(level: Level, line: &Line<'_>) {
    let text = line.to_json();
    match level {
        Level::Info => bindings::log(&text),
        Level::Warn => bindings::warn(&text),
        Level::Error => bindings::error(&text),
    }
}

/// A Durable Object's runtime.
pub struct ObjectHost {
    context: ObjectContext,
}

impl ObjectHost {
    /// The runtime of the object whose context it is.
    pub fn new(context: ObjectContext) -> Self {
        Self { context }
    }
}

impl Host for ObjectHost {
    fn now(&self) -> Millis {
        now()
    }

    fn uuid(&self) -> Uuid {
        uuid()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        spawn(task);
    }

    fn set_alarm(&self, at: Millis) {
        #[expect(clippy::cast_precision_loss, reason = "whole milliseconds below 2^53")]
        let set = self.context.storage().set_alarm(at.get() as f64);
        spawn(async move {
            let result = match set {
                Ok(promise) => JsFuture::from(promise).await,
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                let why = bindings::thrown(&error);
                log(Level::Error, &Line { event: "alarm_not_set", error: Some(&why), ..Line::default() });
            }
        });
    }

    fn log(&self, level: Level, line: &Line<'_>) {
        log(level, line);
    }
}
