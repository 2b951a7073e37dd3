//! Rates of an account before its object is asked: of queries, by the binding `QUERY_RATE`, and of calls of the model, by `MODEL_RATE`; each if
//! there is one.

use worker::Env;
use worker::wasm_bindgen::{JsCast, JsValue};

use super::bindings::{self, Environment, RateLimit, thrown};
use super::runtime;
use crate::account::command::Command;
use crate::domain::AccountId;
use crate::log::{Level, Line};

/// Whether the rate allows this command of the account.
pub async fn allows(env: &Env, account_id: &AccountId, command: &Command) -> bool {
    if !matches!(command, Command::StartTurn(_)) {
        return true;
    }
    is_within(env.unchecked_ref::<Environment>().query_rate(), account_id).await
}

/// Whether the rate allows the account one more call of the model.
pub async fn allows_model_call(env: &Env, account_id: &AccountId) -> bool {
    is_within(env.unchecked_ref::<Environment>().model_rate(), account_id).await
}

/// A binding that fails allows it: it protects the object, which has limits of its own.
async fn is_within(rate: Option<RateLimit>, account_id: &AccountId) -> bool {
    let Some(rate) = rate else { return true };
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
