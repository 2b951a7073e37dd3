//! An export, from an account's object to a client: the Worker asks the object for page after page, as fast as the client takes them, and reads
//! the bytes of files from the bucket. One page or one piece of a file is in memory at a time. The import is `transfer_in`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use worker::Env;
use worker::js_sys::{Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{Js, R2Bucket, R2Object, Writer, thrown, transform};
use super::files::{Refused, Replied};
use super::http::{self, BodyReader};
use super::{panic_guard, r2, runtime, stub, unreachable};
use crate::account::command::{Command, Envelope};
use crate::account::manage::command::ManageCommand;
use crate::api::answer::{Answer, Body};
use crate::domain::transfer::{ExportPlace, ObjectOf};
use crate::domain::{AccountId, RequestId};
use crate::log::{Level, Line};

/// Bytes of a file that one line has.
const PIECE_BYTES: usize = 192 * 1024;

/// An account's object, as one request speaks to it.
pub(super) struct Peer {
    pub(super) env: Env,
    pub(super) account_id: AccountId,
    pub(super) request_id: RequestId,
}

impl Peer {
    /// The object's response to a command; it itself is the refusal if it is not 200.
    pub(super) async fn ask(&self, ask: ManageCommand) -> Replied<(web_sys::Response, String)> {
        let envelope = Envelope::new(self.request_id.clone(), Command::Manage(ask));
        let sent = stub::send(&self.env, &self.account_id, &envelope)?;
        let answer = JsFuture::from(unreachable::or_unreachable(&sent, &self.request_id)).await?;
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

    pub(super) fn bucket(&self) -> Js<R2Bucket> {
        Ok(Reflect::get(&self.env, &r2::BINDING.into())?.unchecked_into())
    }

    /// Writes an object's bytes as lines. One that is not there has none.
    async fn write_object(&self, object: &ObjectOf, writer: &Writer) -> Js<()> {
        let found = JsFuture::from(self.bucket()?.get(&object.key)?).await?;
        if !found.is_object() {
            let line = Line { event: "export_without_bytes", request_id: Some(&self.request_id), ..Line::default() };
            runtime::log(Level::Error, &line);
            return Ok(());
        }
        let mut body = BodyReader::new(found.unchecked_ref::<R2Object>().body().dyn_into().ok())?;
        let (mut piece, mut is_written) = (Vec::with_capacity(PIECE_BYTES), false);
        loop {
            let chunk = body.chunk().await?;
            let is_last = chunk.is_none();
            piece.extend_from_slice(&chunk.unwrap_or_default());
            let whole = if is_last { piece.len() } else { piece.len() / PIECE_BYTES * PIECE_BYTES };
            let pieces = piece.get(..whole).unwrap_or_default().chunks(PIECE_BYTES);
            // An empty file has a line, too.
            let empty = (is_last && !is_written && piece.is_empty()).then_some(&[] as &[u8]);
            for bytes in pieces.chain(empty) {
                let mut line = "{\"type\":\"bytes\",\"data\":\"".to_owned();
                STANDARD.encode_string(bytes, &mut line);
                line.push_str("\"}\n");
                writer.write(&Uint8Array::from(line.as_bytes())).await?;
                is_written = true;
            }
            if is_last {
                return Ok(());
            }
            piece.drain(..whole);
        }
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
            let written = match &next.object {
                Some(object) => peer.write_object(object, &writer).await,
                None => Ok(()),
            };
            let asked = match written {
                Ok(()) => peer.page(Some(next)).await,
                Err(error) => Err(error.into()),
            };
            page = match asked {
                Ok(page) => page,
                Err(refused) => {
                    let why = if let Refused::Broken(error) = &refused { thrown(error) } else { String::new() };
                    let (event, request_id) = ("export_cut", Some(&peer.request_id));
                    let line = Line { event, request_id, error: Some(&why), ..Line::default() };
                    runtime::log(Level::Warn, &line);
                    drop(writer.abort().await);
                    return;
                }
            };
        }
        drop(writer.close().await);
    });
    http::response(Answer::lines(Body::Document(stream.readable())), &request_id)
}
