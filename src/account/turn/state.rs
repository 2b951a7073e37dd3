//! The life of a turn as a pure state machine: an event leads to a state and at most one thing to do.
//! Whatever happens in whatever order, a turn ends exactly once.

use crate::agent::protocol::ResultStatus;
use crate::domain::{FailureCode, TurnStatus};

/// Where a turn stands in the memory of its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits.
    Queued,
    /// The container has it.
    Running,
    /// The container was asked to end it.
    Stopping(Stop),
    /// It has ended.
    Ended(TurnStatus),
}

/// Why a turn is stopped before its own end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody asked for it.
    Cancel,
    /// It reached its time limit.
    Timeout,
}

/// What happens to a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The agent said how it ended.
    Result(ResultStatus, Option<FailureCode>),
    /// It shall end now.
    Stop(Stop),
    /// The agent did not end it in time after it was asked to.
    StopOverdue,
    /// The container, or its memory of the turn, is gone.
    Lost,
    /// The agent said what it must not say.
    Broken,
    /// The container cannot be started.
    Unavailable,
    /// The platform has no room for another container.
    AtCapacity,
    /// The conversation's files are not to be had, for this reason.
    NoFiles(FailureCode),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// Nothing.
    Nothing,
    /// Ask the container to end it, and wait a limited time.
    AskToStop,
    /// Store its end: a status, and the code where it did not complete.
    End(TurnStatus, Option<FailureCode>),
}

/// The next state, and what is to be done on the way.
#[must_use]
pub fn step(state: State, event: Event) -> (State, Todo) {
    match (state, event) {
        (State::Queued | State::Running | State::Stopping(_), Event::Unavailable) => {
            end((TurnStatus::Failed, Some(FailureCode::ContainerUnavailable)))
        }
        (State::Queued | State::Running | State::Stopping(_), Event::AtCapacity) => {
            end((TurnStatus::Failed, Some(FailureCode::AtCapacity)))
        }
        (State::Queued | State::Running | State::Stopping(_), Event::NoFiles(code)) => {
            end((TurnStatus::Failed, Some(code)))
        }
        (State::Running, Event::Stop(why)) => (State::Stopping(why), Todo::AskToStop),
        (State::Queued, Event::Stop(why))
        | (
            State::Stopping(why),
            Event::StopOverdue
            | Event::Lost
            | Event::Broken
            | Event::Result(ResultStatus::Cancelled | ResultStatus::Failed, _),
        ) => end(stopped(why)),
        (State::Running, Event::Broken) => end((TurnStatus::Failed, Some(FailureCode::AgentFailed))),
        (State::Running, Event::Lost) => end((TurnStatus::Interrupted, Some(FailureCode::TurnInterrupted))),
        // An answer that the model was paid for counts, even where a stop was on its way.
        (State::Running | State::Stopping(_), Event::Result(ResultStatus::Completed, _)) => {
            end((TurnStatus::Completed, None))
        }
        (State::Running, Event::Result(ResultStatus::Cancelled, _)) => end(stopped(Stop::Cancel)),
        (State::Running, Event::Result(ResultStatus::Failed, code)) => {
            let code = code.unwrap_or(FailureCode::AgentFailed);
            let status = match code {
                FailureCode::TurnInterrupted => TurnStatus::Interrupted,
                FailureCode::TurnCancelled => TurnStatus::Cancelled,
                FailureCode::AgentFailed
                | FailureCode::AtCapacity
                | FailureCode::ContainerUnavailable
                | FailureCode::ModelAuthFailed
                | FailureCode::ModelFailed
                | FailureCode::ModelRateLimited
                | FailureCode::TurnTimeout
                | FailureCode::WorkspaceDamaged
                | FailureCode::WorkspaceUnavailable => TurnStatus::Failed,
            };
            end((status, Some(code)))
        }
        (State::Queued, Event::Result(..) | Event::StopOverdue | Event::Lost | Event::Broken)
        | (State::Running, Event::StopOverdue)
        | (State::Stopping(_), Event::Stop(_))
        | (State::Ended(_), _) => (state, Todo::Nothing),
    }
}

fn stopped(why: Stop) -> (TurnStatus, Option<FailureCode>) {
    match why {
        Stop::Cancel => (TurnStatus::Cancelled, Some(FailureCode::TurnCancelled)),
        Stop::Timeout => (TurnStatus::Failed, Some(FailureCode::TurnTimeout)),
    }
}

fn end((status, code): (TurnStatus, Option<FailureCode>)) -> (State, Todo) {
    (State::Ended(status), Todo::End(status, code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn event() -> impl Strategy<Value = Event> {
        let code = prop_oneof![
            Just(None),
            Just(Some(FailureCode::ModelFailed)),
            Just(Some(FailureCode::TurnInterrupted)),
            Just(Some(FailureCode::TurnCancelled)),
        ];
        let status =
            prop_oneof![Just(ResultStatus::Completed), Just(ResultStatus::Failed), Just(ResultStatus::Cancelled)];
        prop_oneof![
            (status, code).prop_map(|(status, code)| Event::Result(status, code)),
            Just(Event::Stop(Stop::Cancel)),
            Just(Event::Stop(Stop::Timeout)),
            Just(Event::StopOverdue),
            Just(Event::Lost),
            Just(Event::Broken),
            Just(Event::Unavailable),
            Just(Event::AtCapacity),
            Just(Event::NoFiles(FailureCode::WorkspaceUnavailable)),
        ]
    }

    proptest! {
        #[test]
        fn every_sequence_of_events_ends_a_turn_at_most_once(events in prop::collection::vec(event(), 0..40)) {
            let mut state = State::Running;
            let mut ends = Vec::new();
            for event in events {
                let (next, todo) = step(state, event);
                if let Todo::End(status, code) = todo {
                    prop_assert_eq!(next, State::Ended(status));
                    prop_assert!(status.is_end());
                    prop_assert_eq!(code.is_none(), status == TurnStatus::Completed);
                    ends.push(status);
                }
                state = next;
            }
            prop_assert!(ends.len() <= 1);
            prop_assert_eq!(matches!(state, State::Ended(_)), ends.len() == 1);
        }

        #[test]
        fn a_turn_that_was_lost_has_ended(events in prop::collection::vec(event(), 0..40)) {
            let mut state = State::Running;
            for event in events.into_iter().chain([Event::Lost]) {
                state = step(state, event).0;
            }
            prop_assert!(matches!(state, State::Ended(_)));
        }
    }

    #[test]
    fn an_answer_that_arrives_while_the_turn_is_being_stopped_counts() {
        let (state, todo) = step(State::Stopping(Stop::Cancel), Event::Result(ResultStatus::Completed, None));
        assert_eq!((state, todo), (State::Ended(TurnStatus::Completed), Todo::End(TurnStatus::Completed, None)));
    }

    #[test]
    fn a_turn_that_is_stopped_at_its_time_limit_has_failed() {
        let (state, todo) = step(State::Running, Event::Stop(Stop::Timeout));
        assert_eq!((state, todo), (State::Stopping(Stop::Timeout), Todo::AskToStop));
        let (_, todo) = step(state, Event::Result(ResultStatus::Cancelled, None));
        assert_eq!(todo, Todo::End(TurnStatus::Failed, Some(FailureCode::TurnTimeout)));
    }
}
