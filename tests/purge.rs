//! The purge of one account and the account's registration, on a real database, with a container and a directory that are looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite that cannot go on stops")]

mod support;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use claude_agent_service::account::command::{AnswerForm, Command, Envelope, Reply, StartTurn};
use claude_agent_service::account::host::{Host, NotRegistered, Registry};
use claude_agent_service::account::wake::{BACKSTOP_SLACK, REGISTER_RETRY, WATCH};
use claude_agent_service::account::{Account, Handled};
use claude_agent_service::agent::{Agent, Answer, Body, Call, Container, ContainerError};
use claude_agent_service::config::Config;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{AccountId, Millis, RequestId, Title, TurnOptions, Visit};
use claude_agent_service::log::{Level, Line};
use claude_agent_service::store::Store;
use claude_agent_service::store::reads::Page;
use claude_agent_service::store::retention::PURGE_BATCH;
use serde_json::json;
use support::runtime::{Runtime, drive, poll};
use support::{Rusqlite, admission, admit, at, exchange};
use uuid::Uuid;

/// Conversations of one batch.
const BATCH: u128 = PURGE_BATCH as u128;
const RETENTION: Duration = DAY.saturating_mul(30);

#[derive(Clone)]
struct World {
    runtime: Runtime,
    uuids: Rc<Cell<u128>>,
    directory_is_up: Rc<Cell<bool>>,
    registered: Rc<RefCell<Vec<Millis>>>,
    container_runs: Rc<Cell<bool>>,
    container_answers: Rc<Cell<bool>>,
    container_calls: Rc<RefCell<Vec<String>>>,
}

impl Host for World {
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
        self.runtime.log.borrow_mut().push(line.to_json());
    }
}

impl Registry for World {
    fn register(
        &self,
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
}

struct Empty;

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

    async fn start(&self) -> Result<(), ContainerError> {
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

type TestAccount = Account<Rusqlite, World, World>;
type Later<'a> = Pin<Box<dyn Future<Output = Reply<String>> + 'a>>;

/// An account whose conversations are stored beforehand.
struct Fixture {
    world: World,
    sql: Rusqlite,
    store: Store<Rusqlite>,
    account: Rc<TestAccount>,
}

impl Fixture {
    /// The account at [`support::NOW`], with `count` conversations that were last accessed a second after each other from then on.
    fn new(count: u128) -> Self {
        let (store, sql) = support::store();
        store.remember_account(&"zoë".parse().unwrap()).unwrap();
        store.set_registered(true).unwrap();
        for n in 1..=count {
            exchange(&store, n, &format!("c{n}"), "secret words", "secret answer");
        }
        let world = World {
            runtime: Runtime::new(),
            uuids: Rc::default(),
            directory_is_up: Rc::new(Cell::new(true)),
            registered: Rc::default(),
            container_runs: Rc::default(),
            container_answers: Rc::new(Cell::new(true)),
            container_calls: Rc::default(),
        };
        let account = account(&world, &sql);
        Self { world, sql, store, account }
    }

    /// The same account after its object was reset.
    fn reset(&mut self) {
        self.world.runtime.alarm.set(None);
        self.account = account(&self.world, &self.sql);
    }

    /// Moves the clock to the moment at which what was accessed before `at` is due.
    fn when_due(self, at: Millis) -> Self {
        self.world.runtime.now.set(at.plus(RETENTION));
        self
    }

    fn send(&self, command: Command) -> Later<'_> {
        let envelope = Envelope { request_id: RequestId::new(Uuid::from_u128(5)), command };
        match self.account.handle(envelope).unwrap() {
            Handled::Now(reply) => Box::pin(std::future::ready(reply)),
            Handled::Later(later) => Box::pin(async { later.await.unwrap() }),
        }
    }

    fn visit(&self) -> Visit {
        let Reply::Visited(visit) = drive(self.send(Command::Visit)) else { unreachable!() };
        visit
    }

    fn purge(&self) -> (u64, u64) {
        let Reply::Purged(visit) = drive(self.send(Command::Purge)) else { unreachable!() };
        (visit.deleted, visit.errors)
    }

    fn alarm(&self) {
        self.world.runtime.alarm.set(None);
        if let Some(purge) = self.account.alarm().unwrap() {
            drive(purge).unwrap();
        }
    }

    fn list(&self) -> String {
        let list = Command::ListConversations { limit: 200, page: Page::default(), words: None };
        let Reply::Listing { json, .. } = drive(self.send(list)) else { unreachable!() };
        json
    }

    fn left(&self) -> Vec<String> {
        self.sql.texts("select session_id from conversations order by last_accessed_at")
    }

    fn tables(&self) -> Vec<String> {
        self.sql.texts("select name from sqlite_schema where type = 'table'")
    }

    fn sleeps_until(&self) -> Option<Millis> {
        self.world.runtime.alarm.get()
    }
}

fn account(world: &World, sql: &Rusqlite) -> Rc<TestAccount> {
    let config = Config::parse(|_| None).unwrap();
    let store = Store::open(sql.clone(), world.now()).unwrap();
    Rc::new(Account::new("zoë".parse().unwrap(), store, Agent::new(world.clone()), world.clone(), config))
}

fn backstop(oldest: Millis) -> Millis {
    oldest.plus(RETENTION).plus(BACKSTOP_SLACK)
}

#[test]
fn a_purge_deletes_what_is_due_and_a_second_finds_nothing() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    assert_eq!(fixture.purge(), (2, 0));
    assert_eq!(fixture.left(), ["c3"]);
    assert_eq!(fixture.purge(), (0, 0));
}

#[test]
fn a_visit_tells_the_oldest_access_of_what_is_left() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    assert_eq!(fixture.visit(), Visit { deleted: 2, errors: 0, oldest_access_at: Some(at(3_000)) });
}

#[test]
fn a_purge_lets_reads_in_between_its_batches() {
    let fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    let mut purge = pin!(fixture.send(Command::Purge));
    assert!(poll(purge.as_mut()).is_none(), "it yields after its first batch");
    assert_eq!(fixture.list().matches("session_id").count(), 5);
}

#[test]
fn an_object_that_is_reset_in_the_middle_of_a_purge_goes_on_by_its_alarm() {
    let mut fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    assert!(poll(pin!(fixture.send(Command::Purge))).is_none());
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(WATCH)));
    fixture.reset();
    fixture.alarm();
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn a_purge_stops_when_its_time_is_over_and_goes_on_at_once_by_alarm() {
    let fixture = Fixture::new(3 * BATCH + 5).when_due(at(900_000));
    fixture.world.runtime.least_wait.set(Duration::from_secs(8));
    assert_eq!(fixture.purge(), (3 * u64::from(PURGE_BATCH), 0));
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now()));
    fixture.alarm();
    assert_eq!(fixture.tables(), [""; 0]);
    let more: Vec<_> = fixture.world.runtime.logged("account_purged").iter().map(|line| line["more"].clone()).collect();
    assert_eq!(more, [true, false]);
}

#[test]
fn two_purges_at_once_delete_everything_once() {
    let fixture = Fixture::new(2 * BATCH).when_due(at(2_000 * i64::from(PURGE_BATCH)));
    let (mut first, mut second) = (pin!(fixture.send(Command::Visit)), pin!(fixture.send(Command::Visit)));
    assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
    let deleted = [drive(first), drive(second)].map(|reply| match reply {
        Reply::Visited(visit) => visit.deleted,
        _ => 0,
    });
    assert_eq!((deleted, fixture.left().len()), ([2 * u64::from(PURGE_BATCH) - 1, 0], 1));
}

#[test]
fn a_purge_that_waited_for_one_that_cleared_the_account_finds_nothing() {
    let fixture = Fixture::new(2 * BATCH).when_due(at(900_000));
    let (mut first, mut second) = (pin!(fixture.send(Command::Visit)), pin!(fixture.send(Command::Visit)));
    assert!(poll(first.as_mut()).is_none() && poll(second.as_mut()).is_none());
    drive(first);
    let Reply::Visited(visit) = drive(second) else { unreachable!() };
    assert_eq!(visit, Visit { deleted: 0, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn an_account_left_empty_clears_its_storage_and_sets_no_alarm() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    assert_eq!(fixture.visit(), Visit { deleted: 2, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
    assert_eq!(fixture.sleeps_until(), None);
}

#[test]
fn a_cleared_account_works_again() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    fixture.purge();
    assert_eq!(fixture.list(), "[]");
    exchange(&fixture.store, 9, "again", "q", "a");
    assert!(fixture.list().contains("again"));
}

#[test]
fn an_empty_account_that_is_visited_clears_itself_again() {
    let fixture = Fixture::new(0);
    assert_eq!(fixture.visit(), Visit { deleted: 0, errors: 0, oldest_access_at: None });
    assert_eq!(fixture.tables(), [""; 0]);
}

#[test]
fn a_conversation_with_an_active_turn_is_left_and_keeps_the_account() {
    let fixture = Fixture::new(2).when_due(at(9_000));
    admit(&fixture.store, &admission(3, "c1", "goes on")).unwrap();
    assert_eq!(fixture.visit(), Visit { deleted: 1, errors: 0, oldest_access_at: Some(at(1_000)) });
    assert_eq!(fixture.left(), ["c1"]);
}

#[test]
fn a_running_container_forgets_what_was_deleted() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    assert_eq!(fixture.purge(), (2, 0));
    let forget = format!("DELETE /sessions/{}", support::agent_session(1));
    assert_eq!(*fixture.world.container_calls.borrow(), [forget.clone(), forget]);
    assert!(fixture.world.container_runs.get(), "something is left in it");
}

#[test]
fn a_container_that_forgets_nothing_is_an_error_and_the_conversations_are_gone() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.world.container_answers.set(false);
    assert_eq!(fixture.purge(), (2, 2));
    assert_eq!(fixture.left(), ["c3"]);
    assert_eq!(fixture.world.runtime.logged("sessions_not_forgotten").len(), 1);
}

#[test]
fn a_container_that_does_not_run_is_not_asked() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.purge();
    assert_eq!(*fixture.world.container_calls.borrow(), [""; 0]);
}

#[test]
fn an_account_left_empty_stops_its_container() {
    let fixture = Fixture::new(1).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.purge();
    assert!(!fixture.world.container_runs.get());
}

#[test]
fn a_purge_keeps_the_alarm_of_an_idle_container() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.world.container_runs.set(true);
    fixture.purge();
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(Duration::from_mins(20))));
}

#[test]
fn a_purge_that_storage_refuses_is_an_error_and_is_not_repeated_at_once() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.sql.run("create trigger broken before delete on conversations begin select raise(abort, 'broken'); end");
    assert_eq!(fixture.purge(), (0, 1));
    assert_eq!(fixture.left().len(), 3);
    assert!(fixture.sleeps_until() > Some(fixture.world.now().plus(Duration::from_mins(30))));
}

#[test]
fn a_purge_logs_one_line_of_counts_without_content() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.purge();
    let log = fixture.world.runtime.log.take();
    let [line] = log.as_slice() else { unreachable!() };
    let mut fields: serde_json::Value = serde_json::from_str(line).unwrap();
    assert!(fields["rows_written"].take().as_u64() > Some(8));
    let account = claude_agent_service::digest::account("zoë");
    let counts = json!({"event": "account_purged", "account": account, "total_ms": 0, "rows_written": null,
        "deleted": 2, "errors": 0, "more": false, "emptied": false});
    assert_eq!(fields, counts);
}

#[test]
fn the_alarm_purges_what_is_due() {
    let fixture = Fixture::new(3).when_due(at(3_000));
    fixture.alarm();
    assert_eq!(fixture.left(), ["c3"]);
}

#[test]
fn an_account_whose_work_is_done_sleeps_until_its_backstop() {
    let fixture = Fixture::new(3);
    fixture.alarm();
    assert_eq!(fixture.sleeps_until(), Some(backstop(at(1_000))));
    assert_eq!(*fixture.world.runtime.log.borrow(), [""; 0]);
}

#[test]
fn a_visit_puts_the_backstop_off() {
    let mut fixture = Fixture::new(3).when_due(at(3_000));
    fixture.reset();
    fixture.visit();
    assert_eq!(fixture.sleeps_until(), Some(backstop(at(3_000))));
}

#[test]
fn an_account_that_nobody_visited_in_time_registers_again() {
    let fixture = Fixture::new(3);
    fixture.world.runtime.now.set(backstop(at(1_000)));
    fixture.alarm();
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [at(1_000)]);
}

fn start_turn(fixture: &Fixture) {
    let start = StartTurn {
        session_id: Some("new".parse().unwrap()),
        prompt: "hello".to_owned(),
        title: Title::from_prompt("hello"),
        options: TurnOptions::default(),
        idempotency: None,
        answer: AnswerForm::Accepted,
    };
    drive(fixture.send(Command::StartTurn(Box::new(start))));
}

/// A new account: nothing of it is stored.
fn new_account() -> Fixture {
    let fixture = Fixture::new(0);
    fixture.store.set_registered(false).unwrap();
    fixture
}

#[test]
fn the_first_conversation_registers_the_account_and_the_answer_does_not_wait() {
    let fixture = new_account();
    start_turn(&fixture);
    assert_eq!(*fixture.world.registered.borrow(), []);
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [at(0)]);
    assert_eq!(fixture.sql.texts("select registered from account"), ["1"]);
}

#[test]
fn an_account_that_is_registered_is_not_registered_again() {
    let fixture = new_account();
    for _ in 0..2 {
        start_turn(&fixture);
        fixture.world.runtime.run_tasks();
    }
    assert_eq!(fixture.world.registered.borrow().len(), 1);
}

#[test]
fn a_registration_that_failed_is_tried_again_by_the_alarm() {
    let fixture = new_account();
    fixture.world.directory_is_up.set(false);
    start_turn(&fixture);
    fixture.world.runtime.run_tasks();
    fixture.alarm();
    assert!(fixture.sleeps_until() <= Some(fixture.world.now().plus(REGISTER_RETRY)));
    fixture.world.runtime.run_tasks();
    fixture.world.directory_is_up.set(true);
    fixture.alarm();
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [at(0)]);
}

#[test]
fn a_cleared_account_sets_its_alarm_anew() {
    let fixture = Fixture::new(BATCH + 5).when_due(at(900_000));
    fixture.purge();
    // As the platform does when it clears the storage.
    fixture.world.runtime.alarm.set(None);
    start_turn(&fixture);
    assert_eq!(fixture.sleeps_until(), Some(fixture.world.now().plus(WATCH)));
}

#[test]
fn a_cleared_account_registers_again_with_its_next_conversation() {
    let fixture = Fixture::new(1).when_due(at(9_000));
    fixture.purge();
    let now = fixture.world.now();
    start_turn(&fixture);
    fixture.world.runtime.run_tasks();
    assert_eq!(*fixture.world.registered.borrow(), [now]);
}
