//! Export and import between a client and an account's object: the Worker asks the object for page after page, as fast as the client takes them,
//! and gives it batch after batch of what the client sends. One page or batch is in memory at a time.

use std::time::Duration;

use futures_util::future::{Either, select};
use worker::Env;
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{Js, transform};
use super::files::{Refused, Replied};
use super::http::{self, BodyReader};
use super::{panic_guard, runtime, stub, worker as public};
use crate::account::command::{Command, Envelope};
use crate::account::manage::command::{ImportBatch, ManageCommand};
use crate::api::answer::{Answer, Body};
use crate::api::managed::ImportedJson;
use crate::api::problem::{ApiError, Code};
use crate::domain::transfer::ExportPlace;
use crate::domain::{AccountId, RequestId};
use crate::log::{Level, Line};

/// Bytes of lines that are sent to the object at once.
const BATCH_BYTES: usize = 512 * 1024;
/// Longest line of an import: a row as an export writes it, with escapes.
const MAX_LINE_BYTES: usize = 6 * 1024 * 1024;
/// How long a client may be silent in the middle of an import.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);

/// An account's object, as one request speaks to it.
struct Peer {
    env: Env,
    account_id: AccountId,
    request_id: RequestId,
}

impl Peer {
    /// The object's response to a command; it itself is the refusal if it is not 200.
    async fn ask(&self, ask: ManageCommand) -> Replied<(web_sys::Response, String)> {
        let envelope = Envelope::new(self.request_id.clone(), Command::Manage(ask));
        let sent = stub::send(&self.env, &self.account_id, &envelope)?;
        let answer = JsFuture::from(public::or_unreachable(&sent, &self.request_id)).await?;
        let response: web_sys::Response = answer.unchecked_into();
        if response.status() != 200 {
            return Err(Refused::ByObject(response));
        }
        let text = JsFuture::from(response.text()?).await?.as_string().unwrap_or_default();
        Ok((response, text))
    }

    async fn page(&self, place: Option<ExportPlace>) -> Replied<(String, Option<ExportPlace>)> {
        let (response, text) = self.ask(ManageCommand::Export(place)).await?;
        let next = response.headers().get("link")?;
        let next = next.map(|json| serde_json::from_str(&json)).transpose();
        Ok((text, next.map_err(|error| JsValue::from_str(&error.to_string()))?))
    }
}

/// Answers `GET /export`.
pub async fn export(env: Env, account_id: AccountId, place: Option<ExportPlace>, request_id: RequestId) -> Js {
    let peer = Peer { env, account_id, request_id: request_id.clone() };
    let mut page = match peer.page(place).await {
        Ok(page) => page,
        Err(refused) => return refused.response(&request_id),
    };
    let stream = transform(None)?;
    let writer = stream.writable().get_writer()?;
    let cut = panic_guard::on_panic(writer.abort_function().bind0(&writer).unchecked_ref());
    runtime::spawn(async move {
        let _cut = cut;
        loop {
            let (text, next) = page;
            if writer.write(&Uint8Array::from(text.as_bytes())).await.is_err() {
                // Whoever left does not see the end.
                return;
            }
            let Some(next) = next else { break };
            let Ok(asked) = peer.page(Some(next)).await else {
                let line = Line { event: "export_cut", request_id: Some(&peer.request_id), ..Line::default() };
                runtime::log(Level::Warn, &line);
                drop(writer.abort().await);
                return;
            };
            page = asked;
        }
        drop(writer.close().await);
    });
    http::response(Answer::lines(Body::Document(stream.readable())), &request_id)
}

/// Answers `POST /import`.
pub async fn import(env: Env, account_id: AccountId, request: web_sys::Request, request_id: RequestId) -> Js {
    let peer = Peer { env, account_id, request_id: request_id.clone() };
    match import_from(&peer, &request).await {
        Ok(conversations) => http::response(Answer::json(200, &ImportedJson { conversations }), &request_id),
        Err(refused) => {
            // What was begun and is not whole goes; the next import would drop it, too.
            drop(peer.ask(ManageCommand::DropImport).await);
            refused.response(&request_id)
        }
    }
}

async fn import_from(peer: &Peer, request: &web_sys::Request) -> Replied<u64> {
    let mut body = BodyReader::new(request.body())?;
    let (mut waiting, mut first_line, mut conversations) = (Vec::new(), 1, 0);
    loop {
        let chunk = match select(Box::pin(body.chunk()), Box::pin(runtime::sleep(SILENCE_LIMIT))).await {
            Either::Left((chunk, _)) => chunk?,
            Either::Right(_) => return Err(ApiError::request_timeout().into()),
        };
        let is_last = chunk.is_none();
        waiting.extend_from_slice(&chunk.unwrap_or_default());
        if !is_last && waiting.len() < BATCH_BYTES {
            continue;
        }
        let end = if is_last { waiting.len() } else { last_line_feed(&waiting) };
        if end == 0 && !is_last {
            if waiting.len() > MAX_LINE_BYTES {
                return Err(ApiError::new(Code::BodyTooLarge, "A line of an import has at most 6 MiB.").into());
            }
            continue;
        }
        let rest = waiting.split_off(end);
        let lines = String::from_utf8(std::mem::replace(&mut waiting, rest));
        let lines = lines.map_err(|_| ApiError::new(Code::InvalidJson, "The body is not UTF-8."))?;
        let count = u64::try_from(lines.matches('\n').count()).unwrap_or(u64::MAX);
        let batch = ImportBatch { lines, first_line, is_last };
        let (_, told) = peer.ask(ManageCommand::Import(Box::new(batch))).await?;
        conversations += stored(&told);
        first_line += count;
        if is_last {
            return Ok(conversations);
        }
    }
}

/// Behind the last line feed.
fn last_line_feed(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
}

/// How many conversations a batch completed, as the object tells: `{"conversations":3}`.
fn stored(told: &str) -> u64 {
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
