//! What an account may use: the operator's limits for all accounts, what is set for one, and how a limit that is reached is told.

use serde::{Deserialize, Deserializer, Serialize};

use super::Millis;
use super::ledger::NanoUsd;
use super::time::DAY;

/// The highest amount of money that may be set, in US dollars: below it, sums of billionths are exact.
pub const MAX_USD: f64 = 1_000_000.0;
/// The highest count that may be set: what a number of JSON holds exactly.
pub const MAX_COUNT: u64 = 1 << 53;
/// Most turns that may wait.
pub const MAX_QUEUED: u32 = 1_000;
/// Most turns that may run at once; each takes a process of the container.
pub const MAX_CONCURRENCY: u32 = 8;

/// What an account may use; null means no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Limits {
    /// US dollars for calls of the model in a day of UTC.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub usd_per_day: Option<NanoUsd>,
    /// The same in a month.
    #[cfg_attr(test, schemars(with = "Option<f64>"))]
    pub usd_per_month: Option<NanoUsd>,
    /// Turns in a day.
    pub turns_per_day: Option<u64>,
    /// Tokens of all four kinds in a day.
    pub tokens_per_day: Option<u64>,
    /// Bytes of the account's database and of its files.
    pub storage_bytes: Option<u64>,
    /// Turns that may wait.
    pub queued_turns: u32,
    /// Turns that run at once.
    pub concurrency: u32,
}

/// What is set for one account. An absent limit is the operator's for all accounts; one that is null is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "LimitsOfAccount"))]
#[cfg_attr(target_arch = "wasm32", expect(clippy::option_option, reason = "absent, null and set are three things"))]
pub struct SetLimits {
    /// US dollars for calls of the model in a day of UTC.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    #[cfg_attr(test, schemars(range(min = 0, max = 1_000_000)))]
    pub usd_per_day: Option<Option<f64>>,
    /// The same in a month.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    #[cfg_attr(test, schemars(range(min = 0, max = 1_000_000)))]
    pub usd_per_month: Option<Option<f64>>,
    /// Turns in a day.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    pub turns_per_day: Option<Option<u64>>,
    /// Tokens of all four kinds in a day.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    pub tokens_per_day: Option<Option<u64>>,
    /// Bytes of the account's database and of its files.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    pub storage_bytes: Option<Option<u64>>,
    /// Turns that may wait; null is the operator's limit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    #[cfg_attr(test, schemars(range(min = 0, max = 1000)))]
    pub queued_turns: Option<Option<u32>>,
    /// Turns that run at once; null is the operator's limit.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "set")]
    #[cfg_attr(test, schemars(range(min = 1, max = 8)))]
    pub concurrency: Option<Option<u32>>,
}

/// Tells a null from an absent field.
#[expect(clippy::option_option, reason = "absent, null and set are three things")]
fn set<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// The limits that may be set for one account.
pub const SETTABLE: [&str; 7] =
    ["usd_per_day", "usd_per_month", "turns_per_day", "tokens_per_day", "storage_bytes", "queued_turns", "concurrency"];

impl SetLimits {
    /// These limits, without the one of this name: it is the operator's for all accounts again.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        match name {
            "usd_per_day" => self.usd_per_day = None,
            "usd_per_month" => self.usd_per_month = None,
            "turns_per_day" => self.turns_per_day = None,
            "tokens_per_day" => self.tokens_per_day = None,
            "storage_bytes" => self.storage_bytes = None,
            "queued_turns" => self.queued_turns = None,
            "concurrency" => self.concurrency = None,
            _ => {}
        }
        self
    }

    /// Whether every limit is in its range.
    ///
    /// # Errors
    /// The first limit that is not, and its range.
    pub fn check(&self) -> Result<(), (&'static str, &'static str)> {
        let usd = |name, value: Option<Option<f64>>| match value.flatten() {
            Some(usd) if !(0.0..=MAX_USD).contains(&usd) => Err((name, "an amount from 0 to 1000000, or null")),
            _ => Ok(()),
        };
        let count = |name, value: Option<Option<u64>>| match value.flatten() {
            Some(count) if count > MAX_COUNT => Err((name, "a number from 0 to 2^53, or null")),
            _ => Ok(()),
        };
        usd("limits.usd_per_day", self.usd_per_day)?;
        usd("limits.usd_per_month", self.usd_per_month)?;
        count("limits.turns_per_day", self.turns_per_day)?;
        count("limits.tokens_per_day", self.tokens_per_day)?;
        count("limits.storage_bytes", self.storage_bytes)?;
        if self.queued_turns.flatten().is_some_and(|turns| turns > MAX_QUEUED) {
            return Err(("limits.queued_turns", "a number from 0 to 1000, or null"));
        }
        if self.concurrency.flatten().is_some_and(|turns| !(1..=MAX_CONCURRENCY).contains(&turns)) {
            return Err(("limits.concurrency", "a number from 1 to 8, or null"));
        }
        Ok(())
    }

    /// These limits, with those that `change` sets in their place.
    #[must_use]
    pub fn changed(self, change: Self) -> Self {
        Self {
            usd_per_day: change.usd_per_day.or(self.usd_per_day),
            usd_per_month: change.usd_per_month.or(self.usd_per_month),
            turns_per_day: change.turns_per_day.or(self.turns_per_day),
            tokens_per_day: change.tokens_per_day.or(self.tokens_per_day),
            storage_bytes: change.storage_bytes.or(self.storage_bytes),
            queued_turns: change.queued_turns.or(self.queued_turns),
            concurrency: change.concurrency.or(self.concurrency),
        }
    }
}

impl Limits {
    /// What an account may use for which this is set.
    #[must_use]
    pub fn with(self, set: &SetLimits) -> Self {
        let usd = |set: Option<Option<f64>>, all| set.map_or(all, |set| set.map(NanoUsd::of_usd));
        Self {
            usd_per_day: usd(set.usd_per_day, self.usd_per_day),
            usd_per_month: usd(set.usd_per_month, self.usd_per_month),
            turns_per_day: set.turns_per_day.unwrap_or(self.turns_per_day),
            tokens_per_day: set.tokens_per_day.unwrap_or(self.tokens_per_day),
            storage_bytes: set.storage_bytes.unwrap_or(self.storage_bytes),
            queued_turns: set.queued_turns.flatten().unwrap_or(self.queued_turns),
            concurrency: set.concurrency.flatten().unwrap_or(self.concurrency),
        }
    }

    /// Whether what was used counts for any of them.
    #[must_use]
    pub const fn count_usage(&self) -> bool {
        self.usd_per_day.is_some()
            || self.usd_per_month.is_some()
            || self.turns_per_day.is_some()
            || self.tokens_per_day.is_some()
    }
}

/// A limit by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum LimitName {
    /// `usd_per_day`
    UsdPerDay,
    /// `usd_per_month`
    UsdPerMonth,
    /// `turns_per_day`
    TurnsPerDay,
    /// `tokens_per_day`
    TokensPerDay,
    /// `storage_bytes`
    StorageBytes,
    /// `usd_per_turn`: `MAX_BUDGET_USD`.
    UsdPerTurn,
}

impl LimitName {
    /// The word that is sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UsdPerDay => "usd_per_day",
            Self::UsdPerMonth => "usd_per_month",
            Self::TurnsPerDay => "turns_per_day",
            Self::TokensPerDay => "tokens_per_day",
            Self::StorageBytes => "storage_bytes",
            Self::UsdPerTurn => "usd_per_turn",
        }
    }
}

/// An amount that a limit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Serialize)]
#[serde(untagged)]
pub enum Amount {
    /// Money.
    Usd(NanoUsd),
    /// A number of things.
    Count(u64),
}

impl Amount {
    /// As a value of JSON.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        match self {
            Self::Usd(usd) => usd.usd().into(),
            Self::Count(count) => count.into(),
        }
    }
}

/// A limit that is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exceeded {
    /// The limit that is reached.
    #[serde(rename = "limit_name")]
    pub name: LimitName,
    /// How much may be used.
    #[cfg_attr(test, schemars(with = "f64"))]
    pub limit: Amount,
    /// How much is.
    #[cfg_attr(test, schemars(with = "f64"))]
    pub used: Amount,
    /// When the count starts over; absent for limits that are not per day or month.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Millis"))]
    pub resets_at: Option<Millis>,
    /// The same in seconds from now.
    #[serde(skip)]
    pub retry_after_s: Option<u64>,
}

impl Exceeded {
    /// The values of `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers) of a limit that counts whole things in a day.
    #[must_use]
    pub fn rate_limit(&self) -> Option<(String, String)> {
        let (Amount::Count(limit), Some(resets_s)) = (self.limit, self.retry_after_s) else { return None };
        let name = self.name.as_str();
        Some((format!("\"{name}\";q={limit};w={}", DAY.as_secs()), format!("\"{name}\";r=0;t={resets_s}")))
    }

    /// A limit that time does not reset.
    #[must_use]
    pub const fn for_good(name: LimitName, limit: Amount, used: Amount) -> Self {
        Self { name, limit, used, resets_at: None, retry_after_s: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Limits = Limits {
        usd_per_day: Some(NanoUsd::new(5_000_000_000)),
        usd_per_month: None,
        turns_per_day: Some(7),
        tokens_per_day: None,
        storage_bytes: None,
        queued_turns: 32,
        concurrency: 1,
    };

    fn set(json: &str) -> SetLimits {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_is_set_for_one_account_takes_the_place_of_what_holds_for_all_and_null_is_no_limit() {
        let own = ALL.with(&set(r#"{"usd_per_day":null,"tokens_per_day":9,"queued_turns":null,"concurrency":4}"#));
        let told = r#"{"usd_per_day":null,"usd_per_month":null,"turns_per_day":7,"tokens_per_day":9,"storage_bytes":null,"queued_turns":32,"concurrency":4}"#;
        assert_eq!(serde_json::to_string(&own).unwrap(), told);
        assert_eq!(ALL.with(&SetLimits::default()), ALL);
    }

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let before = set(r#"{"usd_per_day":1.5,"turns_per_day":null}"#);
        let after = before.changed(set(r#"{"turns_per_day":3}"#));
        assert_eq!(serde_json::to_string(&after).unwrap(), r#"{"usd_per_day":1.5,"turns_per_day":3}"#);
    }

    #[test]
    fn every_limit_that_may_be_set_can_be_taken_back_alone() {
        let all = r#"{"usd_per_day":1.5,"usd_per_month":null,"turns_per_day":1,"tokens_per_day":2,"storage_bytes":3,"queued_turns":4,"concurrency":5}"#;
        let mut left = set(all);
        for (at, name) in SETTABLE.into_iter().enumerate() {
            left = left.without(name);
            let told: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&serde_json::to_string(&left).unwrap()).unwrap();
            assert_eq!(told.len(), SETTABLE.len() - at - 1, "{name}");
            assert!(!told.contains_key(name), "{name}");
        }
        assert_eq!(left, SetLimits::default());
    }

    #[test]
    fn limits_have_ranges() {
        for (json, name) in [
            (r#"{"usd_per_day":-1}"#, "limits.usd_per_day"),
            (r#"{"usd_per_month":1e7}"#, "limits.usd_per_month"),
            (r#"{"tokens_per_day":9007199254740993}"#, "limits.tokens_per_day"),
            (r#"{"queued_turns":1001}"#, "limits.queued_turns"),
            (r#"{"concurrency":0}"#, "limits.concurrency"),
            (r#"{"concurrency":9}"#, "limits.concurrency"),
        ] {
            assert_eq!(set(json).check().map_err(|(name, _)| name), Err(name));
        }
        assert!(serde_json::from_str::<SetLimits>(r#"{"usd":1}"#).is_err(), "a name that is none is refused");
        assert_eq!(set(r#"{"usd_per_day":0,"queued_turns":0,"concurrency":8}"#).check(), Ok(()));
    }
}
