//! The agent's port to a container on `ctx.container`.

use std::future::Future;
use std::time::Duration;

use futures_util::lock::Mutex;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::{self, RequestInit};

use super::bindings::{Container as JsContainer, Js, ObjectContext, object, thrown};
use super::gateway_entrypoint::ACCOUNT_PROP;
use super::http::BodyReader;
use super::{http, runtime};
use crate::agent::{Answer, Body, Call, Container, ContainerError, Stream};
use crate::config::{Config, Credential};
use crate::gateway::MODEL_HOST;

/// The agent server's port.
const PORT: u16 = 8080;
const SIGTERM: i32 = 15;
/// How much longer than `CONTAINER_IDLE` the platform waits before it stops a container that its object forgot.
const INACTIVITY_SLACK: Duration = Duration::from_mins(2);
/// The platform's limit on its inactivity timeout.
const MAX_INACTIVITY: Duration = Duration::from_hours(6);

/// The container of one object.
pub struct ObjectContainer {
    context: ObjectContext,
    container: Option<JsContainer>,
    environment: Vec<(&'static str, String)>,
    internet: bool,
    instance_type: &'static str,
    inactivity: Duration,
    /// Whether this object has set the interception of the container that runs. Locked while it does.
    intercepted: Mutex<bool>,
}

impl ObjectContainer {
    /// The container of the object whose context it is.
    pub fn new(context: ObjectContext, config: &Config) -> Self {
        // Nothing in here is worth stealing: the kind of the credential decides what headers the CLI sends.
        let placeholder = match &config.credential {
            Some(Credential::OauthToken(_)) => "CLAUDE_CODE_OAUTH_TOKEN",
            Some(Credential::ApiKey(_)) | None => "ANTHROPIC_API_KEY",
        };
        let environment = vec![
            ("ANTHROPIC_BASE_URL", format!("http://{MODEL_HOST}")),
            (placeholder, "placeholder".to_owned()),
            ("WARM_SESSIONS", config.warm_sessions.to_string()),
        ];
        Self {
            container: context.container(),
            context,
            environment,
            internet: config.container_internet,
            instance_type: config.instance_type,
            inactivity: (config.container_idle + INACTIVITY_SLACK).min(MAX_INACTIVITY),
            intercepted: Mutex::new(false),
        }
    }

    /// Gives a container that runs its time again: the platform forgets the inactivity timeout when an object leaves memory, and would
    /// stop the container soon after this object has answered.
    pub fn keep(&self) -> Option<impl Future<Output = Js<()>> + use<>> {
        let container = self.container.clone().filter(JsContainer::running)?;
        let inactivity = self.inactivity;
        Some(async move { watch_inactivity(&container, inactivity).await })
    }

    fn container(&self) -> Result<&JsContainer, ContainerError> {
        self.container.as_ref().ok_or_else(|| ContainerError("this object has no container configured".to_owned()))
    }

    /// Sends the container's calls of the model to this Worker's gateway, which knows them by their props.
    async fn intercept(&self, container: &JsContainer) -> Js<()> {
        let account = self.context.id().name().unwrap_or_default();
        let props = object(&[(ACCOUNT_PROP, &JsValue::from_str(&account))])?;
        let gateway = self.context.exports().gateway(&object(&[("props", &props)])?)?;
        container.intercept_outbound_http(MODEL_HOST, &gateway).await.map(drop)
    }

    async fn launch(&self, container: &JsContainer, token: &str) -> Js<()> {
        // Rules of the container before this one may be gone with it.
        let mut intercepted = self.intercepted.lock().await;
        *intercepted = false;
        self.intercept(container).await?;
        *intercepted = true;
        drop(intercepted);
        let env = object(&[("AGENT_TOKEN", &JsValue::from_str(token))])?;
        for (name, value) in &self.environment {
            worker::js_sys::Reflect::set(&env, &JsValue::from_str(name), &JsValue::from_str(value))?;
        }
        let options = object(&[("env", &env), ("enableInternet", &JsValue::from_bool(self.internet))])?;
        // Under `scheduling_policy = "durable_object"` the object says what runs; else wrangler.toml has said it.
        if let Some(image) = container.images().map(|images| images.agent()).filter(|image| !image.is_undefined()) {
            worker::js_sys::Reflect::set(&options, &JsValue::from_str("image"), &image)?;
            worker::js_sys::Reflect::set(
                &options,
                &JsValue::from_str("instance"),
                &JsValue::from_str(self.instance_type),
            )?;
        }
        container.start(&options)?;
        watch_inactivity(container, self.inactivity).await
    }
}

async fn watch_inactivity(container: &JsContainer, limit: Duration) -> Js<()> {
    #[expect(clippy::cast_precision_loss, reason = "at most six hours in milliseconds")]
    let ms = limit.as_millis() as f64;
    container.set_inactivity_timeout(ms).await.map(drop)
}

#[expect(clippy::needless_pass_by_value, reason = "it is what map_err gives")]
fn container_error(error: JsValue) -> ContainerError {
    ContainerError(thrown(&error))
}

impl Container for ObjectContainer {
    type Body = ContainerBody;

    fn is_running(&self) -> bool {
        self.container.as_ref().is_some_and(JsContainer::running)
    }

    async fn prepare(&self) -> Result<(), ContainerError> {
        let mut intercepted = self.intercepted.lock().await;
        if !*intercepted {
            self.intercept(self.container()?).await.map_err(container_error)?;
            *intercepted = true;
        }
        Ok(())
    }

    async fn start(&self, token: &str) -> Result<(), ContainerError> {
        self.launch(self.container()?, token).await.map_err(container_error)
    }

    async fn fetch(&self, call: Call) -> Result<Answer<ContainerBody>, ContainerError> {
        let send = async {
            let init = RequestInit::new();
            init.set_method(call.method.as_str());
            if let Some(token) = &call.bearer {
                let headers = web_sys::Headers::new()?;
                headers.set("authorization", &format!("Bearer {token}"))?;
                init.set_headers(&headers);
            }
            if let Some(stream) = call.stream {
                init.set_body(&stream.into_body::<JsValue>().ok_or(JsValue::UNDEFINED)?);
            }
            match (call.body, call.more) {
                (Some(body), None) => init.set_body(&JsValue::from_str(&body)),
                (body, Some(more)) => init.set_body(&http::piecewise(body.unwrap_or_default(), more)?),
                (None, None) => {}
            }
            let container = self.container.as_ref().ok_or(JsValue::UNDEFINED)?;
            let url = format!("http://container{}", call.path);
            let response = container.tcp_port(PORT)?.fetch(&url, &init).await?;
            Ok(Answer { status: response.status(), body: ContainerBody { response, reader: None } })
        };
        send.await.map_err(container_error)
    }

    fn terminate(&self) {
        if let Some(container) = self.container.as_ref().filter(|container| container.running()) {
            // It throws if the container has stopped by itself, which is what was wanted.
            drop(container.signal(SIGTERM));
        }
    }

    async fn destroy(&self) {
        if let Some(container) = &self.container {
            // It throws if there is nothing to destroy, which is what was wanted.
            drop(container.destroy().await);
        }
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        runtime::sleep(time)
    }
}

/// The body of an agent server's answer: read piece by piece, or passed on as it came.
pub struct ContainerBody {
    response: web_sys::Response,
    reader: Option<BodyReader>,
}

impl Body for ContainerBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        let reader = match &mut self.reader {
            Some(reader) => reader,
            none => none.insert(BodyReader::new(self.response.body()).map_err(container_error)?),
        };
        reader.chunk().await.map_err(container_error)
    }

    fn into_stream(mut self) -> Option<Stream> {
        if self.reader.is_some() {
            return None;
        }
        let length = self.response.headers().get("content-length").ok().flatten();
        let body = self.response.body()?;
        // Nothing is left to be cancelled.
        self.reader = BodyReader::new(None).ok();
        Some(Stream::new(length.and_then(|length| length.parse().ok()), JsValue::from(body)))
    }
}

impl Drop for ContainerBody {
    fn drop(&mut self) {
        if self.reader.is_none() {
            // What nobody reads is cancelled by its reader.
            drop(BodyReader::new(self.response.body()));
        }
    }
}
