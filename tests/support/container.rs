//! A scripted container: an agent server as `container/README.md` describes it, whose turns say what a test wrote for them, with
//! deaths, delays, cuts and refusals. It keeps every call and everything that it did, so that a test can ask what is left in it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use super::asking::{Waits, World};
use super::bucket::Carried;
use super::executor::Executor;
pub use super::script::{Fault, Knows, Script};
use super::workspace::Workspaces;
use claude_agent_service::agent::{Answer, Call, ContainerError};
use serde_json::{Value, json};

#[derive(Debug)]
pub(super) struct ServerTurn {
    pub(super) session: String,
    /// Whether it tells of its files behind its result.
    pub(super) saves: bool,
    pub(super) lines: Vec<String>,
    pub(super) ended: bool,
    pub(super) cancelled: bool,
    pub(super) ends_within: Option<Duration>,
    /// The run of a turn that was parked.
    pub(super) run: u64,
    /// What it waits for.
    pub(super) waits: Waits,
    /// The queries that were offered to it.
    pub(super) offers: Vec<String>,
    /// After how many lines each cut came.
    pub(super) cuts: Vec<usize>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Session {
    pub(super) live: bool,
    pub(super) held: bool,
}

/// The machine and the agent server in it.
#[derive(Default)]
pub struct State {
    pub calls: Vec<String>,
    /// Scripts of the turns to come; an answer where there is none.
    pub scripts: VecDeque<Script>,
    /// Faults of the calls to come, by how their method and path begin: each counts once.
    pub faults: Vec<(&'static str, Fault)>,
    pub latency: Duration,
    /// How long it takes until a turn has a process and says `started`.
    pub start_of_process: Duration,
    /// How long it takes to pack a turn's files.
    pub packing: Duration,
    /// Whether it has the call that ends a process and keeps the files.
    pub knows_stop: bool,
    /// Whether it knows content blocks.
    pub knows_turns: Knows,
    /// The first line of each `POST /turns`.
    pub asked: Vec<Value>,
    pub draining: bool,
    /// How many turns may be at work in it; none: any number.
    pub processes: Option<usize>,
    /// What the platform says instead of starting it.
    pub refuses_to_start: Option<&'static str>,
    /// Turns it began, with the session that they were of.
    pub begun: Vec<(String, String)>,
    /// How many transcript lines came with each `POST /turns` that brought some.
    pub replayed: Vec<usize>,
    pub deleted_workspaces: Vec<String>,
    /// The most turns of one conversation that were at work at once.
    pub most_of_one: usize,
    pub(super) workspaces: BTreeSet<String>,
    /// What is in the conversations' folders, where files are saved.
    pub workspaces_held: Workspaces,
    pub(super) platform_says_running: bool,
    pub(super) instance: Option<String>,
    /// What the running server was started with; it takes no call without it.
    pub(super) token: Option<String>,
    instances: u32,
    pub(super) sessions: BTreeMap<String, Session>,
    pub(super) turns: BTreeMap<String, ServerTurn>,
    waiting: Vec<Waker>,
    /// What its turns have done outside of it.
    pub world: World,
}

impl State {
    pub fn instance(&self) -> Option<String> {
        self.instance.clone()
    }
}

/// Clones are the same container.
#[derive(Clone)]
pub struct Scripted {
    pub executor: Executor,
    pub state: Rc<RefCell<State>>,
}

/// The frames of a turn, or a text.
pub enum ScriptedBody {
    Text(Option<String>),
    Pack(Option<Carried>),
    Frames { container: Scripted, instance: String, turn: String, read: usize, cuts: usize },
}

impl Scripted {
    pub fn new(executor: &Executor) -> Self {
        let state = State {
            knows_stop: true,
            knows_turns: Knows { now: true, after_boot: true },
            latency: Duration::from_millis(1),
            ..State::default()
        };
        Self { executor: executor.clone(), state: Rc::new(RefCell::new(state)) }
    }

    pub fn script(&self, script: Script) {
        self.state.borrow_mut().scripts.push_back(script);
    }

    pub fn fault(&self, call: &'static str, fault: Fault) {
        self.state.borrow_mut().faults.push((call, fault));
    }

    /// Refuses the next call that begins so, in these words.
    pub fn refuse(&self, call: &'static str, status: u16, body: String) {
        self.fault(call, Fault::Refuse(status, body.leak()));
    }

    /// How often it got a call that begins so.
    pub fn calls(&self, beginning: &str) -> usize {
        self.state.borrow().calls.iter().filter(|call| call.starts_with(beginning)).count()
    }

    /// The turns that are at work in it.
    pub fn at_work(&self) -> Vec<String> {
        let state = self.state.borrow();
        state.turns.iter().filter(|(_, turn)| !turn.ended).map(|(id, _)| id.clone()).collect()
    }

    pub fn workspaces(&self) -> Vec<String> {
        self.state.borrow().workspaces.iter().cloned().collect()
    }

    pub fn instance(&self) -> Option<String> {
        self.state.borrow().instance.clone()
    }

    /// It is gone with all that it held.
    pub fn die(&self, noticed: bool) {
        let mut state = self.state.borrow_mut();
        state.instance = None;
        state.platform_says_running &= !noticed;
        state.draining = false;
        state.sessions.clear();
        state.turns.clear();
        state.workspaces.clear();
        state.workspaces_held.folders.clear();
        drop(state);
        self.changed();
    }

    /// It runs anew, with the token that it had.
    pub fn boot(&self) {
        let mut state = self.state.borrow_mut();
        state.instances += 1;
        state.instance = Some(format!("instance-{}", state.instances));
        state.platform_says_running = true;
        state.workspaces_held.saves |= state.workspaces_held.saves_after_boot;
        state.knows_turns.now |= state.knows_turns.after_boot;
    }

    /// Whoever reads the frames of a turn is cut off.
    pub fn cut_all(&self) {
        self.state.borrow_mut().turns.values_mut().for_each(|turn| turn.cuts.push(turn.lines.len()));
        self.changed();
    }

    pub(super) fn changed(&self) {
        let waiting = std::mem::take(&mut self.state.borrow_mut().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) async fn until(&self, mut done: impl FnMut(&State) -> bool) {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if done(&state) {
                return Poll::Ready(());
            }
            state.waiting.push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    pub(super) async fn handle(&self, mut call: Call) -> Result<Answer<ScriptedBody>, ContainerError> {
        let Some(instance) = self.instance() else { return Err(ContainerError("nobody listens".to_owned())) };
        let path = call.path.clone();
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        if self.state.borrow().token != call.bearer {
            return Ok(problem(401, "unauthorized"));
        }
        if let Some(answer) = self.workspace_call(&mut call, &parts, query) {
            return Ok(answer);
        }
        if let Some(answer) = self.action_call(call.method.as_str(), &parts, call.body.as_ref()) {
            return Ok(answer);
        }
        let known = |id: &str| self.state.borrow().turns.contains_key(id);
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["healthz"]) => {
                let mut body = json!({ "status": "x", "instance": instance, "running": self.at_work(), "warm": [] });
                body["features"] = json!(self.state.borrow().features());
                Ok(text(if self.state.borrow().draining { 503 } else { 200 }, &body))
            }
            ("POST", ["turns"]) => self.start_turn(&instance, &call.body.unwrap_or_default(), call.more),
            (_, ["turns", id, ..]) if !known(id) => Ok(problem(404, "turn_not_found")),
            ("GET", ["turns", id]) => {
                let number = |name: &str| {
                    let value = query.split('&').find_map(|pair| pair.strip_prefix(name));
                    value.and_then(|n| n.parse::<usize>().ok()).unwrap_or(0)
                };
                let after = number("after=");
                if self.state.borrow().turns[*id].run != number("run=") as u64 {
                    return Ok(problem(404, "turn_not_found"));
                }
                Ok(self.frames(&instance, id, after))
            }
            ("POST", ["turns", id, "steer"]) => {
                let offer: Value = serde_json::from_str(&call.body.unwrap_or_default()).unwrap();
                let offered = offer["turn_id"].as_str().unwrap().to_owned();
                let mut state = self.state.borrow_mut();
                let turn = state.turns.get_mut(*id).unwrap();
                if turn.ended {
                    return Ok(problem(409, "turn_ended"));
                }
                if !turn.offers.contains(&offered) {
                    turn.offers.push(offered);
                }
                Ok(text(202, &json!({ "offered": true })))
            }
            ("POST", ["turns", id, "cancel"]) => {
                self.cancel(id);
                Ok(text(202, &json!({})))
            }
            ("DELETE", ["turns", id]) => {
                self.delete_turn(id).await;
                Ok(text(200, &json!({})))
            }
            ("DELETE", ["sessions", session]) => {
                for id in self.turns_of(session) {
                    self.delete_turn(&id).await;
                }
                let mut state = self.state.borrow_mut();
                state.sessions.remove(*session);
                state.workspaces_held.folders.remove(*session);
                if state.workspaces.remove(*session) {
                    state.deleted_workspaces.push((*session).to_owned());
                }
                Ok(text(200, &json!({})))
            }
            ("POST", ["sessions", session, "stop"]) if self.state.borrow().knows_stop => {
                self.turns_of(session).iter().for_each(|id| self.end(id, "failed"));
                if let Some(session) = self.state.borrow_mut().sessions.get_mut(*session) {
                    session.live = false;
                }
                Ok(text(200, &json!({})))
            }
            _ => Ok(problem(404, "not_found")),
        }
    }

    fn turns_of(&self, session: &str) -> Vec<String> {
        let state = self.state.borrow();
        state.turns.iter().filter(|(_, turn)| turn.session == session).map(|(id, _)| id.clone()).collect()
    }
}

pub(super) fn text(status: u16, body: &Value) -> Answer<ScriptedBody> {
    Answer { status, body: ScriptedBody::Text(Some(body.to_string())) }
}

pub(super) fn problem(status: u16, code: &str) -> Answer<ScriptedBody> {
    text(status, &json!({ "code": code, "message": "no" }))
}
