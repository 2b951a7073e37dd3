//! What operators ask of a shard: its accounts, erasures, the audit and the fleet.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use claude_agent_service::directory::command::{Command, Reply};
use claude_agent_service::directory::fleet::{REPORT_HOLDS, WORK_HOLDS};
use claude_agent_service::directory::port::{Runtime as _, Unreachable};
use claude_agent_service::domain::account::{
    AccountFilter, AccountStatus, Erasure, ErasureCounts, ErasureStatus, ErasureStep, KnownContainer,
};
use claude_agent_service::domain::audit::{AuditAction, AuditEntry};
use claude_agent_service::domain::fleet::{ContainerStage, EndedTurns, FleetReport, FleetSum};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{ErasureId, Millis, RequestId, TurnStatus};
use uuid::Uuid;

use crate::fixture::{Fixture, open};
use crate::support::NOW;
use crate::support::runtime::{drive, poll};

fn noted(fixture: &Fixture, account: &str, active: bool, status: Option<AccountStatus>) {
    let command = Command::Note { account_id: account.parse().unwrap(), active, status };
    assert_eq!(fixture.directory.handle(command).unwrap(), Reply::Registered);
}

/// The ids of a page, and where the next one begins.
fn listed(fixture: &Fixture, filter: AccountFilter) -> (Vec<String>, Option<String>) {
    match fixture.directory.handle(Command::ListAccounts(filter)).unwrap() {
        Reply::Accounts { accounts, next } => (accounts.iter().map(|a| a.account_id.to_string()).collect(), next),
        _ => unreachable!(),
    }
}

fn filter(after: &str, limit: u32) -> AccountFilter {
    AccountFilter { after: after.to_owned(), limit, ..AccountFilter::default() }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn accounts_are_listed_in_the_order_of_their_ids_page_by_page() {
    let fixture = Fixture::new(0);
    for account in ["b", "zoë", "a", "c"] {
        noted(&fixture, account, true, None);
    }
    let own: Vec<String> = listed(&fixture, filter("", 100)).0;
    assert_eq!(own.iter().filter(|id| *id != "fresh").cloned().collect::<Vec<_>>(), ids(&["a", "b", "c", "zoë"]));
    assert_eq!(listed(&fixture, filter("", 2)), (ids(&["a", "b"]), Some("b".to_owned())));
    assert_eq!(listed(&fixture, filter("zoë", 2)), (Vec::new(), None));
}

#[test]
fn a_filtered_page_reads_so_many_rows_and_says_where_to_go_on() {
    let fixture = Fixture::new(0);
    for n in 0..2_500 {
        noted(&fixture, &format!("n{n:04}"), false, (n == 2_400).then_some(AccountStatus::Suspended));
    }
    let suspended =
        |after: &str| listed(&fixture, AccountFilter { status: Some(AccountStatus::Suspended), ..filter(after, 10) });
    let (first, next) = suspended("");
    assert_eq!(first, Vec::<String>::new());
    let (second, next) = suspended(&next.unwrap());
    assert_eq!(second, Vec::<String>::new());
    assert_eq!(suspended(&next.unwrap()), (ids(&["n2400"]), None));
    let active = AccountFilter { active_since: Some(NOW), ..filter("n", 10) };
    assert_eq!(listed(&fixture, active).0, Vec::<String>::new(), "none of them ran a turn");
}

#[test]
fn a_page_costs_the_same_however_many_accounts_there_are() {
    let steps = |accounts: u32| {
        let fixture = Fixture::new(0);
        fixture.sql.run(&format!(
            "insert into accounts (account_id, oldest_access_at) with recursive n(i) as (select 1 union all select i + 1 from n \
             where i < {accounts}) select 'account-' || i, 1 from n",
        ));
        let (page, next) = listed(&fixture, filter("account-5", 100));
        assert_eq!((page.len(), next.is_some()), (100, true));
        assert_eq!(fixture.sql.plan_of_last(), ["SEARCH accounts USING PRIMARY KEY (account_id>?)"]);
        fixture.sql.steps_of_last()
    };
    assert_eq!(steps(1_000), steps(100_000));
}

#[test]
fn the_last_activity_is_kept_and_a_status_changes_nothing_else() {
    let fixture = Fixture::new(0);
    noted(&fixture, "a", true, None);
    fixture.world.runtime.now.set(NOW.plus(DAY));
    noted(&fixture, "a", false, Some(AccountStatus::Suspended));
    let Reply::Accounts { accounts, .. } = fixture.directory.handle(Command::ListAccounts(filter("", 100))).unwrap()
    else {
        unreachable!()
    };
    let one = accounts.iter().find(|account| account.account_id.as_str() == "a").unwrap();
    assert_eq!((one.status, one.created_at, one.last_active_at), (AccountStatus::Suspended, Some(NOW), Some(NOW)));
}

const COUNTS: ErasureCounts =
    ErasureCounts { conversations: 2, messages: 4, turns: 2, database_bytes: 9_000, files_bytes: 7 };

fn erase(fixture: &Fixture, n: u128, keep_account: bool) -> ErasureId {
    let (erasure_id, account_id) = (ErasureId::new(Uuid::from_u128(n)), "zoë".parse().unwrap());
    match fixture.directory.handle(Command::Erase { erasure_id, account_id, keep_account }).unwrap() {
        Reply::Erasing(id) => id,
        _ => unreachable!(),
    }
}

fn receipt(fixture: &Fixture, id: &ErasureId) -> Option<Erasure> {
    match fixture.directory.handle(Command::ReadErasure(id.clone())).unwrap() {
        Reply::Erasure(erasure) => erasure,
        _ => unreachable!(),
    }
}

fn alarm(fixture: &Fixture) {
    drive(Rc::clone(&fixture.directory).alarm());
}

#[test]
fn an_erasure_stores_what_there_is_before_it_begins_and_ends_with_a_receipt_that_names_nobody() {
    let fixture = Fixture::new(0);
    noted(&fixture, "zoë", true, None);
    let id = erase(&fixture, 1, false);
    assert_eq!(
        receipt(&fixture, &id).map(|erasure| (erasure.status, erasure.counts)),
        Some((ErasureStatus::Pending, None))
    );
    let step = |done| ErasureStep { counts: COUNTS, done };
    fixture.world.steps.borrow_mut().extend([step(false), step(false)]);
    alarm(&fixture);
    assert_eq!(erase(&fixture, 2, false), id, "a second one joins it");
    // The account is empty when it is asked again: what was counted before stands.
    fixture.world.steps.borrow_mut().push_back(ErasureStep { counts: ErasureCounts::default(), done: true });
    alarm(&fixture);
    assert_eq!(*fixture.world.erased.borrow(), ["zoë false false", "zoë false true", "zoë false true"]);
    let done = receipt(&fixture, &id).unwrap();
    assert_eq!((done.status, done.counts, done.erased_at), (ErasureStatus::Done, Some(COUNTS), Some(NOW)));
    assert!(listed(&fixture, filter("", 100)).0.iter().all(|id| id != "zoë"));
    let left = fixture.sql.texts("select coalesce(account_id, 'nobody') from erasures");
    assert_eq!(left, ["nobody"]);
    assert_ne!(erase(&fixture, 3, false), id, "another erasure is another one");
}

#[test]
fn an_account_that_does_not_answer_is_asked_again_after_a_reset_and_one_that_is_to_stay_stays() {
    let fixture = Fixture::new(0);
    noted(&fixture, "zoë", true, None);
    let id = erase(&fixture, 1, true);
    alarm(&fixture);
    assert_eq!(fixture.world.runtime.alarm.get(), Some(NOW.plus(Duration::from_secs(30))));
    assert_eq!(fixture.world.runtime.logged("erasure_stalled").len(), 1);
    let again = Fixture { directory: open(&fixture.world, &fixture.sql), ..fixture };
    again.world.runtime.now.set(NOW.plus(Duration::from_secs(30)));
    let done = ErasureStep { counts: COUNTS, done: true };
    again.world.steps.borrow_mut().extend([done, done]);
    alarm(&again);
    assert_eq!(receipt(&again, &id).map(|erasure| erasure.status), Some(ErasureStatus::Done));
    assert!(listed(&again, filter("", 100)).0.contains(&"zoë".to_owned()));
}

/// Begins the erasure of an account of that name; its id has that number.
fn begin(fixture: &Fixture, n: u128, account: &str) -> ErasureId {
    let (erasure_id, account_id) = (ErasureId::new(Uuid::from_u128(n)), account.parse().unwrap());
    match fixture.directory.handle(Command::Erase { erasure_id, account_id, keep_account: false }).unwrap() {
        Reply::Erasing(id) => id,
        _ => unreachable!(),
    }
}

fn is_done(fixture: &Fixture, id: &ErasureId) -> bool {
    receipt(fixture, id).is_some_and(|erasure| erasure.status == ErasureStatus::Done)
}

/// Lets time pass, alarms included; returns how many rang.
fn pass(fixture: &Fixture, time: Duration) -> usize {
    let (runtime, mut rang) = (&fixture.world.runtime, 0);
    let until = runtime.now.get().plus(time);
    while let Some(at) = runtime.alarm.get().filter(|at| *at <= until) {
        runtime.alarm.set(None);
        runtime.now.set(at.max(runtime.now.get()));
        alarm(fixture);
        rang += 1;
    }
    runtime.now.set(until);
    rang
}

#[test]
fn accounts_that_are_never_done_or_never_answer_hold_up_no_other_and_are_asked_ever_less() {
    let fixture = Fixture::new(0);
    let step = |done| Ok(ErasureStep { counts: COUNTS, done });
    *fixture.world.erasing.borrow_mut() = Rc::new(move |account: &str| match account {
        account if account.starts_with("hangs") => None,
        account if account.starts_with("fails") => Some(Err(Unreachable("gone".to_owned()))),
        account if account.starts_with("never") => Some(step(false)),
        _ => Some(step(true)),
    });
    let stuck = ["never1", "never2", "never3", "fails1", "fails2", "fails3", "hangs1", "hangs2"];
    let stuck: Vec<_> = (1..).zip(stuck).map(|(n, account)| begin(&fixture, n, account)).collect();
    let others: Vec<_> = (20..28).map(|n| begin(&fixture, n, &format!("other{n}"))).collect();
    pass(&fixture, Duration::from_mins(10));
    assert!(others.iter().all(|id| is_done(&fixture, id)));
    assert!(!stuck.iter().any(|id| is_done(&fixture, id)));
    pass(&fixture, Duration::from_hours(2));
    let asked = |account: &str| {
        let asked = format!("{account} false true");
        fixture.world.erased.borrow().iter().filter(|ask| **ask == asked).count()
    };
    let (never, fails) = (asked("never1"), fixture.world.runtime.logged("erasure_stalled").len());
    pass(&fixture, DAY);
    let (never, fails) = (asked("never1") - never, fixture.world.runtime.logged("erasure_stalled").len() - fails);
    assert!((400..700).contains(&never), "every two minutes: {never}");
    assert!((100..300).contains(&fails), "each of five every half hour: {fails}");
    let late = begin(&fixture, 40, "late");
    pass(&fixture, Duration::from_secs(1));
    assert!(is_done(&fixture, &late));
    *fixture.world.erasing.borrow_mut() = Rc::new(move |_| Some(step(true)));
    assert_eq!(begin(&fixture, 41, "fails1"), stuck[3]);
    pass(&fixture, Duration::from_secs(1));
    assert!(is_done(&fixture, &stuck[3]), "whoever asks again has it tried at once");
    pass(&fixture, Duration::from_hours(1));
    assert!(stuck.iter().all(|id| is_done(&fixture, id)));
    assert_eq!(fixture.world.runtime.alarm.get(), None);
}

#[test]
fn an_erasure_that_begins_while_the_alarm_is_at_work_does_not_wait_for_another() {
    let fixture = Fixture::new(0);
    *fixture.world.erasing.borrow_mut() = Rc::new(|_: &str| None);
    begin(&fixture, 1, "hangs");
    {
        let mut alarm = pin!(Rc::clone(&fixture.directory).alarm());
        assert!(poll(alarm.as_mut()).is_none());
        begin(&fixture, 2, "b");
        while poll(alarm.as_mut()).is_none() {}
    }
    assert!(fixture.world.runtime.alarm.get() <= Some(fixture.world.now()));
}

#[test]
fn a_forgotten_account_is_in_no_list_and_no_sum() {
    let fixture = Fixture::new(0);
    noted(&fixture, "zoë", true, None);
    reported(&fixture, "zoë", 1, ContainerStage::Running, &[]);
    let forget = Command::Forget { account_id: "zoë".parse().unwrap() };
    assert_eq!(fixture.directory.handle(forget).unwrap(), Reply::Registered);
    assert_eq!((listed(&fixture, filter("", 100)).0, fleet(&fixture).reporting), (ids(&["fresh"]), 0));
}

fn audit(fixture: &Fixture, n: u128, at: Millis) {
    let entry = AuditEntry {
        at,
        actor: "key:billing".to_owned(),
        action: AuditAction::ChangeAccount,
        target: Some("zoë".parse().unwrap()),
        request_id: RequestId::new(Uuid::from_u128(n)),
    };
    assert_eq!(fixture.directory.handle(Command::Audit(entry)).unwrap(), Reply::Registered);
}

fn audited(fixture: &Fixture, before: i64, limit: u32) -> Vec<i64> {
    match fixture.directory.handle(Command::ListAudit { before, limit }).unwrap() {
        Reply::Audit(entries) => entries.iter().map(|(seq, _)| *seq).collect(),
        _ => unreachable!(),
    }
}

#[test]
fn the_audit_is_listed_newest_first_and_forgotten_after_its_days() {
    let fixture = Fixture::new(0);
    for n in 0..3 {
        audit(&fixture, n, NOW);
    }
    assert_eq!((audited(&fixture, i64::MAX, 2), audited(&fixture, 2, 2)), (vec![3, 2], vec![1]));
    fixture.world.runtime.now.set(NOW.plus(400 * DAY + Duration::from_secs(1)));
    audit(&fixture, 9, fixture.world.now());
    assert_eq!(audited(&fixture, i64::MAX, 9), [4]);
}

fn reported(fixture: &Fixture, account: &str, running: u64, container: ContainerStage, ended: &[(TurnStatus, u64)]) {
    let ended = ended.iter().map(|(status, turns)| EndedTurns { status: *status, code: None, turns: *turns }).collect();
    let report = FleetReport { running, queued: running, container, starts_failed: 1, version: "v".to_owned(), ended };
    let command = Command::Report { account_id: account.parse().unwrap(), report };
    assert_eq!(fixture.directory.handle(command).unwrap(), Reply::Registered);
}

fn fleet(fixture: &Fixture) -> FleetSum {
    match fixture.directory.handle(Command::ReadFleet).unwrap() {
        Reply::Fleet(sum) => sum,
        _ => unreachable!(),
    }
}

#[test]
fn what_accounts_report_is_summed_for_as_long_as_it_holds() {
    let fixture = Fixture::new(0);
    noted(&fixture, "a", true, None);
    reported(&fixture, "a", 2, ContainerStage::Running, &[(TurnStatus::Completed, 3), (TurnStatus::Failed, 1)]);
    reported(&fixture, "b", 0, ContainerStage::Starting, &[(TurnStatus::Completed, 1)]);
    reported(&fixture, "a", 1, ContainerStage::Running, &[(TurnStatus::Completed, 1)]);
    let sum = fleet(&fixture);
    assert_eq!((sum.reporting, sum.at_work, sum.running, sum.queued), (2, 1, 1, 1));
    assert_eq!((sum.containers_running, sum.containers_starting, sum.starts_failed), (1, 1, 3));
    assert_eq!(sum.ended.iter().map(|ended| ended.turns).collect::<Vec<_>>(), [5, 1]);
    assert_eq!(sum.versions["v"], 2);
    fixture.world.runtime.now.set(NOW.plus(WORK_HOLDS));
    let later = fleet(&fixture);
    assert_eq!((later.at_work, later.containers_running, later.reporting, later.ended.len()), (0, 1, 2, 2));
    fixture.world.runtime.now.set(NOW.plus(REPORT_HOLDS));
    assert_eq!(fleet(&fixture), FleetSum::default());
}

#[test]
fn a_report_writes_two_rows_and_is_there_when_the_shard_has_lost_its_memory() {
    let fixture = Fixture::new(0);
    noted(&fixture, "a", true, None);
    let container = |fixture: &Fixture| match fixture.directory.handle(Command::ListAccounts(filter("", 10))).unwrap() {
        Reply::Accounts { accounts, .. } => accounts.first().map(|account| account.container),
        _ => unreachable!(),
    };
    assert_eq!(container(&fixture), Some(KnownContainer::Unknown));
    let changes = |fixture: &Fixture| fixture.sql.text("select total_changes()").parse::<u64>().unwrap();
    let before = changes(&fixture);
    reported(&fixture, "a", 1, ContainerStage::Running, &[(TurnStatus::Completed, 1)]);
    assert_eq!((changes(&fixture) - before, container(&fixture)), (3, Some(KnownContainer::Running)));
    for running in [0, 1, 0] {
        reported(&fixture, "a", running, ContainerStage::Running, &[(TurnStatus::Completed, 1)]);
    }
    // What is replaced counts twice.
    assert_eq!(changes(&fixture) - before, 3 + 3 * 2);
    reported(&fixture, "b", 1, ContainerStage::Running, &[]);
    let told = fleet(&fixture);
    assert_eq!((told.reporting, told.at_work, told.ended[0].turns), (2, 1, 4));
    let again = open(&fixture.world, &fixture.sql);
    let fixture = Fixture { directory: again, ..fixture };
    assert_eq!(fleet(&fixture), told);
    reported(&fixture, "a", 0, ContainerStage::Stopped, &[]);
    assert_eq!(container(&fixture), Some(KnownContainer::Stopped));
    fixture.world.runtime.now.set(NOW.plus(REPORT_HOLDS));
    reported(&fixture, "c", 0, ContainerStage::Stopped, &[]);
    assert_eq!(
        fixture.sql.text("select (select count(*) from fleet_reports), (select count(*) from fleet_parts)"),
        "1"
    );
}
