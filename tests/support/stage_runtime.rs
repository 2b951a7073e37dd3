//! The runtime of an account's object, on the executor: its time, its alarm, its log and what it tells others.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::executor::{Executor, Owner};
use super::noted::Noted;
use super::receiver::Receiver;
use super::zones::utc_offset_s;
use claude_agent_service::account::runtime::{Directory, NotRegistered, NotSent, Runtime};
use claude_agent_service::api::document::turn_json;
use claude_agent_service::domain::account::AccountStatus;
use claude_agent_service::domain::fleet::FleetReport;
use claude_agent_service::domain::{AccountId, Millis, Turn};
use claude_agent_service::log::{Level, Line};
use uuid::Uuid;

/// The runtime of an object on the executor.
#[derive(Clone)]
pub struct StageRuntime {
    pub(super) executor: Executor,
    pub(super) uuids: Rc<Cell<u128>>,
    pub(super) alarm: Rc<Cell<Option<Millis>>>,
    pub(super) log: Rc<RefCell<Vec<String>>>,
    /// What the directory was told.
    pub noted: Noted,
    /// What it reported.
    pub reported: Rc<RefCell<Vec<FleetReport>>>,
    pub(super) receiver: Receiver,
}

impl StageRuntime {
    pub fn log_lines(&self) -> Vec<String> {
        self.log.borrow().clone()
    }
}

impl Runtime for StageRuntime {
    fn now(&self) -> Millis {
        self.executor.now()
    }

    fn uuid(&self) -> Uuid {
        self.uuids.set(self.uuids.get() + 1);
        Uuid::from_u128(self.uuids.get())
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        self.executor.sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn(Owner::Object, task);
    }

    fn set_alarm(&self, at: Millis) {
        self.alarm.set(Some(at));
    }

    fn log(&self, _level: Level, line: &Line<'_>) {
        self.log.borrow_mut().push(line.json());
    }

    fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        _limit: Duration,
    ) -> impl Future<Output = Result<u16, NotSent>> + 'static {
        self.receiver.post(url, headers, body)
    }

    fn utc_offset_s(&self, zone: &str, at: Millis) -> Option<i32> {
        utc_offset_s(zone, at)
    }

    fn turn_json(&self, turn: &Turn) -> String {
        turn_json(turn)
    }
}

impl Directory for StageRuntime {
    fn shard_of(&self, account_id: &AccountId, known: Option<u32>) -> u32 {
        self.noted.shard_of(account_id, known)
    }

    fn register(
        &self,
        shard: u32,
        _account_id: &AccountId,
        _oldest: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.noted.answer(shard)
    }

    fn forget(&self, shard: u32, _account_id: &AccountId) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.noted.forget(shard)
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
        shard: u32,
        _account_id: &AccountId,
        report: FleetReport,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.reported.borrow_mut().push(report);
        self.noted.answer(shard)
    }
}
