//! Time zones, as the runtime's `Intl` knows them.

use worker::wasm_bindgen::{self, prelude::wasm_bindgen};

use crate::domain::Millis;

#[wasm_bindgen(inline_js = "
const MOST = 64;
const formats = new Map();
const formatOf = (timeZone) => {
  const known = formats.get(timeZone);
  if (known) return known;
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric', hour: 'numeric', minute: 'numeric', second: 'numeric' };
  const format = new Intl.DateTimeFormat('en-US', { timeZone, hourCycle: 'h23', ...numeric });
  if (formats.size >= MOST) formats.clear();
  formats.set(timeZone, format);
  return format;
};
export const utcOffset = (zone, at) => {
  try {
    const part = {};
    for (const { type, value } of formatOf(zone).formatToParts(at)) part[type] = Number(value);
    const shown = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second);
    return Math.round((shown - at) / 1000);
  } catch {
    return NaN;
  }
};
")]
extern "C" {
    /// How many seconds clocks in `zone` are ahead of UTC at `at_ms`; not a number if there is no such zone.
    #[wasm_bindgen(js_name = utcOffset)]
    fn utc_offset(zone: &str, at_ms: f64) -> f64;
}

/// How many seconds clocks in a zone are ahead of UTC at a moment; none if there is no such zone.
pub fn utc_offset_s(zone: &str, at: Millis) -> Option<i32> {
    // A whole second: what is shown has no fraction.
    #[expect(clippy::cast_precision_loss, reason = "whole milliseconds below 2^53")]
    let seconds = utc_offset(zone, (at.get().div_euclid(1_000) * 1_000) as f64);
    #[expect(clippy::cast_possible_truncation, reason = "less than a day")]
    seconds.is_finite().then_some(seconds as i32)
}
