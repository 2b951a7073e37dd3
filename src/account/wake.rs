//! When an account's object wakes next, and why. It has one alarm for all its reasons; an account with none costs nothing.

use std::time::Duration;

use crate::domain::Millis;

/// How soon an object looks again after a turn that it runs, so that a turn outlives the object's memory.
pub const WATCH: Duration = Duration::from_secs(10);

/// Why an object may have to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons {
    /// A turn is queued or running.
    pub turn_active: bool,
    /// The container runs and no turn has run in it since then.
    pub container_idle_since: Option<Millis>,
}

/// The moment of the earliest reason; none where there is no reason.
#[must_use]
pub fn next_wake(reasons: Reasons, container_idle: Duration, now: Millis) -> Option<Millis> {
    let watch = reasons.turn_active.then(|| now.plus(WATCH));
    let idle = reasons.container_idle_since.map(|since| since.plus(container_idle));
    [watch, idle].into_iter().flatten().min()
}

/// Whether the alarm must be set: one that is set and comes no later will look again by itself.
#[must_use]
pub fn must_set(set: Option<Millis>, wanted: Millis, now: Millis) -> bool {
    set.is_none_or(|set| set > wanted || set <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_mins(20);
    const NOW: Millis = Millis::new(1_000_000);

    #[test]
    fn an_account_without_a_reason_does_not_wake() {
        assert_eq!(next_wake(Reasons::default(), IDLE, NOW), None);
    }

    #[test]
    fn the_earliest_reason_decides() {
        let idle = Reasons { container_idle_since: Some(NOW), ..Reasons::default() };
        assert_eq!(next_wake(idle, IDLE, NOW), Some(NOW.plus(IDLE)));
        let both = Reasons { turn_active: true, ..idle };
        assert_eq!(next_wake(both, IDLE, NOW), Some(NOW.plus(WATCH)));
    }

    #[test]
    fn an_earlier_alarm_serves_a_later_reason() {
        let later = NOW.plus(IDLE);
        assert!(must_set(None, later, NOW));
        assert!(!must_set(Some(NOW.plus(WATCH)), later, NOW));
        assert!(must_set(Some(later), NOW.plus(WATCH), NOW));
        assert!(must_set(Some(NOW), later, NOW), "an alarm of the past is not set");
    }
}
