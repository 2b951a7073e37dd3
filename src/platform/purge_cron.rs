//! The Worker's way to all shards of the directory: the purge runs of the cron and of operators.

use std::future::Future;
use std::time::Duration;

use worker::Env;
use worker::wasm_bindgen::JsValue;

use super::bindings::Js;
use super::{http, runtime, stub, vars};
use crate::api::answer::Answer;
use crate::api::problem::ApiError;
use crate::config::Config;
use crate::directory::command::{Command, DirectoryError, Reply};
use crate::directory::port::{Shards, Unreachable};
use crate::directory::shards;
use crate::domain::{RequestId, RunId, Trigger};
use crate::log::{Level, Line};

/// All shards of the directory, from a Worker.
pub struct AllShards<'a>(pub &'a Env);

impl Shards for AllShards<'_> {
    fn ask(&self, shard: u32, command: &Command) -> impl Future<Output = Result<Reply, Unreachable>> {
        stub::ask_shard(self.0, shard, command)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        runtime::sleep(time)
    }
}

/// Starts a purge run for the cron.
pub async fn start_by_cron(env: &Env) {
    let request_id = runtime::request_id(runtime::now());
    match vars::config(env) {
        Ok(config) => {
            if let Err(error) = start(env, &config, Trigger::Cron).await {
                log_failure(&error, &request_id);
            }
        }
        Err(error) => {
            let why = error.to_string();
            runtime::log(Level::Error, &Line { event: "bad_config", error: Some(&why), ..Line::default() });
        }
    }
}

async fn start(env: &Env, config: &Config, trigger: Trigger) -> Result<RunId, DirectoryError> {
    let run_id = RunId::new(runtime::uuid());
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

/// The response if the directory failed; the log has the reason.
pub fn failed(error: &DirectoryError, request_id: &RequestId) -> Answer<JsValue> {
    log_failure(error, request_id);
    Answer::refusal(&ApiError::internal(), request_id)
}

fn log_failure(error: &DirectoryError, request_id: &RequestId) {
    let why = error.to_string();
    let line = Line { event: "directory_failed", request_id: Some(request_id), error: Some(&why), ..Line::default() };
    runtime::log(Level::Error, &line);
}
