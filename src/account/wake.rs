//! When an account's object wakes next, and why. It has one alarm for all its reasons; an account with none costs nothing.

use std::time::Duration;

use crate::domain::Millis;
use crate::domain::time::DAY;

/// How soon an object looks again after work that it does, so that the work outlives the object's memory.
pub const WATCH: Duration = Duration::from_secs(10);
/// Pause before the directory is told again of an account that it did not take in.
pub const REGISTER_RETRY: Duration = Duration::from_mins(1);
/// How much later than the directory's visit an account looks by itself after what is due.
pub const BACKSTOP_SLACK: Duration = DAY.saturating_mul(2);
/// Pause before an account looks again after what was due and could not be deleted.
pub const BACKSTOP_RETRY: Duration = Duration::from_hours(1);

/// Where a purge stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purge {
    /// No purge is under way.
    #[default]
    None,
    /// A slice of it runs.
    Running,
    /// Its slice ended with work left; the next alarm goes on.
    Paused,
}

/// Why an object may have to wake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reasons {
    /// A turn is queued or running, or calls of the model wait to be stored.
    pub turn_active: bool,
    /// The container runs and no turn has run in it since then.
    pub container_idle_since: Option<Millis>,
    /// There is something that the directory has not yet heard: of conversations, or of what the account does.
    pub untold: bool,
    /// Where a purge stands.
    pub purge: Purge,
    /// When doomed objects of the bucket are next to be deleted.
    pub drain: Option<Millis>,
    /// When an event is next sent to a webhook.
    pub delivery: Option<Millis>,
    /// When a schedule is next due.
    pub schedule: Option<Millis>,
    /// When a pending action next expires.
    pub expiry: Option<Millis>,
    /// When turns that have ended are reported to the directory.
    pub report: Option<Millis>,
    /// The oldest last access of all conversations.
    pub oldest_access: Option<Millis>,
}

/// The operator's times that wakes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `CONTAINER_IDLE`.
    pub container_idle: Duration,
    /// `RETENTION_DAYS`.
    pub retention: Duration,
}

impl Limits {
    /// When an account whose oldest access that is looks by itself after what is due.
    #[must_use]
    pub fn backstop(&self, oldest_access: Millis) -> Millis {
        oldest_access.plus(self.retention).plus(BACKSTOP_SLACK)
    }
}

/// Whether the oldest access may be the earliest reason, if the others come to `at`.
#[must_use]
pub fn backstop_counts(at: Option<Millis>, now: Millis) -> bool {
    at.is_none_or(|at| at > now.plus(BACKSTOP_RETRY))
}

/// The moment of the earliest reason; none if there is no reason.
#[must_use]
pub fn next_wake(reasons: Reasons, limits: Limits, now: Millis) -> Option<Millis> {
    let watch = reasons.turn_active.then(|| now.plus(WATCH));
    let idle = reasons.container_idle_since.map(|since| since.plus(limits.container_idle));
    let register = reasons.untold.then(|| now.plus(REGISTER_RETRY));
    let purge = match reasons.purge {
        Purge::None => None,
        Purge::Running => Some(now.plus(WATCH)),
        Purge::Paused => Some(now),
    };
    // What could not be deleted is due forever: without the pause the object would never sleep.
    let backstop = reasons.oldest_access.map(|oldest| limits.backstop(oldest).max(now.plus(BACKSTOP_RETRY)));
    let own = [reasons.drain, reasons.delivery, reasons.schedule, reasons.expiry, reasons.report];
    [watch, idle, register, purge, backstop].into_iter().chain(own).flatten().min()
}

/// Whether the alarm must be set: one that is set and comes no later will look again by itself.
#[must_use]
pub fn must_set(set: Option<Millis>, wanted: Millis, now: Millis) -> bool {
    set.is_none_or(|set| set > wanted || set <= now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const IDLE: Duration = Duration::from_mins(20);
    const LIMITS: Limits = Limits { container_idle: IDLE, retention: DAY.saturating_mul(30) };
    const NOW: Millis = Millis::new(1_795_330_108_184);

    fn wake(reasons: Reasons) -> Option<Millis> {
        next_wake(reasons, LIMITS, NOW)
    }

    #[test]
    fn an_account_without_a_reason_does_not_wake() {
        assert_eq!(wake(Reasons::default()), None);
    }

    #[test]
    fn each_reason_has_its_time() {
        let none = Reasons::default();
        assert_eq!(wake(Reasons { turn_active: true, ..none }), Some(NOW.plus(WATCH)));
        assert_eq!(wake(Reasons { container_idle_since: Some(NOW), ..none }), Some(NOW.plus(IDLE)));
        assert_eq!(wake(Reasons { untold: true, ..none }), Some(NOW.plus(REGISTER_RETRY)));
        assert_eq!(wake(Reasons { purge: Purge::Running, ..none }), Some(NOW.plus(WATCH)));
        assert_eq!(wake(Reasons { purge: Purge::Paused, ..none }), Some(NOW));
        assert_eq!(wake(Reasons { drain: Some(NOW.plus(IDLE)), ..none }), Some(NOW.plus(IDLE)));
        assert_eq!(wake(Reasons { delivery: Some(NOW.plus(IDLE)), ..none }), Some(NOW.plus(IDLE)));
        assert_eq!(wake(Reasons { schedule: Some(NOW.plus(IDLE)), ..none }), Some(NOW.plus(IDLE)));
        assert_eq!(wake(Reasons { expiry: Some(NOW.plus(IDLE)), ..none }), Some(NOW.plus(IDLE)));
        assert_eq!(wake(Reasons { report: Some(NOW.plus(IDLE)), ..none }), Some(NOW.plus(IDLE)));
    }

    #[test]
    fn an_idle_account_wakes_two_days_after_its_oldest_conversation_is_due() {
        let idle = Reasons { oldest_access: Some(NOW), ..Reasons::default() };
        assert_eq!(wake(idle), Some(NOW.plus(32 * DAY)));
        let a_month_later = NOW.plus(31 * DAY);
        assert_eq!(next_wake(idle, LIMITS, a_month_later), Some(NOW.plus(32 * DAY)), "the time does not move");
    }

    #[test]
    fn what_is_long_due_and_stays_is_looked_at_once_an_hour() {
        let stuck = Reasons { oldest_access: Some(NOW.minus(90 * DAY)), ..Reasons::default() };
        assert_eq!(wake(stuck), Some(NOW.plus(BACKSTOP_RETRY)));
    }

    #[test]
    fn an_earlier_alarm_serves_a_later_reason() {
        let later = NOW.plus(IDLE);
        assert!(must_set(None, later, NOW));
        assert!(!must_set(Some(NOW.plus(WATCH)), later, NOW));
        assert!(must_set(Some(later), NOW.plus(WATCH), NOW));
        assert!(must_set(Some(NOW), later, NOW), "an alarm of the past is not set");
    }

    fn moment() -> impl Strategy<Value = Millis> {
        (-100_i64..=100).prop_map(|days| Millis::new(NOW.get() + days * 86_400_000))
    }

    fn reasons() -> impl Strategy<Value = Reasons> {
        let due = || prop::option::of(moment());
        let moments = (due(), due(), due(), due(), due(), due());
        let purge = prop_oneof![Just(Purge::None), Just(Purge::Running), Just(Purge::Paused)];
        (any::<bool>(), prop::option::of(moment()), any::<bool>(), purge, moments).prop_map(
            |(
                turn_active,
                container_idle_since,
                untold,
                purge,
                (drain, delivery, schedule, expiry, report, oldest_access),
            )| {
                Reasons {
                    turn_active,
                    container_idle_since,
                    untold,
                    purge,
                    drain,
                    delivery,
                    schedule,
                    expiry,
                    report,
                    oldest_access,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn one_more_reason_never_puts_off_a_wake(reasons in reasons()) {
            let all = wake(reasons);
            let fewer = [
                Reasons { turn_active: false, ..reasons },
                Reasons { container_idle_since: None, ..reasons },
                Reasons { untold: false, ..reasons },
                Reasons { purge: Purge::None, ..reasons },
                Reasons { drain: None, ..reasons },
                Reasons { delivery: None, ..reasons },
                Reasons { schedule: None, ..reasons },
                Reasons { expiry: None, ..reasons },
                Reasons { report: None, ..reasons },
                Reasons { oldest_access: None, ..reasons },
            ];
            for at in fewer.into_iter().filter_map(wake) {
                prop_assert!(all.is_some_and(|all| all <= at));
            }
        }

        #[test]
        fn the_oldest_access_is_not_asked_for_if_it_cannot_count(reasons in reasons()) {
            let others = wake(Reasons { oldest_access: None, ..reasons });
            prop_assert!(backstop_counts(others, NOW) || wake(reasons) == others);
        }

        #[test]
        fn an_account_with_nothing_but_conversations_sleeps_for_an_hour_at_least(oldest in moment()) {
            let at = wake(Reasons { oldest_access: Some(oldest), ..Reasons::default() });
            prop_assert!(at >= Some(NOW.plus(BACKSTOP_RETRY)));
        }
    }
}
