//! The gateway's entry point: sends a container's call of the model on with the real credential, bodies as streams both ways, and tells the
//! account what it cost. Interception alone reaches it (`ctx.exports.Gateway`), and nothing that reaches it gets anywhere else.

use std::rc::Rc;
use std::time::Duration;

use worker::js_sys::Reflect;
use worker::wasm_bindgen::{self, JsCast, JsValue, prelude::wasm_bindgen};
use worker::wasm_bindgen_futures::{JsFuture, future_to_promise};
use worker::{Env, web_sys, worker_sys};

use super::bindings::{self, Js, WorkerContext, head};
use super::{http, rate, relay, runtime, stub, vars};
use crate::account::command::{CallBegun, CallEnded, Command, Envelope};
use crate::api::answer::TURN_HEADER;
use crate::api::query::Target;
use crate::config::Config;
use crate::domain::{AccountId, Millis, RequestId, TurnId};
use crate::gateway::body::BodyScan;
use crate::gateway::headers::{RETRY_AFTER, SESSION_HEADER, forwards_header, may_return_header};
use crate::gateway::meter::{Asked, Meter, Metered};
use crate::gateway::{self, Refused};
use crate::log::{Level, Line};

/// How long the model's API may take to its first byte: a little longer than the CLI waits for it (`API_TIMEOUT_MS`, 60 s).
const HEADERS_LIMIT_MS: u32 = 70_000;

/// Tries to tell the account of a call that has ended, and the pause after the first; it doubles. The platform lets a Worker go on for 30 s
/// after its answer.
const TELL_TRIES: u32 = 4;
const TELL_PAUSE: Duration = Duration::from_millis(250);

/// The prop that says whose container a call comes out of.
pub const ACCOUNT_PROP: &str = "account_id";

/// A container's call of the model.
struct Call {
    request: web_sys::Request,
    account_id: AccountId,
    request_id: RequestId,
    begun_at: Millis,
    config: Rc<Config>,
    env: Env,
    context: WorkerContext,
}

/// Answers a container's call of the model.
///
/// # Errors
/// If the runtime fails to make a response.
#[wasm_bindgen]
pub fn gateway(request: web_sys::Request, env: Env, context: worker_sys::Context) -> Js {
    let begun_at = runtime::now();
    let request_id = runtime::request_id(begun_at);
    let context: WorkerContext = JsValue::from(context).unchecked_into();
    let account = Reflect::get(&context.props(), &ACCOUNT_PROP.into()).ok().and_then(|name| name.as_string());
    let known = account.and_then(|name| AccountId::try_from(name).ok()).zip(vars::config(&env).ok());
    let Some((account_id, config)) = known else { return refusal(&Refused::no_word(), &request_id) };
    let goes_on = context.clone();
    let answer = http::later(&request_id.clone(), async move {
        let call = Rc::new(Call { request, account_id, request_id, begun_at, config, env, context });
        match call.forward().await {
            Ok(response) => Ok(response),
            Err(refused) => refusal(&refused, &call.request_id),
        }
    })?;
    // A caller that leaves before the answer has begun pays for it, too.
    goes_on.wait_until(answer.unchecked_ref());
    Ok(answer)
}

fn refusal(refused: &Refused, request_id: &RequestId) -> Js {
    let line = Line {
        event: "model_call_refused",
        request_id: Some(request_id),
        http_status: Some(refused.status),
        error: Some(&refused.message),
        ..Line::default()
    };
    runtime::log(Level::Warn, &line);
    bindings::plain_response(&JsValue::from_str(&refused.body()), refused.status, request_id.as_str()).map(Into::into)
}

impl Call {
    async fn forward(self: &Rc<Self>) -> Result<JsValue, Refused> {
        let head = head(&self.request);
        let (method, url) = head.split_once(' ').unwrap_or_default();
        let target = Target::of(url);
        let destination = gateway::destination(&self.config, method, target.host, target.path, target.query)?;
        let credential = gateway::credential_header(&self.config)?;
        let counts = gateway::is_model_call(target.path);
        let turn_id = self.begin(counts).await?;
        let sent = self.send(&destination, credential).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => {
                if counts {
                    self.end(&turn_id, error.status, Metered::default(), None).await;
                }
                return Err(error);
            }
        };
        let told = |name: &str| answer.headers().get(name).ok().flatten();
        let metered = answer.ok() && answer.body().is_some();
        if counts && !metered {
            let retry_after_s = told(RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok());
            // This refusal may end the turn: what it asks for is known before.
            self.end(&turn_id, answer.status(), Metered::default(), retry_after_s).await;
        }
        if !gateway::may_return_status(answer.status()) {
            self.log("model_redirects", "MODEL_API_URL answers with a redirect");
            return Err(Refused::unreachable());
        }
        let body = if counts && metered {
            let meter = Meter::new(&told("content-type").unwrap_or_default());
            self.metered(&answer, turn_id, meter).map_err(|error| self.broken(&error))?
        } else {
            answer.body().into()
        };
        let names = kept(&bindings::header_names(&answer.headers()), may_return_header);
        bindings::pass_back(&body, &answer, &names).map(Into::into).map_err(|error| self.broken(&error))
    }

    /// The turn that the call is counted for. No other call leaves.
    async fn begin(&self, counts: bool) -> Result<TurnId, Refused> {
        if counts && !rate::allows_model_call(&self.env, &self.account_id).await {
            return Err(Refused::too_fast());
        }
        let sdk_session = self.request.headers().get(SESSION_HEADER).ok().flatten().and_then(|id| id.try_into().ok());
        let command = Command::BeginCall(CallBegun { sdk_session, counts });
        let envelope = Envelope::new(self.request_id.clone(), command);
        match self.ask(&envelope).await {
            Ok(answer) if matches!(answer.status(), 403 | 404) => Err(Refused::no_turn()),
            Ok(answer) if answer.status() == 402 => Err(Refused::no_budget()),
            Ok(answer) if answer.status() == 429 => Err(Refused::too_many_calls()),
            Ok(answer) => {
                let turn_id = answer.headers().get(TURN_HEADER).ok().flatten();
                turn_id.and_then(|id| id.try_into().ok()).ok_or_else(Refused::no_word)
            }
            Err(error) => {
                self.log("object_unreachable", &bindings::thrown(&error));
                Err(Refused::no_word())
            }
        }
    }

    async fn ask(&self, envelope: &Envelope) -> Js<web_sys::Response> {
        Ok(JsFuture::from(stub::send(&self.env, &self.account_id, envelope)?).await?.unchecked_into())
    }

    /// Tells the account how a call ended. What cannot be told is in the log.
    async fn end(&self, turn_id: &TurnId, status: u16, told: Metered, retry_after_s: Option<u64>) {
        let (turn_id, total_ms, Metered { model, usage, extras, .. }) = (turn_id.clone(), self.took_ms(), told);
        let command = Command::EndCall(CallEnded { turn_id, status, model, usage, extras, total_ms, retry_after_s });
        let envelope = Envelope::new(self.request_id.clone(), command);
        let mut pause = TELL_PAUSE;
        for again in (0..TELL_TRIES).rev() {
            let why = match self.ask(&envelope).await {
                Ok(answer) if answer.ok() => return,
                Ok(answer) => format!("the object answered {}", answer.status()),
                Err(error) => bindings::thrown(&error),
            };
            if again == 0 {
                self.log("model_call_not_counted", &why);
            } else {
                runtime::sleep(pause).await;
                pause *= 2;
            }
        }
    }

    /// Sends the call. A body that asks for what may not be had is cut before its end: the model's API has nothing to answer then.
    async fn send(&self, destination: &str, (name, value): (&str, String)) -> Result<web_sys::Response, Refused> {
        let names = kept(&bindings::header_names(&self.request.headers()), forwards_header);
        let (body, verdict) = match BodyScan::wanted(&self.config) {
            None => (self.request.body().into(), relay::Verdict::default()),
            Some(scan) => relay::scanned(&self.request, scan).map_err(|error| self.broken(&error))?,
        };
        // The caller may have left long ago: the runtime tells it only when something is sent. Hence the limit.
        let sent = match bindings::send_on(
            &self.request.headers(),
            destination,
            &names,
            name,
            &value,
            &body,
            HEADERS_LIMIT_MS,
        ) {
            Ok(answer) => JsFuture::from(answer).await,
            Err(error) => Err(error),
        };
        if let Some(refused) = verdict.get() {
            return Err(Refused::clone(refused));
        }
        sent.map(JsCast::unchecked_into).map_err(|error| self.broken(&error))
    }

    /// The answer's body as it comes; when it has ended, its account is told what it cost.
    fn metered(self: &Rc<Self>, answer: &web_sys::Response, turn_id: TurnId, meter: Meter) -> Js {
        let (readable, read) = relay::metered(answer, meter)?;
        let (call, status) = (Rc::clone(self), answer.status());
        let told = async move {
            let told = read.await.end(call.asked());
            if told.is_estimated {
                call.log_estimate(&turn_id, &told);
            }
            call.end(&turn_id, status, told, None).await;
            Ok(JsValue::UNDEFINED)
        };
        self.context.wait_until(&future_to_promise(told));
        Ok(readable)
    }

    fn asked(&self) -> Asked {
        let length = self.request.headers().get("content-length").ok().flatten();
        Asked { bytes: length.and_then(|length| length.parse().ok()), took_ms: self.took_ms() }
    }

    fn took_ms(&self) -> u64 {
        u64::try_from(runtime::now().since(self.begun_at).as_millis()).unwrap_or(u64::MAX)
    }

    fn log_estimate(&self, turn_id: &TurnId, told: &Metered) {
        let line = Line {
            event: "model_usage_estimated",
            request_id: Some(&self.request_id),
            turn_id: Some(turn_id),
            model: told.model.as_deref(),
            input_tokens: Some(told.usage.input_tokens),
            output_tokens: Some(told.usage.output_tokens),
            ..Line::default()
        };
        runtime::log(Level::Warn, &line);
    }

    fn broken(&self, error: &JsValue) -> Refused {
        self.log("model_unreachable", &bindings::thrown(error));
        Refused::unreachable()
    }

    fn log(&self, event: &str, why: &str) {
        let line = Line { event, request_id: Some(&self.request_id), error: Some(why), ..Line::default() };
        runtime::log(Level::Warn, &line);
    }
}

/// Those of the names, with commas in between, that pass.
fn kept(names: &str, passes: fn(&str) -> bool) -> String {
    names.split(',').filter(|name| passes(name)).collect::<Vec<_>>().join(",")
}
