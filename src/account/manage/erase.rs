//! The erasure of an account, as the directory asks for it: it is asked what there is, stores that, and asks again until nothing is left.

use std::rc::Rc;
use std::time::Duration;

use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::account::{AccountSettings, ErasureCounts, ErasureStep};
use crate::domain::ledger::{ContainerUse, Day};
use crate::domain::{ErasureId, TurnStatus};
use crate::store::sql::Sql;
use crate::store::usage::LedgerEntry;

/// How long one step waits for turns to end, and how often it looks.
const TURNS_LIMIT: Duration = Duration::from_secs(8);
const TURNS_LOOK: Duration = Duration::from_millis(100);
/// Why the turns of an account that is erased end.
const ERASED: &str = "the account is being erased";

/// What stays of an account whose data is erased.
struct Kept {
    settings: Option<AccountSettings>,
    usage: LedgerEntry,
    container: Vec<(Day, ContainerUse)>,
}

impl Kept {
    fn is_nothing(&self) -> bool {
        self.settings.is_none() && self.usage.rows.is_empty() && self.container.is_empty()
    }
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// One step: ends the turns and says what there is; once that is stored, erases it.
    pub(super) async fn erase(
        self: &Rc<Self>,
        keep_account: bool,
        counted: bool,
        erasure_id: Option<&ErasureId>,
    ) -> Result<ErasureStep, AccountError> {
        self.erasing.set(true);
        let _one_at_a_time = self.purge_lock.lock().await;
        let is_nothing_left = !self.store.is_made() || (keep_account && self.erased.get());
        if is_nothing_left {
            let done = self.empty_bucket().await? && (!counted || self.tell_erased(erasure_id, keep_account).await);
            self.erasing.set(!done);
            return Ok(ErasureStep { counts: ErasureCounts::default(), done });
        }
        let counts = self.store.counts()?;
        if !self.end_all_turns().await? || !counted {
            return Ok(ErasureStep { counts, done: false });
        }
        self.container_stops(self.runtime.now())?;
        self.agent.stop();
        self.store_calls()?;
        let kept = if keep_account { Some(self.kept()?) } else { None };
        // Nothing is awaited between what is cleared and what stays.
        self.store.clear()?;
        self.forget_all();
        if let Some(Kept { settings, usage, container }) = kept.filter(|kept| !kept.is_nothing()) {
            self.store.make(self.runtime.now())?;
            self.store.transaction(|| {
                self.store.remember_account(&self.id)?;
                if let Some(settings) = settings {
                    self.store.set_settings(&settings)?;
                }
                self.store.add_container_use(&container)?;
                self.store.add_usage(&usage)
            })?;
        }
        self.look_later();
        let done = self.empty_bucket().await? && self.tell_erased(erasure_id, keep_account).await;
        self.erasing.set(!done);
        Ok(ErasureStep { counts, done })
    }

    fn kept(&self) -> Result<Kept, AccountError> {
        let every_day = (Day::new(0), Day::of(self.runtime.now()));
        Ok(Kept {
            settings: self.store.settings()?,
            usage: self.store.all_usage()?,
            container: self.store.container_use(every_day.0, every_day.1)?,
        })
    }

    /// Ends what waits and asks what runs to end; whether nothing runs any more.
    async fn end_all_turns(self: &Rc<Self>) -> Result<bool, AccountError> {
        let began = self.runtime.now();
        loop {
            for turn in self.store.active_turns()? {
                if turn.status == TurnStatus::Queued {
                    self.end_queued(&turn, Some(ERASED))?;
                } else {
                    self.turns.cancel(&turn.turn_id, Some(ERASED));
                }
            }
            if self.turns.running_count() == 0 {
                return Ok(self.store.active_turns()?.is_empty());
            }
            if self.runtime.now().since(began) >= TURNS_LIMIT {
                return Ok(false);
            }
            self.runtime.sleep(TURNS_LOOK).await;
        }
    }

    /// Drops what the object's memory has of what was cleared.
    fn forget_all(&self) {
        self.settings.forget();
        self.ledger.forget();
        self.leaving.borrow_mut().clear();
        self.cut_short.borrow_mut().clear();
        self.active_day.set(None::<Day>);
        self.idle_since.set(None);
        self.alarm.set(None);
        self.erased.set(true);
    }
}
