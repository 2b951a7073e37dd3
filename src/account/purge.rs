//! Retention of one account: deletes what is due in batches that let reads in between, clears the storage of an account that is
//! left empty, and makes the account known to the directory. Conversations with a queued or running turn are left; a turn that waits for
//! somebody without a process ends with its conversation.

use std::rc::Rc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use super::error::AccountError;
use super::feed::ConversationChange;
use super::runtime::{Directory, Runtime};
use super::wake::Purge;
use super::{Account, Deferred};
use crate::agent::Container;
use crate::domain::{Millis, PurgeOutcome, SdkSession};
use crate::log::{Level, Line};
use crate::store::retention::PURGE_BATCH;
use crate::store::sql::Sql;
use crate::store::untold::Untold;

/// How long one command or alarm purges; the next alarm goes on with what is left. The platform grants 30 s of CPU to each.
pub const PURGE_SLICE: Duration = Duration::from_secs(15);
/// Sessions that the container is asked to forget at once.
const FORGET_AT_ONCE: usize = 8;

/// What one slice did.
#[derive(Default)]
struct Slice {
    deleted: u64,
    errors: u64,
    more: bool,
    emptied: bool,
    oldest_access: Option<Millis>,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Deletes what is due for up to [`PURGE_SLICE`]. One slice runs at a time; a second waits and finds what the first left.
    ///
    /// # Errors
    /// [`AccountError::Store`] if what is left cannot be read.
    pub(in crate::account) async fn purge(self: Rc<Self>, by_visit: bool) -> Result<PurgeOutcome, AccountError> {
        let _one_at_a_time = self.purge_lock.lock().await;
        if !self.store.is_made() {
            // The one before has left nothing.
            return Ok(PurgeOutcome { deleted: 0, errors: 0, oldest_access_at: None });
        }
        let began = self.runtime.now();
        self.purge.set(Purge::Running);
        let outcome = match self.purge_slice(began).await {
            Ok(slice) => self.end_slice(slice, by_visit).await,
            Err(error) => Err(error),
        };
        let paused = matches!(&outcome, Ok(slice) if slice.more);
        self.purge.set(if paused { Purge::Paused } else { Purge::None });
        let slice = outcome?;
        if slice.deleted > 0 || slice.errors > 0 || slice.emptied {
            self.log_slice(&slice, began);
        }
        if !slice.emptied {
            if self.idle_since.get().is_none() && self.turns.held_count() == 0 && self.agent.is_running() {
                // The object was rebuilt for this purge: the alarm that is replaced now may be the idle container's.
                self.idle_since.set(Some(self.store.container_idle_since()?.unwrap_or(began)));
            }
            self.set_alarm()?;
        }
        let oldest_access_at = slice.oldest_access.map(|oldest| self.as_the_directory_counts(oldest)).transpose()?;
        Ok(PurgeOutcome { deleted: slice.deleted, errors: slice.errors, oldest_access_at })
    }

    /// What an alarm has to purge, as a task of that alarm; none if nothing is due or it is being done.
    pub(super) fn purge_by_alarm(self: &Rc<Self>, now: Millis) -> Result<Option<Deferred<()>>, AccountError> {
        let Some(oldest) = self.store.oldest_access()? else { return Ok(None) };
        if oldest >= self.cutoff(now) || self.purge.get() == Purge::Running {
            return Ok(None);
        }
        if self.wake_limits().backstop(oldest) <= now {
            // No visit came in time: the directory has lost the account.
            self.store.set_registered(false)?;
            self.register_soon()?;
        }
        let account = Rc::clone(self);
        Ok(Some(Box::pin(async move { account.purge_or_retry().await })))
    }

    async fn purge_slice(self: &Rc<Self>, began: Millis) -> Result<Slice, AccountError> {
        let mut slice = Slice::default();
        self.store.forget_deliveries(self.cutoff(began))?;
        loop {
            let cutoff = self.cutoff(self.runtime.now());
            match self.delete_parked(cutoff) {
                Ok(deleted) => slice.deleted += deleted,
                Err(error) => {
                    slice.errors += 1;
                    self.log_failure(Level::Error, "purge_failed", &error);
                    return Ok(slice);
                }
            }
            let batch = match self.store.transaction(|| self.store.purge_batch(cutoff)) {
                Ok(batch) => batch,
                Err(error) => {
                    slice.errors += 1;
                    self.log_failure(Level::Error, "purge_failed", &error);
                    return Ok(slice);
                }
            };
            slice.deleted += u64::from(batch.conversations);
            for session_id in &batch.session_ids {
                self.feed.conversation(session_id, ConversationChange::Deleted, None);
            }
            slice.errors += self.forget_sessions(batch.sdk_sessions).await;
            if batch.conversations < PURGE_BATCH {
                return Ok(slice);
            }
            if self.runtime.now().since(began) >= PURGE_SLICE {
                slice.more = true;
                return Ok(slice);
            }
            self.set_alarm()?;
            self.runtime.sleep(Duration::ZERO).await;
        }
    }

    /// Deletes what is due and has a turn that waits for somebody without a process, as `DELETE` does; returns how many.
    fn delete_parked(self: &Rc<Self>, cutoff: Millis) -> Result<u64, AccountError> {
        let mut deleted = 0;
        for session_id in self.store.parked_before(cutoff, PURGE_BATCH)? {
            let active = self.store.active_turns()?;
            if active.iter().all(|turn| turn.session_id != session_id || self.is_parked_in(&session_id, turn)) {
                self.delete_conversation(&session_id)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }

    /// Lets a running container forget what was deleted; returns how often it did not.
    async fn forget_sessions(&self, sdk_sessions: Vec<SdkSession>) -> u64 {
        if sdk_sessions.is_empty() || !self.agent.is_running() {
            return 0;
        }
        let forget = |session: SdkSession| async move { self.agent.forget_session(&session).await };
        let outcomes: Vec<_> = stream::iter(sdk_sessions).map(forget).buffer_unordered(FORGET_AT_ONCE).collect().await;
        let mut failed = 0;
        for error in outcomes.into_iter().filter_map(Result::err) {
            failed += 1;
            if failed == 1 {
                self.log_failure(Level::Warn, "sessions_not_forgotten", &error);
            }
        }
        failed
    }

    /// Looks at what is left after the last await of a slice, and clears the storage if that is nothing.
    async fn end_slice(&self, mut slice: Slice, by_visit: bool) -> Result<Slice, AccountError> {
        self.forget_old_usage()?;
        slice.oldest_access = self.store.oldest_access()?;
        if slice.oldest_access.is_some() {
            if !slice.more
                && let Err(error) = self.doom_the_nameless().await
            {
                slice.errors += 1;
                self.log_failure(Level::Warn, "files_not_listed", &error);
            }
            return Ok(slice);
        }
        let is_bucket_empty = self.empty_bucket().await?;
        slice.oldest_access = self.store.oldest_access()?;
        if slice.oldest_access.is_some() || !is_bucket_empty {
            // What is due later is deleted by the alarm, which then looks whether anything is left.
            return Ok(slice);
        }
        if self.store.is_automated()? {
            // They are the account's until it deletes them. If that is all there is of it, the directory forgets it until its next conversation.
            slice.oldest_access = self.keeps_as()?;
            if slice.oldest_access.is_none() {
                self.store.set_registered(false)?;
            }
        } else if self.turns.held_count() == 0 {
            // Its container holds nothing but what was deleted.
            self.container_stops(self.runtime.now())?;
            self.agent.stop();
            self.idle_since.set(None);
            slice.oldest_access = self.keeps_as()?;
            if slice.oldest_access.is_some() {
                return Ok(slice);
            }
            // A visit's answer has the directory drop it; an account that comes back may be another shard's.
            if !by_visit {
                if let Err(error) = self.leave_directory().await {
                    slice.errors += 1;
                    self.log_failure(Level::Warn, "directory_not_told", &error);
                    return Ok(slice);
                }
                slice.oldest_access = self.store.oldest_access()?;
                if slice.oldest_access.is_some() || self.store.is_automated()? || self.keeps_as()?.is_some() {
                    // It is used again.
                    self.store.set_registered(false)?;
                    self.store.set_untold(Untold { active: true, status: true })?;
                    return Ok(slice);
                }
            }
            self.store.clear()?;
            self.alarm.set(None);
            self.look_later();
            slice.emptied = true;
        } else {
            // A turn of a deleted conversation is about to end. The directory forgets the account all the same.
            self.store.set_registered(false)?;
        }
        Ok(slice)
    }

    /// The access that makes the account due in the directory when its oldest conversation is: that counts by the retention of all accounts.
    fn as_the_directory_counts(&self, oldest: Millis) -> Result<Millis, AccountError> {
        Ok(oldest.plus(self.retention()?).minus(self.config.retention))
    }

    /// What an account without conversations is in the directory; none if there is nothing to keep of it.
    fn keeps_as(&self) -> Result<Option<Millis>, AccountError> {
        let usage = self.keeps_usage_as()?;
        let has_settings = self.store.settings()?.is_some();
        Ok(usage.or_else(|| has_settings.then(|| self.runtime.now())))
    }

    fn cutoff(&self, now: Millis) -> Millis {
        now.minus(self.retention().unwrap_or(self.config.retention))
    }

    /// Tells the directory of this account if it does not know it; nobody waits for that. If it fails, the alarm tries again.
    pub(super) fn register_soon(self: &Rc<Self>) -> Result<(), AccountError> {
        if self.registering.get() {
            return Ok(());
        }
        let Some(oldest) = self.store.unregistered_since()? else { return Ok(()) };
        self.registering.set(true);
        let account = Rc::clone(self);
        self.runtime.spawn(async move {
            let answer = account.runtime.register(account.shard(), &account.id, oldest).await;
            account.registering.set(false);
            if let Err(error) = answer {
                account.log_failure(Level::Warn, "not_registered", &error);
            } else if account.store.is_made()
                && let Err(error) = account.store.set_registered(true)
            {
                account.log_failure(Level::Error, "registration_not_stored", &error);
            }
        });
        Ok(())
    }

    fn log_slice(&self, slice: &Slice, began: Millis) {
        let line = Line {
            event: "account_purged",
            deleted: Some(slice.deleted),
            errors: Some(slice.errors),
            more: Some(slice.more),
            emptied: Some(slice.emptied),
            rows_written: Some(self.store.rows_written()),
            total_ms: u64::try_from(self.runtime.now().since(began).as_millis()).ok(),
            ..Line::default()
        };
        self.log(if slice.errors > 0 { Level::Warn } else { Level::Info }, line);
    }

    fn log_failure(&self, level: Level, event: &str, error: &dyn std::fmt::Display) {
        let why = error.to_string();
        self.log(level, Line { event, error: Some(&why), ..Line::default() });
    }
}
