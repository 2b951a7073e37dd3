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
use crate::store::untold::Untold;
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
    /// The directory knows it as before.
    active_day: Option<Day>,
    untold: Untold,
    shard: u32,
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
        let kept = if keep_account { Some(self.kept()?).filter(|kept| !kept.is_nothing()) } else { None };
        if kept.is_none() {
            self.leave_directory().await?;
        }
        // Nothing is awaited between what is cleared and what stays.
        self.store.clear()?;
        self.forget_all();
        if let Some(Kept { settings, usage, container, active_day, untold, shard }) = kept {
            self.store.make(self.runtime.now())?;
            self.store.transaction(|| {
                self.store.remember_account(&self.id)?;
                self.store.set_shard(shard)?;
                if let Some(day) = active_day {
                    self.store.note_active(day)?;
                }
                if let Some(settings) = settings {
                    self.store.set_settings(&settings)?;
                }
                self.store.add_container_use(&container)?;
                self.store.add_usage(&usage)?;
                self.store.set_told(Untold { active: !untold.active, status: !untold.status })?;
                self.store.set_untold(untold)
            })?;
        }
        self.look_later();
        if self.store.is_made() {
            self.set_alarm()?;
        }
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
            active_day: self.store.active_day()?,
            untold: self.store.untold()?,
            shard: self.shard(),
        })
    }

    /// Ends what waits and asks what has a process to end; whether no turn is open any more.
    async fn end_all_turns(self: &Rc<Self>) -> Result<bool, AccountError> {
        let began = self.runtime.now();
        loop {
            for turn in self.store.active_turns()? {
                let is_parked = turn.is_parked() && !self.turns.is_running(&turn.turn_id);
                if turn.status == TurnStatus::Queued || is_parked {
                    self.end_queued(&turn, Some(ERASED))?;
                } else {
                    self.turns.cancel(&turn.turn_id, Some(ERASED));
                }
            }
            if self.turns.held_count() == 0 {
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
        self.fleet.forget();
        self.idle_since.set(None);
        self.alarm.set(None);
        self.erased.set(true);
    }
}
