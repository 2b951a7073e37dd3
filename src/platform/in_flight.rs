//! Requests in flight. A panic resets the WASM instance and with it every object in it; whoever waits for one of them would wait
//! for ever. So each promise is known here, and the panic hook answers them all at once.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::PanicHookInfo;
use std::pin::Pin;

use worker::js_sys::{self, Function, Promise};
use worker::wasm_bindgen::JsValue;

use super::bindings::Js;
use super::{host, http};
use crate::domain::RequestId;
use crate::error::ApiError;

/// Who waits: how it is answered, and for which request, where it is one.
struct Waiting {
    key: u32,
    resolve: Function,
    reject: Function,
    request_id: Option<RequestId>,
}

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// Runs `future` as a promise. Where Rust panics before it is through, the promise is answered with 500 `internal` where it is a
/// request's, and rejected otherwise.
pub fn promise(request_id: Option<RequestId>, future: impl Future<Output = Js> + 'static) -> JsValue {
    boxed(request_id, Box::pin(future))
}

/// One instance of this code serves every future: the WASM stays small.
fn boxed(request_id: Option<RequestId>, future: Pin<Box<dyn Future<Output = Js>>>) -> JsValue {
    let mut once = Some((request_id, future));
    Promise::new(&mut |resolve, reject| {
        let Some((request_id, future)) = once.take() else { return };
        let key = NEXT.replace(NEXT.get().wrapping_add(1));
        let waiting = Waiting { key, resolve: resolve.clone(), reject: reject.clone(), request_id };
        WAITING.with_borrow_mut(|all| all.push(waiting));
        host::spawn(async move {
            let result = future.await;
            WAITING.with_borrow_mut(|all| all.retain(|waiting| waiting.key != key));
            // Settling a promise does not throw.
            let _ = match result {
                Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                Err(error) => reject.call1(&JsValue::UNDEFINED, &error),
            };
        });
    })
    .into()
}

/// Logs a panic and answers everyone who waits.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        console_error_panic_hook::hook(info);
        let all = WAITING.try_with(|all| all.try_borrow_mut().map(|mut all| std::mem::take(&mut *all)));
        for waiting in all.into_iter().flatten().flatten() {
            let answer = waiting.request_id.map(|id| http::refusal(&ApiError::internal(), &id));
            // Settling a promise does not throw.
            let _ = match answer {
                Some(Ok(response)) => waiting.resolve.call1(&JsValue::UNDEFINED, &response),
                _ => waiting.reject.call1(&JsValue::UNDEFINED, &js_sys::Error::new("the instance was reset")),
            };
        }
    }));
}
