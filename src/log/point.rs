//! Lines that are counted as well: what becomes a data point of the dataset `METRICS`. The order of its columns is documented in
//! `docs/operations.md`, whose queries name them by number.

use super::Line;
use crate::domain::{FailureCode, TurnStatus};

/// One data point. A number that is not known is 0, a word that is not known is empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<'a> {
    /// What the dataset samples by: the digest that stands for the account.
    pub index: &'a str,
    /// `blob1` and on: event, status, code, model, how the agent was found (`warm`, `cold`, `resumed`).
    pub blobs: [String; 5],
    /// `double1` and on: milliseconds queued, at work and in all; tokens sent, received, read from and written to the cache; US dollars; calls of
    /// the model; conversations deleted, accounts failed.
    pub doubles: [f64; 11],
}

impl<'a> Point<'a> {
    /// The data point that a line is; none for most.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "columns are doubles")]
    pub fn of(line: &Line<'a>) -> Option<Self> {
        if !["turn_ended", "container_started", "purge_run_ended"].contains(&line.event) {
            return None;
        }
        let number = |n: Option<u64>| n.unwrap_or(0) as f64;
        let found = match (line.warm, line.cold_container) {
            (_, Some(true)) => "cold",
            (Some(true), _) => "warm",
            (Some(false), _) => "resumed",
            (None, _) => "",
        };
        Some(Self {
            index: line.account.unwrap_or(""),
            blobs: [
                line.event.to_owned(),
                line.status.map_or("", TurnStatus::as_str).to_owned(),
                // The word that the log has, too.
                line.code.map(word).unwrap_or_default(),
                line.model.unwrap_or("").to_owned(),
                found.to_owned(),
            ],
            doubles: [
                number(line.queue_ms),
                number(line.agent_ms),
                number(line.total_ms),
                number(line.input_tokens),
                number(line.output_tokens),
                number(line.cache_read_input_tokens),
                number(line.cache_creation_input_tokens),
                line.cost_usd.unwrap_or(0.0),
                line.model_calls.map_or(0.0, f64::from),
                number(line.run.map(|run| run.conversations_deleted)),
                number(line.run.map(|run| run.accounts_failed)),
            ],
        })
    }
}

/// A unit variant as the word that it is serialised as.
fn word(code: FailureCode) -> String {
    let json = serde_json::to_string(&code).unwrap_or_default();
    json.trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_turn_are_pinned() {
        let line = Line {
            event: "turn_ended",
            account: Some("d1"),
            status: Some(TurnStatus::Failed),
            code: Some(FailureCode::TurnTimeout),
            model: Some("m"),
            warm: Some(true),
            cold_container: Some(false),
            queue_ms: Some(1),
            agent_ms: Some(2),
            total_ms: Some(3),
            input_tokens: Some(4),
            output_tokens: Some(5),
            cache_read_input_tokens: Some(6),
            cache_creation_input_tokens: Some(7),
            cost_usd: Some(0.5),
            model_calls: Some(9),
            ..Line::default()
        };
        let blobs = ["turn_ended", "failed", "turn_timeout", "m", "warm"].map(str::to_owned);
        let doubles = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.5, 9.0, 0.0, 0.0];
        assert_eq!(Point::of(&line), Some(Point { index: "d1", blobs, doubles }));
        let cold = Point::of(&Line { cold_container: Some(true), ..line });
        assert_eq!(cold.map(|point| point.blobs[4].clone()), Some("cold".to_owned()));
        assert_eq!(Point::of(&Line { event: "model_call", ..line }), None);
    }
}
