//! The account's Durable Object class: it decodes a command, delegates it and encodes the reply.

use std::rc::Rc;
use std::time::Duration;

use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Env, web_sys, worker_sys};

use super::bindings::{Js, ObjectContext};
use super::container::ObjectContainer;
use super::object_runtime::ObjectRuntime;
use super::r2::ObjectBucket;
use super::runtime;
use super::sql::ObjectSql;
use super::{http, panic_guard, stub, vars};
use crate::account::command::Envelope;
use crate::account::error::AccountError;
use crate::account::reply::Reply;
use crate::account::{Account, Response};
use crate::agent::Agent;
use crate::api::answer::Answer;
use crate::api::problem::{ApiError, Code};
use crate::config::Config;
use crate::domain::{AccountId, RequestId};
use crate::log::{Level, Line};
use crate::store::Store;

type ObjectAccount = Account<ObjectSql, ObjectContainer, ObjectRuntime>;

/// Pause before an alarm that failed.
const ALARM_RETRY: Duration = Duration::from_mins(1);

/// One account's object.
#[wasm_bindgen(js_name = Account)]
pub struct AccountObject {
    context: ObjectContext,
    opened: Result<Opened, String>,
}

/// An account that can be worked with.
struct Opened {
    id: AccountId,
    account: Rc<ObjectAccount>,
}

#[wasm_bindgen(js_class = Account)]
impl AccountObject {
    /// Opens the account that the object is named after. If that fails, for a configuration or a database that is unusable, the object
    /// is there all the same: its alarm is not lost.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> AccountObject {
        let context: ObjectContext = JsValue::from(state).unchecked_into();
        Self { opened: Opened::new(context.clone(), env), context }
    }

    /// Carries out the command that a Worker sent.
    ///
    /// # Errors
    /// A JavaScript error if the account could not be opened or the request cannot be read.
    pub fn fetch(&self, request: web_sys::Request) -> Js {
        let Opened { account, id } = self.opened.as_ref().map_err(|why| JsValue::from_str(why))?;
        let (account, id) = (Rc::clone(account), id.clone());
        match stub::from_url(&request.url()) {
            Some(json) => handle(&account, id, &json?, false),
            None => Ok(panic_guard::promise(None, async move {
                let (json, again) = stub::from_body(request).await?;
                let handled = handle(&account, id, &json, again)?;
                match handled.dyn_into::<worker::js_sys::Promise>() {
                    Ok(promise) => worker::wasm_bindgen_futures::JsFuture::from(promise).await,
                    Err(response) => Ok(response),
                }
            })
            .into()),
        }
    }

    /// Wakes the account. What fails is tried again after [`ALARM_RETRY`]: the platform gives up an alarm that fails for some minutes,
    /// and with it the turns and the container that it looks after.
    pub fn alarm(&self) -> JsValue {
        let woken = match &self.opened {
            Ok(Opened { account, .. }) => account.alarm().map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        };
        match woken {
            Ok(None) => JsValue::UNDEFINED,
            Ok(Some(purge)) => {
                let context = self.context.clone();
                let work = async move {
                    if let Err(error) = purge.await {
                        alarm_failed(&context, &error.to_string());
                    }
                    Ok(JsValue::UNDEFINED)
                };
                panic_guard::promise(None, work).into()
            }
            Err(why) => {
                alarm_failed(&self.context, &why);
                JsValue::UNDEFINED
            }
        }
    }
}

impl Opened {
    fn new(context: ObjectContext, env: Env) -> Result<Self, String> {
        let config = Config::clone(&*vars::config(&env).map_err(|e| e.to_string())?);
        let id = AccountId::try_from(context.id().name().unwrap_or_default()).map_err(|e| e.to_string())?;
        let store = Store::open(ObjectSql::new(context.storage()), runtime::now()).map_err(|e| e.to_string())?;
        let bucket = ObjectBucket::new(&context, &env);
        let runtime = ObjectRuntime::new(context.clone(), env, config.directory_shards);
        let container = ObjectContainer::new(context, &config);
        if let Some(kept) = container.keep() {
            runtime::finish("inactivity_timeout_not_set", kept);
        }
        let agent = Agent::new(container);
        let account = Account::new(id.clone(), store, agent, runtime, config);
        let account = Rc::new(match bucket {
            Some(bucket) => account.with_bucket(Rc::new(bucket)),
            None => account,
        });
        Ok(Self { id, account })
    }
}

fn alarm_failed(context: &ObjectContext, why: &str) {
    runtime::log(Level::Error, &Line { event: "alarm_failed", error: Some(why), ..Line::default() });
    runtime::set_alarm(context, runtime::now().plus(ALARM_RETRY));
}

fn handle(account: &Rc<ObjectAccount>, id: AccountId, json: &str, again: bool) -> Js {
    let envelope = match Envelope::read(json) {
        Ok(envelope) => Envelope { again, ..envelope },
        Err(unknown) => {
            // A Worker of a later version has sent it: this object is about to be replaced by one that has the command.
            let request_id = unknown.request_id.unwrap_or_else(|| runtime::request_id(runtime::now()));
            let line = Line { event: "command_unknown", request_id: Some(&request_id), ..Line::default() };
            runtime::log(Level::Warn, &line);
            return http::response(Answer::refusal(&ApiError::object_reset(), &request_id), &request_id);
        }
    };
    let request_id = envelope.request_id.clone();
    match account.handle(envelope) {
        Ok(Response::Ready(reply)) => respond(Ok(reply), &id, &request_id),
        Ok(Response::Deferred(reply)) => {
            http::later(&request_id.clone(), async move { respond(reply.await, &id, &request_id) })
        }
        Err(error) => respond(Err(error), &id, &request_id),
    }
}

fn respond(reply: Result<Reply<JsValue>, AccountError>, id: &AccountId, request_id: &RequestId) -> Js {
    let answer = match reply {
        Ok(reply) => Answer::of(reply, id, request_id),
        Err(error) => {
            let refusal = ApiError::from(&error);
            // The response of `internal` promises that the log has the details.
            if refusal.code == Code::Internal {
                let event = if matches!(error, AccountError::Store(_)) { "storage_failed" } else { "command_failed" };
                let why = error.to_string();
                let line = Line { event, request_id: Some(request_id), error: Some(&why), ..Line::default() };
                runtime::log(Level::Error, &line);
            }
            Answer::refusal(&refusal, request_id)
        }
    };
    http::response(answer, request_id)
}
