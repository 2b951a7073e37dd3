//! The calls of the model that the gateway carries for this account: only a running turn makes any, and each is counted for one.
//! What is counted here the agent cannot forge; what its SDK says of a turn's cost is kept beside it.

use crate::account::Account;
use crate::account::command::{CallBegun, CallEnded};
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::ledger::Counted;
use crate::domain::{RequestId, TurnId};
use crate::log::{Level, Line};
use crate::store::sql::Sql;

/// The status of a model's API that asks for fewer requests.
const TOO_MANY_REQUESTS: u16 = 429;

/// What a turn has asked of the model so far.
#[derive(Debug, Clone, Copy, Default)]
pub struct ModelCalls {
    /// Calls that were let through.
    pub begun: u32,
    /// Those of them whose answer has not ended.
    pub open: u32,
    /// What was answered, those calls included that an object before this one counted.
    pub counted: Counted,
    /// The seconds that the model's API asked to wait, when it last refused a call. The SDK keeps a long one to itself.
    pub retry_after_s: Option<u64>,
}

impl ModelCalls {
    /// Takes a call that was let through.
    pub fn begin(&mut self, counts: bool) {
        self.begun = self.begun.saturating_add(u32::from(counts));
        self.open = self.open.saturating_add(u32::from(counts));
    }

    /// Takes a call that has ended, with what it counts for.
    pub fn end(&mut self, call: &CallEnded, counted: &Counted) {
        self.open = self.open.saturating_sub(1);
        if counted.spent.tokens() > 0 {
            self.counted += *counted;
        }
        if call.status >= 400 {
            self.retry_after_s = call.retry_after_s.filter(|_| call.status == TOO_MANY_REQUESTS);
        }
    }
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// The running turn that a call is counted for: the one of the conversation that the container names, else the first.
    pub(in crate::account) fn begin_call(&self, call: &CallBegun) -> Result<TurnId, AccountError> {
        let Some(turn_id) = self.turns.turn_of_call(call.sdk_session.as_ref()) else {
            self.log(Level::Warn, Line { event: "call_without_turn", ..Line::default() });
            return Err(AccountError::NoTurn);
        };
        if call.counts {
            self.check_call(&turn_id)?;
        }
        self.turns.begin_call(&turn_id, call.counts);
        Ok(turn_id)
    }

    /// Adds a call's tokens to its turn, if that still runs, and logs the call in any case.
    pub(in crate::account) fn take_ended_call(&self, call: &CallEnded, counted: &Counted, request_id: &RequestId) {
        let session_id = self.turns.end_call(call, counted);
        let level = if call.status >= 400 { Level::Warn } else { Level::Info };
        self.log(
            level,
            Line {
                event: "model_call",
                request_id: Some(request_id),
                turn_id: Some(&call.turn_id),
                session_id: session_id.as_ref(),
                http_status: Some(call.status),
                model: call.model.as_deref(),
                input_tokens: Some(call.usage.input_tokens),
                output_tokens: Some(call.usage.output_tokens),
                cache_read_input_tokens: Some(call.usage.cache_read_input_tokens),
                cache_creation_input_tokens: Some(call.usage.cache_creation_input_tokens),
                total_ms: Some(call.total_ms),
                ..Line::default()
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Usage;
    use crate::domain::ledger::{NanoUsd, Spent};
    use crate::domain::price::Extras;

    fn ended(status: u16, retry_after_s: Option<u64>) -> (CallEnded, Counted) {
        let usage = Usage { input_tokens: 2, output_tokens: u64::MAX, ..Usage::default() };
        let turn_id = TurnId::new(uuid::Uuid::nil());
        let counted = Counted { calls: 1, spent: Spent::new(&usage, NanoUsd::new(5)) };
        (
            CallEnded { turn_id, status, model: None, usage, extras: Extras::default(), total_ms: 1, retry_after_s },
            counted,
        )
    }

    fn end(calls: &mut ModelCalls, (call, counted): &(CallEnded, Counted)) {
        calls.end(call, counted);
    }

    #[test]
    fn only_too_many_requests_are_waited_for_and_only_the_last_word_counts() {
        let mut calls = ModelCalls::default();
        end(&mut calls, &ended(429, Some(90)));
        assert_eq!(calls.retry_after_s, Some(90));
        end(&mut calls, &ended(200, None));
        assert_eq!(calls.retry_after_s, Some(90));
        end(&mut calls, &ended(529, Some(90)));
        assert_eq!(calls.retry_after_s, None);
    }

    #[test]
    fn tokens_add_up_without_an_overflow() {
        let mut calls = ModelCalls::default();
        calls.begin(true);
        end(&mut calls, &ended(200, None));
        end(&mut calls, &ended(200, None));
        let Counted { calls: count, spent } = calls.counted;
        assert_eq!((count, spent.input_tokens, spent.output_tokens, spent.cost.get()), (2, 4, u64::MAX, 10));
        assert_eq!((calls.begun, calls.open), (1, 0));
    }
}
