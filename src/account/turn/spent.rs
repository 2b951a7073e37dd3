//! What a turn has used, with all of its runs.

use crate::agent::protocol::TurnResult;
use crate::domain::Usage;
use crate::store::waiting::Spent;

/// What a turn has used with all of its runs.
pub(super) fn spent_by_now(before: &Spent, result: Option<&TurnResult>) -> Spent {
    let mut spent = before.clone();
    let Some(result) = result else { return spent };
    let usage = Usage { cost_usd: result.cost_usd, ..result.usage };
    spent.usage = Some(spent.usage.map_or(usage, |before| sum(before, usage)));
    spent.num_turns = spent.num_turns.saturating_add(result.num_turns);
    spent.duration_ms = spent.duration_ms.saturating_add(whole_ms(result.duration_ms));
    for (model, usage) in &result.by_model {
        let entry = spent.by_model.entry(model.clone()).or_default();
        *entry = sum(*entry, *usage);
    }
    spent
}

fn sum(a: Usage, b: Usage) -> Usage {
    Usage {
        input_tokens: a.input_tokens.saturating_add(b.input_tokens),
        output_tokens: a.output_tokens.saturating_add(b.output_tokens),
        cache_read_input_tokens: a.cache_read_input_tokens.saturating_add(b.cache_read_input_tokens),
        cache_creation_input_tokens: a.cache_creation_input_tokens.saturating_add(b.cache_creation_input_tokens),
        cost_usd: a.cost_usd + b.cost_usd,
    }
}

/// A number of milliseconds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub(super) fn whole_ms(number: f64) -> u64 {
    number.clamp(0.0, 9e15) as u64
}
