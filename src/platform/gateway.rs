//! The model gateway's shell: sends a container's call on with the real credential, bodies as streams both ways.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use worker::js_sys::{Array, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{self, Js, WorkerContext};
use super::{host, http};
use crate::api::gateway::{credential_header, destination, passes, passes_back};
use crate::api::query::Target;
use crate::config::Config;
use crate::domain::RequestId;
use crate::error::{ApiError, Code};
use crate::log::{Level, Line};

/// How long the model's API may take to its first byte: a little longer than the CLI waits for it (`API_TIMEOUT_MS`, 60 s).
const HEADERS_LIMIT: Duration = Duration::from_secs(70);

/// The prop by which a call is known to come out of a container. No request from outside has props.
pub const GATEWAY_PROP: &str = "model_gateway";

/// Whether a call comes out of a container.
pub fn is_from_container(context: &WorkerContext) -> bool {
    let props = context.props();
    props.is_object() && Reflect::get(&props, &GATEWAY_PROP.into()).is_ok_and(|value| value.is_truthy())
}

/// Sends a container's call to the model's API; the answer is passed back as it is.
pub async fn forward(request: web_sys::Request, config: &Config, request_id: &RequestId) -> Js {
    let url = request.url();
    let target = Target::of(&url);
    let ready = destination(config, &request.method(), target.path, target.query)
        .and_then(|destination| Ok((destination, credential_header(config)?)));
    let (destination, (name, value)) = match ready {
        Ok(ready) => ready,
        Err(error) => return http::refusal(&error, request_id),
    };
    let headers = web_sys::Headers::new()?;
    for entry in request.headers().entries() {
        let entry: Array = entry?.unchecked_into();
        let (name, value) =
            (entry.get(0).as_string().unwrap_or_default(), entry.get(1).as_string().unwrap_or_default());
        if passes(&name) {
            headers.append(&name, &value)?;
        }
    }
    headers.set(name, &value)?;
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_redirect(web_sys::RequestRedirect::Manual);
    init.set_body(&request.body().map_or(JsValue::NULL, JsValue::from));
    let abort = web_sys::AbortController::new()?;
    init.set_signal(Some(&abort.signal()));
    let call = async { JsFuture::from(bindings::fetch_outbound(&destination, &init)?).await };
    let sent = match select(pin!(call), pin!(host::sleep(HEADERS_LIMIT))).await {
        Either::Left((sent, _)) => sent,
        // The caller may have left long ago: the runtime tells it only when something is sent.
        Either::Right(_) => {
            abort.abort();
            Err(JsValue::from_str("the model's API sent no headers in time"))
        }
    };
    let (event, why) = match sent {
        Ok(answer) if passes_back(answer.unchecked_ref::<web_sys::Response>().status()) => return Ok(answer),
        Ok(_) => ("model_redirects", "MODEL_API_URL answers with a redirect".to_owned()),
        Err(error) => ("model_unreachable", bindings::thrown(&error)),
    };
    host::log(Level::Warn, &Line { event, request_id: Some(request_id), error: Some(&why), ..Line::default() });
    http::refusal(&ApiError::new(Code::ModelFailed, "The model's API cannot be reached."), request_id)
}
