//! What the account tells the directory of accounts: that it was active on a day, and its status. Nobody waits for that. What there is to tell is
//! stored until the directory has answered, and the alarm tells it again.

use std::rc::Rc;

use super::Account;
use super::error::AccountError;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::Millis;
use crate::domain::account::AccountStatus;
use crate::domain::ledger::Day;
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::untold::Untold;

/// What one request told.
struct Told {
    active: Option<Day>,
    status: Option<AccountStatus>,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Tells the directory that the account runs a turn, once a day.
    pub(super) fn tell_active(self: &Rc<Self>, now: Millis) -> Result<(), AccountError> {
        self.store.note_active(Day::of(now))?;
        self.tell_directory()
    }

    /// Tells the directory what it has not yet heard, one request at a time.
    pub(super) fn tell_directory(self: &Rc<Self>) -> Result<(), AccountError> {
        let untold = self.store.untold()?;
        if !untold.any() || self.telling.replace(true) {
            return Ok(());
        }
        let account = Rc::clone(self);
        self.runtime.spawn(async move {
            let outcome = account.tell(untold).await;
            account.telling.set(false);
            // What has come up meanwhile is told next; after a failure, the alarm does that.
            if let Err(why) = outcome.and_then(|()| account.tell_directory().map_err(|error| error.to_string())) {
                let line = Line { event: "directory_not_told", error: Some(&why), ..Line::default() };
                account.log(Level::Warn, line);
            }
        });
        Ok(())
    }

    async fn tell(&self, untold: Untold) -> Result<(), String> {
        let told = self.what_is(untold).map_err(|error| error.to_string())?;
        let answer = self.runtime.note(self.shard(), &self.id, told.active.is_some(), told.status).await;
        answer.map_err(|error| error.to_string())?;
        // Erased meanwhile, it has nothing to tell.
        if self.store.is_made() { self.settle_told(&told).map_err(|error| error.to_string()) } else { Ok(()) }
    }

    fn what_is(&self, untold: Untold) -> Result<Told, AccountError> {
        let active = if untold.active { self.store.active_day()? } else { None };
        let status = if untold.status { Some(self.settings()?.status) } else { None };
        Ok(Told { active, status })
    }

    /// What was told is told, unless it has changed since.
    fn settle_told(&self, told: &Told) -> Result<(), AccountError> {
        let untold = self.store.untold()?;
        let now = self.what_is(untold)?;
        let is_told = Untold {
            active: now.active.is_some() && now.active == told.active,
            status: now.status.is_some() && now.status == told.status,
        };
        Ok(self.store.set_told(is_told)?)
    }

    /// The directory's shard that is told of the account: the one that knows it, whatever `DIRECTORY_SHARDS` is now.
    pub(super) fn shard(&self) -> u32 {
        let known = if self.store.is_made() { self.store.shard().ok().flatten() } else { None };
        let shard = self.runtime.shard_of(&self.id, known);
        if self.store.is_made() && known != Some(shard) {
            // One that is there no more knows nobody.
            let moved = if known.is_some() { self.store.set_registered(false) } else { Ok(()) };
            if let Err(error) = moved.and_then(|()| self.store.set_shard(shard)) {
                let why = error.to_string();
                self.log(Level::Error, Line { event: "shard_not_stored", error: Some(&why), ..Line::default() });
            }
        }
        shard
    }

    /// Has the directory forget the account, of which nothing is left.
    pub(super) async fn leave_directory(&self) -> Result<(), AccountError> {
        let forgotten = self.runtime.forget(self.shard(), &self.id).await;
        forgotten.map_err(|error| AccountError::DirectoryNotTold(error.to_string()))
    }
}
