//! The runtime of an account's object, as the account sees it.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;
use worker::Env;

use super::bindings::ObjectContext;
use super::{metrics, outgoing, runtime, stub, zones};
use crate::account::runtime::{Directory, NotRegistered, NotSent, Runtime};
use crate::api::document::turn_json;
use crate::directory::command::Command;
use crate::directory::shards::shard_of;
use crate::domain::account::AccountStatus;
use crate::domain::fleet::FleetReport;
use crate::domain::{AccountId, Millis, Turn};
use crate::log::{Level, Line};

/// An account's runtime.
pub struct ObjectRuntime {
    context: ObjectContext,
    env: Env,
    shards: u32,
}

impl ObjectRuntime {
    /// The runtime of the object whose context and environment these are.
    pub fn new(context: ObjectContext, env: Env, shards: u32) -> Self {
        Self { context, env, shards }
    }
}

impl Runtime for ObjectRuntime {
    fn now(&self) -> Millis {
        runtime::now()
    }

    fn uuid(&self) -> Uuid {
        runtime::uuid()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        runtime::sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        runtime::spawn(task);
    }

    fn set_alarm(&self, at: Millis) {
        runtime::set_alarm(&self.context, at);
    }

    fn log(&self, level: Level, line: &Line<'_>) {
        runtime::log(level, line);
        metrics::write(&self.env, line);
    }

    fn post(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<u16, NotSent>> + 'static {
        outgoing::post(url, headers, body, limit)
    }

    fn utc_offset_s(&self, zone: &str, at: Millis) -> Option<i32> {
        zones::utc_offset_s(zone, at)
    }

    fn turn_json(&self, turn: &Turn) -> String {
        turn_json(turn)
    }
}

impl Directory for ObjectRuntime {
    fn shard_of(&self, account_id: &AccountId, known: Option<u32>) -> u32 {
        known.filter(|known| *known < self.shards).unwrap_or_else(|| shard_of(account_id, self.shards))
    }

    fn register(
        &self,
        shard: u32,
        account_id: &AccountId,
        oldest_access_at: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.tell(shard, Command::Register { account_id: account_id.clone(), oldest_access_at })
    }

    fn note(
        &self,
        shard: u32,
        account_id: &AccountId,
        active: bool,
        status: Option<AccountStatus>,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.tell(shard, Command::Note { account_id: account_id.clone(), active, status })
    }

    fn report(
        &self,
        shard: u32,
        account_id: &AccountId,
        report: FleetReport,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.tell(shard, Command::Report { account_id: account_id.clone(), report })
    }

    fn forget(&self, shard: u32, account_id: &AccountId) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        self.tell(shard, Command::Forget { account_id: account_id.clone() })
    }
}

impl ObjectRuntime {
    fn tell(&self, shard: u32, command: Command) -> impl Future<Output = Result<(), NotRegistered>> + 'static + use<> {
        let env = self.env.clone();
        async move {
            let answer = stub::ask_shard(&env, shard, &command).await;
            answer.map(drop).map_err(|error| NotRegistered(error.0))
        }
    }
}
