//! Requests to servers of the internet that somebody else has named: nothing of theirs is read, no redirect is followed.

use std::time::Duration;

use worker::js_sys::{Array, Promise};
use worker::wasm_bindgen::{self, JsValue, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;

use super::bindings::Js;
use crate::account::runtime::NotSent;

#[wasm_bindgen(inline_js = "
export const postOut = async (url, headers, body, limitMs) => {
  const limit = new AbortController();
  let overdue = false;
  const timer = setTimeout(() => { overdue = true; limit.abort(); }, limitMs);
  try {
    const response = await fetch(url, { method: 'POST', headers, body, redirect: 'manual', signal: limit.signal });
    response.body?.cancel().catch(() => {});
    return response.status;
  } catch {
    return overdue ? 0 : -1;
  } finally {
    clearTimeout(timer);
  }
};
")]
extern "C" {
    /// Posts `body` with `headers`, pairs of name and value. Resolves to the status of the response; to 0 if there is none within
    /// `limit_ms`, to -1 if there is none for another reason.
    #[wasm_bindgen(catch, js_name = postOut)]
    fn post_out(url: &str, headers: &Array, body: &str, limit_ms: u32) -> Js<Promise>;
}

/// Posts `body` and returns the status of the response.
pub fn post(
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
    limit: Duration,
) -> impl Future<Output = Result<u16, NotSent>> + 'static {
    let pair = |(name, value): &(&str, &str)| -> Array {
        [name, value].into_iter().map(|text| JsValue::from_str(text)).collect()
    };
    let headers: Array = headers.iter().map(pair).collect();
    let sent = post_out(url, &headers, body, u32::try_from(limit.as_millis()).unwrap_or(u32::MAX));
    async move {
        let answered = async { JsFuture::from(sent?).await };
        #[expect(clippy::cast_possible_truncation, reason = "a small whole number")]
        let status = answered.await.ok().and_then(|status| status.as_f64()).map_or(-1, |status| status as i32);
        match status {
            0 => Err(NotSent::Timeout),
            status => u16::try_from(status).map_err(|_| NotSent::Unreachable),
        }
    }
}
