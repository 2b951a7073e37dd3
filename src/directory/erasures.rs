//! Erasures: the shard asks an account until nothing of it is left, by alarm, and keeps the receipt.

use std::time::Duration;

use futures_util::{StreamExt, stream};

use super::command::DirectoryError;
use super::port::{Runtime, Unreachable};
use super::{Directory, VISITS_AT_ONCE};
use crate::digest;
use crate::domain::time::DAY;
use crate::domain::{AccountId, ErasureId};
use crate::log::{Level, Line};
use crate::store::directory_accounts::PendingErasure;
use crate::store::sql::Sql;

/// Pause before an account is asked again that is not done. It doubles with each try, up to [`MAX_DOUBLINGS`] times.
pub const ERASE_AGAIN: Duration = Duration::from_secs(2);
/// The same, after it did not answer.
pub const ERASE_RETRY: Duration = Duration::from_secs(30);
/// With these, an account that is never done is asked every two minutes, and one that never answers every half hour.
pub const MAX_DOUBLINGS: u32 = 6;
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

    /// Goes on with the erasures that are due, six at once: one that hangs or fails holds up no other.
    pub(super) async fn go_on_erasing(&self) -> Result<(), DirectoryError> {
        let due = self.store.due_erasures(self.runtime.now(), u32::try_from(VISITS_AT_ONCE).unwrap_or(u32::MAX))?;
        let tries = due.into_iter().map(|erasure| self.try_to_erase(erasure));
        let tries: Vec<_> = stream::iter(tries).buffer_unordered(VISITS_AT_ONCE).collect().await;
        tries.into_iter().collect()
    }

    /// Asks one account, and if anything is left, stores when it is asked again: later each time.
    async fn try_to_erase(&self, erasure: PendingErasure) -> Result<(), DirectoryError> {
        let (erasure_id, tries) = (erasure.erasure_id.clone(), erasure.tries);
        let pause = match self.erase(erasure).await {
            Ok(true) => return Ok(()),
            Ok(false) => ERASE_AGAIN,
            Err(error) => {
                self.stalled(Level::Warn, "erasure_stalled", ERASE_RETRY, &error);
                ERASE_RETRY
            }
        };
        let at = self.runtime.now().plus(pause * 2_u32.pow(tries.min(MAX_DOUBLINGS)));
        Ok(self.store.put_off_erasure(&erasure_id, at)?)
    }

    /// Asks one account; whether nothing of it is left.
    async fn erase(&self, mut erasure: PendingErasure) -> Result<bool, DirectoryError> {
        let unreachable = |error: Unreachable| DirectoryError::Account(error.0);
        if erasure.counts.is_none() {
            let step = self.runtime.erase(&erasure.account_id, erasure.keep_account, false, erasure.erasure_id.clone());
            let step = self.in_time(step).await.map_err(unreachable)?;
            self.store.count_erasure(&erasure.erasure_id, &step.counts)?;
            erasure.counts = Some(step.counts);
        }
        let step = self.runtime.erase(&erasure.account_id, erasure.keep_account, true, erasure.erasure_id.clone());
        let step = self.in_time(step).await.map_err(unreachable)?;
        if !step.done {
            return Ok(false);
        }
        self.store.transaction(|| self.store.end_erasure(&erasure, self.runtime.now()))?;
        let account = digest::account(erasure.account_id.as_str());
        self.runtime.log(Level::Info, &Line { event: "account_erased", account: Some(&account), ..Line::default() });
        Ok(true)
    }
}
