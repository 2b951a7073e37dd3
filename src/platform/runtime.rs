//! The runtime's clock, randomness, tasks, alarm and log.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uuid::{Builder, NoContext, Timestamp, Uuid};
use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen_futures::{JsFuture, spawn_local};

use super::bindings::{self, Js, ObjectContext};
use crate::domain::{Millis, RequestId};
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

/// Random bytes that are drawn ahead, in one call for some four hundred requests.
const RANDOM_BYTES_AHEAD: usize = 4_096;
/// Random bytes in a UUID.
const UUID_RANDOM_BYTES: usize = 10;

thread_local! {
    /// The bytes and how many of them are left, used from the end; each is used once.
    static RANDOM: RefCell<([u8; RANDOM_BYTES_AHEAD], usize)> = const { RefCell::new(([0; RANDOM_BYTES_AHEAD], 0)) };
}

/// The id of a request that comes `now`.
pub fn request_id(now: Millis) -> RequestId {
    let ms = u64::try_from(now.get()).unwrap_or(0);
    let random = RANDOM.with_borrow_mut(|(bytes, left)| {
        if *left < UUID_RANDOM_BYTES {
            bindings::fill_with_random(bytes).ok()?;
            *left = bytes.len();
        }
        let (_, random) = bytes.get(..*left)?.split_last_chunk::<UUID_RANDOM_BYTES>()?;
        *left -= UUID_RANDOM_BYTES;
        Some(*random)
    });
    RequestId::new(random.map_or_else(uuid, |random| Builder::from_unix_timestamp_millis(ms, &random).into_uuid()))
}

/// Completes after the given time.
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
    let text = line.json();
    match level {
        Level::Info => bindings::log(&text),
        Level::Warn => bindings::warn(&text),
        Level::Error => bindings::error(&text),
    }
}

/// Waits for a promise that nobody else waits for, and logs its failure as `event`.
pub fn settle(event: &'static str, promise: Js<Promise>) {
    finish(event, async move { JsFuture::from(promise?).await.map(drop) });
}

/// Does what nobody waits for, and logs its failure as `event`.
pub fn finish(event: &'static str, work: impl Future<Output = Js<()>> + 'static) {
    spawn(async move {
        if let Err(error) = work.await {
            let why = bindings::thrown(&error);
            log(Level::Error, &Line { event, error: Some(&why), ..Line::default() });
        }
    });
}

/// Sets an object's one alarm.
pub fn set_alarm(context: &ObjectContext, at: Millis) {
    #[expect(clippy::cast_precision_loss, reason = "whole milliseconds below 2^53")]
    let at_ms = at.get() as f64;
    settle("alarm_not_set", context.storage().set_alarm(at_ms));
}
