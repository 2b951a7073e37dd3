//! What an account has used, as it is counted and billed: days of UTC, amounts of money, and sums of model calls.

use std::fmt;
use std::ops::AddAssign;

use chrono::{DateTime, Datelike, NaiveDate};
use serde::{Deserialize, Serialize, Serializer};

use super::price::UNITS_A_USD;
use super::{Millis, Usage};

const DAY_MS: i64 = 86_400_000;

/// A day of UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(i64);

impl Day {
    /// The day of a moment.
    #[must_use]
    pub const fn of(at: Millis) -> Self {
        Self(at.get().div_euclid(DAY_MS))
    }

    /// The day that many days after the first.
    #[must_use]
    pub const fn new(days: i64) -> Self {
        Self(days)
    }

    /// Days since the first.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Reads `2026-11-26`; years from 1970 to 9999.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
        let number = |digits: &[&u8]| {
            let digit =
                |sum: i32, byte: &&u8| Some(sum * 10 + i32::from(byte.is_ascii_digit().then(|| **byte - b'0')?));
            digits.iter().try_fold(0, digit)
        };
        let (month, day) = (number(&[m1, m2])?, number(&[d1, d2])?);
        let date = NaiveDate::from_ymd_opt(number(&[y1, y2, y3, y4])?, month.try_into().ok()?, day.try_into().ok()?)?;
        Some(Self(date.signed_duration_since(NaiveDate::default()).num_days())).filter(|day| day.0 >= 0)
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Millis {
        Millis::new(self.0.saturating_mul(DAY_MS))
    }

    /// The day that many days later.
    #[must_use]
    pub const fn plus(self, days: i64) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// The first day of its month.
    #[must_use]
    pub fn month(self) -> Self {
        self.date().map_or(self, |date| self.plus(-i64::from(date.day0())))
    }

    /// The first day of the month after it.
    #[must_use]
    pub fn next_month(self) -> Self {
        // 31 days after the first of a month is always in the next one, and never past it.
        self.month().plus(31).month()
    }

    fn date(self) -> Option<NaiveDate> {
        Some(DateTime::from_timestamp_millis(self.start().get())?.date_naive())
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.date().map_or(Ok(()), |date| write!(f, "{date}"))
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

impl TryFrom<String> for Day {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a day such as 2026-11-26")
    }
}

#[cfg(test)]
impl schemars::JsonSchema for Day {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "A day of UTC."})
    }
}

/// An amount of money in billionths of a US dollar: sums of it are exact. In JSON it is dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct NanoUsd(i64);

impl NanoUsd {
    /// That many billionths of a dollar.
    #[must_use]
    pub const fn new(nano: i64) -> Self {
        Self(nano)
    }

    /// Billionths of a dollar.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }

    /// Dollars, rounded to a billionth. What is no amount is none.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "clamped to what is exact")]
    pub fn of_usd(usd: f64) -> Self {
        const MOST: f64 = 9e15;
        if usd.is_nan() { Self(0) } else { Self((usd * UNITS_A_USD).round().clamp(0.0, MOST) as i64) }
    }

    /// In dollars.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "amounts stay below 2^53")]
    pub fn usd(self) -> f64 {
        self.0 as f64 / UNITS_A_USD
    }
}

impl AddAssign for NanoUsd {
    fn add_assign(&mut self, other: Self) {
        self.0 = self.0.saturating_add(other.0);
    }
}

impl Serialize for NanoUsd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.usd())
    }
}

/// Tokens of model calls and what they cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Spent"))]
pub struct Spent {
    /// Tokens sent, those from the cache left out.
    pub input_tokens: u64,
    /// Tokens received.
    pub output_tokens: u64,
    /// Tokens read from the prompt cache.
    pub cache_read_input_tokens: u64,
    /// Tokens written to the prompt cache.
    pub cache_creation_input_tokens: u64,
    /// US dollars.
    #[serde(rename = "cost_usd")]
    #[cfg_attr(test, schemars(with = "f64"))]
    pub cost: NanoUsd,
}

impl Spent {
    /// These tokens, at that cost.
    #[must_use]
    pub const fn new(usage: &Usage, cost: NanoUsd) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_input_tokens: usage.cache_read_input_tokens,
            cache_creation_input_tokens: usage.cache_creation_input_tokens,
            cost,
        }
    }

    /// The tokens of all four kinds.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        [self.input_tokens, self.output_tokens, self.cache_read_input_tokens, self.cache_creation_input_tokens]
            .iter()
            .fold(0, |sum: u64, tokens| sum.saturating_add(*tokens))
    }
}

impl AddAssign for Spent {
    fn add_assign(&mut self, other: Self) {
        for (sum, more) in [
            (&mut self.input_tokens, other.input_tokens),
            (&mut self.output_tokens, other.output_tokens),
            (&mut self.cache_read_input_tokens, other.cache_read_input_tokens),
            (&mut self.cache_creation_input_tokens, other.cache_creation_input_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.cost += other.cost;
    }
}

/// Model calls that were answered, as the gateway counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many.
    pub calls: u64,
    /// What they used.
    pub spent: Spent,
}

impl AddAssign for Counted {
    fn add_assign(&mut self, other: Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.spent += other.spent;
    }
}

/// What was used of the account's container, and what it stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerUse {
    /// How long it ran, in milliseconds.
    pub ms: u64,
    /// What the account stored when the container last stopped; none if it did not.
    pub stored_bytes: Option<u64>,
}

impl ContainerUse {
    /// How long it ran, to a second.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        (self.ms + 500) / 1_000
    }
}

impl AddAssign for ContainerUse {
    /// Adds what was used later.
    fn add_assign(&mut self, later: Self) {
        self.ms = self.ms.saturating_add(later.ms);
        self.stored_bytes = later.stored_bytes.or(self.stored_bytes);
    }
}

/// By what a report sums usage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Group {
    /// Days of UTC.
    #[default]
    Day,
    /// Models.
    Model,
    /// Conversations.
    Conversation,
}

impl Group {
    /// Reads the word of a request.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "day" => Some(Self::Day),
            "model" => Some(Self::Model),
            "conversation" => Some(Self::Conversation),
            _ => None,
        }
    }

    /// The word that is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Conversation => "conversation",
        }
    }
}

/// What was used in one group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageSum {
    /// The day, model or conversation.
    pub key: String,
    /// Turns that ended.
    pub turns: u64,
    /// What the gateway counted.
    pub counted: Counted,
    /// What the SDK said of the turns that it ended.
    pub reported: Spent,
    /// What was used of the container; none for a model or a conversation.
    pub container: Option<ContainerUse>,
}

impl UsageSum {
    /// Adds another group's.
    pub fn add(&mut self, other: &Self) {
        self.turns = self.turns.saturating_add(other.turns);
        self.counted += other.counted;
        self.reported += other.reported;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_one_of_utc_and_reads_back() {
        let day = Day::of(Millis::new(1_795_330_108_184));
        assert_eq!((day.to_string().as_str(), Day::parse("2026-11-22")), ("2026-11-22", Some(day)));
        assert_eq!(Day::of(Millis::new(day.start().get() - 1)), day.plus(-1));
        assert_eq!(Day::of(Millis::new(day.plus(1).start().get() - 1)), day);
        for no_day in
            ["", "2026-11-31", "26-11-2", "2026-1-02", "+026-11-22", "1969-12-31", "2026-11-22T00", "２026-11-2"]
        {
            assert_eq!(Day::parse(no_day), None, "{no_day}");
        }
    }

    #[test]
    fn months_begin_on_their_first_day() {
        let month = |text: &str| Day::parse(text).map(|day| (day.month().to_string(), day.next_month().to_string()));
        let pair = |a: &str, b: &str| Some((a.to_owned(), b.to_owned()));
        assert_eq!(month("2026-11-22"), pair("2026-11-01", "2026-12-01"));
        assert_eq!(month("2026-12-31"), pair("2026-12-01", "2027-01-01"));
        assert_eq!(month("2028-02-29"), pair("2028-02-01", "2028-03-01"));
    }

    #[test]
    fn amounts_add_up_exactly() {
        let mut sum = NanoUsd::default();
        for _ in 0..1_000_000 {
            sum += NanoUsd::of_usd(0.1);
        }
        assert_eq!((sum, serde_json::to_string(&sum).unwrap()), (NanoUsd::of_usd(100_000.0), "100000.0".to_owned()));
        assert_eq!([f64::NAN, -1.0].map(NanoUsd::of_usd), [NanoUsd::new(0); 2]);
    }
}
