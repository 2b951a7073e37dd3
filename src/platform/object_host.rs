//! The runtime of an account's object, as the account sees it.

use std::future::Future;
use std::time::Duration;

use uuid::Uuid;
use worker::Env;

use super::bindings::ObjectContext;
use super::{host, stub};
use crate::account::host::{Host, NotRegistered, Registry};
use crate::directory::command::Command;
use crate::directory::shards::shard_of;
use crate::domain::{AccountId, Millis};
use crate::log::{Level, Line};

/// An account's runtime.
pub struct ObjectHost {
    context: ObjectContext,
    env: Env,
    shards: u32,
}

impl ObjectHost {
    /// The runtime of the object whose context and environment these are.
    pub fn new(context: ObjectContext, env: Env, shards: u32) -> Self {
        Self { context, env, shards }
    }
}

impl Host for ObjectHost {
    fn now(&self) -> Millis {
        host::now()
    }

    fn uuid(&self) -> Uuid {
        host::uuid()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        host::sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        host::spawn(task);
    }

    fn set_alarm(&self, at: Millis) {
        host::set_alarm(&self.context, at);
    }

    fn log(&self, level: Level, line: &Line<'_>) {
        host::log(level, line);
    }
}

impl Registry for ObjectHost {
    fn register(
        &self,
        account_id: &AccountId,
        oldest_access_at: Millis,
    ) -> impl Future<Output = Result<(), NotRegistered>> + 'static {
        let shard = shard_of(account_id, self.shards);
        let command = Command::Register { account_id: account_id.clone(), oldest_access_at };
        let env = self.env.clone();
        async move {
            let answer = stub::ask_shard(&env, shard, &command).await;
            answer.map(drop).map_err(|error| NotRegistered(error.0))
        }
    }
}
