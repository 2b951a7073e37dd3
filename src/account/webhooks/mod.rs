//! Webhooks: which there are, and the delivery of what the outbox holds for them.

pub mod command;
mod commands;
pub mod deliver;
pub mod erased;
mod sign;

use std::cell::{Cell, RefCell};

use crate::domain::Millis;
use crate::store::outbox::Pending;

/// What the object keeps in memory of deliveries.
#[derive(Default)]
pub(super) struct Webhooks {
    /// What is being sent.
    in_flight: RefCell<Vec<Pending>>,
    /// Until when nothing is sent, because storage failed.
    paused_until: Cell<Option<Millis>>,
    /// How often the operator's webhook was told in vain that the account is erased.
    erasure_tries: Cell<u32>,
}
