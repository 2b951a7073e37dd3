//! What the store need not ask SQLite again: an object is the only one that writes its database, so what was read or written holds
//! until the next write. Where a transaction fails or the storage is cleared, all of it is forgotten.

use std::cell::{Cell, RefCell};

use super::stats::Totals;
use super::turns::ActiveTurn;
use crate::domain::TurnId;

/// It; nothing where nothing is known.
#[derive(Default)]
pub(super) struct Cache {
    /// What `stats` counted.
    pub totals: Cell<Option<Totals>>,
    /// Every queued or running turn, first come first.
    active: RefCell<Option<Vec<ActiveTurn>>>,
    /// The account's id is stored.
    pub account: Cell<bool>,
    /// The directory knows the account.
    pub registered: Cell<bool>,
}

impl Cache {
    pub fn forget(&self) {
        self.totals.set(None);
        self.forget_active();
        self.account.set(false);
        self.registered.set(false);
    }

    pub fn active(&self) -> Option<Vec<ActiveTurn>> {
        self.active.borrow().clone()
    }

    pub fn set_active(&self, turns: &[ActiveTurn]) {
        self.active.replace(Some(turns.to_vec()));
    }

    /// A turn more, behind all others.
    pub fn admitted(&self, turn: ActiveTurn) {
        if let Some(turns) = self.active.borrow_mut().as_mut() {
            turns.push(turn);
        }
    }

    /// A turn less, where it was one.
    pub fn ended(&self, turn_id: &TurnId) {
        if let Some(turns) = self.active.borrow_mut().as_mut() {
            turns.retain(|turn| turn.turn_id != *turn_id);
        }
    }

    /// Something that is not told turn by turn has changed the active turns.
    pub fn forget_active(&self) {
        self.active.replace(None);
    }
}
