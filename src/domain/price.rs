//! What a call of a model costs: a table of list prices. An operator's own prices (`MODEL_PRICES`) come before it.
//!
//! Source: the model catalogue in the CLI of `@anthropic-ai/claude-agent-sdk` 0.3.330 (`pricing_tiers` and `models`), list prices of the
//! Anthropic API, read on 2026-11-26.

use serde::{Deserialize, Serialize};

use super::Usage;

/// What an answer used beside its tokens, and what makes its tokens dearer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Of the tokens written to the prompt cache, those that went into an entry of an hour.
    pub cache_write_1h_tokens: u64,
    /// Searches of the web that the model's API carried out.
    pub web_searches: u64,
    /// The API answered at another speed than its standard one.
    pub fast: bool,
    /// The API answered from within the United States, as the caller wanted.
    pub us_only: bool,
}

impl Extras {
    /// Whether nothing of it was used.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// US dollars for a million tokens, but for `web_search`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Tokens sent.
    pub input: f64,
    /// Tokens received.
    pub output: f64,
    /// Tokens read from the prompt cache.
    pub cache_read: f64,
    /// Tokens written to the prompt cache, into an entry of five minutes.
    pub cache_write: f64,
    /// The same, into an entry of an hour.
    pub cache_write_1h: f64,
    /// One search of the web.
    pub web_search: f64,
}

/// What one search of the web costs, whatever the model.
pub const WEB_SEARCH: f64 = 0.01;
/// What writing into an entry of an hour costs, in terms of `input`.
pub const CACHE_WRITE_1H_FACTOR: f64 = 2.0;
/// What tokens that are processed in the United States only cost, in terms of others.
const US_ONLY_FACTOR: f64 = 1.1;

const fn price(input: f64, output: f64, cache_read: f64, cache_write: f64) -> Price {
    let cache_write_1h = input * CACHE_WRITE_1H_FACTOR;
    Price { input, output, cache_read, cache_write, cache_write_1h, web_search: WEB_SEARCH }
}

/// What the dearest known model costs, and each that is not known.
pub const DEAREST: Price = price(15.0, 75.0, 1.5, 18.75);
const OPUS_4_5: Price = price(5.0, 25.0, 0.5, 6.25);
const SONNET_3_5: Price = price(3.0, 15.0, 0.3, 3.75);
const FABLE_5: Price = price(10.0, 50.0, 1.0, 12.5);
const FABLE_5_1: Price = price(10.0, 50.0, 0.25, 12.5);
const FABLE_5_2: Price = price(8.0, 40.0, 0.2, 10.0);

/// Names of models, each with the prompt, in tokens, above which the price holds. Of two rows for one model the last that holds counts.
const PRICES: &[(&str, u64, Price)] = &[
    ("claude-3-5-haiku", 0, price(0.8, 4.0, 0.08, 1.0)),
    ("claude-haiku-4-5", 0, price(1.0, 5.0, 0.1, 1.25)),
    ("claude-haiku-5-5", 0, price(0.1, 0.5, 0.01, 0.125)),
    ("claude-haiku-5-5", 100_000, price(0.5, 2.5, 0.05, 0.625)),
    ("claude-3-5-sonnet", 0, SONNET_3_5),
    ("claude-3-7-sonnet", 0, SONNET_3_5),
    ("claude-sonnet-4", 0, SONNET_3_5),
    ("claude-sonnet-4-0", 0, SONNET_3_5),
    ("claude-sonnet-4-5", 0, SONNET_3_5),
    ("claude-sonnet-4-6", 0, SONNET_3_5),
    ("claude-sonnet-5", 0, price(2.0, 10.0, 0.2, 2.5)),
    ("claude-sonnet-5-5", 0, price(2.0, 10.0, 0.1, 2.5)),
    ("claude-opus-4", 0, DEAREST),
    ("claude-opus-4-0", 0, DEAREST),
    ("claude-opus-4-1", 0, DEAREST),
    ("claude-opus-4-5", 0, OPUS_4_5),
    ("claude-opus-4-6", 0, OPUS_4_5),
    ("claude-opus-4-7", 0, OPUS_4_5),
    ("claude-opus-4-8", 0, OPUS_4_5),
    ("claude-opus-5", 0, OPUS_4_5),
    ("claude-opus-5-5", 0, price(4.0, 20.0, 0.2, 5.0)),
    ("claude-fable-5", 0, FABLE_5),
    ("claude-fable-5-1", 0, FABLE_5_1),
    ("claude-fable-5-2", 0, FABLE_5_2),
    ("claude-mythos-5", 0, FABLE_5),
    ("claude-mythos-5-1", 0, FABLE_5_1),
    ("claude-mythos-5-2", 0, FABLE_5_2),
];

/// What fast answers cost in terms of others: of these models, and of every other one.
const FAST: &[(&str, f64)] = &[("claude-opus-5-5", 2.0), ("claude-fable-5-2", 2.0), ("claude-mythos-5-2", 2.0)];
const FAST_FACTOR: f64 = 6.0;
/// How the name of a model ends that answers fast.
const FAST_NAME: &str = "-fast";

/// Digits of the date in a model's name; a shorter number is a further version, of which nothing is known.
const DATE_DIGITS: usize = 8;
const TOKENS: f64 = 1e6;
/// A billionth of a dollar is below every price: what is finer comes of adding floats.
pub const UNITS_A_USD: f64 = 1e9;

/// What a call of that model costs, in US dollars, if it used nothing but tokens. The cost in `usage` does not count.
#[must_use]
pub fn cost_usd(model: &str, usage: &Usage) -> f64 {
    of_model(model, usage).unwrap_or(DEAREST).cost_usd(model, usage, &Extras::default())
}

/// The price of that model for a call with that prompt; none if the table does not know the model.
#[must_use]
pub fn of_model(model: &str, usage: &Usage) -> Option<Price> {
    let prompt = [usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens];
    let prompt = prompt.iter().fold(0_u64, |sum, tokens| sum.saturating_add(*tokens));
    let known = PRICES.iter().rfind(|(name, above, _)| is_model(model, name) && (*above == 0 || prompt > *above));
    known.map(|(_, _, price)| *price)
}

impl Price {
    /// What an answer of that model costs at this price, in US dollars, to a billionth of one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "tokens stay below 2^53")]
    pub fn cost_usd(&self, model: &str, usage: &Usage, extras: &Extras) -> f64 {
        let for_an_hour = extras.cache_write_1h_tokens.min(usage.cache_creation_input_tokens);
        let mut tokens = usage.input_tokens as f64 * self.input
            + usage.output_tokens as f64 * self.output
            + usage.cache_read_input_tokens as f64 * self.cache_read
            + (usage.cache_creation_input_tokens - for_an_hour) as f64 * self.cache_write
            + for_an_hour as f64 * self.cache_write_1h;
        if extras.fast || model.ends_with(FAST_NAME) {
            tokens *= FAST.iter().find(|(name, _)| is_model(model, name)).map_or(FAST_FACTOR, |(_, factor)| *factor);
        }
        if extras.us_only {
            tokens *= US_ONLY_FACTOR;
        }
        let cost = tokens / TOKENS + extras.web_searches as f64 * self.web_search;
        (cost * UNITS_A_USD).round() / UNITS_A_USD
    }
}

/// Whether a model goes by this name: with what other providers put before it, and with a date or a variant behind it.
#[must_use]
pub fn is_model(model: &str, name: &str) -> bool {
    let Some((_, rest)) = model.split_once(name) else { return false };
    let version = rest.strip_prefix('-').unwrap_or(rest);
    let digits = version.bytes().take_while(u8::is_ascii_digit).count();
    if rest.len() == version.len() { digits == 0 } else { digits == 0 || digits >= DATE_DIGITS }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLION: Usage = Usage {
        input_tokens: 1_000_000,
        output_tokens: 1_000_000,
        cache_read_input_tokens: 1_000_000,
        cache_creation_input_tokens: 1_000_000,
        cost_usd: 0.0,
    };

    fn of_a_million(model: &str) -> f64 {
        cost_usd(model, &MILLION)
    }

    #[test]
    fn each_kind_of_token_has_its_price() {
        let one = |usage: Usage| cost_usd("claude-opus-5-5", &usage).to_string();
        assert_eq!(one(Usage { input_tokens: 1_000_000, ..Usage::default() }), "4");
        assert_eq!(one(Usage { output_tokens: 1_000_000, ..Usage::default() }), "20");
        assert_eq!(one(Usage { cache_read_input_tokens: 1_000_000, ..Usage::default() }), "0.2");
        assert_eq!(one(Usage { cache_creation_input_tokens: 1_000_000, ..Usage::default() }), "5");
        assert_eq!(one(Usage { input_tokens: 409, output_tokens: 7, ..Usage::default() }), "0.001776");
        assert_eq!(one(Usage::default()), "0");
    }

    #[test]
    fn a_model_is_known_by_all_its_names() {
        for (name, alias) in [
            ("claude-sonnet-4", "claude-sonnet-4-20250514"),
            ("claude-opus-4-5", "us.anthropic.claude-opus-4-5-20251101-v1:0"),
            ("claude-3-5-haiku", "claude-3-5-haiku@20241022"),
            ("claude-sonnet-5", "claude-sonnet-5[1m]"),
        ] {
            assert_eq!(of_a_million(alias).to_string(), of_a_million(name).to_string(), "{alias}");
            assert!(of_a_million(alias) < of_a_million("a model of tomorrow"), "{alias}");
        }
    }

    #[test]
    fn what_the_api_bills_beside_plain_tokens_has_its_price() {
        let price = of_model("claude-opus-5-5", &MILLION).unwrap();
        let of = |model: &str, usage: Usage, extras: Extras| price.cost_usd(model, &usage, &extras).to_string();
        let (model, written) =
            ("claude-opus-5-5", Usage { cache_creation_input_tokens: 1_000_000, ..Usage::default() });
        let hour = |cache_write_1h_tokens| Extras { cache_write_1h_tokens, ..Extras::default() };
        assert_eq!(of(model, written, hour(0)), "5");
        assert_eq!(of(model, written, hour(400_000)), "6.2");
        assert_eq!(of(model, written, hour(u64::MAX)), "8");
        let searched = Extras { web_searches: 300, ..Extras::default() };
        assert_eq!(of(model, Usage::default(), searched), "3");
        let one = Usage { input_tokens: 1_000_000, ..Usage::default() };
        assert_eq!(of(model, one, Extras { us_only: true, web_searches: 1, ..Extras::default() }), "4.41");
        let fast = Extras { fast: true, ..Extras::default() };
        assert_eq!((of(model, one, fast), of("a-fast", one, Extras::default())), ("8".to_owned(), "24".to_owned()));
        assert_eq!(
            of_a_million("claude-fable-5-2-fast").to_string(),
            (2.0 * of_a_million("claude-fable-5-2")).to_string()
        );
    }

    #[test]
    fn what_is_not_known_costs_what_the_dearest_known_model_does() {
        let dearest = PRICES.iter().map(|(name, ..)| of_a_million(name)).fold(0.0, f64::max);
        for unknown in ["", "m", "claude", "claude-sonnet-5-7", "claude-opus-55", "claude-sonnet-6"] {
            assert_eq!(of_a_million(unknown).to_string(), dearest.to_string(), "{unknown}");
        }
    }

    #[test]
    fn a_long_prompt_has_a_price_of_its_own() {
        let of = |input_tokens| cost_usd("claude-haiku-5-5", &Usage { input_tokens, ..Usage::default() }).to_string();
        assert_eq!((of(100_000), of(100_001)), ("0.01".to_owned(), "0.0500005".to_owned()));
    }
}
