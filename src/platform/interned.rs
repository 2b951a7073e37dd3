//! Texts that are constants, as JavaScript strings: each crosses once an isolate, however often it is used.

use std::cell::RefCell;

use worker::js_sys::JsString;

thread_local! {
    /// By their address: as many as the program has constants that are used so.
    static CROSSED: RefCell<Vec<(*const u8, usize, JsString)>> = const { RefCell::new(Vec::new()) };
}

/// The JavaScript string that `text` is.
pub fn interned(text: &'static str) -> JsString {
    CROSSED.with_borrow_mut(|crossed| {
        let known = crossed.iter().find(|(start, length, _)| (*start, *length) == (text.as_ptr(), text.len()));
        if let Some((_, _, string)) = known {
            return string.clone();
        }
        let string = JsString::from(text);
        crossed.push((text.as_ptr(), text.len(), string.clone()));
        string
    })
}
