//! A shard on a database, accounts that answer its visits as a test says, and its time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use crate::support::runtime::{VirtualRuntime, drive, next_poll};
use crate::support::{NOW, Rusqlite};
use claude_agent_service::directory::Directory;
use claude_agent_service::directory::command::{Command, Reply};
use claude_agent_service::directory::port::{Runtime, Unreachable};
use claude_agent_service::domain::account::ErasureStep;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{AccountId, ErasureId, Millis, PurgeOutcome, PurgeRun, RunId, Trigger};
use claude_agent_service::log::{Level, Line};
use claude_agent_service::store::directory::DirectoryStore;
use uuid::Uuid;
pub const RETENTION: Duration = DAY.saturating_mul(30);
pub const CUTOFF: Millis = Millis::new(NOW.get() - 30 * 86_400_000);
/// Not due for an hour.
pub const FRESH: Millis = Millis::new(CUTOFF.get() + 3_600_000);

pub type Erasing = Rc<dyn Fn(&str) -> Option<Result<ErasureStep, Unreachable>>>;
pub type Answer = Rc<dyn Fn(&str) -> Result<PurgeOutcome, Unreachable>>;

#[derive(Clone)]
pub struct World {
    pub runtime: VirtualRuntime,
    pub answer: Rc<RefCell<Answer>>,
    pub visits: Rc<RefCell<Vec<String>>>,
    pub visiting: Rc<Cell<usize>>,
    pub most_at_once: Rc<Cell<usize>>,
    pub hangs: Rc<Cell<bool>>,
    /// What an account answers that is to be erased, and what was asked of it.
    pub steps: Rc<RefCell<VecDeque<ErasureStep>>>,
    /// What it answers if it has no steps; none if it never answers.
    pub erasing: Rc<RefCell<Erasing>>,
    pub erased: Rc<RefCell<Vec<String>>>,
}

impl Runtime for World {
    fn now(&self) -> Millis {
        self.runtime.now.get()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.runtime.sleep(time)
    }

    fn set_alarm(&self, at: Millis) {
        self.runtime.alarm.set(Some(at));
    }

    fn log(&self, _level: Level, line: &Line<'_>) {
        self.runtime.log.borrow_mut().push(line.json());
    }

    async fn erase(
        &self,
        account_id: &AccountId,
        keep_account: bool,
        counted: bool,
        _erasure_id: ErasureId,
    ) -> Result<ErasureStep, Unreachable> {
        self.erased.borrow_mut().push(format!("{account_id} {keep_account} {counted}"));
        if let Some(answer) = self.steps.borrow_mut().pop_front() {
            return Ok(answer);
        }
        let answer = Rc::clone(&self.erasing.borrow());
        match answer(account_id.as_str()) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }

    async fn visit(&self, account_id: &AccountId) -> Result<PurgeOutcome, Unreachable> {
        self.visits.borrow_mut().push(account_id.to_string());
        self.visiting.set(self.visiting.get() + 1);
        self.most_at_once.set(self.most_at_once.get().max(self.visiting.get()));
        next_poll().await;
        if self.hangs.get() {
            std::future::pending::<()>().await;
        }
        self.visiting.set(self.visiting.get() - 1);
        let answer = Rc::clone(&self.answer.borrow());
        answer(account_id.as_str())
    }
}

pub struct Fixture {
    pub world: World,
    pub sql: Rusqlite,
    pub directory: Rc<Directory<Rusqlite, World>>,
}

pub fn open(world: &World, sql: &Rusqlite) -> Rc<Directory<Rusqlite, World>> {
    let store = DirectoryStore::open(sql.clone(), NOW).unwrap();
    Rc::new(Directory::new(store, world.clone(), RETENTION))
}

pub fn due(n: i64) -> Millis {
    Millis::new(CUTOFF.get() - 1_000_000 + n)
}

pub fn emptied(deleted: u64) -> PurgeOutcome {
    PurgeOutcome { deleted, errors: 0, oldest_access_at: None }
}

pub fn left(oldest: Millis) -> PurgeOutcome {
    PurgeOutcome { deleted: 1, errors: 0, oldest_access_at: Some(oldest) }
}

impl Fixture {
    /// A shard in which `count` accounts are due, `a0` first, and `fresh` is not. Visited, each is emptied of two conversations.
    pub fn new(count: i64) -> Self {
        let sql = Rusqlite::in_memory();
        let world = World {
            runtime: VirtualRuntime::new(),
            answer: Rc::new(RefCell::new(Rc::new(|_| Ok(emptied(2))))),
            visits: Rc::default(),
            visiting: Rc::default(),
            most_at_once: Rc::default(),
            hangs: Rc::default(),
            steps: Rc::default(),
            erasing: Rc::new(RefCell::new(Rc::new(|_| Some(Err(Unreachable("gone".to_owned())))))),
            erased: Rc::default(),
        };
        let directory = open(&world, &sql);
        let fixture = Self { world, sql, directory };
        fixture.register("fresh", FRESH);
        for n in 0..count {
            fixture.register(&format!("a{n}"), due(n));
        }
        fixture
    }

    pub fn answers(self, answer: impl Fn(&str) -> Result<PurgeOutcome, Unreachable> + 'static) -> Self {
        *self.world.answer.borrow_mut() = Rc::new(answer);
        self
    }

    pub fn register(&self, account_id: &str, oldest_access_at: Millis) {
        let command = Command::Register { account_id: account_id.parse().unwrap(), oldest_access_at };
        assert_eq!(self.directory.handle(command).unwrap(), Reply::Registered);
    }

    pub fn start(&self, n: u128) -> RunId {
        let run_id = RunId::new(Uuid::from_u128(n));
        let Reply::Running(id) = self.directory.handle(Command::StartRun { run_id, trigger: Trigger::Cron }).unwrap()
        else {
            unreachable!()
        };
        id
    }

    pub fn alarm(&self) {
        self.world.runtime.alarm.set(None);
        drive(Rc::clone(&self.directory).alarm());
    }

    pub fn run(&self) -> PurgeRun {
        self.start(1);
        self.alarm();
        self.runs().remove(0)
    }

    pub fn runs(&self) -> Vec<PurgeRun> {
        let Reply::Runs(runs) = self.directory.handle(Command::ListRuns).unwrap() else { unreachable!() };
        runs
    }

    pub fn visits(&self) -> Vec<String> {
        self.world.visits.borrow().clone()
    }

    pub fn accounts(&self) -> Vec<String> {
        self.sql.texts("select account_id || ' ' || oldest_access_at from accounts order by account_id")
    }
}
