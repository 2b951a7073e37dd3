//! What must not hang when Rust panics. A panic resets the WASM instance and with it every object in it; whoever waits for one of them
//! would wait forever. So each promise is known here, and the panic hook rejects them all at once. What then answers is JavaScript's own:
//! nothing of this instance runs any more, and each answer must be made in the context of its own request.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::PanicHookInfo;
use std::pin::Pin;

use worker::js_sys::{self, Function, Promise};
use worker::wasm_bindgen::{JsCast, JsValue};

use super::bindings::{Js, Rejectable};
use super::runtime;

thread_local! {
    static WAITING: RefCell<Vec<Waiting>> = const { RefCell::new(Vec::new()) };
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// A promise that is not settled yet.
struct Waiting {
    key: u32,
    reject: Function,
}

/// Registers a promise until the guard is dropped.
fn register(reject: Function) -> Registered {
    let key = NEXT.replace(NEXT.get().wrapping_add(1));
    WAITING.with_borrow_mut(|all| all.push(Waiting { key, reject }));
    Registered(key)
}

/// Something that a panic ends.
pub struct Registered(u32);

impl Drop for Registered {
    fn drop(&mut self) {
        WAITING.with_borrow_mut(|all| all.retain(|waiting| waiting.key != self.0));
    }
}

/// Runs `future` as a promise. If it fails or Rust panics before it is through, `otherwise` answers, a function of JavaScript's own;
/// without one the promise is rejected.
pub fn promise(otherwise: Option<Function>, future: impl Future<Output = Js> + 'static) -> Promise {
    boxed(otherwise, Box::pin(future))
}

/// One instance of this code serves every future: the WASM stays small.
fn boxed(otherwise: Option<Function>, future: Pin<Box<dyn Future<Output = Js>>>) -> Promise {
    let mut once = Some(future);
    let promise = Promise::new(&mut |resolve, reject| {
        let Some(future) = once.take() else { return };
        let registered = register(reject.clone());
        runtime::spawn(async move {
            let result = future.await;
            drop(registered);
            // Settling a promise does not throw.
            let _ = match result {
                Ok(value) => resolve.call1(&JsValue::UNDEFINED, &value),
                Err(error) => reject.call1(&JsValue::UNDEFINED, &error),
            };
        });
    });
    match otherwise {
        Some(answer) => promise.unchecked_ref::<Rejectable>().or_else_call(&answer),
        None => promise,
    }
}

/// Calls a function of JavaScript's own, in the context of whoever registers it, when Rust panics before the guard is dropped.
pub fn on_panic(call: &Function) -> Registered {
    let mut registered = None;
    let promise = Promise::new(&mut |_resolve, reject| registered = Some(register(reject)));
    // Nobody waits for what it returns.
    let _ = promise.unchecked_ref::<Rejectable>().or_else_call(call);
    // The executor of a promise runs before its constructor returns.
    registered.unwrap_or(Registered(u32::MAX))
}

/// Logs a panic and rejects every promise that waits.
pub fn install() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        console_error_panic_hook::hook(info);
        let all = WAITING.try_with(|all| all.try_borrow_mut().map(|mut all| std::mem::take(&mut *all)));
        let error = js_sys::Error::new("the instance was reset");
        for waiting in all.into_iter().flatten().flatten() {
            // Settling a promise does not throw.
            let _ = waiting.reject.call1(&JsValue::UNDEFINED, &error);
        }
    }));
}
