//! An account on a real database, in a world that is looked at: its runtime, its container and the directory.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::noted::Noted;
use super::runtime::{VirtualRuntime, drive};
use super::zones::utc_offset_s;
use super::{Rusqlite, exchange, store};
use claude_agent_service::account::command::{AnswerForm, Command, Envelope, StartTurn};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::runtime::{Directory, NotRegistered, NotSent, Runtime};
use claude_agent_service::account::wake::BACKSTOP_SLACK;
use claude_agent_service::account::{Account, Response};
use claude_agent_service::agent::{Agent, Answer, Body, Call, Container, ContainerError};
use claude_agent_service::api::document::turn_json;
use claude_agent_service::config::Config;
use claude_agent_service::domain::account::AccountStatus;
use claude_agent_service::domain::fleet::FleetReport;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{
    AccountId, Include, Millis, Page, PurgeOutcome, RequestId, Title, Turn, TurnOptions,
};
use claude_agent_service::log::{Level, Line};
use claude_agent_service::store::Store;
use claude_agent_service::store::retention::PURGE_BATCH;
use uuid::Uuid;

/// Conversations of one batch.
pub const BATCH: u128 = PURGE_BATCH as u128;
pub const RETENTION: Duration = DAY.saturating_mul(30);

#[derive(Clone)]
pub struct World {
    pub runtime: VirtualRuntime,
    pub uuids: Rc<Cell<u128>>,
    pub directory_is_up: Rc<Cell<bool>>,
    pub registered: Rc<RefCell<Vec<Millis>>>,
    pub container_runs: Rc<Cell<bool>>,
    pub container_answers: Rc<Cell<bool>>,
    pub container_calls: Rc<RefCell<Vec<String>>>,
    pub noted: Noted,
}

impl Runtime for World {
    fn now(&self) -> Millis {
        self.runtime.now.get()
    }

    fn uuid(&self) -> Uuid {
        let made = self.uuids.get() + 1;
        self.uuids.set(made);
        Uuid::from_u128(made)
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        self.runtime.sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.runtime.spawn(task);
    }

    fn set_alarm(&self, at: Millis) {
        self.runtime.alarm.set(Some(at));
    }

    fn log(&self, _level: Level, line: &Line<'_>) {
        self.runtime.log.borrow_mut().push(line.json());
    }

    fn post(
        &self,
        _url: &str,
        _headers: &[(&str, &str)],
        _body: &str,
        _limit: Duration,
    ) -> impl Future<Output = Result<u16, NotSent>> + 'static {
        std::future::ready(Err(NotSent::Unreachable))
    }

    fn utc_offset_s(&self, zone: &str, at: Millis) -> Option<i32> {
        utc_offset_s(zone, at)
    }

    fn turn_json(&self, turn: &Turn) -> String {
        turn_json(turn)
    }
}

impl Directory for World {
    fn shard_of(&self, _account_id: &AccountId, known: Option<u32>) -> u32 {
        known.unwrap_or(0)
    }

    fn forget(
        &self,
        _shard: u32,
        _account_id: &AccountId,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        std::future::ready(Ok(()))
    }

    fn register(
        &self,
        _shard: u32,
        account_id: &AccountId,
        oldest_access_at: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        assert_eq!(account_id.as_str(), "zoë");
        let world = self.clone();
        async move {
            if !world.directory_is_up.get() {
                return Err(NotRegistered("down".to_owned()));
            }
            world.registered.borrow_mut().push(oldest_access_at);
            Ok(())
        }
    }

    fn note(
        &self,
        shard: u32,
        _account_id: &AccountId,
        active: bool,
        status: Option<AccountStatus>,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.noted.take(shard, (active, status))
    }

    fn report(
        &self,
        _shard: u32,
        _account_id: &AccountId,
        report: FleetReport,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        drop(report);
        std::future::ready(Ok(()))
    }
}

/// A body without bytes.
pub struct Empty;

impl Body for Empty {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        Ok(None)
    }
}

impl Container for World {
    type Body = Empty;

    fn is_running(&self) -> bool {
        self.container_runs.get()
    }

    async fn prepare(&self) -> Result<(), ContainerError> {
        Ok(())
    }

    async fn start(&self, _token: &str) -> Result<(), ContainerError> {
        Err(ContainerError("there is none".to_owned()))
    }

    async fn fetch(&self, call: Call) -> Result<Answer<Empty>, ContainerError> {
        self.container_calls.borrow_mut().push(format!("{} {}", call.method.as_str(), call.path));
        if self.container_answers.get() {
            Ok(Answer { status: 200, body: Empty })
        } else {
            Err(ContainerError("mute".to_owned()))
        }
    }

    fn terminate(&self) {
        self.container_runs.set(false);
    }

    async fn destroy(&self) {
        self.container_runs.set(false);
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.runtime.sleep(time)
    }
}

pub type TestAccount = Account<Rusqlite, World, World>;
pub type Deferred<'a> = Pin<Box<dyn Future<Output = Reply<String>> + 'a>>;

/// An account whose conversations are stored beforehand.
pub struct Fixture {
    pub world: World,
    pub sql: Rusqlite,
    pub store: Store<Rusqlite>,
    pub account: Rc<TestAccount>,
}

impl Fixture {
    /// The account at [`super::NOW`], with `count` conversations that were last accessed a second after each other from then on.
    pub fn new(count: u128) -> Self {
        let (store, sql) = store();
        store.remember_account(&"zoë".parse().unwrap()).unwrap();
        store.set_registered(true).unwrap();
        for n in 1..=count {
            exchange(&store, n, &format!("c{n}"), "secret words", "secret answer");
        }
        let world = World {
            runtime: VirtualRuntime::new(),
            uuids: Rc::default(),
            directory_is_up: Rc::new(Cell::new(true)),
            registered: Rc::default(),
            container_runs: Rc::default(),
            container_answers: Rc::new(Cell::new(true)),
            noted: Noted::default(),
            container_calls: Rc::default(),
        };
        let account = account(&world, &sql);
        Self { world, sql, store, account }
    }

    /// The same account after its object was reset.
    pub fn reset(&mut self) {
        self.world.runtime.alarm.set(None);
        self.account = account(&self.world, &self.sql);
    }

    /// Moves the clock to the moment at which what was accessed before `at` is due.
    pub fn when_due(self, at: Millis) -> Self {
        self.world.runtime.now.set(at.plus(RETENTION));
        self
    }

    pub fn send(&self, command: Command) -> Deferred<'_> {
        let envelope = Envelope::new(RequestId::new(Uuid::from_u128(5)), command);
        match self.account.handle(envelope).unwrap() {
            Response::Ready(reply) => Box::pin(std::future::ready(reply)),
            Response::Deferred(later) => Box::pin(async { later.await.unwrap() }),
        }
    }

    pub fn visit(&self) -> PurgeOutcome {
        let Reply::Visited(visit) = drive(self.send(Command::Visit)) else { unreachable!() };
        visit
    }

    pub fn purge(&self) -> (u64, u64) {
        let Reply::Purged(visit) = drive(self.send(Command::Purge)) else { unreachable!() };
        (visit.deleted, visit.errors)
    }

    pub fn alarm(&self) {
        self.world.runtime.alarm.set(None);
        if let Some(purge) = self.account.alarm().unwrap() {
            drive(purge).unwrap();
        }
    }

    pub fn list(&self) -> String {
        let list = Command::ListConversations { limit: 200, page: Page::default(), words: None };
        let Reply::Listing { json, .. } = drive(self.send(list)) else { unreachable!() };
        json
    }

    pub fn left(&self) -> Vec<String> {
        self.sql.texts("select session_id from conversations order by last_accessed_at")
    }

    pub fn tables(&self) -> Vec<String> {
        self.sql.texts("select name from sqlite_schema where type = 'table'")
    }

    pub fn sleeps_until(&self) -> Option<Millis> {
        self.world.runtime.alarm.get()
    }
}

fn account(world: &World, sql: &Rusqlite) -> Rc<TestAccount> {
    let config = Config::parse(|_| None).unwrap();
    let store = Store::open(sql.clone(), world.now()).unwrap();
    Rc::new(Account::new("zoë".parse().unwrap(), store, Agent::new(world.clone()), world.clone(), config))
}

/// When an account whose oldest access that is wakes by itself.
pub fn backstop(oldest: Millis) -> Millis {
    oldest.plus(RETENTION).plus(BACKSTOP_SLACK)
}

/// Starts a turn; its container does not start.
pub fn start_turn(fixture: &Fixture) {
    drive(fixture.send(start_command()));
}

/// A query of a new conversation.
pub fn start_command() -> Command {
    Command::StartTurn(Box::new(StartTurn {
        session_id: Some("new".parse().unwrap()),
        prompt: "hello".to_owned(),
        content: None,
        title: Title::from_prompt("hello"),
        options: TurnOptions::default(),
        idempotency: None,
        answer: AnswerForm::Accepted,
        include: Include::NOTHING,
        replaces: false,
    }))
}

/// A new account: nothing of it is stored.
pub fn new_account() -> Fixture {
    let fixture = Fixture::new(0);
    fixture.store.set_registered(false).unwrap();
    fixture
}
