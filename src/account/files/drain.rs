//! Doomed keys: their objects are deleted once nobody can be reading them any more. A key is deleted only where it is due, nothing names it,
//! and this object is not putting it.

use std::rc::Rc;
use std::time::Duration;

use super::BUCKET_LIMIT;
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, Runtime};
use crate::account::{Account, Deferred};
use crate::agent::Container;
use crate::domain::Millis;
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::workspace::port::{Bucket, MAX_KEYS_PER_DELETE};

/// How long an object is kept after its key was doomed: downloads of it may be under way, and uploads of it.
pub const DOOMED_GRACE: Duration = Duration::from_mins(10);
/// Pause before deletions that failed are tried again.
pub const DRAIN_RETRY: Duration = Duration::from_mins(10);
/// Deletions of one alarm; the next one goes on.
const MAX_DELETES_PER_DRAIN: usize = 20;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// When doomed keys are next to be deleted; none where there are none.
    pub(in crate::account) fn next_drain(&self, now: Millis) -> Result<Option<Millis>, AccountError> {
        if !self.files.is_on() {
            return Ok(None);
        }
        if self.files.draining.get() {
            return Ok(Some(now.plus(crate::account::wake::WATCH)));
        }
        let again = self.files.drain_again.get();
        let Some(first) = self.store.first_doomed()? else { return Ok(again) };
        let mut at = first.plus(DOOMED_GRACE).max(now);
        if let Some(idle_since) = self.idle_since.get()
            && first > Millis::new(0)
        {
            // The alarm that ends the idle container does it.
            at = at.max(idle_since.plus(self.config.container_idle));
        }
        Ok(Some(again.map_or(at, |again| at.max(again))))
    }

    /// Deletes what is due, as a task of an alarm, behind `before`; `before` alone where nothing is due or it is being done. An account that is
    /// left without a conversation is cleared behind that.
    pub(in crate::account) fn drain_behind(
        self: &Rc<Self>,
        before: Option<Deferred<()>>,
        now: Millis,
    ) -> Result<Option<Deferred<()>>, AccountError> {
        let Some(bucket) = self.files.bucket.clone() else { return Ok(before) };
        let again = self.files.drain_again.get();
        let is_due = self.store.first_doomed()?.is_some_and(|first| first.plus(DOOMED_GRACE) <= now);
        if self.files.draining.get() || again.is_some_and(|again| again > now) {
            return Ok(before);
        }
        if !(is_due || self.is_left_empty()?) {
            // What was to be tried again is done: an alarm for it would ring for ever.
            self.files.drain_again.set(None);
            return Ok(before);
        }
        self.files.draining.set(true);
        let account = Rc::clone(self);
        Ok(Some(Box::pin(async move {
            let drained = account.drain(&bucket).await;
            account.files.draining.set(false);
            let all = drained.as_ref().is_ok_and(|all| *all);
            account.files.drain_again.set((!all).then(|| account.runtime.now().plus(DRAIN_RETRY)));
            if let Err(error) = drained {
                account.log_not_deleted(&error);
            }
            if let Some(before) = before {
                before.await?;
            }
            if all && account.store.is_made() && account.is_left_empty()? {
                account.purge_or_retry().await?;
            }
            if account.store.is_made() { account.set_alarm() } else { Ok(()) }
        })))
    }

    /// Whether no conversation is left, nothing waits to be deleted, and no container runs.
    fn is_left_empty(&self) -> Result<bool, AccountError> {
        let is_idle = self.turns.held_count() == 0 && !self.agent.is_running() && !self.is_prewarming();
        let is_kept = || self.store.is_automated();
        Ok(is_idle && self.store.oldest_access()?.is_none() && self.store.first_doomed()?.is_none() && !is_kept()?)
    }

    /// A purge of an alarm. Where the bucket fails, a later alarm tries again.
    pub(in crate::account) async fn purge_or_retry(self: &Rc<Self>) -> Result<(), AccountError> {
        match Rc::clone(self).purge(false).await {
            Err(AccountError::Bucket(error)) => {
                self.log_not_deleted(&error);
                self.files.drain_again.set(Some(self.runtime.now().plus(DRAIN_RETRY)));
                if self.store.is_made() { self.set_alarm() } else { Ok(()) }
            }
            outcome => outcome.map(drop),
        }
    }

    pub(super) fn log_not_deleted(&self, error: &dyn std::fmt::Display) {
        let why = error.to_string();
        self.log(Level::Warn, Line { event: "files_not_deleted", error: Some(&why), ..Line::default() });
    }

    /// Deletes what is due; whether that was all.
    async fn drain(&self, bucket: &Rc<dyn Bucket>) -> Result<bool, AccountError> {
        for _ in 0..MAX_DELETES_PER_DRAIN {
            let due = self.store.doomed_since(self.runtime.now().minus(DOOMED_GRACE), MAX_KEYS_PER_DELETE)?;
            if due.is_empty() {
                return Ok(true);
            }
            if !self.delete_keys(bucket, due).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Deletes the objects of doomed keys that nothing names; whether there was one that is not being put.
    async fn delete_keys(&self, bucket: &Rc<dyn Bucket>, mut keys: Vec<String>) -> Result<bool, AccountError> {
        keys.retain(|key| !self.files.is_in_flight(key));
        let named = self.store.named(&keys)?;
        self.store.forget_doomed(named.iter().map(String::as_str))?;
        if keys.is_empty() {
            return Ok(false);
        }
        let unnamed: Vec<String> = keys.into_iter().filter(|key| !named.contains(key)).collect();
        if !unnamed.is_empty() {
            self.asked(BUCKET_LIMIT, bucket.delete(&unnamed)).await?;
            if self.store.is_made() {
                self.store.forget_doomed(unnamed.iter().map(String::as_str))?;
            }
        }
        Ok(self.store.is_made())
    }
}
