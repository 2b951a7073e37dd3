//! An import, from a client to an account's object: the Worker gives it batch after batch of what the client sends, and puts the bytes of files
//! into the bucket as they come. One batch and one line are in memory at a time.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::{Either, select};
use serde::Deserialize;
use worker::Env;
use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{Js, Writer, thrown, transform};
use super::files::Replied;
use super::http::{self, BodyReader};
use super::runtime;
use super::transfer::Peer;
use crate::account::manage::command::{ImportBatch, ImportObject, ManageCommand};
use crate::api::answer::Answer;
use crate::api::managed::ImportedJson;
use crate::api::problem::{ApiError, Code};
use crate::domain::transfer::ObjectOf;
use crate::domain::{AccountId, RequestId};
use crate::log::{Level, Line};

/// Bytes of lines that are sent to the object at once.
const BATCH_BYTES: usize = 512 * 1024;
/// Longest line of an import: a row as an export writes it, with escapes.
const MAX_LINE_BYTES: usize = 6 * 1024 * 1024;
/// How long a client may be silent in the middle of an import.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);
/// How long the bucket may take to store an object whose bytes have come.
const PUT_LIMIT: Duration = Duration::from_mins(1);

/// A piece of an object.
#[derive(Deserialize)]
struct Piece<'a> {
    data: &'a str,
}

/// An object that is being put.
struct Put {
    object: ObjectOf,
    writer: Writer,
    stored: JsFuture,
    written: u64,
}

/// An import on its way.
struct Import {
    peer: Peer,
    by_operator: bool,
    resume: bool,
    /// Lines that are not sent yet.
    batch: String,
    /// The number of the first of them, and of the next line.
    first_line: u64,
    line_no: u64,
    /// The line that stands for an object, with its number, until another one comes.
    head: Option<(String, u64)>,
    put: Option<Put>,
    /// Whether the object's conversation is there already, and the bytes that come are passed over.
    passes_over: bool,
    conversations: u64,
}

/// Answers `POST /import`.
pub async fn import(
    env: Env,
    account_id: AccountId,
    (by_operator, resume): (bool, bool),
    request: web_sys::Request,
    request_id: RequestId,
) -> Js {
    let peer = Peer { env, account_id, request_id: request_id.clone() };
    let mut import = Import {
        peer,
        by_operator,
        resume,
        batch: String::new(),
        first_line: 1,
        line_no: 1,
        head: None,
        put: None,
        passes_over: false,
        conversations: 0,
    };
    match import.read(&request).await {
        Ok(()) => {
            let stored = ImportedJson { conversations: import.conversations };
            http::response(Answer::json(200, &stored), &request_id)
        }
        Err(refused) => {
            if let Some(put) = import.put.take() {
                drop(put.writer.abort().await);
                drop(put.stored.await);
            }
            // What was begun and is not whole goes; the next import would drop it, too.
            if !import.resume {
                drop(import.peer.ask(ManageCommand::DropImport).await);
            }
            refused.response(&request_id)
        }
    }
}

impl Import {
    async fn read(&mut self, request: &web_sys::Request) -> Replied<()> {
        let mut body = BodyReader::new(request.body())?;
        let mut waiting: Vec<u8> = Vec::new();
        loop {
            let chunk = match select(Box::pin(body.chunk()), Box::pin(runtime::sleep(SILENCE_LIMIT))).await {
                Either::Left((chunk, _)) => chunk?,
                Either::Right(_) => return Err(ApiError::request_timeout().into()),
            };
            let is_last = chunk.is_none();
            let known = waiting.len();
            waiting.extend_from_slice(&chunk.unwrap_or_default());
            let (mut start, mut from) = (0, known);
            while let Some(at) = waiting.get(from..).and_then(|new| new.iter().position(|byte| *byte == b'\n')) {
                self.line(waiting.get(start..from + at).unwrap_or_default()).await?;
                (start, from) = (from + at + 1, from + at + 1);
            }
            waiting.drain(..start);
            if waiting.len() > MAX_LINE_BYTES {
                return Err(ApiError::new(Code::BodyTooLarge, "A line of an import has at most 6 MiB.").into());
            }
            if is_last {
                self.line(&waiting).await?;
                self.end_object()?;
                return self.flush(true).await;
            }
        }
    }

    async fn line(&mut self, line: &[u8]) -> Replied<()> {
        let line = std::str::from_utf8(line);
        let line = line.map_err(|_| ApiError::new(Code::InvalidJson, "The body is not UTF-8."))?;
        if line.starts_with("{\"type\":\"bytes\",") {
            if !self.passes_over {
                self.bytes(line).await?;
            }
        } else {
            self.end_object()?;
            if line.starts_with("{\"type\":\"pack\",") || line.starts_with("{\"type\":\"upload\",") {
                // The next line says whether its bytes are here.
                self.flush(false).await?;
                self.head = Some((line.to_owned(), self.line_no));
            } else {
                self.batch.push_str(line);
                self.batch.push('\n');
            }
        }
        self.line_no += 1;
        if self.batch.is_empty() {
            self.first_line = self.line_no;
        } else if self.batch.len() >= BATCH_BYTES {
            self.flush(false).await?;
        }
        Ok(())
    }

    /// Sends the lines that wait.
    async fn flush(&mut self, is_last: bool) -> Replied<()> {
        let lines = std::mem::take(&mut self.batch);
        if !lines.is_empty() || is_last {
            let first_line = self.first_line;
            let batch = ImportBatch { lines, first_line, is_last, by_operator: self.by_operator, resume: self.resume };
            let (_, told) = self.peer.ask(ManageCommand::Import(Box::new(batch))).await?;
            self.conversations += stored(&told);
        }
        self.first_line = self.line_no;
        Ok(())
    }

    /// Puts a piece of an object, of which the line before it, or before the pieces before it, says what it is.
    async fn bytes(&mut self, line: &str) -> Replied<()> {
        let wrong = |line_no: u64, why: &str| ApiError::new(Code::InvalidParameter, format!("line {line_no}: {why}"));
        let data = serde_json::from_str::<Piece<'_>>(line).ok().and_then(|piece| STANDARD.decode(piece.data).ok());
        let Some(data) = data else { return Err(wrong(self.line_no, "data: base64").into()) };
        if self.put.is_none() {
            let Some((head, head_no)) = &self.head else {
                return Err(wrong(self.line_no, "a `bytes` line without a `pack` or `upload` line before it").into());
            };
            let asked = ImportObject { line: head.clone(), line_no: *head_no, stored: None, resume: self.resume };
            let (_, told) = self.peer.ask(ManageCommand::ImportObject(Box::new(asked))).await?;
            let Ok(object) = serde_json::from_str::<ObjectOf>(&told) else {
                (self.head, self.passes_over) = (None, true);
                return Ok(());
            };
            #[expect(clippy::cast_precision_loss, reason = "a file has fewer than 2^53 bytes")]
            let stream = transform(Some(object.size as f64))?;
            let stored = JsFuture::from(self.peer.bucket()?.put(&object.key, &stream.readable())?);
            self.put = Some(Put { object, writer: stream.writable().get_writer()?, stored, written: 0 });
        }
        let Some(put) = &mut self.put else { return Ok(()) };
        put.written += data.len() as u64;
        if put.written > put.object.size {
            return Err(wrong(self.line_no, "data: more than the size says").into());
        }
        if let Err(error) = put.writer.write(&Uint8Array::from(data.as_slice())).await {
            return Err(self.unstored(&error).into());
        }
        if put.written == put.object.size { self.store_object().await } else { Ok(()) }
    }

    /// All bytes of an object have come: its line is stored.
    async fn store_object(&mut self) -> Replied<()> {
        let (Some(put), Some((line, line_no))) = (self.put.take(), self.head.take()) else { return Ok(()) };
        let closed = put.writer.close().await;
        let stored = match select(put.stored, Box::pin(runtime::sleep(PUT_LIMIT))).await {
            Either::Left((stored, _)) => closed.and(stored),
            Either::Right(_) => Err(JsValue::from_str("the bucket did not store an object in time")),
        };
        stored.map_err(|error| self.unstored(&error))?;
        let asked = ImportObject { line, line_no, stored: Some(put.object), resume: self.resume };
        self.peer.ask(ManageCommand::ImportObject(Box::new(asked))).await?;
        Ok(())
    }

    /// Another line comes: the object before it must be whole.
    fn end_object(&mut self) -> Replied<()> {
        (self.head, self.passes_over) = (None, false);
        match &self.put {
            Some(_) => {
                let why = format!("line {}: the file before it has fewer bytes than its size says", self.line_no);
                Err(ApiError::new(Code::InvalidParameter, why).into())
            }
            None => Ok(()),
        }
    }

    fn unstored(&self, error: &JsValue) -> ApiError {
        let why = thrown(error);
        let (event, request_id) = ("bytes_not_moved", Some(&self.peer.request_id));
        runtime::log(Level::Error, &Line { event, request_id, error: Some(&why), ..Line::default() });
        ApiError::new(Code::WorkspaceUnavailable, "The bucket did not answer. Send the request again.")
    }
}

/// How many conversations a batch completed, as the object tells: `{"conversations":3}`.
fn stored(told: &str) -> u64 {
    let digits: String = told.chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}
