//! The model gateway's shell: sends a container's call on with the real credential, bodies as streams both ways.

use worker::js_sys::Reflect;
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, web_sys};

use super::bindings::{self, Js, WorkerContext};
use super::{host, http, stub};
use crate::account::command::{Command, Envelope};
use crate::api::gateway::{MODEL_HOST, credential_header, destination, passes, passes_back, refusal};
use crate::api::query::Target;
use crate::config::Config;
use crate::domain::{AccountId, RequestId};
use crate::error::{ApiError, Code};
use crate::log::{Level, Line};

/// How long the model's API may take to its first byte: a little longer than the CLI waits for it (`API_TIMEOUT_MS`, 60 s).
const HEADERS_LIMIT_MS: u32 = 70_000;

/// The prop that says whose container a call comes out of. No request from outside has props.
pub const GATEWAY_PROP: &str = "model_gateway";

/// The account whose container makes this call to `host`; none for a request from outside. The host only says whether it is worth
/// asking: the prop decides.
pub fn calling_account(host: &str, context: &WorkerContext) -> Option<AccountId> {
    if host != MODEL_HOST {
        return None;
    }
    let props = context.props();
    let name = props.is_object().then(|| Reflect::get(&props, &GATEWAY_PROP.into()).ok()?.as_string())??;
    AccountId::try_from(name).ok()
}

/// A container's call of the model.
pub struct Call {
    /// As it came.
    pub request: web_sys::Request,
    /// Its method and URL, with a space in between.
    pub head: String,
    /// Whose container it came out of.
    pub account_id: AccountId,
    /// What it is called in the log.
    pub request_id: RequestId,
}

/// Sends a container's call to the model's API and passes the answer back as it is; its account is told of a refusal.
pub async fn forward(call: Call, config: &Config, env: &Env) -> Js {
    let Call { request, head, account_id, request_id } = call;
    let (method, url) = head.split_once(' ').unwrap_or_default();
    let target = Target::of(url);
    let ready = destination(config, method, target.path, target.query)
        .and_then(|destination| Ok((destination, credential_header(config)?)));
    let (destination, (name, value)) = match ready {
        Ok(ready) => ready,
        Err(error) => return http::refusal(&error, &request_id),
    };
    let names = bindings::header_names(&request);
    let dropped = names.split(',').filter(|name| !passes(name)).collect::<Vec<_>>().join(",");
    // The caller may have left long ago: the runtime tells it only when something is sent. Hence the limit.
    let sent = match bindings::send_on(&request, &destination, &dropped, name, &value, HEADERS_LIMIT_MS) {
        Ok(answer) => JsFuture::from(answer).await,
        Err(error) => Err(error),
    };
    let (event, why) = match sent {
        Ok(answer) => {
            let answer: web_sys::Response = answer.unchecked_into();
            if !answer.ok() {
                // It may end the turn: what it asks for is there before.
                let asked = |name: &str| request.headers().get(name).ok().flatten();
                let told = |name: &str| answer.headers().get(name).ok().flatten();
                let command = Command::NoteRefusal(refusal(answer.status(), asked, told));
                let envelope = Envelope { request_id: request_id.clone(), command };
                drop(JsFuture::from(stub::send(env, &account_id, &envelope)?).await);
            }
            if passes_back(answer.status()) {
                return Ok(answer.into());
            }
            ("model_redirects", "MODEL_API_URL answers with a redirect".to_owned())
        }
        Err(error) => ("model_unreachable", bindings::thrown(&error)),
    };
    host::log(Level::Warn, &Line { event, request_id: Some(&request_id), error: Some(&why), ..Line::default() });
    http::refusal(&ApiError::new(Code::ModelFailed, "The model's API cannot be reached."), &request_id)
}
