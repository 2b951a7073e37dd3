//! The rate of an account's queries, before its object is asked: the binding `QUERY_RATE`, if there is one.

use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};

use super::bindings::{self, Environment, thrown};
use super::runtime;
use crate::account::command::Command;
use crate::domain::AccountId;
use crate::log::{Level, Line};

/// Whether the rate allows this command of the account. A binding that fails allows it: it protects the object, which has limits of its own.
pub async fn allows(env: &Env, account_id: &AccountId, command: &Command) -> bool {
    if !matches!(command, Command::StartTurn(_)) {
        return true;
    }
    let Some(rate) = env.unchecked_ref::<Environment>().query_rate() else { return true };
    let asked = async {
        let key = JsValue::from_str(account_id.as_str());
        rate.limit(&bindings::object(&[("key", &key)])?).await
    };
    match asked.await {
        Ok(outcome) => outcome.success(),
        Err(error) => {
            let why = thrown(&error);
            runtime::log(Level::Warn, &Line { event: "rate_not_known", error: Some(&why), ..Line::default() });
            true
        }
    }
}
