//! The Durable Object class of a directory shard, and the Worker's way to all shards.

use std::rc::Rc;
use std::time::Duration;

use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::{Env, web_sys, worker_sys};

use super::bindings::{Js, ObjectContext};
use super::sql::ObjectSql;
use super::{entry, host, http, in_flight, stub};
use crate::api::answer::Answer;
use crate::config::Config;
use crate::directory::command::{Command, DirectoryError, Reply};
use crate::directory::port::{Host, Shards, Unreachable};
use crate::directory::{Directory, shards};
use crate::domain::{AccountId, Millis, RequestId, RunId, Trigger, Visit};
use crate::error::ApiError;
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
    /// Where the configuration or the database is unusable.
    #[wasm_bindgen(constructor)]
    pub fn new(state: worker_sys::DurableObjectState, env: Env) -> Js<DirectoryObject> {
        let context: ObjectContext = JsValue::from(state).unchecked_into();
        let config = entry::config(&env).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let store = DirectoryStore::open(ObjectSql::new(context.storage()), host::now())
            .map_err(|e| JsValue::from_str(&e.to_string()))?;
        Ok(Self { directory: Rc::new(Directory::new(store, ShardHost { context, env }, config.retention)) })
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// Where the command is not one of this version's, or storage failed.
    #[expect(clippy::needless_pass_by_value, reason = "it is what JavaScript gives")]
    pub fn fetch(&self, request: web_sys::Request) -> Js {
        let url = request.url();
        let json = stub::from_url(&url).ok_or(JsValue::UNDEFINED)??;
        let command = serde_json::from_str::<Command>(&json).map_err(|e| JsValue::from_str(&e.to_string()))?;
        let request_id = host::request_id(host::now());
        let answer = self.directory.handle(command).map(|reply| Answer::json(200, &reply));
        http::response(answer.unwrap_or_else(|error| failed(&error, &request_id)), &request_id)
    }

    /// Goes on with a purge run.
    ///
    /// # Errors
    /// Where the runtime makes no promise.
    pub fn alarm(&self) -> Js {
        let directory = Rc::clone(&self.directory);
        in_flight::promise(None, async move {
            directory.alarm().await;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// A shard's runtime.
struct ShardHost {
    context: ObjectContext,
    env: Env,
}

impl Host for ShardHost {
    fn now(&self) -> Millis {
        host::now()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        host::sleep(time)
    }

    fn set_alarm(&self, at: Millis) {
        host::set_alarm(&self.context, at);
    }

    fn log(&self, level: Level, line: &Line<'_>) {
        host::log(level, line);
    }

    fn visit(&self, account_id: &AccountId) -> impl Future<Output = Result<Visit, Unreachable>> {
        stub::visit(&self.env, account_id)
    }
}

struct AllShards<'a>(&'a Env);

impl Shards for AllShards<'_> {
    fn ask(&self, shard: u32, command: &Command) -> impl Future<Output = Result<Reply, Unreachable>> {
        stub::ask_shard(self.0, shard, command)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        host::sleep(time)
    }
}

/// Starts a purge run for the cron.
pub async fn start_by_cron(env: &Env) {
    let request_id = host::request_id(host::now());
    match entry::config(env) {
        Ok(config) => {
            if let Err(error) = start(env, &config, Trigger::Cron).await {
                log_failure(&error, &request_id);
            }
        }
        Err(error) => {
            let why = error.to_string();
            host::log(Level::Error, &Line { event: "bad_config", error: Some(&why), ..Line::default() });
        }
    }
}

async fn start(env: &Env, config: &Config, trigger: Trigger) -> Result<RunId, DirectoryError> {
    let run_id = RunId::new(host::uuid());
    shards::start_run(&AllShards(env), config.directory_shards, run_id, trigger).await
}

/// Answers `POST /purge-runs`.
pub async fn start_run(env: &Env, config: &Config, request_id: &RequestId) -> Js {
    let started = start(env, config, Trigger::Operator).await;
    let answer = started.map(|run_id| Answer::run_started(&run_id));
    http::response(answer.unwrap_or_else(|error| failed(&error, request_id)), request_id)
}

/// Answers `GET /purge-runs`.
pub async fn list_runs(env: &Env, config: &Config, request_id: &RequestId) -> Js {
    let runs = shards::list_runs(&AllShards(env), config.directory_shards).await;
    let answer = runs.map(|runs| Answer::json(200, &runs));
    http::response(answer.unwrap_or_else(|error| failed(&error, request_id)), request_id)
}

fn failed(error: &DirectoryError, request_id: &RequestId) -> Answer<JsValue> {
    log_failure(error, request_id);
    Answer::refusal(&ApiError::internal(), request_id)
}

fn log_failure(error: &DirectoryError, request_id: &RequestId) {
    let why = error.to_string();
    let line = Line { event: "directory_failed", request_id: Some(request_id), error: Some(&why), ..Line::default() };
    host::log(Level::Error, &line);
}
