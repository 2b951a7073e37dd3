//! What the store need not ask SQLite again. Only this object writes its database, so a value holds from when it was read or written
//! until the next write. If a transaction fails or the storage is cleared, the whole cache is emptied.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::outbox::Outbox;
use super::schedules::ScheduleCount;
use super::stats::Totals;
use super::turns::ActiveTurn;
use super::untold::Untold;
use super::webhooks::StoredWebhook;
use crate::domain::ledger::Day;
use crate::domain::{Millis, TurnId};

/// When the next pending action expires.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum NextExpiry {
    /// SQLite has to be asked.
    #[default]
    Unknown,
    /// None is pending.
    Never,
    /// At this moment.
    At(Millis),
}

/// Values of the account's database; empty until first read.
#[derive(Default)]
pub(super) struct Cache {
    /// Conversations and messages, as `stats` counted them.
    pub totals: Cell<Option<Totals>>,
    /// Every queued or running turn, in the order of the queue.
    active: RefCell<Option<Vec<ActiveTurn>>>,
    /// Whether the account's id is stored.
    pub account: Cell<bool>,
    /// Whether the directory knows the account.
    pub registered: Cell<bool>,
    /// What the directory has not yet heard.
    pub untold: Cell<Option<Untold>>,
    /// A day on which the account was active; the last may be later.
    pub active_day: Cell<Option<Day>>,
    /// The directory's shard that knows the account.
    pub shard: Cell<Option<u32>>,
    /// All webhooks.
    pub webhooks: RefCell<Option<Rc<[StoredWebhook]>>>,
    /// What is on its way to them.
    pub outbox: RefCell<Option<Outbox>>,
    /// When the next pending action expires.
    pub next_expiry: Cell<NextExpiry>,
    /// How many schedules there are, and when the first is due.
    pub schedules: Cell<Option<ScheduleCount>>,
}

impl Cache {
    pub fn forget(&self) {
        self.totals.set(None);
        self.forget_active();
        self.account.set(false);
        self.registered.set(false);
        self.untold.set(None);
        self.active_day.set(None);
        self.shard.set(None);
        self.webhooks.replace(None);
        self.outbox.replace(None);
        self.schedules.set(None);
        self.next_expiry.set(NextExpiry::Unknown);
    }

    pub fn active(&self) -> Option<Vec<ActiveTurn>> {
        self.active.borrow().clone()
    }

    pub fn set_active(&self, turns: &[ActiveTurn]) {
        self.active.replace(Some(turns.to_vec()));
    }

    /// Adds a turn at the end of the queue.
    pub fn admitted(&self, turn: ActiveTurn) {
        if let Some(turns) = self.active.borrow_mut().as_mut() {
            turns.push(turn);
        }
    }

    /// Removes a turn that has ended.
    pub fn ended(&self, turn_id: &TurnId) {
        if let Some(turns) = self.active.borrow_mut().as_mut() {
            turns.retain(|turn| turn.turn_id != *turn_id);
        }
    }

    /// Drops the active turns: a statement is about to change several.
    pub fn forget_active(&self) {
        self.active.replace(None);
    }
}
