//! The container that is started before its query: when that happens, when not, and that it does not stay for ever.
#![allow(clippy::unwrap_used, reason = "a suite that cannot go on stops")]

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use claude_agent_service::account::command::{Command, Envelope};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::{Account, Response};
use claude_agent_service::agent::{Agent, Answer, Body, Call, Container, ContainerError};
use claude_agent_service::config::Config;
use claude_agent_service::domain::{Include, Millis, RequestId};
use support::account::{Fixture, World, new_account, start_turn};
use support::runtime::VirtualRuntime;
use support::{Rusqlite, at, made_store, session};
use uuid::Uuid;

const IDLE: Duration = Duration::from_mins(20);
const HEALTH: &str = r#"{"instance":"one"}"#;

struct Text(Option<Vec<u8>>);

impl Body for Text {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        Ok(self.0.take())
    }
}

/// A container that starts, or not.
#[derive(Clone)]
struct Machine {
    runtime: VirtualRuntime,
    starts: Rc<Cell<bool>>,
    runs: Rc<Cell<bool>>,
    started: Rc<Cell<u32>>,
    calls: Rc<RefCell<Vec<String>>>,
}

impl Container for Machine {
    type Body = Text;

    fn is_running(&self) -> bool {
        self.runs.get()
    }

    async fn prepare(&self) -> Result<(), ContainerError> {
        Ok(())
    }

    async fn start(&self, _token: &str) -> Result<(), ContainerError> {
        self.started.set(self.started.get() + 1);
        if !self.starts.get() {
            return Err(ContainerError("there is none".to_owned()));
        }
        self.runs.set(true);
        Ok(())
    }

    async fn fetch(&self, call: Call) -> Result<Answer<Text>, ContainerError> {
        self.calls.borrow_mut().push(format!("{} {}", call.method.as_str(), call.path));
        Ok(Answer { status: 200, body: Text(Some(HEALTH.into())) })
    }

    fn terminate(&self) {
        self.runs.set(false);
    }

    async fn destroy(&self) {
        self.runs.set(false);
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.runtime.sleep(time)
    }
}

struct Warmed {
    world: World,
    container: Machine,
    account: Rc<Account<Rusqlite, Machine, World>>,
}

impl Warmed {
    /// An account with the conversation `c1`, whose container does not run.
    fn new(vars: &[(&str, &str)]) -> Self {
        let Fixture { world, sql, .. } = Fixture::new(1);
        let container = Machine {
            runtime: world.runtime.clone(),
            starts: Rc::new(Cell::new(true)),
            runs: Rc::default(),
            started: Rc::default(),
            calls: Rc::default(),
        };
        let config = Config::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
        let store = made_store(sql, world.runtime.now.get());
        let id = "zoë".parse().unwrap();
        let account = Rc::new(Account::new(id, store, Agent::new(container.clone()), world.clone(), config.unwrap()));
        Self { world, container, account }
    }

    fn send(&self, command: Command) -> Result<Reply<String>, AccountError> {
        let request_id = RequestId::new(Uuid::from_u128(5));
        match self.account.handle(Envelope::new(request_id, command))? {
            Response::Ready(reply) => Ok(reply),
            Response::Deferred(_) => unreachable!(),
        }
    }

    fn open(&self, id: &str) -> Result<Reply<String>, AccountError> {
        self.send(Command::ReadConversation { session_id: session(id), before: None, items: false })
    }

    fn prewarm(&self) -> bool {
        let Ok(Reply::Prewarming { started }) = self.send(Command::Prewarm) else { unreachable!() };
        started
    }

    /// Runs what goes on behind the answers, and says how often the container was started so far.
    fn starts(&self) -> u32 {
        self.world.runtime.run_tasks();
        self.container.started.get()
    }

    fn alarm(&self) -> Option<Millis> {
        self.world.runtime.now.set(self.world.runtime.alarm.take().unwrap());
        assert!(self.account.alarm().unwrap().is_none());
        self.world.runtime.run_tasks();
        self.world.runtime.alarm.get()
    }
}

#[test]
fn who_asks_for_a_container_gets_it_once_and_does_not_wait() {
    let warmed = Warmed::new(&[]);
    assert!(warmed.prewarm());
    assert_eq!(warmed.container.started.get(), 0, "the answer came first");
    assert!(!warmed.prewarm(), "it is on its way");
    assert_eq!(warmed.starts(), 1);
    assert!(!warmed.prewarm(), "it runs");
    assert_eq!(warmed.starts(), 1);
    let log = warmed.world.runtime.logged("container_prewarmed");
    assert_eq!((log.len(), log[0]["instance"].as_str()), (1, Some("one")));
    assert!(log[0]["total_ms"].is_u64());
}

#[test]
fn opening_a_conversation_starts_the_container() {
    let open = Warmed::new(&[]);
    assert!(open.open("c1").is_ok());
    assert_eq!(open.starts(), 1);

    let follow = Warmed::new(&[]);
    assert!(
        follow
            .send(Command::FollowConversation {
                session_id: session("c1"),
                last_event_id: None,
                include: Include::NOTHING
            })
            .is_ok()
    );
    assert_eq!(follow.starts(), 1);
}

#[test]
fn opening_what_is_not_there_starts_nothing() {
    let warmed = Warmed::new(&[]);
    assert!(matches!(warmed.open("nowhere"), Err(AccountError::NotFound)));
    let follow =
        Command::FollowConversation { session_id: session("nowhere"), last_event_id: None, include: Include::NOTHING };
    assert!(matches!(warmed.send(follow), Err(AccountError::NotFound)));
    assert_eq!(warmed.starts(), 0);
}

#[test]
fn where_the_operator_does_not_want_it_only_who_asks_gets_it() {
    let warmed = Warmed::new(&[("PREWARM", "off")]);
    assert!(warmed.open("c1").is_ok());
    assert_eq!(warmed.starts(), 0);
    assert!(warmed.prewarm());
    assert_eq!(warmed.starts(), 1);
}

#[test]
fn a_container_that_no_query_comes_to_is_stopped() {
    let warmed = Warmed::new(&[]);
    warmed.prewarm();
    warmed.starts();
    let told = warmed.alarm();
    assert!(!warmed.container.runs.get());
    assert!(told < Some(at(0).plus(2 * IDLE)), "once a day, it looks whether the directory has heard of the container");
    let after = warmed.alarm();
    assert!(after > Some(at(0).plus(2 * IDLE)), "nothing is left to be woken for: {after:?}");
    assert!(warmed.prewarm(), "the next one is started");
}

#[test]
fn a_container_that_ends_by_itself_does_not_keep_its_object_awake() {
    let warmed = Warmed::new(&[]);
    warmed.prewarm();
    warmed.starts();
    warmed.container.runs.set(false);
    warmed.alarm();
    let after = warmed.alarm();
    assert!(after > Some(at(0).plus(2 * IDLE)), "nothing is left to be woken for: {after:?}");
}

#[test]
fn one_that_does_not_start_is_not_tried_again_at_once() {
    let warmed = Warmed::new(&[]);
    warmed.container.starts.set(false);
    assert!(warmed.prewarm());
    let starts = warmed.starts();
    assert!(starts > 0);
    assert_eq!(warmed.world.runtime.logged("prewarm_failed")[0]["error"], "container: there is none");
    assert!(!warmed.prewarm());
    assert_eq!(warmed.starts(), starts);
    warmed.world.runtime.now.set(warmed.world.runtime.now.get().plus(IDLE));
    assert!(warmed.prewarm());
}

#[test]
fn a_turn_that_is_under_way_starts_its_container_itself() {
    let fixture = new_account();
    start_turn(&fixture);
    let request_id = RequestId::new(Uuid::from_u128(5));
    let Ok(Response::Ready(Reply::Prewarming { started })) =
        fixture.account.handle(Envelope::new(request_id, Command::Prewarm))
    else {
        unreachable!()
    };
    assert!(!started);
}
