//! What the model gateway tells of a turn's refused calls: how long the model's API asks to be left alone. The SDK keeps a long
//! `retry-after` to itself.

use super::command::Refusal;
use super::host::{Host, Registry};
use super::{Account, Running};
use crate::agent::Container;
use crate::store::sql::Sql;

/// The status of a model's API that asks for fewer requests.
const TOO_MANY_REQUESTS: u16 = 429;

impl<S: Sql + 'static, C: Container + 'static, H: Host + Registry> Account<S, C, H> {
    /// Keeps what the last refusal asks of the turn whose conversation called, or of the only one that runs.
    pub(super) fn note_refusal(&self, refusal: &Refusal) {
        let mut running = self.running.borrow_mut();
        let alone = running.len() == 1;
        let called = |turn: &&mut Running| {
            alone || (turn.agent_session.is_some() && turn.agent_session == refusal.agent_session)
        };
        if let Some(turn) = running.values_mut().find(called) {
            turn.retry_after_s = wanted_wait(refusal);
        }
    }
}

fn wanted_wait(refusal: &Refusal) -> Option<u64> {
    refusal.retry_after_s.filter(|_| refusal.status == TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_too_many_requests_are_waited_for() {
        let refusal = |status| Refusal { agent_session: None, status, retry_after_s: Some(90) };
        assert_eq!((wanted_wait(&refusal(429)), wanted_wait(&refusal(529))), (Some(90), None));
    }
}
