//! A command on its way from a Worker to an account's object: in the URL where it is small, which is the cheapest way there, else in the body.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use worker::js_sys::Promise;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{Env, web_sys};

use super::bindings::{Environment, Js};
use super::http::BodyReader;
use crate::account::command::Envelope;
use crate::api::start_turn::MAX_BODY_BYTES;
use crate::domain::AccountId;

/// Longest command that goes in the URL, in bytes of JSON.
const MAX_URL_COMMAND_BYTES: usize = 1_024;
const URL: &str = "http://account/?";

/// Sends a command to the account's object; its response is the answer.
pub fn send(env: &Env, account_id: &AccountId, envelope: &Envelope) -> Js<Promise> {
    let json = serde_json::to_string(envelope).map_err(|e| JsValue::from_str(&e.to_string()))?;
    let stub = env.unchecked_ref::<Environment>().accounts().get_by_name(account_id.as_str())?;
    if json.len() <= MAX_URL_COMMAND_BYTES {
        return stub.fetch_url(&format!("{URL}{}", utf8_percent_encode(&json, NON_ALPHANUMERIC)));
    }
    let init = web_sys::RequestInit::new();
    init.set_method("POST");
    init.set_body(&JsValue::from_str(&json));
    stub.fetch(URL, &init)
}

/// Reads a command out of the URL; none where it is in the body.
pub fn from_url(url: &str) -> Option<Js<Envelope>> {
    let (_, encoded) = url.split_once('?')?;
    if encoded.is_empty() {
        return None;
    }
    Some(parse(&percent_decode_str(encoded).decode_utf8_lossy()))
}

/// Reads a command out of the body.
pub async fn from_body(request: web_sys::Request) -> Js<Envelope> {
    let body = BodyReader::new(request.body())?.read_all(2 * MAX_BODY_BYTES).await?.unwrap_or_default();
    parse(std::str::from_utf8(&body).unwrap_or_default())
}

fn parse(json: &str) -> Js<Envelope> {
    serde_json::from_str(json).map_err(|e| JsValue::from_str(&e.to_string()))
}
