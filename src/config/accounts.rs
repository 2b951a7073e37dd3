//! What the operator lets accounts use, how long it is remembered, and what the model's calls cost.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::BadConfig;
use super::files::parse_size;
use super::policy::is_model;
use crate::domain::Usage;
use crate::domain::ledger::NanoUsd;
use crate::domain::limits::{Limits, MAX_COUNT, MAX_USD};
use crate::domain::price::{self, Extras, Price};

/// Most models of `MODEL_PRICES`.
const MAX_PRICES: usize = 64;
/// The highest price that may be set, in US dollars for a million tokens.
const MAX_PRICE: f64 = 1e6;
const PRICES_RULE: &str = "an object of prices by model, each {\"input\", \"output\", \"cache_read\", \"cache_write\"} in US dollars for a million tokens, \
     with \"cache_write_1h\" and \"web_search\" if they are not the list's";

/// What accounts may use.
#[derive(Debug, Clone)]
pub struct AccountsPolicy {
    /// `MODEL_PRICES`: what comes before the list prices.
    prices: Prices,
    /// `ACCOUNT_USD_PER_DAY` and the like: what each account may use. Those of turns that wait and run have vars of their own.
    pub limits: Limits,
    /// `ACCOUNT_WARN_AT`: of a budget, in percent, what is used when the account is warned.
    pub warn_at_percent: u32,
    /// `USAGE_DAYS`: how many days what an account has used is remembered.
    pub usage_days: u32,
}

/// Prices of models.
#[derive(Debug, Clone, Default, PartialEq)]
struct Prices(Vec<(String, Price)>);

/// One price of `MODEL_PRICES`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetPrice {
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: f64,
    cache_write_1h: Option<f64>,
    web_search: Option<f64>,
}

impl AccountsPolicy {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let rule = "a number of days from 31 to 3660";
        let days = |text: String| text.parse().ok().filter(|days| (31..=3_660).contains(days));
        let usage_days = get("USAGE_DAYS").map_or(Some(400), days).ok_or(BadConfig { name: "USAGE_DAYS", rule })?;
        let prices = get("MODEL_PRICES").map_or(Some(Prices::default()), |text| Prices::parse(&text));
        let prices = prices.ok_or(BadConfig { name: "MODEL_PRICES", rule: PRICES_RULE })?;
        let usd = |name| {
            let rule = "an amount from 0 to 1000000, such as 12.50";
            let usd =
                |text: String| serde_json::from_str::<f64>(&text).ok().filter(|usd| (0.0..=MAX_USD).contains(usd));
            get(name).map(|text| usd(text).map(NanoUsd::of_usd).ok_or(BadConfig { name, rule })).transpose()
        };
        let count = |name| {
            let rule = "a number from 0 to 2^53";
            let count = |text: String| text.parse().ok().filter(|count| *count <= MAX_COUNT);
            get(name).map(|text| count(text).ok_or(BadConfig { name, rule })).transpose()
        };
        let storage = get("ACCOUNT_STORAGE_BYTES").map(|text| {
            let rule = "a size, such as 5GiB";
            parse_size(&text).ok_or(BadConfig { name: "ACCOUNT_STORAGE_BYTES", rule })
        });
        let percent = |text: String| text.parse().ok().filter(|percent| (1..=100).contains(percent));
        let rule = "a number of percent from 1 to 100";
        let warn_at = get("ACCOUNT_WARN_AT").map_or(Some(80), percent);
        Ok(Self {
            prices,
            limits: Limits {
                usd_per_day: usd("ACCOUNT_USD_PER_DAY")?,
                usd_per_month: usd("ACCOUNT_USD_PER_MONTH")?,
                turns_per_day: count("ACCOUNT_TURNS_PER_DAY")?,
                tokens_per_day: count("ACCOUNT_TOKENS_PER_DAY")?,
                storage_bytes: storage.transpose()?,
                queued_turns: 0,
                concurrency: 0,
            },
            warn_at_percent: warn_at.ok_or(BadConfig { name: "ACCOUNT_WARN_AT", rule })?,
            usage_days,
        })
    }

    /// What a call of that model costs, and whether its price is known; if it is not, the dearest known one counts.
    #[must_use]
    pub fn cost(&self, model: &str, usage: &Usage, extras: &Extras) -> (NanoUsd, bool) {
        let set = self.prices.0.iter().rfind(|(name, _)| price::is_model(model, name)).map(|(_, price)| *price);
        let known = set.or_else(|| price::of_model(model, usage));
        (NanoUsd::of_usd(known.unwrap_or(price::DEAREST).cost_usd(model, usage, extras)), known.is_some())
    }

    /// Whether the operator has set prices, which are not those that the SDK reckons with.
    #[must_use]
    pub const fn has_own_prices(&self) -> bool {
        !self.prices.0.is_empty()
    }
}

impl Prices {
    fn parse(text: &str) -> Option<Self> {
        let set: BTreeMap<String, SetPrice> =
            serde_json::from_str(text).ok().filter(|set: &BTreeMap<_, _>| set.len() <= MAX_PRICES)?;
        let read = |(name, set): (String, SetPrice)| {
            let SetPrice { input, output, cache_read, cache_write, .. } = set;
            let cache_write_1h = set.cache_write_1h.unwrap_or(input * price::CACHE_WRITE_1H_FACTOR);
            let web_search = set.web_search.unwrap_or(price::WEB_SEARCH);
            let all = [input, output, cache_read, cache_write, cache_write_1h, web_search];
            let valid = is_model(&name) && all.iter().all(|price| (0.0..=MAX_PRICE).contains(price));
            valid.then_some((name, Price { input, output, cache_read, cache_write, cache_write_1h, web_search }))
        };
        // In order of length: the longest name that a model goes by counts.
        let mut prices: Vec<_> = set.into_iter().map(read).collect::<Option<_>>()?;
        prices.sort_by_key(|(name, _)| name.len());
        Some(Self(prices))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(vars: &[(&str, &str)]) -> Result<AccountsPolicy, BadConfig> {
        AccountsPolicy::parse(&|name| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
    }

    const MILLION: Usage = Usage {
        input_tokens: 1_000_000,
        output_tokens: 0,
        cache_read_input_tokens: 0,
        cache_creation_input_tokens: 0,
        cost_usd: 0.0,
    };

    #[test]
    fn an_operators_price_comes_before_the_list_and_the_longest_name_before_the_others() {
        let prices = r#"{"claude-opus": {"input": 1, "output": 2, "cache_read": 0, "cache_write": 3},
            "claude-opus-5-5": {"input": 7.5, "output": 2, "cache_read": 0, "cache_write": 3}}"#;
        let policy = policy(&[("MODEL_PRICES", prices)]).unwrap();
        let cost = |model| policy.cost(model, &MILLION, &Extras::default());
        assert_eq!(cost("claude-opus-5-5-20261101"), (NanoUsd::of_usd(7.5), true));
        assert_eq!(cost("claude-opus-latest"), (NanoUsd::of_usd(1.0), true));
        assert_eq!(cost("claude-sonnet-5"), (NanoUsd::of_usd(2.0), true));
        assert_eq!(cost("a model of tomorrow"), (NanoUsd::of_usd(15.0), false));
    }

    #[test]
    fn an_operators_price_may_leave_out_searches_and_entries_of_an_hour() {
        let prices = r#"{"plain": {"input": 1, "output": 2, "cache_read": 0, "cache_write": 3},
            "own": {"input": 1, "output": 2, "cache_read": 0, "cache_write": 3, "cache_write_1h": 5, "web_search": 0.5}}"#;
        let policy = policy(&[("MODEL_PRICES", prices)]).unwrap();
        let written = Usage { input_tokens: 0, cache_creation_input_tokens: 1_000_000, ..MILLION };
        let extras = Extras { cache_write_1h_tokens: 1_000_000, web_searches: 10, ..Extras::default() };
        let cost = |model| policy.cost(model, &written, &extras).0;
        assert_eq!((cost("plain"), cost("own")), (NanoUsd::of_usd(2.1), NanoUsd::of_usd(10.0)));
    }

    #[test]
    fn prices_that_are_none_are_refused() {
        for prices in [
            "",
            "[]",
            r#"{"m": 1}"#,
            r#"{"m": {"input": -1, "output": 2, "cache_read": 0, "cache_write": 3}}"#,
            r#"{"m": {"input": 1, "output": 2, "cache_read": 0}}"#,
            r#"{"": {"input": 1, "output": 2, "cache_read": 0, "cache_write": 3}}"#,
        ] {
            assert!(policy(&[("MODEL_PRICES", prices)]).is_err(), "{prices}");
        }
        assert!(policy(&[("USAGE_DAYS", "30")]).is_err());
        assert_eq!(policy(&[("USAGE_DAYS", "31")]).unwrap().usage_days, 31);
    }
}
