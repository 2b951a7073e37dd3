//! The files of an account's conversations: put into a container before a turn, saved at its end, read and changed by users in between, and
//! deleted. Without a bucket nothing of it happens.

pub mod command;
mod commands;
pub(super) mod drain;
mod empty;
pub(super) mod restore;
mod room;
pub(super) mod save;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_channel::oneshot;
use futures_util::future::{Either, select, try_join};

use super::Account;
use super::runtime::{Directory, Runtime};
use crate::agent::{Container, Stream};
use crate::domain::Millis;
use crate::store::sql::Sql;
use crate::workspace::port::{Asked, Bucket, BucketError};

/// How long a put may take; what it leaves after that is found by a listing.
const PUT_LIMIT: Duration = Duration::from_mins(5);

/// How long the bucket may take to answer anything else.
pub(super) const BUCKET_LIMIT: Duration = Duration::from_secs(30);

/// What an account knows of its bucket.
#[derive(Default)]
pub(super) struct Files {
    pub(super) bucket: Option<Rc<dyn Bucket>>,
    /// Keys whose objects are being put, or were put and are not yet named.
    in_flight: Rc<RefCell<Vec<String>>>,
    /// Whether doomed keys are being deleted.
    draining: Cell<bool>,
    /// When that is tried again after it failed.
    drain_again: Cell<Option<Millis>>,
}

impl Files {
    pub(super) fn on(bucket: Rc<dyn Bucket>) -> Self {
        Self { bucket: Some(bucket), ..Self::default() }
    }

    /// Whether files are saved at all.
    pub(super) const fn is_on(&self) -> bool {
        self.bucket.is_some()
    }

    fn is_in_flight(&self, key: &str) -> bool {
        self.in_flight.borrow().iter().any(|known| known == key)
    }
}

/// A key that is not deleted as long as this is kept.
pub(super) struct InFlight {
    key: String,
    all: Rc<RefCell<Vec<String>>>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.all.borrow_mut().retain(|key| *key != self.key);
    }
}

/// Moves packs two at a time, in their order: one more would only wait for the same line. It ends with the first that fails.
async fn two_at_once<I, T, E, F: Future<Output = Result<T, E>>>(
    items: impl IntoIterator<Item = I>,
    mut work: impl FnMut(I) -> F,
) -> Result<Vec<T>, E> {
    let (mut items, mut done) = (items.into_iter(), Vec::new());
    while let Some(first) = items.next() {
        match items.next() {
            Some(second) => {
                let (first, second) = try_join(work(first), work(second)).await?;
                done.extend([first, second]);
            }
            None => done.push(work(first).await?),
        }
    }
    Ok(done)
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// What the bucket answers, if it does within `limit`.
    async fn asked<T>(&self, limit: Duration, ask: Asked<T>) -> Result<T, BucketError> {
        match select(ask, pin!(self.runtime.sleep(limit))).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => Err(BucketError(format!("it did not answer within {} s", limit.as_secs()))),
        }
    }

    /// A fresh key of the bucket: no put of it races with a delete of an earlier one.
    fn new_key(&self, bucket: &dyn Bucket) -> Rc<InFlight> {
        let key = format!("{}{}", bucket.prefix(), self.runtime.uuid());
        let all = Rc::clone(&self.files.in_flight);
        all.borrow_mut().push(key.clone());
        Rc::new(InFlight { key, all })
    }

    /// Puts a body under a key that is doomed. The put goes on to its end, or to [`PUT_LIMIT`], even where nobody waits for it any more, and its
    /// key is in flight as long.
    async fn put(
        self: &Rc<Self>,
        bucket: &Rc<dyn Bucket>,
        key: &Rc<InFlight>,
        body: Stream,
    ) -> Result<u64, BucketError> {
        let (sender, receiver) = oneshot::channel();
        let (account, bucket, key) = (Rc::clone(self), Rc::clone(bucket), Rc::clone(key));
        self.runtime.spawn(async move {
            let outcome = account.asked(PUT_LIMIT, bucket.put(&key.key, body)).await;
            drop(key);
            // Whoever asked may have left.
            let _ = sender.send(outcome);
        });
        receiver.await.unwrap_or_else(|_| Err(BucketError("the put was given up".to_owned())))
    }
}
