//! What the bucket holds beyond what is named: objects that a crash left without a name, found by listing the account's prefix, and all of them
//! where the account is left empty.

use std::rc::Rc;
use std::time::Duration;

use super::BUCKET_LIMIT;
use super::drain::DOOMED_GRACE;
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, Runtime};
use crate::account::{Account, Deferred};
use crate::agent::Container;
use crate::domain::time::DAY;
use crate::store::sql::Sql;
use crate::workspace::port::{Bucket, Found, MAX_KEYS_PER_DELETE};

/// When an account that was left empty looks into the bucket once more: a put that was under way may have ended after its delete.
pub const SECOND_LOOK: Duration = Duration::from_hours(1);
/// Pages of keys that one look reads.
const MAX_PAGES: usize = 1_000;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Deletes whatever the bucket holds of an account without conversations; whether nothing is left. What may still be put or read is left
    /// until it is due.
    pub(in crate::account) async fn empty_bucket(&self) -> Result<bool, AccountError> {
        let Some(bucket) = self.files.bucket.clone() else { return Ok(true) };
        let mut after: Option<String> = None;
        let mut all = true;
        for _ in 0..MAX_PAGES {
            let found = self.asked(BUCKET_LIMIT, bucket.list(after.as_deref())).await?;
            let Some(last) = found.last() else { return Ok(all) };
            after = Some(last.key.clone());
            for keys in found.chunks(MAX_KEYS_PER_DELETE) {
                all &= self.delete_of_nobody(&bucket, keys).await?;
            }
        }
        Ok(false)
    }

    async fn delete_of_nobody(&self, bucket: &Rc<dyn Bucket>, found: &[Found]) -> Result<bool, AccountError> {
        let keys: Vec<String> = found.iter().map(|found| found.key.clone()).collect();
        // Nobody names a key of storage that was cleared.
        let deletable: Vec<String> = if self.store.is_made() {
            let due = self.store.due_or_unknown(&keys, self.runtime.now().minus(DOOMED_GRACE))?;
            due.into_iter().filter(|key| !self.files.is_in_flight(key)).collect()
        } else {
            keys.clone()
        };
        if !deletable.is_empty() {
            self.asked(BUCKET_LIMIT, bucket.delete(&deletable)).await?;
            if self.store.is_made() {
                self.store.forget_doomed(deletable.iter().map(String::as_str))?;
            }
        }
        Ok(deletable.len() == keys.len())
    }

    /// Dooms what the bucket holds for longer than a day and nothing names.
    pub(in crate::account) async fn doom_the_nameless(&self) -> Result<(), AccountError> {
        let Some(bucket) = self.files.bucket.clone() else { return Ok(()) };
        let mut after: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let found = self.asked(BUCKET_LIMIT, bucket.list(after.as_deref())).await?;
            let Some(last) = found.last() else { return Ok(()) };
            after = Some(last.key.clone());
            if !self.store.is_made() {
                return Ok(());
            }
            let now = self.runtime.now();
            let old = found.iter().filter(|found| found.uploaded_at < now.minus(DAY).get());
            let keys: Vec<String> = old.map(|found| found.key.clone()).collect();
            self.store.doom(&self.store.unknown(&keys)?, now)?;
        }
        Ok(())
    }

    /// Looks into the bucket of an account of which nothing is stored, as a task of an alarm. Where that fails, it looks again.
    pub(in crate::account) fn look_into_bucket_again(self: &Rc<Self>) -> Option<Deferred<()>> {
        if !self.files.is_on() {
            return None;
        }
        let account = Rc::clone(self);
        Some(Box::pin(async move {
            let outcome = account.empty_bucket().await;
            if account.store.is_made() {
                return Ok(());
            }
            match outcome {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(error) => account.log_not_deleted(&error),
            }
            account.look_later();
            Ok(())
        }))
    }

    /// Sets the alarm of an account of which nothing is stored.
    pub(in crate::account) fn look_later(&self) {
        if self.files.is_on() {
            let at = self.runtime.now().plus(SECOND_LOOK);
            self.alarm.set(Some(at));
            self.runtime.set_alarm(at);
        }
    }
}
