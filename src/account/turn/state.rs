//! The life of a turn as a pure state machine: a signal leads to a state and at most one effect.
//! Whatever happens in whatever order, a turn ends exactly once.

use crate::agent::protocol::ResultStatus;
use crate::domain::{FailureCode, TurnStatus};

/// Where a turn stands in the memory of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits in the queue.
    Queued,
    /// The container has it.
    Running,
    /// The container has it, and it waits for somebody.
    Waiting,
    /// It waits, and the container was asked to park it.
    Parking,
    /// The container was asked to end it, for this reason.
    Stopping(Stop),
    /// It waits without a process; a run of its own goes on with it.
    Parked,
    /// It has ended, with this status.
    Ended(TurnStatus),
}

/// Why a turn is stopped before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancel,
    /// It reached its time limit.
    Timeout,
    /// It reached a limit of what may be spent.
    Budget,
}

/// Something that happens to a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// The agent said how it ended.
    Result(ResultStatus, Option<FailureCode>),
    /// Somebody or the time limit stops it.
    Stop(Stop),
    /// The agent did not end it in time after it was asked to.
    StopOverdue,
    /// It waits for somebody.
    Waits,
    /// It waits for nobody any more.
    GoesOn,
    /// It has waited for as long as it may keep its process, or its process does not take in what was decided.
    HoldOver,
    /// The container did not park it in time after it was asked to.
    ParkOverdue,
    /// The container, or its memory of the turn, is gone.
    Lost,
    /// The agent sent a frame that the protocol does not allow.
    Broken,
    /// The container cannot be started.
    Unavailable,
    /// The platform has no room for another container.
    AtCapacity,
    /// The conversation's files are not to be had, for this reason.
    NoFiles(FailureCode),
}

/// What the caller of [`step`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Nothing,
    /// Ask the container to end it, and wait a limited time.
    AskToStop,
    /// Ask the container to park it, and wait a limited time.
    AskToPark,
    /// Store that it waits without a process.
    Park,
    /// Store its end: a status, and the code if it did not complete.
    End(TurnStatus, Option<FailureCode>),
}

/// The states that are no end of a run.
macro_rules! open {
    () => {
        State::Queued | State::Running | State::Waiting | State::Parking | State::Stopping(_)
    };
}

/// The next state of a turn, and what to do on the way there.
#[must_use]
pub fn step(state: State, signal: Signal) -> (State, Effect) {
    match (state, signal) {
        (open!(), Signal::Unavailable) => end((TurnStatus::Failed, Some(FailureCode::ContainerUnavailable))),
        (open!(), Signal::AtCapacity) => end((TurnStatus::Failed, Some(FailureCode::AtCapacity))),
        (open!(), Signal::NoFiles(code)) => end((TurnStatus::Failed, Some(code))),
        (State::Running | State::Waiting | State::Parking, Signal::Stop(why)) => {
            (State::Stopping(why), Effect::AskToStop)
        }
        (State::Running, Signal::Waits) => (State::Waiting, Effect::Nothing),
        // What cannot wait without a process is given up when the turn is to be parked, and it may go on then.
        (State::Waiting | State::Parking, Signal::GoesOn) => (State::Running, Effect::Nothing),
        (State::Waiting, Signal::HoldOver) => (State::Parking, Effect::AskToPark),
        // What it waits for has not happened, whatever became of the process.
        (State::Waiting | State::Parking, Signal::Lost)
        | (State::Parking, Signal::ParkOverdue)
        | (State::Running | State::Waiting | State::Parking, Signal::Result(ResultStatus::RequiresAction, _)) => {
            (State::Parked, Effect::Park)
        }
        (State::Queued, Signal::Stop(why))
        | (
            State::Stopping(why),
            Signal::StopOverdue
            | Signal::Lost
            | Signal::Broken
            | Signal::Result(ResultStatus::Cancelled | ResultStatus::Failed | ResultStatus::RequiresAction, _),
        ) => end(stopped(why)),
        (State::Running | State::Waiting | State::Parking, Signal::Broken) => {
            end((TurnStatus::Failed, Some(FailureCode::AgentFailed)))
        }
        (State::Running, Signal::Lost) => end((TurnStatus::Interrupted, Some(FailureCode::TurnInterrupted))),
        // An answer that the model was paid for counts, even if a stop was on its way.
        (
            State::Running | State::Waiting | State::Parking | State::Stopping(_),
            Signal::Result(ResultStatus::Completed, _),
        ) => end((TurnStatus::Completed, None)),
        (State::Running | State::Waiting | State::Parking, Signal::Result(ResultStatus::Cancelled, _)) => {
            end(stopped(Stop::Cancel))
        }
        (State::Running | State::Waiting | State::Parking, Signal::Result(ResultStatus::Failed, code)) => {
            let code = code.unwrap_or(FailureCode::AgentFailed);
            let status = match code {
                FailureCode::TurnInterrupted => TurnStatus::Interrupted,
                FailureCode::TurnCancelled => TurnStatus::Cancelled,
                FailureCode::AgentFailed
                | FailureCode::AtCapacity
                | FailureCode::AttachmentNotFound
                | FailureCode::AttachmentTooLarge
                | FailureCode::ContainerUnavailable
                | FailureCode::ModelAuthFailed
                | FailureCode::ModelFailed
                | FailureCode::ModelRateLimited
                | FailureCode::TurnTimeout
                | FailureCode::WorkspaceDamaged
                | FailureCode::WorkspaceUnavailable
                | FailureCode::OutputInvalid
                | FailureCode::InvalidOutputSchema
                | FailureCode::InvalidToolSchema
                | FailureCode::UnsupportedAttachment
                | FailureCode::BudgetExhausted => TurnStatus::Failed,
            };
            end((status, Some(code)))
        }
        (State::Queued, Signal::Result(..) | Signal::Lost | Signal::Broken)
        | (State::Queued | State::Running | State::Waiting | State::Parking, Signal::StopOverdue)
        | (State::Stopping(_), Signal::Stop(_))
        | (State::Queued | State::Waiting | State::Parking | State::Stopping(_), Signal::Waits)
        | (State::Queued | State::Running | State::Stopping(_), Signal::GoesOn | Signal::HoldOver)
        | (State::Parking, Signal::HoldOver)
        | (State::Queued | State::Running | State::Waiting | State::Stopping(_), Signal::ParkOverdue)
        | (State::Parked | State::Ended(_), _) => (state, Effect::Nothing),
    }
}

fn stopped(why: Stop) -> (TurnStatus, Option<FailureCode>) {
    match why {
        Stop::Cancel => (TurnStatus::Cancelled, Some(FailureCode::TurnCancelled)),
        Stop::Timeout => (TurnStatus::Failed, Some(FailureCode::TurnTimeout)),
        Stop::Budget => (TurnStatus::Failed, Some(FailureCode::BudgetExhausted)),
    }
}

fn end((status, code): (TurnStatus, Option<FailureCode>)) -> (State, Effect) {
    (State::Ended(status), Effect::End(status, code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn signal() -> impl Strategy<Value = Signal> {
        let code = prop_oneof![
            Just(None),
            Just(Some(FailureCode::ModelFailed)),
            Just(Some(FailureCode::TurnInterrupted)),
            Just(Some(FailureCode::TurnCancelled)),
        ];
        let status = prop_oneof![
            Just(ResultStatus::Completed),
            Just(ResultStatus::Failed),
            Just(ResultStatus::Cancelled),
            Just(ResultStatus::RequiresAction),
        ];
        prop_oneof![
            (status, code).prop_map(|(status, code)| Signal::Result(status, code)),
            Just(Signal::Stop(Stop::Cancel)),
            Just(Signal::Stop(Stop::Timeout)),
            Just(Signal::Stop(Stop::Budget)),
            Just(Signal::StopOverdue),
            Just(Signal::Waits),
            Just(Signal::Waits),
            Just(Signal::GoesOn),
            Just(Signal::HoldOver),
            Just(Signal::ParkOverdue),
            Just(Signal::Lost),
            Just(Signal::Broken),
            Just(Signal::Unavailable),
            Just(Signal::AtCapacity),
            Just(Signal::NoFiles(FailureCode::WorkspaceUnavailable)),
        ]
    }

    fn start() -> impl Strategy<Value = State> {
        prop_oneof![Just(State::Running), Just(State::Waiting)]
    }

    proptest! {
        #[test]
        fn every_sequence_of_signals_ends_or_parks_a_turn_at_most_once(
            start in start(),
            signals in prop::collection::vec(signal(), 0..40),
        ) {
            let mut state = start;
            let (mut ends, mut parks) = (0, 0);
            for signal in signals {
                let (next, effect) = step(state, signal);
                match effect {
                    Effect::End(status, code) => {
                        prop_assert_eq!(next, State::Ended(status));
                        prop_assert!(status.is_end());
                        prop_assert_eq!(code.is_none(), status == TurnStatus::Completed);
                        ends += 1;
                    }
                    Effect::Park => {
                        prop_assert_eq!(next, State::Parked);
                        parks += 1;
                    }
                    Effect::AskToPark => prop_assert_eq!((state, next), (State::Waiting, State::Parking)),
                    Effect::AskToStop | Effect::Nothing => {}
                }
                state = next;
            }
            prop_assert!(ends + parks <= 1);
            prop_assert_eq!(matches!(state, State::Ended(_) | State::Parked), ends + parks == 1);
        }

        #[test]
        fn a_turn_that_was_lost_has_ended_or_waits_without_a_process(
            start in start(),
            signals in prop::collection::vec(signal(), 0..40),
        ) {
            let mut state = start;
            for signal in signals.into_iter().chain([Signal::Lost]) {
                state = step(state, signal).0;
            }
            prop_assert!(matches!(state, State::Ended(_) | State::Parked));
        }

        #[test]
        fn a_turn_is_parked_only_if_it_waits_or_the_agent_says_so(signals in prop::collection::vec(signal(), 0..40)) {
            let mut state = State::Running;
            for signal in signals {
                let (next, effect) = step(state, signal);
                if effect == Effect::Park {
                    let said = matches!(signal, Signal::Result(ResultStatus::RequiresAction, _));
                    prop_assert!(said || matches!(state, State::Waiting | State::Parking));
                }
                state = next;
            }
        }
    }

    #[test]
    fn an_answer_that_arrives_while_the_turn_is_being_stopped_counts() {
        let (state, effect) = step(State::Stopping(Stop::Cancel), Signal::Result(ResultStatus::Completed, None));
        assert_eq!((state, effect), (State::Ended(TurnStatus::Completed), Effect::End(TurnStatus::Completed, None)));
    }

    #[test]
    fn a_turn_that_is_stopped_at_its_time_limit_has_failed() {
        let (state, effect) = step(State::Running, Signal::Stop(Stop::Timeout));
        assert_eq!((state, effect), (State::Stopping(Stop::Timeout), Effect::AskToStop));
        let (_, effect) = step(state, Signal::Result(ResultStatus::Cancelled, None));
        assert_eq!(effect, Effect::End(TurnStatus::Failed, Some(FailureCode::TurnTimeout)));
    }
}
