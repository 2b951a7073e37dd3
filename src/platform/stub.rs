//! A command on its way to an account's object or to a shard of the directory: in the URL if it is small and holds nothing that
//! anybody said, which is the cheapest way there and is logged by the platform; else in the body.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde::de::DeserializeOwned;
use worker::js_sys::Promise;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, web_sys};

use super::bindings::{Environment, Js, Namespace, ask, thrown};
use super::{http, runtime, vars};
use crate::account::command::{Command, Envelope};
use crate::account::manage::command::{ManageCommand, UsageAsk};
use crate::api::start_turn::MAX_BODY_BYTES;
use crate::directory;
use crate::directory::port::Unreachable;
use crate::domain::account::ErasureStep;
use crate::domain::ledger::{Day, Group};
use crate::domain::{AccountId, ErasureId, PurgeOutcome};

/// Longest command that goes in the URL, in bytes of JSON.
const MAX_URL_COMMAND_BYTES: usize = 1_024;
const URL: &str = "http://account/?";
/// The header of a command in a body that is sent again; `ask` in `bindings.rs` sets it.
const AGAIN_HEADER: &str = "x-again";
/// What does not pass through a URL's query as it is.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'%').add(b'\'').add(b'<').add(b'>');

/// Sends a command to the account's object; its response is the answer. One that may be repeated is sent again, once, if the object was
/// reset (by a deployment, by the platform) before it had answered.
pub fn send(env: &Env, account_id: &AccountId, envelope: &Envelope) -> Js<Promise> {
    let json = serde_json::to_string(envelope).map_err(|e| JsValue::from_str(&e.to_string()))?;
    let (objects, name) = (within(env, env.unchecked_ref::<Environment>().accounts())?, account_id.as_str());
    let again = envelope.command.is_repeatable();
    if json.len() <= MAX_URL_COMMAND_BYTES && !envelope.command.has_content() {
        return ask(
            &objects,
            name,
            &format!("{URL}{}", utf8_percent_encode(&json, ENCODED)),
            &JsValue::UNDEFINED,
            again,
        );
    }
    ask(&objects, name, URL, &JsValue::from_str(&json), again)
}

/// The objects of a namespace that are in `JURISDICTION`, if it is set. They have nothing to do with those outside it.
fn within(env: &Env, objects: Namespace) -> Js<Namespace> {
    match vars::config(env).ok().and_then(|config| config.jurisdiction) {
        Some(jurisdiction) => objects.jurisdiction(jurisdiction.as_str()),
        None => Ok(objects),
    }
}

/// Lets an account delete what is due, and reads what it tells.
pub async fn visit(env: &Env, account_id: &AccountId) -> Result<PurgeOutcome, Unreachable> {
    let envelope = Envelope::new(runtime::request_id(runtime::now()), Command::Visit);
    read(send(env, account_id, &envelope)).await
}

/// Has an account erase itself, as far as it comes.
pub async fn erase(
    env: &Env,
    account_id: &AccountId,
    keep_account: bool,
    counted: bool,
    erasure_id: ErasureId,
) -> Result<ErasureStep, Unreachable> {
    let command = Command::Manage(ManageCommand::Erase { keep_account, counted, erasure_id: Some(erasure_id) });
    read(send(env, account_id, &Envelope::new(runtime::request_id(runtime::now()), command))).await
}

/// What an account has used in a day, as its own report.
pub async fn usage(env: &Env, account_id: &AccountId, day: Day) -> Result<String, Unreachable> {
    let ask = UsageAsk { group: Group::Day, from: day, to: day, after: None, limit: 1, csv: false };
    let command = Command::Manage(ManageCommand::Usage(ask));
    text_of(send(env, account_id, &Envelope::new(runtime::request_id(runtime::now()), command))).await
}

/// Sends a command to a shard of the directory and reads its reply.
pub async fn ask_shard(
    env: &Env,
    shard: u32,
    command: &directory::command::Command,
) -> Result<directory::command::Reply, Unreachable> {
    let sent = serde_json::to_string(command).map_err(|e| JsValue::from_str(&e.to_string())).and_then(|json| {
        let shards = within(env, env.unchecked_ref::<Environment>().directory())?;
        let stub = shards.get_by_name(&format!("shard-{shard}"))?;
        stub.fetch_url(&format!("{URL}{}", utf8_percent_encode(&json, ENCODED)))
    });
    read(sent).await
}

/// Reads an object's answer, which is JSON if all went well.
async fn read<T: DeserializeOwned>(sent: Js<Promise>) -> Result<T, Unreachable> {
    let text = text_of(sent).await?;
    serde_json::from_str(&text).map_err(|e| Unreachable(e.to_string()))
}

async fn text_of(sent: Js<Promise>) -> Result<String, Unreachable> {
    let answered = async {
        let response: web_sys::Response = JsFuture::from(sent?).await?.unchecked_into();
        let text = JsFuture::from(response.text()?).await?;
        Ok((response.status(), text.as_string().unwrap_or_default()))
    };
    match answered.await {
        Ok((200, text)) => Ok(text),
        Ok((status, _)) => Err(Unreachable(format!("the object answered {status}"))),
        Err(error) => Err(Unreachable(thrown(&error))),
    }
}

/// The JSON of a command out of the URL; none if it is in the body.
pub fn from_url(url: &str) -> Option<Js<Cow<'_, str>>> {
    let (_, encoded) = url.split_once('?')?;
    if encoded.is_empty() {
        return None;
    }
    Some(percent_decode_str(encoded).decode_utf8().map_err(|e| JsValue::from_str(&e.to_string())))
}

/// The JSON of a command out of the body, and whether it is sent again.
pub async fn from_body(request: web_sys::Request) -> Js<(String, bool)> {
    let again = request.headers().has(AGAIN_HEADER)?;
    let body = http::read_whole(&request, 2 * MAX_BODY_BYTES).await?.unwrap_or_default();
    Ok((String::from_utf8(body).map_err(|e| JsValue::from_str(&e.to_string()))?, again))
}
