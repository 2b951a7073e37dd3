//! The container, started before the query that needs it: when somebody asks for that, or opens a conversation.
//! Nobody waits for it; a turn that comes meanwhile shares the start.

use std::rc::Rc;

use super::Account;
use super::runtime::{Directory, Runtime};
use crate::agent::{Container, Readiness};
use crate::domain::Millis;
use crate::log::{Level, Line};
use crate::store::sql::Sql;

/// The newest start of a container that no turn asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prewarm {
    began_at: Millis,
    /// Whether it goes on.
    starting: bool,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Starts the container if it does not run, and says whether this call began that. Within `CONTAINER_IDLE` it begins once: one that
    /// does not come up is not started again and again.
    pub(super) fn prewarm(self: &Rc<Self>, now: Millis) -> bool {
        let began_lately = |last: Prewarm| last.starting || now < last.began_at.plus(self.config.container_idle);
        if self.prewarm.get().is_some_and(began_lately) || self.turns.held_count() > 0 || self.agent.is_up() {
            return false;
        }
        self.prewarm.set(Some(Prewarm { began_at: now, starting: true }));
        let account = Rc::clone(self);
        self.runtime.spawn(async move { account.start_ahead(now).await });
        true
    }

    /// [`Account::prewarm`] for a conversation that was opened, unless `PREWARM` is off.
    pub(super) fn prewarm_for_reader(self: &Rc<Self>, now: Millis) {
        if self.config.prewarm {
            self.prewarm(now);
        }
    }

    /// Whether a container is being started that no turn has asked for: it is not idle before it is there.
    pub(super) fn is_prewarming(&self) -> bool {
        self.prewarm.get().is_some_and(|prewarm| prewarm.starting)
    }

    async fn start_ahead(self: Rc<Self>, began_at: Millis) {
        // The alarm stops the container, whatever becomes of the memory of this object.
        self.rest_from(began_at);
        let outcome = self.ensure_agent(false).await;
        let now = self.runtime.now();
        self.prewarm.set(Some(Prewarm { began_at, starting: false }));
        let (total_ms, instance) = (u64::try_from(now.since(began_at).as_millis()).ok(), self.agent.instance());
        match outcome {
            // A turn was quicker.
            Ok(Readiness::Ready) => {}
            Ok(Readiness::Started | Readiness::Replaced) => {
                let instance = instance.as_deref();
                let line = Line { event: "container_prewarmed", total_ms, instance, ..Line::default() };
                self.log(Level::Info, line);
            }
            Err(error) => {
                let why = error.to_string();
                self.fleet.count_failed_start();
                let line = Line { event: "prewarm_failed", total_ms, error: Some(&why), ..Line::default() };
                self.log(Level::Warn, line);
            }
        }
        self.rest_from(now);
        self.report(now);
    }

    /// Notes that the container is idle from now on, unless a turn has it, and sets the alarm that stops it.
    fn rest_from(self: &Rc<Self>, now: Millis) {
        if self.turns.held_count() == 0 {
            self.idle_since.set(Some(now));
        }
        if let Err(error) = self.wake_up().and_then(|()| self.set_alarm()) {
            let why = error.to_string();
            self.log(Level::Error, Line { event: "alarm_not_set", error: Some(&why), ..Line::default() });
        }
    }
}
