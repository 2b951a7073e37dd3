//! The vars and secrets of this deployment, parsed once an isolate.

use std::cell::OnceCell;
use std::rc::Rc;

use worker::Env;
use worker::js_sys::{JSON, Reflect};

use crate::config::{BadConfig, Config};

thread_local! {
    static CONFIG: OnceCell<Result<Rc<Config>, BadConfig>> = const { OnceCell::new() };
}

/// The vars and secrets of this deployment, parsed once an isolate.
///
/// # Errors
/// The first that is wrong.
pub fn config(env: &Env) -> Result<Rc<Config>, BadConfig> {
    CONFIG.with(|config| config.get_or_init(|| Config::parse(|name| var(env, name)).map(Rc::new)).clone())
}

/// A var as a text: one that `wrangler.toml` writes as a number, a boolean or a table is its JSON.
fn var(env: &Env, name: &str) -> Option<String> {
    let value = Reflect::get(env, &name.into()).ok()?;
    value.as_string().or_else(|| JSON::stringify(&value).ok()?.as_string())
}
