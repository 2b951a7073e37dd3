//! A scripted receiver of webhooks: it keeps what reaches it, and answers each request as a test wrote, or 204.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claude_agent_service::account::runtime::NotSent;
use claude_agent_service::domain::Millis;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::executor::Executor;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    Status(u16),
    /// There is no response, ever.
    Stall,
    /// The connection breaks.
    Break,
    /// It answers after a while.
    Slow(Duration),
}

/// A request that reached it.
#[derive(Debug, Clone)]
pub struct Arrival {
    pub at: Millis,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Arrival {
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Whether one of its signatures is that of this secret, as Standard Webhooks reckons it.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(
            format!("{}.{}.{}", self.header("webhook-id"), self.header("webhook-timestamp"), self.body).as_bytes(),
        );
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        self.header("webhook-signature").split(' ').any(|one| one == signature)
    }
}

#[derive(Default)]
pub struct State {
    pub arrivals: Vec<Arrival>,
    /// What becomes of the requests to come, one after the other.
    pub script: VecDeque<Behaviour>,
    /// What becomes of those without a script.
    pub default: Option<Behaviour>,
    /// The most requests that were unanswered at once.
    pub most_at_once: usize,
    open: usize,
}

/// Clones are the same receiver.
#[derive(Clone)]
pub struct Receiver {
    executor: Executor,
    pub state: Rc<RefCell<State>>,
}

/// A request that is not answered yet.
struct Open(Rc<RefCell<State>>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.borrow_mut().open -= 1;
    }
}

impl Receiver {
    pub fn new(executor: &Executor) -> Self {
        Self { executor: executor.clone(), state: Rc::default() }
    }

    pub fn answer(&self, behaviour: Behaviour) {
        self.state.borrow_mut().script.push_back(behaviour);
    }

    pub fn always(&self, behaviour: Behaviour) {
        self.state.borrow_mut().default = Some(behaviour);
    }

    pub fn arrivals(&self) -> Vec<Arrival> {
        self.state.borrow().arrivals.clone()
    }

    pub fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> impl Future<Output = Result<u16, NotSent>> + 'static {
        let behaviour = {
            let mut state = self.state.borrow_mut();
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let (url, body) = (url.to_owned(), body.to_owned());
            state.arrivals.push(Arrival { at: self.executor.now(), url, headers, body });
            state.open += 1;
            state.most_at_once = state.most_at_once.max(state.open);
            let scripted = state.script.pop_front();
            scripted.or(state.default).unwrap_or(Behaviour::Status(204))
        };
        let (executor, open) = (self.executor.clone(), Open(Rc::clone(&self.state)));
        async move {
            let _open = open;
            executor.sleep(Duration::from_millis(1)).await;
            match behaviour {
                Behaviour::Status(status) => Ok(status),
                Behaviour::Stall => std::future::pending().await,
                Behaviour::Break => Err(NotSent::Unreachable),
                Behaviour::Slow(time) => {
                    executor.sleep(time).await;
                    Ok(204)
                }
            }
        }
    }
}
