//! The Durable Object class of a directory shard.

use std::rc::Rc;
use std::time::Duration;

use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Env, web_sys, worker_sys};

use super::bindings::{Js, ObjectContext};
use super::sql::ObjectSql;
use super::{http, metrics, panic_guard, purge_cron, runtime, stub, vars};
use crate::api::answer::Answer;
use crate::directory::Directory;
use crate::directory::command::Command;
use crate::directory::port::{Runtime, Unreachable};
use crate::domain::account::ErasureStep;
use crate::domain::{AccountId, ErasureId, Millis, PurgeOutcome};
use crate::log::{Level, Line};
use crate::store::directory::DirectoryStore;

/// One shard of the directory of accounts.
#[wasm_bindgen(js_name = Directory)]
pub struct DirectoryObject {
    directory: Rc<Directory<ObjectSql, ShardHost>>,
}

#[wasm_bindgen(js_class = Directory)]
impl DirectoryObject {
    /// Opens the shard.
    ///
    /// # Errors
    /// A JavaScript error if the configuration or the database is unusable.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> Js<DirectoryObject> {
        let context: ObjectContext = JsValue::from(state).unchecked_into();
        let config = vars::config(&env).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let store = DirectoryStore::open(ObjectSql::new(context.storage()), runtime::now())
            .map_err(|e| JsValue::from_str(&e.to_string()))?;
        Ok(Self { directory: Rc::new(Directory::new(store, ShardHost { context, env }, config.retention)) })
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// A JavaScript error if this version does not have the command, or if storage failed.
    #[expect(clippy::needless_pass_by_value, reason = "it is what JavaScript gives")]
    pub fn fetch(&self, request: web_sys::Request) -> Js {
        let url = request.url();
        let json = stub::from_url(&url).ok_or(JsValue::UNDEFINED)??;
        let command = serde_json::from_str::<Command>(&json).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let request_id = runtime::request_id(runtime::now());
        let answer = self.directory.handle(command).map(|reply| Answer::json(200, &reply));
        http::response(answer.unwrap_or_else(|error| purge_cron::failed(&error, &request_id)), &request_id)
    }

    /// Goes on with a purge run.
    pub fn alarm(&self) -> JsValue {
        let directory = Rc::clone(&self.directory);
        panic_guard::promise(None, async move {
            directory.alarm().await;
            Ok(JsValue::UNDEFINED)
        })
        .into()
    }
}

/// A shard's runtime.
struct ShardHost {
    context: ObjectContext,
    env: Env,
}

impl Runtime for ShardHost {
    fn now(&self) -> Millis {
        runtime::now()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        runtime::sleep(time)
    }

    fn set_alarm(&self, at: Millis) {
        runtime::set_alarm(&self.context, at);
    }

    fn log(&self, level: Level, line: &Line<'_>) {
        runtime::log(level, line);
        metrics::write(&self.env, line);
    }

    fn erase(
        &self,
        account_id: &AccountId,
        keep_account: bool,
        counted: bool,
        erasure_id: ErasureId,
    ) -> impl Future<Output = Result<ErasureStep, Unreachable>> {
        stub::erase(&self.env, account_id, keep_account, counted, erasure_id)
    }

    fn visit(&self, account_id: &AccountId) -> impl Future<Output = Result<PurgeOutcome, Unreachable>> {
        stub::visit(&self.env, account_id)
    }
}
