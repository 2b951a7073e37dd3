//! What a caller gets if an account's object does not respond.

use worker::js_sys::Promise;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::closure::Closure;

use super::bindings::{Js, or_answer, passes, thrown};
use super::{http, runtime};
use crate::api::problem::ApiError;
use crate::domain::RequestId;
use crate::log::{Level, Line};

thread_local! {
    static UNREACHABLE: Closure<dyn FnMut(JsValue, String) -> Js> = Closure::new(object_unreachable);
}

/// The object's response, or the refusal that there is none.
pub fn or_unreachable(answer: &Promise, request_id: &RequestId) -> Promise {
    UNREACHABLE.with(|unreachable| or_answer(answer, unreachable, request_id.as_str()))
}

/// Answers for an object that did not: it was reset by a deploy, is overloaded or has failed to start.
#[expect(clippy::needless_pass_by_value, reason = "it is what a promise's catch gives")]
fn object_unreachable(error: JsValue, request_id: String) -> Js {
    let request_id = RequestId::try_from(request_id).unwrap_or_else(|_| runtime::request_id(runtime::now()));
    let why = thrown(&error);
    let line =
        Line { event: "object_unreachable", request_id: Some(&request_id), error: Some(&why), ..Line::default() };
    runtime::log(Level::Error, &line);
    let refusal = if passes(&error) { ApiError::object_reset() } else { ApiError::internal() };
    http::refusal(&refusal, &request_id)
}
