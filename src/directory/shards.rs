//! All shards as one directory: which shard an account is in, how a run is started on every shard, and the runs of all shards as one.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::{StreamExt, stream};

use super::VISITS_AT_ONCE;
use super::command::{Command, DirectoryError, Reply};
use super::port::{Shards, Unreachable};
use crate::digest;
use crate::domain::account::{AccountFilter, Erasure, ListedAccount};
use crate::domain::audit::AuditEntry;
use crate::domain::fleet::FleetSum;
use crate::domain::{AccountId, ErasureId, PurgeRun, RunId, Trigger};

/// Tries to reach a shard, and the pause between two.
pub const SHARD_TRIES: u32 = 3;
const SHARD_PAUSE: Duration = Duration::from_millis(500);
/// Runs that an operator is told.
pub const RUNS_LISTED: usize = 30;

/// The shard of an account, below `shards`. Stable: an account is looked for where it was registered.
#[must_use]
pub fn shard_of(account_id: &AccountId, shards: u32) -> u32 {
    u32::try_from(digest::number(account_id.as_str()) % u64::from(shards.max(1))).unwrap_or(0)
}

/// Starts a run on every shard, or joins the one that goes on there. Returns the new run's id if it is one on any shard,
/// else that of the run that was joined.
///
/// # Errors
/// The last shard that could not be reached. The others run; to start again joins them.
pub async fn start_run(
    port: &impl Shards,
    shards: u32,
    run_id: RunId,
    trigger: Trigger,
) -> Result<RunId, DirectoryError> {
    let replies = ask_all(port, shards, &Command::StartRun { run_id: run_id.clone(), trigger }).await?;
    let joined = replies.into_iter().filter_map(|reply| match reply {
        Reply::Running(id) => Some(id),
        _ => None,
    });
    // Ids are ordered by time, and the new one is the newest.
    Ok(joined.max().unwrap_or(run_id))
}

/// The last runs over all shards, newest first.
///
/// # Errors
/// The last shard that could not be reached.
pub async fn list_runs(port: &impl Shards, shards: u32) -> Result<Vec<PurgeRun>, DirectoryError> {
    let replies = ask_all(port, shards, &Command::ListRuns).await?;
    Ok(merge(replies.into_iter().flat_map(|reply| match reply {
        Reply::Runs(runs) => runs,
        _ => Vec::new(),
    })))
}

/// One page of the accounts over all shards: those of the first shard first, each shard's in the order of their ids. `from` is the shard
/// and the id behind which it begins; with it comes where the next page begins, if there may be one.
///
/// # Errors
/// The shard that could not be reached.
pub async fn list_accounts(
    port: &impl Shards,
    shards: u32,
    (mut shard, filter): (u32, AccountFilter),
) -> Result<(Vec<ListedAccount>, Option<(u32, String)>), DirectoryError> {
    let (mut accounts, mut filter) = (Vec::new(), filter);
    while shard < shards {
        let Reply::Accounts { accounts: page, next } = ask(port, shard, &Command::ListAccounts(filter.clone())).await?
        else {
            return Err(DirectoryError::Shard { shard, error: "another reply".to_owned() });
        };
        filter.limit = filter.limit.saturating_sub(u32::try_from(page.len()).unwrap_or(u32::MAX));
        accounts.extend(page);
        if let Some(next) = next {
            return Ok((accounts, Some((shard, next))));
        }
        (shard, filter.after) = (shard + 1, String::new());
        if filter.limit == 0 {
            return Ok((accounts, (shard < shards).then(|| (shard, String::new()))));
        }
    }
    Ok((accounts, None))
}

/// The sum of what the accounts of all shards report.
///
/// # Errors
/// The last shard that could not be reached.
pub async fn fleet(port: &impl Shards, shards: u32) -> Result<FleetSum, DirectoryError> {
    let mut sum = FleetSum::default();
    for reply in ask_all(port, shards, &Command::ReadFleet).await? {
        if let Reply::Fleet(part) = reply {
            sum.add(part);
        }
    }
    Ok(sum)
}

/// Begins the erasure of an account, or joins the one that goes on.
///
/// # Errors
/// The shard could not be reached.
pub async fn erase(
    port: &impl Shards,
    shards: u32,
    (erasure_id, account_id): (ErasureId, AccountId),
    keep_account: bool,
) -> Result<ErasureId, DirectoryError> {
    let shard = shard_of(&account_id, shards);
    match ask(port, shard, &Command::Erase { erasure_id, account_id, keep_account }).await? {
        Reply::Erasing(erasure_id) => Ok(erasure_id),
        _ => Err(DirectoryError::Shard { shard, error: "another reply".to_owned() }),
    }
}

/// Adds to the audit, in the shard of the account that it is about.
///
/// # Errors
/// The shard could not be reached.
pub async fn add_audit(port: &impl Shards, shards: u32, entry: AuditEntry) -> Result<(), DirectoryError> {
    let shard = entry.target.as_ref().map_or(0, |target| shard_of(target, shards));
    ask(port, shard, &Command::Audit(entry)).await.map(drop)
}

/// One page of the audit over all shards: those of the first shard first, each shard's newest first. `from` is the shard and the number before
/// which it begins; with it comes where the next page begins, if there may be one.
///
/// # Errors
/// The shard that could not be reached.
pub async fn list_audit(
    port: &impl Shards,
    shards: u32,
    (mut shard, mut before): (u32, i64),
    limit: u32,
) -> Result<(Vec<AuditEntry>, Option<(u32, i64)>), DirectoryError> {
    let mut entries = Vec::new();
    while shard < shards {
        let left = limit.saturating_sub(u32::try_from(entries.len()).unwrap_or(u32::MAX));
        if left == 0 {
            return Ok((entries, Some((shard, before))));
        }
        let Reply::Audit(page) = ask(port, shard, &Command::ListAudit { before, limit: left }).await? else {
            return Err(DirectoryError::Shard { shard, error: "another reply".to_owned() });
        };
        let whole = page.len() < left as usize;
        before = page.last().map_or(before, |(seq, _)| *seq);
        entries.extend(page.into_iter().map(|(_, entry)| entry));
        if whole {
            (shard, before) = (shard + 1, i64::MAX);
        }
    }
    Ok((entries, None))
}

/// The receipt of an erasure, if any shard has it.
///
/// # Errors
/// The last shard that could not be reached.
pub async fn erasure(
    port: &impl Shards,
    shards: u32,
    erasure_id: ErasureId,
) -> Result<Option<Erasure>, DirectoryError> {
    let replies = ask_all(port, shards, &Command::ReadErasure(erasure_id)).await?;
    Ok(replies.into_iter().find_map(|reply| if let Reply::Erasure(erasure) = reply { erasure } else { None }))
}

async fn ask_all(port: &impl Shards, shards: u32, command: &Command) -> Result<Vec<Reply>, DirectoryError> {
    let replies: Vec<_> =
        stream::iter(0..shards).map(|shard| ask(port, shard, command)).buffer_unordered(VISITS_AT_ONCE).collect().await;
    replies.into_iter().collect()
}

/// Boxed, so that it is compiled once and not into each of its callers.
fn ask<'a>(
    port: &'a impl Shards,
    shard: u32,
    command: &'a Command,
) -> LocalBoxFuture<'a, Result<Reply, DirectoryError>> {
    Box::pin(async move {
        let mut last = Unreachable(String::new());
        for again in (0..SHARD_TRIES).rev() {
            match port.ask(shard, command).await {
                Ok(reply) => return Ok(reply),
                Err(error) => last = error,
            }
            if again > 0 {
                port.sleep(SHARD_PAUSE).await;
            }
        }
        Err(DirectoryError::Shard { shard, error: last.0 })
    })
}

/// One run of each id: it started with its first shard, and has ended when all its shards have.
fn merge(parts: impl Iterator<Item = PurgeRun>) -> Vec<PurgeRun> {
    let mut runs: BTreeMap<RunId, PurgeRun> = BTreeMap::new();
    for part in parts {
        match runs.get_mut(&part.run_id) {
            None => drop(runs.insert(part.run_id.clone(), part)),
            Some(run) => {
                run.started_at = run.started_at.min(part.started_at);
                run.finished_at = run.finished_at.zip(part.finished_at).map(|(a, b)| a.max(b));
                run.accounts_due += part.accounts_due;
                run.accounts_done += part.accounts_done;
                run.accounts_failed += part.accounts_failed;
                run.conversations_deleted += part.conversations_deleted;
            }
        }
    }
    runs.into_values().rev().take(RUNS_LISTED).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Millis;

    fn run(id: u128, started_at: i64, finished_at: Option<i64>, due: u64) -> PurgeRun {
        PurgeRun {
            run_id: RunId::new(Uuid::from_u128(id)),
            trigger: Trigger::Cron,
            started_at: Millis::new(started_at),
            finished_at: finished_at.map(Millis::new),
            accounts_due: due,
            accounts_done: due,
            accounts_failed: 1,
            conversations_deleted: 10 * due,
        }
    }

    /// Shards that answer what a function says, and the calls that were made.
    struct Fake<F>(F, RefCell<Vec<u32>>);

    impl<F: Fn(u32, usize) -> Result<Reply, Unreachable>> Shards for Fake<F> {
        async fn ask(&self, shard: u32, _command: &Command) -> Result<Reply, Unreachable> {
            self.1.borrow_mut().push(shard);
            let calls = self.1.borrow().iter().filter(|called| **called == shard).count();
            self.0(shard, calls)
        }

        async fn sleep(&self, _time: Duration) {}
    }

    fn start(answer: impl Fn(u32, usize) -> Result<Reply, Unreachable>) -> (Result<RunId, DirectoryError>, Vec<u32>) {
        let fake = Fake(answer, RefCell::default());
        let id = RunId::new(Uuid::from_u128(7));
        let started = start_run(&fake, 3, id, Trigger::Cron).now_or_never().unwrap();
        (started, fake.1.into_inner())
    }

    fn id(n: u128) -> RunId {
        RunId::new(Uuid::from_u128(n))
    }

    #[test]
    fn the_shard_of_an_account_is_pinned() {
        let shard = |account: &str, shards| shard_of(&account.parse().unwrap(), shards);
        assert_eq!(["default", "a", "b", "Zoë"].map(|account| shard(account, 8)), [5, 2, 2, 0]);
        assert_eq!(shard("default", 1_024), 125);
    }

    #[test]
    fn accounts_are_spread_evenly_over_the_shards() {
        let mut counts = [0_u32; 8];
        for n in 0..8_000 {
            let shard = shard_of(&format!("account-{n}").parse().unwrap(), 8);
            counts[usize::try_from(shard).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (880..=1_120).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_run_is_started_on_every_shard() {
        let (started, mut asked) = start(|_, _| Ok(Reply::Running(id(7))));
        assert_eq!(started.unwrap(), id(7));
        asked.sort_unstable();
        assert_eq!(asked, [0, 1, 2]);
    }

    #[test]
    fn a_run_that_goes_on_everywhere_is_joined_and_told() {
        assert_eq!(start(|_, _| Ok(Reply::Running(id(5)))).0.unwrap(), id(5));
    }

    #[test]
    fn a_run_that_is_new_on_one_shard_is_told_as_new() {
        let (started, _) = start(|shard, _| Ok(Reply::Running(id(if shard == 1 { 7 } else { 5 }))));
        assert_eq!(started.unwrap(), id(7));
    }

    #[test]
    fn a_shard_that_answers_late_is_started_all_the_same() {
        let (started, asked) = start(|shard, calls| {
            if shard == 2 && calls < 3 { Err(Unreachable("busy".to_owned())) } else { Ok(Reply::Running(id(7))) }
        });
        assert_eq!((started.unwrap(), asked.len()), (id(7), 5));
    }

    #[test]
    fn a_shard_that_never_answers_is_named_and_keeps_none_of_the_others() {
        let (started, mut asked) =
            start(|shard, _| if shard == 0 { Err(Unreachable("gone".to_owned())) } else { Ok(Reply::Running(id(7))) });
        assert_eq!(started.unwrap_err().to_string(), "shard 0: gone");
        asked.sort_unstable();
        assert_eq!(asked, [0, 0, 0, 1, 2]);
    }

    #[test]
    fn the_parts_of_a_run_add_up_newest_run_first() {
        let merged = merge([run(1, 5, Some(9), 2), run(2, 20, None, 1), run(1, 4, Some(12), 3)].into_iter());
        assert_eq!(merged.len(), 2);
        assert_eq!(merged.first().map(|run| (run.started_at.get(), run.finished_at)), Some((20, None)));
        let whole = merged.last().unwrap();
        assert_eq!((whole.started_at.get(), whole.finished_at), (4, Some(Millis::new(12))));
        assert_eq!((whole.accounts_due, whole.accounts_failed, whole.conversations_deleted), (5, 2, 50));
    }

    #[test]
    fn a_run_has_not_ended_while_a_shard_is_at_it() {
        let merged = merge([run(1, 5, Some(9), 2), run(1, 4, None, 3)].into_iter());
        assert_eq!(merged.first().map(|run| run.finished_at), Some(None));
    }
}
