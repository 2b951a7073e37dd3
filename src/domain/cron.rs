//! Cron expressions of five fields, and when they are due next in a time zone. Of local times, one that the clock skips is skipped, and one
//! that the clock shows twice is due the first time.

use super::Millis;

const MINUTE_MS: i64 = 60_000;
const DAY_MINUTES: i64 = 1_440;
/// How far ahead a due time is looked for: the 29th of February comes after eight years at the latest.
const MAX_DAYS: i64 = 366 * 9;
/// Longest expression, in bytes.
pub const MAX_CRON_BYTES: usize = 256;

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// What is wrong with an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadCron(pub &'static str);

/// An expression, as the sets of what its fields match: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Whether a day that either the day or the weekday matches is one: neither field begins with `*`.
    either_day: bool,
}

/// How many seconds a zone is ahead of UTC at a moment; none if there is no such zone.
pub type Offset<'a> = &'a dyn Fn(Millis) -> Option<i32>;

impl Cron {
    /// Reads `minute hour day month weekday`.
    ///
    /// # Errors
    /// What it must be.
    pub fn parse(text: &str) -> Result<Self, BadCron> {
        let rule = BadCron("five fields: minute hour day-of-month month day-of-week, such as 0 9 * * mon-fri");
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else { return Err(rule) };
        if text.len() > MAX_CRON_BYTES {
            return Err(rule);
        }
        let field = |text: &str, range, names: &[&str], first| field(text, range, names, first).ok_or(rule);
        let weekday_set = field(weekdays, (0, 7), &WEEKDAYS, 0)?;
        Ok(Self {
            minutes: field(minutes, (0, 59), &[], 0)?,
            hours: field(hours, (0, 23), &[], 0)?,
            days: field(days, (1, 31), &[], 0)?,
            months: field(months, (1, 12), &MONTHS, 1)?,
            // 7 is Sunday as well.
            weekdays: (weekday_set | weekday_set >> 7) & 0x7f,
            either_day: !days.starts_with('*') && !weekdays.starts_with('*'),
        })
    }

    /// The fewest minutes between two due times, if every day were one on which it is due.
    #[must_use]
    pub fn shortest_pause(&self) -> i64 {
        let (mut first, mut last, mut shortest) = (None, None, DAY_MINUTES);
        for minute in self.minutes_of_day(0) {
            if let Some(last) = last {
                shortest = shortest.min(minute - last);
            }
            first = first.or(Some(minute));
            last = Some(minute);
        }
        match (first, last) {
            (Some(first), Some(last)) => shortest.min(DAY_MINUTES - last + first),
            _ => shortest,
        }
    }

    /// The first due time after a moment; none if there is none within nine years, or no such zone.
    #[must_use]
    pub fn next_after(&self, after: Millis, offset: Offset<'_>) -> Option<Millis> {
        let local = after.get() + i64::from(offset(after)?) * 1_000;
        let first_minute = local.div_euclid(MINUTE_MS);
        let today = first_minute.div_euclid(DAY_MINUTES);
        for day in today..today + MAX_DAYS {
            if !self.is_day(day) {
                continue;
            }
            let from = if day == today { first_minute.rem_euclid(DAY_MINUTES) } else { 0 };
            for minute in self.minutes_of_day(from) {
                let at = first_moment_of((day * DAY_MINUTES + minute) * MINUTE_MS, offset);
                if let Some(at) = at.filter(|at| *at > after) {
                    return Some(at);
                }
            }
        }
        None
    }

    /// The last due time up to a moment, none of which is before `since`; none if there is none.
    #[must_use]
    pub fn last_until(&self, until: Millis, since: Millis, offset: Offset<'_>) -> Option<Millis> {
        const HOUR_MS: i64 = 3_600_000;
        let before = Millis::new(since.get() - 1);
        // Windows that grow: what is due often is found in a short one, in which there is little to pass over.
        let windows = [1, 24, 24 * 31, i64::MAX / HOUR_MS].map(|hours| until.get().saturating_sub(hours * HOUR_MS));
        for start in windows.map(|ms| Millis::new(ms).max(before)) {
            let mut last = None;
            let mut next = self.next_after(start, offset);
            while let Some(at) = next.filter(|at| *at <= until) {
                last = Some(at);
                next = self.next_after(at, offset);
            }
            if last.is_some() || start == before {
                return last;
            }
        }
        None
    }

    fn is_day(&self, day: i64) -> bool {
        let (month, day_of_month) = month_and_day(day);
        if self.months >> month & 1 == 0 {
            return false;
        }
        // The epoch was a Thursday.
        let by_day = self.days >> day_of_month & 1 == 1;
        let by_weekday = self.weekdays >> (day + 4).rem_euclid(7) & 1 == 1;
        if self.either_day { by_day || by_weekday } else { by_day && by_weekday }
    }

    fn minutes_of_day(&self, from: i64) -> impl Iterator<Item = i64> {
        let (hours, minutes) = (self.hours, self.minutes);
        (from..DAY_MINUTES).filter(move |minute| hours >> (minute / 60) & 1 == 1 && minutes >> (minute % 60) & 1 == 1)
    }
}

/// The first moment at which clocks show that local time, written as if it were UTC's; none if they skip it.
fn first_moment_of(local_ms: i64, offset: Offset<'_>) -> Option<Millis> {
    const DAY_MS: i64 = 86_400_000;
    // Whatever shows the time has the offset of the day before or that of the day after.
    let shown = |around: i64| {
        let seconds = offset(Millis::new(around))?;
        let at = Millis::new(local_ms - i64::from(seconds) * 1_000);
        (offset(at)? == seconds).then_some(at)
    };
    [shown(local_ms - DAY_MS), shown(local_ms + DAY_MS)].into_iter().flatten().min()
}

/// Month and day of a day since the epoch (Howard Hinnant's `civil_from_days`).
fn month_and_day(day: i64) -> (i64, i64) {
    let of_era = (day + 719_468).rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    (if shifted < 10 { shifted + 3 } else { shifted - 9 }, of_year - (153 * shifted + 2) / 5 + 1)
}

/// The set that a field matches: a list of `*`, numbers, names and ranges, each with an optional step.
fn field(text: &str, (least, most): (u32, u32), names: &[&str], first_name: u32) -> Option<u64> {
    let number = |word: &str| {
        let by_name = || names.iter().position(|name| word.eq_ignore_ascii_case(name));
        let digits = !word.is_empty() && word.len() <= 2 && word.bytes().all(|byte| byte.is_ascii_digit());
        let value = if digits { word.parse().ok() } else { Some(u32::try_from(by_name()?).ok()? + first_name) };
        value.filter(|value| (least..=most).contains(value))
    };
    let mut set = 0_u64;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step.parse::<u32>().ok().filter(|step| (1..=most).contains(step))?)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (least, if most == 7 { 6 } else { most }),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, if step.is_some() { most } else { number(range)? }),
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        (from..=to).step_by(step).for_each(|value| set |= 1 << value);
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDateTime, TimeZone, Timelike, Utc};
    use chrono_tz::{America, Europe, Tz};
    use proptest::prelude::*;

    fn ms(at: &DateTime<Utc>) -> Millis {
        Millis::new(at.timestamp_millis())
    }

    fn utc(text: &str) -> DateTime<Utc> {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc()
    }

    fn offset_of(zone: Tz) -> impl Fn(Millis) -> Option<i32> {
        use chrono::Offset as _;
        move |at| Some(zone.timestamp_millis_opt(at.get()).unwrap().offset().fix().local_minus_utc())
    }

    /// The next due times in UTC.
    fn due(cron: &str, zone: Tz, after: &str, count: usize) -> Vec<String> {
        let (cron, offset) = (Cron::parse(cron).unwrap(), offset_of(zone));
        let mut at = ms(&utc(after));
        let next = |_| {
            at = cron.next_after(at, &offset).unwrap();
            DateTime::from_timestamp_millis(at.get()).unwrap().format("%Y-%m-%d %H:%M").to_string()
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for bad in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * 32 * *",
            "* * * 0 *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "a * * * *",
            "1,,2 * * * *",
            "-1 * * * *",
            "1- * * * *",
            "*/x * * * *",
            "* * * foo *",
            "+1 * * * *",
            "001 * * * *",
            "@daily",
            "? * * * *",
            "* * L * *",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_are_lists_ranges_steps_and_names() {
        assert_eq!(Cron::parse("0 9 * * mon-fri"), Cron::parse("0 9 * * 1-5"));
        assert_eq!(Cron::parse("0 9 * JAN,feb sun"), Cron::parse("0 9 * 1-2 7"));
        assert_eq!(Cron::parse("*/15 * * * *"), Cron::parse("0,15,30,45 * * * *"));
        assert_eq!(Cron::parse("50/5 * * * *"), Cron::parse("50,55 * * * *"));
        assert_eq!(Cron::parse("10-20/5 * * * *"), Cron::parse("10,15,20 * * * *"));
    }

    #[test]
    fn a_day_and_a_weekday_are_either_of_them() {
        let days = due("0 0 13 * fri", Tz::UTC, "2026-11-01 00:00", 5);
        let expected =
            ["2026-11-06 00:00", "2026-11-13 00:00", "2026-11-20 00:00", "2026-11-27 00:00", "2026-12-04 00:00"];
        assert_eq!(days, expected);
        assert_eq!(due("0 0 */2 * fri", Tz::UTC, "2026-11-01 00:00", 1), ["2026-11-13 00:00"]);
        assert_eq!(due("0 12 29 2 *", Tz::UTC, "2026-11-01 00:00", 2), ["2028-02-29 12:00", "2032-02-29 12:00"]);
        assert_eq!(Cron::parse("0 0 31 2 *").unwrap().next_after(Millis::new(0), &|_| Some(0)), None);
    }

    #[test]
    fn a_time_that_the_clock_skips_is_skipped() {
        // In Berlin, 2:00 to 3:00 did not exist on the 29th of March; in New York, on the 8th.
        let berlin = due("30 2 * * *", Europe::Berlin, "2026-03-28 00:00", 3);
        assert_eq!(berlin, ["2026-03-28 01:30", "2026-03-30 00:30", "2026-03-31 00:30"]);
        let new_york = due("30 2 * * *", America::New_York, "2026-03-07 00:00", 3);
        assert_eq!(new_york, ["2026-03-07 07:30", "2026-03-09 06:30", "2026-03-10 06:30"]);
        let hourly = due("0 * * * *", Europe::Berlin, "2026-03-29 00:00", 2);
        assert_eq!(hourly, ["2026-03-29 01:00", "2026-03-29 02:00"], "3:00 comes right after 1:00");
    }

    #[test]
    fn a_time_that_the_clock_shows_twice_is_due_the_first_time() {
        let berlin = due("30 2 * * *", Europe::Berlin, "2026-10-24 00:00", 3);
        assert_eq!(berlin, ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"]);
        let new_york = due("30 1 * * *", America::New_York, "2026-10-31 00:00", 3);
        assert_eq!(new_york, ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"]);
        // From within the hour that comes again.
        assert_eq!(due("30 2 * * *", Europe::Berlin, "2026-10-25 01:10", 1), ["2026-10-26 01:30"]);
    }

    #[test]
    fn the_shortest_pause_counts_over_midnight() {
        let pause = |cron| Cron::parse(cron).unwrap().shortest_pause();
        assert_eq!((pause("* * * * *"), pause("*/5 * * * *"), pause("0 9 * * *")), (1, 5, 1_440));
        assert_eq!((pause("58,2 0,23 * * *"), pause("0,7 * * * *"), pause("0 0,12 * * *")), (4, 7, 720));
    }

    #[test]
    fn the_last_due_time_is_found_however_long_ago_it_was() {
        let (cron, zone) = (Cron::parse("*/5 * * * *").unwrap(), offset_of(Europe::Berlin));
        let since = ms(&utc("2020-01-01 00:00"));
        assert_eq!(cron.last_until(ms(&utc("2026-11-01 10:07")), since, &zone), Some(ms(&utc("2026-11-01 10:05"))));
        let yearly = Cron::parse("0 0 1 1 *").unwrap();
        let found = yearly.last_until(ms(&utc("2026-11-01 10:07")), since, &|_| Some(0));
        assert_eq!(found, Some(ms(&utc("2026-01-01 00:00"))));
        let at = ms(&utc("2026-01-01 00:00"));
        assert_eq!(yearly.last_until(at, at, &|_| Some(0)), Some(at));
        assert_eq!(yearly.last_until(Millis::new(at.get() - 1), since.max(at), &|_| Some(0)), None);
    }

    fn expression() -> impl Strategy<Value = String> {
        let minute = prop_oneof![Just("0"), Just("30"), Just("*/20"), Just("5,59"), Just("1-3")];
        let hour = prop_oneof![Just("*"), Just("1"), Just("2"), Just("0-3"), Just("*/6"), Just("23")];
        let day = prop_oneof![Just("*"), Just("1"), Just("*/2"), Just("25-31")];
        let weekday = prop_oneof![Just("*"), Just("sun"), Just("1-5")];
        (minute, hour, day, weekday).prop_map(|(m, h, d, w)| format!("{m} {h} {d} * {w}"))
    }

    proptest! {
        /// Against a walk over every minute with another implementation of time zones.
        #[test]
        fn due_times_are_those_that_a_walk_over_all_minutes_finds(
            text in expression(),
            zone in prop_oneof![Just(Europe::Berlin), Just(America::New_York), Just(Tz::Australia__Lord_Howe)],
            start in prop_oneof![Just("2026-03-07 12:00"), Just("2026-03-28 12:00"), Just("2026-10-24 12:00"),
                Just("2026-10-31 12:00"), Just("2026-04-04 00:00"), Just("2026-10-03 00:00")],
        ) {
            use chrono::Datelike;
            let cron = Cron::parse(&text).unwrap();
            let mut expected = Vec::new();
            let mut seen = Vec::new();
            for minute in 1..=3 * 1_440 {
                let at = utc(start) + chrono::TimeDelta::minutes(minute);
                let local = at.with_timezone(&zone).naive_local();
                let is_new = !seen.contains(&local);
                seen.push(local);
                let days = (cron.days >> local.day() & 1 == 1, cron.weekdays >> local.weekday().num_days_from_sunday() & 1 == 1);
                let is_day = if cron.either_day { days.0 || days.1 } else { days.0 && days.1 };
                if is_new && is_day && cron.hours >> local.hour() & 1 == 1 && cron.minutes >> local.minute() & 1 == 1 {
                    expected.push(ms(&at));
                }
            }
            let end = ms(&(utc(start) + chrono::TimeDelta::minutes(3 * 1_440)));
            let offset = offset_of(zone);
            let mut found = Vec::new();
            let mut next = cron.next_after(ms(&utc(start)), &offset);
            while let Some(at) = next.filter(|at| *at <= end) {
                found.push(at);
                next = cron.next_after(at, &offset);
            }
            prop_assert_eq!(found, expected);
        }
    }
}
