//! What the model gateway tells of a turn's calls: how many there were, and how long the model's API asks to be left alone.
//! The SDK says neither of a turn that was killed, and keeps a long `retry-after` to itself.

use super::command::ModelCall;
use super::host::{Host, Registry};
use super::{Account, Running};
use crate::agent::Container;
use crate::store::sql::Sql;

/// The status of a model's API that asks for fewer requests.
const TOO_MANY_REQUESTS: u16 = 429;

/// The answered calls of one running turn, as far as the object has heard of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelCalls {
    /// How many.
    pub count: u32,
    /// The seconds that the last of them asked to wait, where it was refused for that.
    pub retry_after_s: Option<u64>,
}

impl ModelCalls {
    const fn note(&mut self, call: &ModelCall) {
        self.count = self.count.saturating_add(1);
        self.retry_after_s = if call.status == TOO_MANY_REQUESTS { call.retry_after_s } else { None };
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

    #[test]
    fn the_last_call_says_how_long_to_wait() {
        let call = |status, retry_after_s| ModelCall { agent_session: None, status, retry_after_s };
        let mut calls = ModelCalls::default();
        calls.note(&call(429, Some(90)));
        assert_eq!(calls, ModelCalls { count: 1, retry_after_s: Some(90) });
        calls.note(&call(529, Some(5)));
        assert_eq!(calls, ModelCalls { count: 2, retry_after_s: None });
    }
}
