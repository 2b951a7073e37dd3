//! Erasures: the shard asks an account until nothing of it is left, by alarm, and keeps the receipt.

use std::time::Duration;

use super::Directory;
use super::command::DirectoryError;
use super::port::{Runtime, Unreachable};
use crate::digest;
use crate::domain::time::DAY;
use crate::domain::{AccountId, ErasureId, Millis};
use crate::log::{Level, Line};
use crate::store::directory_accounts::PendingErasure;
use crate::store::sql::Sql;

/// Erasures that one alarm goes on with.
const AT_ONCE: u32 = 6;
/// Pause before an account is asked again that is not done or did not answer.
pub const ERASE_AGAIN: Duration = Duration::from_secs(2);
/// The same, after it did not answer.
pub const ERASE_RETRY: Duration = Duration::from_secs(30);
/// How long receipts are kept.
pub const RECEIPTS: Duration = DAY.saturating_mul(400);

impl<S: Sql + 'static, R: Runtime> Directory<S, R> {
    /// Begins an erasure; the alarm does its work.
    pub(super) fn begin_erasure(
        &self,
        erasure_id: ErasureId,
        account_id: &AccountId,
        keep_account: bool,
    ) -> Result<ErasureId, DirectoryError> {
        let now = self.runtime.now();
        let erasure_id = self.store.transaction(|| {
            self.store.forget_erasures_before(now.minus(RECEIPTS))?;
            self.store.begin_erasure(erasure_id, account_id, keep_account, now)
        })?;
        self.runtime.set_alarm(now);
        Ok(erasure_id)
    }

    /// Goes on with the erasures; when the alarm has to ring for them again, if it has to.
    pub(super) async fn go_on_erasing(&self) -> Option<Millis> {
        let pending = match self.store.pending_erasures(AT_ONCE) {
            Ok(pending) => pending,
            Err(error) => return Some(self.again(ERASE_RETRY, &error)),
        };
        let mut again: Option<Millis> = None;
        for erasure in pending {
            let at = match self.erase(erasure).await {
                Ok(true) => continue,
                Ok(false) => self.runtime.now().plus(ERASE_AGAIN),
                Err(error) => self.again(ERASE_RETRY, &error),
            };
            again = Some(again.map_or(at, |again| again.min(at)));
        }
        // There may be more than one alarm takes.
        let left = self.store.pending_erasures(1).is_ok_and(|left| !left.is_empty());
        again.or_else(|| left.then(|| self.runtime.now().plus(ERASE_AGAIN)))
    }

    /// Asks one account; whether nothing of it is left.
    async fn erase(&self, mut erasure: PendingErasure) -> Result<bool, DirectoryError> {
        let unreachable = |error: Unreachable| DirectoryError::Account(error.0);
        if erasure.counts.is_none() {
            let step = self.runtime.erase(&erasure.account_id, erasure.keep_account, false, erasure.erasure_id.clone());
            let step = step.await.map_err(unreachable)?;
            self.store.count_erasure(&erasure.erasure_id, &step.counts)?;
            erasure.counts = Some(step.counts);
        }
        let step = self.runtime.erase(&erasure.account_id, erasure.keep_account, true, erasure.erasure_id.clone());
        let step = step.await.map_err(unreachable)?;
        if !step.done {
            return Ok(false);
        }
        self.store.transaction(|| self.store.end_erasure(&erasure, self.runtime.now()))?;
        let account = digest::account(erasure.account_id.as_str());
        self.runtime.log(Level::Info, &Line { event: "account_erased", account: Some(&account), ..Line::default() });
        Ok(true)
    }

    fn again(&self, pause: Duration, error: &dyn std::fmt::Display) -> Millis {
        let why = error.to_string();
        self.runtime.log(Level::Warn, &Line { event: "erasure_stalled", error: Some(&why), ..Line::default() });
        self.runtime.now().plus(pause)
    }
}
