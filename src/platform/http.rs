//! HTTP in and out: bodies read with a bound, answers made into responses with as few copies as can be.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::{Stream, StreamExt};
use worker::js_sys::{Function, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{Js, Readable, Reader, Writer, respond, responder, transform};
use super::interned::interned;
use super::{panic_guard, runtime};
use crate::agent::BodyChunks;
use crate::api::answer::{Answer, Body, CACHE_CONTROL};
use crate::api::problem::ApiError;
use crate::api::sse;
use crate::domain::RequestId;

/// A response that carries an answer.
pub fn response(answer: Answer<JsValue>, request_id: &RequestId) -> Js {
    let body = match answer.body {
        Body::Text(text) => JsValue::from_str(&text),
        Body::Document(json) => json,
        Body::Events(subscription) => {
            let (include, request_id) = (subscription.include(), request_id.clone());
            events(Box::new(subscription.map(move |event| sse::encode(&event, include, &request_id))))?
        }
        Body::Feed(feed) => events(Box::new(feed.map(|event| sse::encode_feed(&event))))?,
        Body::Chat(chunks) => events(Box::new(chunks))?,
        Body::Nothing => JsValue::NULL,
    };
    let response =
        respond(&body, answer.status, &interned(answer.content_type), &interned(CACHE_CONTROL), request_id.as_str())?;
    if answer.content_type.is_empty() {
        response.headers().delete("content-type")?;
    }
    if !answer.headers.is_empty() {
        let headers = response.headers();
        for (name, value) in &answer.headers {
            headers.set(name, value)?;
        }
    }
    Ok(response.into())
}

/// A refusal as a response.
pub fn refusal(error: &ApiError, request_id: &RequestId) -> Js {
    response(Answer::refusal(error, request_id), request_id)
}

/// A response that comes with `future`. If that fails or Rust panics, it is 500 `internal`.
pub fn later(request_id: &RequestId, future: impl Future<Output = Js> + 'static) -> Js {
    Ok(panic_guard::promise(Some(internal_error(request_id)?), future).into())
}

/// A function of JavaScript's own that answers 500 `internal`, whatever becomes of this instance until it is called.
fn internal_error(request_id: &RequestId) -> Js<Function> {
    let answer = Answer::<JsValue>::refusal(&ApiError::internal(), request_id);
    let Body::Text(text) = &answer.body else { return Err(JsValue::UNDEFINED) };
    let (content_type, cache) = (interned(answer.content_type), interned(CACHE_CONTROL));
    Ok(responder(&JsValue::from_str(text), answer.status, &content_type, &cache, request_id.as_str()))
}

/// A stream of server-sent events, with a comment line if nothing happens. It ends if its reader has left.
fn events(mut texts: Box<dyn Stream<Item = String> + Unpin>) -> Js {
    let stream = transform(None)?;
    let writer = stream.writable().get_writer()?;
    let cut = panic_guard::on_panic(writer.abort_function().bind0(&writer).unchecked_ref());
    runtime::spawn(async move {
        let _cut = cut;
        loop {
            let next = select(texts.next(), Box::pin(runtime::sleep(sse::HEARTBEAT))).await;
            let text = match next {
                Either::Left((Some(text), _)) => text,
                Either::Left((None, _)) => break,
                Either::Right(_) => sse::HEARTBEAT_LINE.to_owned(),
            };
            if write(&writer, &text).await.is_err() {
                return;
            }
        }
        // Whoever left does not see the end.
        drop(writer.close().await);
    });
    Ok(stream.readable())
}

/// A body that is sent piece by piece, as fast as it is taken. It is cut if a piece cannot be had.
pub fn piecewise(first: String, mut more: BodyChunks) -> Js {
    let stream = transform(None)?;
    let writer = stream.writable().get_writer()?;
    let cut = panic_guard::on_panic(writer.abort_function().bind0(&writer).unchecked_ref());
    runtime::spawn(async move {
        let _cut = cut;
        let mut next = Ok(Some(first));
        while let Ok(Some(piece)) = next {
            if write(&writer, &piece).await.is_err() {
                return;
            }
            next = more();
        }
        drop(if next.is_ok() { writer.close().await } else { writer.abort().await });
    });
    Ok(stream.readable())
}

async fn write(writer: &Writer, text: &str) -> Js {
    writer.write(&Uint8Array::from(text.as_bytes())).await
}

/// How long a request's body may take to come whole.
const BODY_LIMIT: Duration = Duration::from_mins(1);

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unread {
    /// The body is longer than allowed.
    TooLong,
    /// The body did not arrive within [`BODY_LIMIT`].
    Overdue,
}

/// A request's whole body of at most `max_bytes`. What has come of one that is not read is let go.
pub async fn read_body(request: &web_sys::Request, max_bytes: usize) -> Js<Result<Vec<u8>, Unread>> {
    let read = Box::pin(read_whole(request, max_bytes));
    match select(read, Box::pin(runtime::sleep(BODY_LIMIT))).await {
        Either::Left((body, _)) => Ok(body?.ok_or(Unread::TooLong)),
        Either::Right(_) => Ok(Err(Unread::Overdue)),
    }
}

/// A request's body, or none if it is longer than `max_bytes`. One whose length is told is read at once: a reader's pieces cost more
/// than their bytes.
pub async fn read_whole(request: &web_sys::Request, max_bytes: usize) -> Js<Option<Vec<u8>>> {
    let length = request.headers().get("content-length").ok().flatten();
    if length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| length <= max_bytes) {
        let bytes = JsFuture::from(request.array_buffer()?).await?;
        return Ok(Some(Uint8Array::new(&bytes).to_vec()));
    }
    BodyReader::new(request.body())?.read_all(max_bytes).await
}

/// A body, read piece by piece. Dropping it cancels what is left of it.
pub struct BodyReader {
    reader: Option<Reader>,
}

impl BodyReader {
    /// Reads `body`, which may be absent.
    pub fn new(body: Option<web_sys::ReadableStream>) -> Js<Self> {
        let reader = body.map(|body| JsValue::from(body).unchecked_into::<Readable>().get_reader()).transpose()?;
        Ok(Self { reader })
    }

    /// The next piece; none at the end.
    pub async fn chunk(&mut self) -> Js<Option<Vec<u8>>> {
        Ok(self.piece().await?.map(|bytes| bytes.to_vec()))
    }

    /// The next piece, not copied; none at the end.
    pub async fn piece(&mut self) -> Js<Option<Uint8Array>> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let chunk = reader.read().await?;
        if chunk.done() {
            self.reader = None;
            return Ok(None);
        }
        Ok(Some(chunk.value().unwrap_or_else(|| Uint8Array::new_with_length(0))))
    }

    async fn read_all(mut self, max_bytes: usize) -> Js<Option<Vec<u8>>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if all.len() + chunk.len() > max_bytes {
                return Ok(None);
            }
            all.extend_from_slice(&chunk);
        }
        Ok(Some(all))
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        if let Some(promise) = self.reader.take().and_then(|reader| reader.cancel().ok()) {
            // A body that cannot be cancelled has ended.
            runtime::spawn(async move { drop(JsFuture::from(promise).await) });
        }
    }
}
