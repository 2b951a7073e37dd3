//! What the model gateway tells of a turn's calls: how many there were, and how long the model's API asks to be left alone.
//! The SDK says neither of a turn that was killed, and keeps a long `retry-after` to itself. Notes may overtake one another.

use super::command::ModelCall;
use super::host::{Host, Registry};
use super::{Account, Running};
use crate::agent::Container;
use crate::store::sql::Sql;

/// The status of a model's API that asks for fewer requests.
const TOO_MANY_REQUESTS: u16 = 429;

/// The calls of one running turn, as far as the object has heard of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelCalls {
    /// How many.
    pub count: u32,
    /// The seconds that the last refusal asked to wait, where it refused for that.
    pub retry_after_s: Option<u64>,
}

impl ModelCalls {
    const fn note(&mut self, call: &ModelCall) {
        match call.refusal {
            None => self.count = self.count.saturating_add(1),
            Some(refusal) if refusal.status == TOO_MANY_REQUESTS => self.retry_after_s = refusal.retry_after_s,
            Some(_) => self.retry_after_s = None,
        }
    }
}

impl<S: Sql + 'static, C: Container + 'static, H: Host + Registry> Account<S, C, H> {
    /// Counts a call for the turn whose conversation made it, or for the only one that runs. One that no turn can have made is nobody's.
    pub(super) fn note_model_call(&self, call: &ModelCall) {
        let mut running = self.running.borrow_mut();
        let alone = running.len() == 1;
        let made_it =
            |turn: &&mut Running| alone || (turn.agent_session.is_some() && turn.agent_session == call.agent_session);
        if let Some(turn) = running.values_mut().find(made_it) {
            turn.model_calls.note(call);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::command::Refusal;

    #[test]
    fn the_last_refusal_says_how_long_to_wait() {
        let call = |refusal| ModelCall { agent_session: None, refusal };
        let refused = |status, retry_after_s| call(Some(Refusal { status, retry_after_s }));
        let mut calls = ModelCalls::default();
        calls.note(&call(None));
        calls.note(&refused(429, Some(90)));
        calls.note(&call(None));
        assert_eq!(calls, ModelCalls { count: 2, retry_after_s: Some(90) });
        calls.note(&refused(529, Some(5)));
        assert_eq!(calls, ModelCalls { count: 2, retry_after_s: None });
    }
}
