//! Bodies that pass through: a request's on its way to the model, which is scanned, and an answer's on its way back, which is metered.
//! One piece at a time is in memory, and none waits for the next unless it says so.

use std::cell::{OnceCell, RefCell};
use std::future::Future;
use std::rc::Rc;

use worker::js_sys::Uint8Array;
use worker::wasm_bindgen::closure::Closure;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys;

use super::bindings::{self, Js, TransformStream, Writer};
use super::http::BodyReader;
use super::{panic_guard, runtime};
use crate::gateway::Refused;
use crate::gateway::body::BodyScan;
use crate::gateway::meter::Meter;

/// Why a body was cut, if it was.
pub type Verdict = Rc<OnceCell<Refused>>;

/// A request's body as the scan lets it through. Its last piece is held back until all of it was read, so that what is cut is never whole.
pub fn scanned(request: &web_sys::Request, mut scan: BodyScan) -> Js<(JsValue, Verdict)> {
    let length = request.headers().get("content-length")?.and_then(|length| length.parse::<u32>().ok()).map(f64::from);
    let stream = bindings::transform(length)?;
    let (mut body, verdict) = (BodyReader::new(request.body())?, Verdict::default());
    let found = Rc::clone(&verdict);
    pump(&stream, async move |writer| {
        let mut held: Option<Uint8Array> = None;
        while let Some(piece) = body.piece().await? {
            if let Err(refused) = scan.feed(&piece.to_vec()) {
                drop(found.set(refused));
                return Err(JsValue::UNDEFINED);
            }
            if let Some(held) = held.replace(piece) {
                writer.write(&held).await?;
            }
        }
        if let Err(refused) = scan.end() {
            drop(found.set(refused));
            return Err(JsValue::UNDEFINED);
        }
        match held {
            Some(held) => writer.write(&held).await.map(drop),
            None => Ok(()),
        }
    })?;
    Ok((stream.readable(), verdict))
}

/// How long an answer is read on when its reader has left. Most that the model still says then ends within it, and tells what it has cost; the
/// rest is not asked for: a turn that is cancelled stops the model.
const ALONE_MS: u32 = 1_000;

/// An answer's body as it comes, and the meter that has read it when it has ended or its reader has left. The loop is JavaScript's: most
/// answers are many small pieces, and each that Rust waits for costs the caller a tenth of a millisecond.
pub fn metered(answer: &web_sys::Response, meter: Meter) -> Js<(JsValue, impl Future<Output = Meter> + 'static)> {
    let stream = bindings::transform(None)?;
    let writer = stream.writable().get_writer()?;
    let cut = panic_guard::on_panic(writer.abort_function().bind0(&writer).unchecked_ref());
    let meter = Rc::new(RefCell::new(meter));
    let read = Rc::clone(&meter);
    let see: Closure<dyn FnMut(Uint8Array)> =
        Closure::new(move |piece: Uint8Array| read.borrow_mut().feed(&piece.to_vec()));
    let passed = bindings::relay(&answer.body().into(), &writer, &see, ALONE_MS)?;
    Ok((stream.readable(), async move {
        // It does not reject: what goes wrong cuts the body.
        drop(JsFuture::from(passed).await);
        drop((see, cut));
        meter.take()
    }))
}

/// Lets `work` write into the stream, closes it behind that, and cuts it if the work fails or Rust panics.
fn pump(stream: &TransformStream, work: impl AsyncFnOnce(&Writer) -> Js<()> + 'static) -> Js<()> {
    let writer = stream.writable().get_writer()?;
    let cut = panic_guard::on_panic(writer.abort_function().bind0(&writer).unchecked_ref());
    runtime::spawn(async move {
        let _cut = cut;
        // Whoever left does not see the end.
        drop(match work(&writer).await {
            Ok(()) => writer.close().await,
            Err(_) => writer.abort().await,
        });
    });
    Ok(())
}
