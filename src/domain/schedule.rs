//! Schedules: queries that an account asks by the clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cron::{Cron, Offset};
use super::{Millis, ResourceName, SessionId, TurnId, TurnStatus};

/// Most schedules of an account.
pub const MAX_SCHEDULES: usize = 32;
/// Failures in a row after which a schedule is paused.
pub const MAX_FAILURES: u32 = 5;
/// How much later than its due time a run counts as on time. What comes later was missed.
pub const ON_TIME: Duration = Duration::from_mins(5);
/// Longest query of a schedule, in bytes.
pub const MAX_SCHEDULE_PROMPT_BYTES: usize = 64 * 1024;
/// Due times that are shown ahead.
pub const SHOWN_RUNS: usize = 5;
/// Longest name of a time zone, in bytes.
pub const MAX_ZONE_BYTES: usize = 64;

/// What becomes of a run whose time the account slept through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Missed {
    /// Nothing: the next one comes in its time.
    #[default]
    Skip,
    /// It is made up for, once for all that were missed.
    RunOnce,
}

impl Missed {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::RunOnce => "run_once",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Skip, Self::RunOnce].into_iter().find(|missed| missed.as_str() == word)
    }
}

/// The schedule whose run a turn is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct TurnTrigger {
    /// The schedule's name.
    pub schedule: ResourceName,
    /// The due time; of a run that somebody asked for, when they did.
    pub scheduled_at: Millis,
}

/// A run of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ScheduleRun {
    /// The due time; of a run that somebody asked for, when they did.
    pub scheduled_at: Millis,
    /// Its turn; null if none was admitted.
    pub turn_id: Option<TurnId>,
    /// The turn's conversation; null if it is gone.
    pub session_id: Option<SessionId>,
    /// Where the turn stands; null if it is gone.
    pub status: Option<TurnStatus>,
    /// Why no turn was admitted: the code that a query would have got.
    pub failure: Option<String>,
}

/// What an account that wakes does about a schedule whose due time has come: which due time is run, if one is.
#[must_use]
pub fn due(cron: &Cron, since: Millis, now: Millis, missed: Missed, offset: Offset<'_>) -> Option<Millis> {
    let last = cron.last_until(now, since, offset)?;
    (missed == Missed::RunOnce || now.since(last) <= ON_TIME).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slept_through_is_skipped_or_made_up_for_once() {
        let hourly = Cron::parse("0 * * * *").unwrap();
        let hours = |n: i64| Millis::new(n * 3_600_000);
        let minutes = |n: i64| Millis::new(n * 60_000);
        let due = |now, missed| due(&hourly, hours(1), now, missed, &|_| Some(0));
        for missed in [Missed::Skip, Missed::RunOnce] {
            assert_eq!(due(hours(1), missed), Some(hours(1)));
            assert_eq!(due(minutes(65), missed), Some(hours(1)));
            assert_eq!(due(minutes(10 * 60 + 1), missed), Some(hours(10)));
            assert_eq!(due(minutes(59), missed), None);
        }
        assert_eq!(due(minutes(66), Missed::Skip), None);
        assert_eq!(due(minutes(10 * 60 + 30), Missed::RunOnce), Some(hours(10)));
    }
}
