//! Queries that a running turn may take in. Each is a queued turn of its own, which is offered to the container while the turn before it
//! runs: taken in, it ends with that turn; else it runs when its time comes. So it is never lost, and answered once.

use std::rc::Rc;

use crate::account::Account;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::{Container, Offer};
use crate::domain::{SessionId, TurnId, TurnStatus};
use crate::log::{Level, Line};
use crate::store::StoreError;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Offers the queries that wait for a turn to take them in, now that the container has it.
    pub(in crate::account) fn offer_waiting(self: &Rc<Self>, running: &TurnId, session_id: &SessionId) {
        let waiting = self.waiting_for(session_id);
        match waiting {
            Ok(waiting) if waiting.is_empty() => {}
            Ok(waiting) => self.offer(running, waiting),
            Err(error) => self.log_offer(running, &error),
        }
    }

    /// Offers queued turns to the running turn of their conversation. What the container does not take stays in the queue.
    pub(in crate::account) fn offer(self: &Rc<Self>, running: &TurnId, queued: Vec<TurnId>) {
        let (account, running) = (Rc::clone(self), running.clone());
        self.runtime.spawn(async move {
            for turn_id in queued {
                match account.store.turn_work(&turn_id) {
                    // Attachments are read and options are taken on when a turn begins: a query that has some runs by itself.
                    Ok(Some(work)) if work.content.is_some() || !work.options.is_plain() => {}
                    Ok(Some(work)) => {
                        let offer = Offer { turn_id: &turn_id, prompt: &work.prompt };
                        if let Err(error) = account.agent.steer(&running, &offer).await {
                            account.log_offer(&turn_id, &error);
                        }
                    }
                    Ok(None) => {}
                    Err(error) => account.log_offer(&turn_id, &error),
                }
            }
        });
    }

    /// SQLite is asked only if turns of the conversation wait.
    fn waiting_for(&self, session_id: &SessionId) -> Result<Vec<TurnId>, StoreError> {
        let waits = |turn: &crate::store::turns::ActiveTurn| {
            turn.status == TurnStatus::Queued && turn.session_id == *session_id
        };
        if self.store.active_turns()?.iter().any(waits) {
            self.store.steering_turns(session_id)
        } else {
            Ok(Vec::new())
        }
    }

    fn log_offer(&self, turn_id: &TurnId, error: &dyn std::fmt::Display) {
        let why = error.to_string();
        let line = Line { event: "steering_not_offered", turn_id: Some(turn_id), error: Some(&why), ..Line::default() };
        self.log(Level::Warn, line);
    }
}
