//! The Worker's entry points. `fetch` is bound by hand: it answers synchronously if it can, and passes an object's response on untouched.

use std::cell::OnceCell;
use std::rc::Rc;

use worker::js_sys::{Promise, Reflect};
use worker::wasm_bindgen::{self, JsCast, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::JsFuture;
use worker::{Env, ScheduleContext, ScheduledEvent, web_sys, worker_sys};

use super::attachments;
use super::bindings::{Js, dress, head};
use super::files::FilesCall;
use super::{http, operators, panic_guard, purge_cron, rate, runtime, stub, transfer, transfer_in, unreachable, vars};
use crate::account::command::{Command, Envelope};
use crate::account::manage::command::ManageCommand;
use crate::api::accounts::{Audited, OperatorAsks};
use crate::api::answer::Answer;
use crate::api::problem::ApiError;
use crate::api::request::{Asked, Head, Pending, parse};
use crate::api::start_turn::MAX_BODY_BYTES;
use crate::api::{console, cors, health};
use crate::config::{Config, Origins};
use crate::domain::trace::TraceParent;
use crate::domain::{AccountId, Millis, RequestId};
use crate::log::{Level, Line};

thread_local! {
    static HAS_CONTAINER: OnceCell<bool> = const { OnceCell::new() };
}

#[worker::event(start)]
fn start() {
    panic_guard::install();
}

/// Answers a request of the public. A container's call of the model never gets here: it has an entry point of its own.
///
/// # Errors
/// If the runtime fails to make a response.
#[wasm_bindgen]
pub fn fetch(request: web_sys::Request, env: Env, _context: worker_sys::Context) -> Js {
    let now = runtime::now();
    let request_id = runtime::request_id(now);
    let config = match vars::config(&env) {
        Ok(config) => config,
        Err(error) => {
            let (event, why) = ("bad_config", error.to_string());
            let line = Line { event, request_id: Some(&request_id), error: Some(&why), ..Line::default() };
            runtime::log(Level::Error, &line);
            return http::refusal(&ApiError { detail: error.to_string(), ..ApiError::internal() }, &request_id);
        }
    };
    let head = head(&request);
    let (method, url) = head.split_once(' ').unwrap_or_default();
    let header = |name: &str| request.headers().get(name).ok().flatten();
    let origins = &config.auth.origins;
    let origin = if *origins == Origins::None { None } else { header("origin") };
    let origin = origin.and_then(|origin| cors::allowed(origins, &origin).map(str::to_owned));
    let trace = header("traceparent").and_then(|header| TraceParent::read(&header));
    let asked = parse(&Head { method, url, header: &header, now }, &config);
    let answer = answer(asked, request, env, config, (request_id, now), origin.is_some());
    // Most answers go out as they are.
    if method != "HEAD" && origin.is_none() && trace.is_none() {
        return answer;
    }
    let trace = trace.as_ref().map(TraceParent::as_str);
    Ok(dress(&answer?, method != "HEAD", origin.as_deref(), cors::EXPOSED_HEADERS, trace)?.into())
}

/// Answers what is known when its body is read.
fn with_body(
    pending: Pending,
    audited: Option<Audited>,
    request: web_sys::Request,
    env: Env,
    config: Rc<Config>,
    (request_id, now): (RequestId, Millis),
) -> Js {
    http::later(&request_id.clone(), async move {
        let body = http::read_body(&request, MAX_BODY_BYTES).await?;
        if body == Err(http::Unread::Overdue) {
            return http::refusal(&ApiError::request_timeout(), &request_id);
        }
        let asked = pending.with_body(body.ok().as_deref());
        if let Ok((account_id, command)) = &asked
            && !rate::allows(&env, account_id, command).await
        {
            return http::refusal(&ApiError::rate_limited(), &request_id);
        }
        if let (Ok(_), Some(audited)) = (&asked, audited)
            && let Some(refusal) = operators::audit(&env, &config, audited, now, &request_id).await
        {
            return refusal;
        }
        match asked {
            Ok((account_id, Command::StartTurn(start))) if start.content.is_some() => {
                attachments::start_turn(env, account_id, request_id, start).await
            }
            Ok((account_id, command)) => {
                let answer = send(&env, &account_id, request_id, command)?;
                JsFuture::from(answer).await
            }
            Err(error) => http::refusal(&error, &request_id),
        }
    })
}

/// Answers what was asked for; `to_page` says that a page of another site asks, which may.
fn answer(
    asked: Result<Asked, ApiError>,
    request: web_sys::Request,
    env: Env,
    config: Rc<Config>,
    (request_id, now): (RequestId, Millis),
    to_page: bool,
) -> Js {
    match asked {
        Ok(Asked::Health) => health_answer(&env, &config, now, &request_id),
        Ok(Asked::Console) => http::response(console::redirect(), &request_id),
        Ok(Asked::Options(allow)) => http::response(cors::options(allow, to_page), &request_id),
        Ok(Asked::Command(account_id, command)) => Ok(send(&env, &account_id, request_id, command)?.into()),
        Ok(Asked::WithBody(pending)) => with_body(pending, None, request, env, config, (request_id, now)),
        Ok(Asked::AuditedBody(pending, audited)) => {
            with_body(pending, Some(audited), request, env, config, (request_id, now))
        }
        Ok(Asked::Files(account_id, session_id, asked)) => {
            let is_head = request.method() == "HEAD";
            let call = FilesCall::new(env, account_id, session_id, request_id.clone());
            http::later(&request_id, call.respond(asked, request, is_head))
        }
        Ok(Asked::Export(account_id, place)) => {
            http::later(&request_id.clone(), transfer::export(env, account_id, place, request_id))
        }
        Ok(Asked::Import(account_id, how)) => {
            http::later(&request_id.clone(), transfer_in::import(env, account_id, how, request, request_id))
        }
        Ok(Asked::Audited(audited, asked)) => http::later(&request_id.clone(), async move {
            if let Some(refusal) = operators::audit(&env, &config, audited, now, &request_id).await {
                return refusal;
            }
            let answered = answer(Ok(*asked), request, env, config, (request_id, now), to_page)?;
            JsFuture::from(Promise::resolve(&answered)).await
        }),
        Ok(Asked::Token(head, audited)) => http::later(&request_id.clone(), async move {
            let body = http::read_body(&request, MAX_BODY_BYTES).await?;
            if body == Err(http::Unread::Overdue) {
                return http::refusal(&ApiError::request_timeout(), &request_id);
            }
            let token = match head.with_body(body.ok().as_deref()) {
                Ok(token) => token,
                Err(error) => return http::refusal(&error, &request_id),
            };
            let audited = Audited { target: Some(token.account_id.clone()), ..audited };
            if let Some(refusal) = operators::audit(&env, &config, audited, now, &request_id).await {
                return refusal;
            }
            http::response(Answer::json(201, &token), &request_id)
        }),
        Ok(Asked::Operator(asks)) => http::later(&request_id.clone(), async move {
            if let OperatorAsks::Erase { account_id, by_itself: true, .. } = &asks {
                let asked = Command::Manage(ManageCommand::CheckActive);
                let answer = JsFuture::from(send(&env, account_id, request_id.clone(), asked)?).await?;
                if !answer.unchecked_ref::<web_sys::Response>().ok() {
                    return Ok(answer);
                }
            }
            operators::answer(&env, &config, asks, &request_id).await
        }),
        Ok(Asked::StartPurgeRun) => {
            http::later(&request_id.clone(), async move { purge_cron::start_run(&env, &config, &request_id).await })
        }
        Ok(Asked::ListPurgeRuns) => {
            http::later(&request_id.clone(), async move { purge_cron::list_runs(&env, &config, &request_id).await })
        }
        Err(error) => http::refusal(&error, &request_id),
    }
}

/// Sends a command to its object and passes the response on.
fn send(env: &Env, account_id: &AccountId, request_id: RequestId, command: Command) -> Js<Promise> {
    let envelope = Envelope::new(request_id, command);
    let answer = stub::send(env, account_id, &envelope)?;
    Ok(unreachable::or_unreachable(&answer, &envelope.request_id))
}

fn health_answer(env: &Env, config: &Config, now: Millis, request_id: &RequestId) -> Js {
    let has = || Reflect::has(env, &"ACCOUNTS".into()).unwrap_or(false);
    let has_container = HAS_CONTAINER.with(|known| *known.get_or_init(has));
    http::response(health::answer(config, has_container, now), request_id)
}

#[worker::event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    purge_cron::start_by_cron(&env).await;
}
