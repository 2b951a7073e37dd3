//! What the directory was told of an account's state.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use claude_agent_service::account::runtime::NotRegistered;
use claude_agent_service::domain::account::AccountStatus;

/// Whether the account is active, and its status if that has changed.
pub type Note = (bool, Option<AccountStatus>);

/// All that it was told, in order.
#[derive(Clone, Default)]
pub struct Noted(Rc<RefCell<Vec<Note>>>);

impl Noted {
    pub fn take(&self, note: Note) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.0.borrow_mut().push(note);
        std::future::ready(Ok(()))
    }

    pub fn all(&self) -> Vec<Note> {
        self.0.borrow().clone()
    }
}
