//! A directory shard on a real database: who is visited, what a run records, and how it goes on after a reset.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite that cannot go on stops")]

mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use claude_agent_service::directory::command::{Command, Reply};
use claude_agent_service::directory::fleet::{REPORT_HOLDS, WORK_HOLDS};
use claude_agent_service::directory::port::{Runtime, Unreachable};
use claude_agent_service::directory::{Directory, PAGE, RUN_SLICE, RUN_WATCH, VISIT_TRIES, VISITS_AT_ONCE};
use claude_agent_service::domain::TurnStatus;
use claude_agent_service::domain::account::KnownContainer;
use claude_agent_service::domain::account::{
    AccountFilter, AccountStatus, Erasure, ErasureCounts, ErasureStatus, ErasureStep,
};
use claude_agent_service::domain::audit::{AuditAction, AuditEntry};
use claude_agent_service::domain::fleet::{ContainerStage, EndedTurns, FleetReport, FleetSum};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{AccountId, ErasureId, Millis, PurgeOutcome, PurgeRun, RequestId, RunId, Trigger};
use claude_agent_service::log::{Level, Line};
use claude_agent_service::store::directory::{DirectoryStore, MAX_RUNS_KEPT};
use support::runtime::{VirtualRuntime, drive, next_poll, poll};
use support::{NOW, Rusqlite};
use uuid::Uuid;

const RETENTION: Duration = DAY.saturating_mul(30);
const CUTOFF: Millis = Millis::new(NOW.get() - 30 * 86_400_000);
/// Not due for an hour.
const FRESH: Millis = Millis::new(CUTOFF.get() + 3_600_000);

type Answer = Rc<dyn Fn(&str) -> Result<PurgeOutcome, Unreachable>>;

#[derive(Clone)]
struct World {
    runtime: VirtualRuntime,
    answer: Rc<RefCell<Answer>>,
    visits: Rc<RefCell<Vec<String>>>,
    visiting: Rc<Cell<usize>>,
    most_at_once: Rc<Cell<usize>>,
    hangs: Rc<Cell<bool>>,
    /// What an account answers that is to be erased, and what was asked of it.
    steps: Rc<RefCell<VecDeque<ErasureStep>>>,
    erased: Rc<RefCell<Vec<String>>>,
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
        let answer = self.steps.borrow_mut().pop_front();
        answer.ok_or_else(|| Unreachable("gone".to_owned()))
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

struct Fixture {
    world: World,
    sql: Rusqlite,
    directory: Rc<Directory<Rusqlite, World>>,
}

fn open(world: &World, sql: &Rusqlite) -> Rc<Directory<Rusqlite, World>> {
    let store = DirectoryStore::open(sql.clone(), NOW).unwrap();
    Rc::new(Directory::new(store, world.clone(), RETENTION))
}

fn due(n: i64) -> Millis {
    Millis::new(CUTOFF.get() - 1_000_000 + n)
}

fn emptied(deleted: u64) -> PurgeOutcome {
    PurgeOutcome { deleted, errors: 0, oldest_access_at: None }
}

fn left(oldest: Millis) -> PurgeOutcome {
    PurgeOutcome { deleted: 1, errors: 0, oldest_access_at: Some(oldest) }
}

impl Fixture {
    /// A shard in which `count` accounts are due, `a0` first, and `fresh` is not. Visited, each is emptied of two conversations.
    fn new(count: i64) -> Self {
        let sql = Rusqlite::in_memory();
        let world = World {
            runtime: VirtualRuntime::new(),
            answer: Rc::new(RefCell::new(Rc::new(|_| Ok(emptied(2))))),
            visits: Rc::default(),
            visiting: Rc::default(),
            most_at_once: Rc::default(),
            hangs: Rc::default(),
            steps: Rc::default(),
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

    fn answers(self, answer: impl Fn(&str) -> Result<PurgeOutcome, Unreachable> + 'static) -> Self {
        *self.world.answer.borrow_mut() = Rc::new(answer);
        self
    }

    fn register(&self, account_id: &str, oldest_access_at: Millis) {
        let command = Command::Register { account_id: account_id.parse().unwrap(), oldest_access_at };
        assert_eq!(self.directory.handle(command).unwrap(), Reply::Registered);
    }

    fn start(&self, n: u128) -> RunId {
        let run_id = RunId::new(Uuid::from_u128(n));
        let Reply::Running(id) = self.directory.handle(Command::StartRun { run_id, trigger: Trigger::Cron }).unwrap()
        else {
            unreachable!()
        };
        id
    }

    fn alarm(&self) {
        self.world.runtime.alarm.set(None);
        drive(Rc::clone(&self.directory).alarm());
    }

    fn run(&self) -> PurgeRun {
        self.start(1);
        self.alarm();
        self.runs().remove(0)
    }

    fn runs(&self) -> Vec<PurgeRun> {
        let Reply::Runs(runs) = self.directory.handle(Command::ListRuns).unwrap() else { unreachable!() };
        runs
    }

    fn visits(&self) -> Vec<String> {
        self.world.visits.borrow().clone()
    }

    fn accounts(&self) -> Vec<String> {
        self.sql.texts("select account_id || ' ' || oldest_access_at from accounts order by account_id")
    }
}

#[test]
fn a_run_visits_the_accounts_that_are_due_and_no_other() {
    let fixture = Fixture::new(3);
    let run = fixture.run();
    let mut visits = fixture.visits();
    visits.sort();
    assert_eq!(visits, ["a0", "a1", "a2"]);
    assert_eq!((run.accounts_due, run.accounts_done, run.accounts_failed, run.conversations_deleted), (3, 3, 0, 6));
    assert!(run.finished_at.is_some());
}

#[test]
fn a_run_with_nothing_due_ends_at_once() {
    let fixture = Fixture::new(0);
    let run = fixture.run();
    assert_eq!((run.accounts_due, fixture.visits().len()), (0, 0));
    assert!(run.finished_at.is_some());
}

#[test]
fn at_most_six_accounts_are_visited_at_once() {
    let fixture = Fixture::new(40);
    fixture.run();
    assert_eq!(fixture.world.most_at_once.get(), VISITS_AT_ONCE);
}

#[test]
fn an_account_that_is_empty_leaves_the_directory() {
    let fixture = Fixture::new(2);
    fixture.run();
    assert_eq!(fixture.accounts(), [format!("fresh {}", FRESH.get())]);
}

#[test]
fn a_visit_moves_the_account_to_its_new_oldest_access() {
    let fixture = Fixture::new(1).answers(|_| Ok(left(NOW)));
    fixture.run();
    assert_eq!(fixture.accounts()[0], format!("a0 {}", NOW.get()));
}

#[test]
fn an_account_with_something_due_left_stays_where_it_is_and_is_visited_once_a_run() {
    let fixture = Fixture::new(2).answers(|_| Ok(left(due(900))));
    let run = fixture.run();
    assert_eq!((run.accounts_done, fixture.visits().len()), (2, 2));
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
}

#[test]
fn an_account_that_registers_during_its_visit_stays() {
    let fixture = Fixture::new(1);
    let other = DirectoryStore::open(fixture.sql.clone(), NOW).unwrap();
    let fixture = fixture.answers(move |account| {
        other.register(&account.parse().unwrap(), NOW).unwrap();
        Ok(emptied(1))
    });
    fixture.run();
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
}

#[test]
fn an_account_that_is_registered_twice_keeps_the_lower_bound() {
    let fixture = Fixture::new(1);
    fixture.register("a0", NOW);
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(0).get()));
    fixture.register("a0", due(-5));
    assert_eq!(fixture.accounts()[0], format!("a0 {}", due(-5).get()));
}

#[test]
fn an_account_that_does_not_answer_is_tried_three_times_and_holds_up_nobody() {
    let fixture =
        Fixture::new(3).answers(|id| if id == "a1" { Err(Unreachable("gone".to_owned())) } else { Ok(emptied(2)) });
    let run = fixture.run();
    assert_eq!(fixture.visits().iter().filter(|id| *id == "a1").count(), VISIT_TRIES as usize);
    assert_eq!((run.accounts_due, run.accounts_done, run.accounts_failed), (3, 2, 1));
    assert_eq!(fixture.accounts()[0], format!("a1 {}", due(1).get()));
    assert_eq!(fixture.world.runtime.logged("visit_failed").len(), 1);
}

#[test]
fn an_account_that_answers_the_second_time_is_done() {
    let tries = Cell::new(0);
    let fixture = Fixture::new(1).answers(move |_| {
        tries.set(tries.get() + 1);
        if tries.get() == 1 { Err(Unreachable("reset".to_owned())) } else { Ok(emptied(2)) }
    });
    let run = fixture.run();
    assert_eq!((run.accounts_done, run.accounts_failed), (1, 0));
}

#[test]
fn an_account_that_cannot_delete_has_failed() {
    let fixture =
        Fixture::new(1).answers(|_| Ok(PurgeOutcome { deleted: 0, errors: 1, oldest_access_at: Some(due(0)) }));
    let run = fixture.run();
    assert_eq!((run.accounts_done, run.accounts_failed), (0, 1));
}

#[test]
fn a_failed_account_is_tried_again_by_the_next_run() {
    let fixture = Fixture::new(1).answers(|_| Err(Unreachable("gone".to_owned())));
    fixture.run();
    let fixture = fixture.answers(|_| Ok(emptied(2)));
    fixture.start(2);
    fixture.alarm();
    let runs = fixture.runs();
    let [second, first] = runs.as_slice() else { unreachable!() };
    assert_eq!((first.accounts_failed, second.accounts_done), (1, 1));
}

#[test]
fn a_run_that_goes_on_is_joined() {
    let fixture = Fixture::new(1);
    let first = fixture.start(1);
    assert_eq!(fixture.start(2), first);
    assert_eq!(fixture.runs().len(), 1);
}

#[test]
fn starting_a_run_is_the_alarm_s_work() {
    let fixture = Fixture::new(1);
    fixture.start(1);
    assert_eq!(fixture.world.runtime.alarm.get(), Some(NOW));
    assert_eq!(fixture.visits().len(), 0);
}

#[test]
fn a_shard_that_is_reset_in_the_middle_goes_on_where_it_saved_its_place() {
    let mut fixture = Fixture::new(i64::from(PAGE) + 10);
    fixture.start(1);
    {
        let mut alarm = pin!(Rc::clone(&fixture.directory).alarm());
        while fixture.visits().len() <= PAGE as usize {
            assert!(poll(alarm.as_mut()).is_none());
        }
    }
    assert_eq!(fixture.world.runtime.alarm.get(), Some(fixture.world.now().plus(RUN_WATCH)), "somebody wakes it");
    let again = fixture.visits().len() - PAGE as usize;
    fixture.directory = open(&fixture.world, &fixture.sql);
    fixture.alarm();
    let run = fixture.runs().remove(0);
    assert_eq!((run.accounts_done, run.conversations_deleted), (40, 80));
    assert_eq!(fixture.visits().len(), 40 + again, "only the page at hand is visited again");
    assert_eq!(fixture.accounts().len(), 1);
}

#[test]
fn a_long_run_goes_on_by_alarm() {
    let fixture = Fixture::new(i64::from(PAGE) * 3);
    let now = Rc::clone(&fixture.world.runtime.now);
    let fixture = fixture.answers(move |_| {
        // Each page takes a whole slice.
        now.set(now.get().plus(RUN_SLICE));
        Ok(emptied(1))
    });
    fixture.start(1);
    let mut alarms = 0;
    while fixture.runs()[0].finished_at.is_none() {
        fixture.alarm();
        alarms += 1;
        assert_eq!(fixture.visits().len(), usize::min(alarms * PAGE as usize, 90));
    }
    assert_eq!(alarms, 4);
}

#[test]
fn a_run_whose_storage_fails_goes_on_later() {
    let fixture = Fixture::new(2);
    fixture.start(1);
    fixture.sql.run("alter table accounts rename to away");
    fixture.alarm();
    assert_eq!(fixture.world.runtime.alarm.get(), Some(NOW.plus(Duration::from_mins(1))));
    assert_eq!(fixture.world.runtime.logged("purge_run_stalled").len(), 1);
    fixture.sql.run("alter table away rename to accounts");
    fixture.alarm();
    assert_eq!(fixture.runs()[0].accounts_done, 2);
}

#[test]
fn an_account_that_hangs_is_given_up_in_time() {
    let fixture = Fixture::new(1);
    fixture.world.hangs.set(true);
    let run = fixture.run();
    assert_eq!((run.accounts_failed, fixture.visits().len()), (1, VISIT_TRIES as usize));
    assert!(run.finished_at < Some(NOW.plus(Duration::from_mins(5))));
}

#[test]
fn a_shard_remembers_so_many_runs() {
    let fixture = Fixture::new(0);
    for n in 1..=u128::from(MAX_RUNS_KEPT) + 5 {
        fixture.start(n);
        fixture.alarm();
    }
    let runs = fixture.runs();
    assert_eq!(runs.len(), MAX_RUNS_KEPT as usize);
    assert_eq!(runs[0].run_id, RunId::new(Uuid::from_u128(u128::from(MAX_RUNS_KEPT) + 5)));
}

#[test]
fn a_run_logs_one_line_with_its_counts() {
    let fixture = Fixture::new(2);
    fixture.run();
    let lines = fixture.world.runtime.logged("purge_run_ended");
    let [line] = lines.as_slice() else { unreachable!() };
    assert_eq!(line["run"]["accounts_done"], 2);
    assert_eq!(line["run"]["conversations_deleted"], 4);
}

#[test]
fn the_schema_of_a_shard_is_pinned() {
    let fixture = Fixture::new(0);
    let plan = fixture.sql.texts(
        "select name from sqlite_schema where name not like 'sqlite_%' and name <> 'schema_migrations' order by name",
    );
    assert_eq!(
        plan,
        [
            "accounts",
            "accounts_by_oldest_access",
            "audit",
            "erasures",
            "erasures_pending",
            "fleet_parts",
            "fleet_reports",
            "purge_runs"
        ]
    );
}

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
    let done = ErasureStep { counts: COUNTS, done: true };
    again.world.steps.borrow_mut().extend([done, done]);
    alarm(&again);
    assert_eq!(receipt(&again, &id).map(|erasure| erasure.status), Some(ErasureStatus::Done));
    assert!(listed(&again, filter("", 100)).0.contains(&"zoë".to_owned()));
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
