//! The directory, as an account's runtime has it in tests: what it was told, by which shard, and whether it answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Ready, ready};
use std::rc::Rc;

use claude_agent_service::account::runtime::NotRegistered;
use claude_agent_service::directory::shards::shard_of;
use claude_agent_service::domain::AccountId;
use claude_agent_service::domain::account::AccountStatus;

/// Whether the account is active, and its status if that has changed.
pub type Note = (bool, Option<AccountStatus>);

/// All that it was told, in order.
#[derive(Clone)]
pub struct Noted {
    notes: Rc<RefCell<Vec<Note>>>,
    /// Whether it answers.
    pub is_up: Rc<Cell<bool>>,
    /// Over how many shards it is split.
    pub shards: Rc<Cell<u32>>,
    /// The shards that were told something, and those that forgot the account.
    pub told_shards: Rc<RefCell<BTreeSet<u32>>>,
    pub forgotten: Rc<RefCell<Vec<u32>>>,
}

impl Default for Noted {
    fn default() -> Self {
        Self {
            notes: Rc::default(),
            is_up: Rc::new(Cell::new(true)),
            shards: Rc::new(Cell::new(8)),
            told_shards: Rc::default(),
            forgotten: Rc::default(),
        }
    }
}

impl Noted {
    pub fn take(&self, shard: u32, note: Note) -> Ready<Result<(), NotRegistered>> {
        if self.is_up.get() {
            self.notes.borrow_mut().push(note);
        }
        self.answer(shard)
    }

    pub fn forget(&self, shard: u32) -> Ready<Result<(), NotRegistered>> {
        if self.is_up.get() {
            self.forgotten.borrow_mut().push(shard);
        }
        self.answer(shard)
    }

    pub fn answer(&self, shard: u32) -> Ready<Result<(), NotRegistered>> {
        if !self.is_up.get() {
            return ready(Err(NotRegistered("down".to_owned())));
        }
        self.told_shards.borrow_mut().insert(shard);
        ready(Ok(()))
    }

    pub fn shard_of(&self, account_id: &AccountId, known: Option<u32>) -> u32 {
        known.unwrap_or_else(|| shard_of(account_id, self.shards.get()))
    }

    pub fn all(&self) -> Vec<Note> {
        self.notes.borrow().clone()
    }
}
