//! How long the account's container runs, for the ledger: noted when it starts, and added when it stops. While it runs, nothing is written.

use super::Account;
use super::error::AccountError;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::Millis;
use crate::domain::ledger::{ContainerUse, Day};
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// The container is about to be stopped.
    pub(super) fn container_stops(&self, now: Millis) -> Result<(), AccountError> {
        self.end_container(now)
    }

    /// The container was found stopped. When that happened nobody knows: what it idled by then is not counted.
    pub(super) fn container_stopped(&self, now: Millis) -> Result<(), AccountError> {
        let idle = self.idle_since.get().or(self.store.container_idle_since()?);
        self.end_container(idle.unwrap_or(now))
    }

    fn end_container(&self, at: Millis) -> Result<(), AccountError> {
        let Some(since) = self.store.container_since()? else { return Ok(()) };
        let stored = self.store.database_bytes().saturating_add(self.store.files_bytes()?);
        let mut uses = parts(since, at);
        if let Some((_, last)) = uses.last_mut() {
            last.stored_bytes = Some(stored);
        }
        Ok(self.store.end_container(&uses)?)
    }

    /// What is used of the container from the one day to the other, both included, by day: as far as the ledger has it, and since then.
    pub(super) fn container_use(
        &self,
        (from, to): (Day, Day),
        now: Millis,
    ) -> Result<Vec<(Day, ContainerUse)>, AccountError> {
        let mut uses = self.store.container_use(from, to)?;
        let since = if self.agent.is_running() { self.store.container_since()? } else { None };
        for (day, used) in since.map(|since| parts(since, now)).unwrap_or_default() {
            match uses.iter_mut().find(|(known, _)| *known == day) {
                Some((_, known)) => known.ms = known.ms.saturating_add(used.ms),
                None if (from..=to).contains(&day) => uses.push((day, used)),
                None => {}
            }
        }
        Ok(uses)
    }
}

/// A time, day by day; at least the day on which it ends.
fn parts(since: Millis, until: Millis) -> Vec<(Day, ContainerUse)> {
    let mut uses = Vec::new();
    let mut from = since.min(until);
    loop {
        let day = Day::of(from);
        let to = day.plus(1).start().min(until);
        let ms = u64::try_from(to.since(from).as_millis()).unwrap_or(0);
        uses.push((day, ContainerUse { ms, stored_bytes: None }));
        if to >= until {
            return uses;
        }
        from = to;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_time_is_cut_at_midnight() {
        let midnight = Day::new(20_000).start();
        let ms = |since: Millis, until| {
            parts(since, until).iter().map(|(day, used)| (day.get(), used.ms)).collect::<Vec<_>>()
        };
        let second = Duration::from_secs(1);
        assert_eq!(ms(midnight, midnight.plus(second)), [(20_000, 1_000)]);
        assert_eq!(ms(midnight.minus(second), midnight), [(19_999, 1_000)]);
        assert_eq!(
            ms(midnight.minus(second), midnight.plus(crate::domain::time::DAY + second)),
            [(19_999, 1_000), (20_000, 86_400_000), (20_001, 1_000)]
        );
        assert_eq!(ms(midnight, midnight.minus(second)), [(19_999, 0)], "a clock that went back");
    }
}
