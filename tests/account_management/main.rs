//! What operators do with an account: look at it, suspend it, set its limits, erase it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod directory;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::manage::command::{ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::webhooks::erased::MAX_TRIES;
use claude_agent_service::domain::account::{AccountChange, AccountStatus, ContainerState, ErasureStep, Overview};
use claude_agent_service::domain::ledger::NanoUsd;
use claude_agent_service::domain::limits::SetLimits;
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{ErasureId, TurnId, Usage};
use serde_json::json;
use support::executor::Owner;
use support::model_calls::ScriptedGateway;
use support::receiver::Behaviour;
use support::script::{Script, Step, entry, result};
use support::stage::{Sent, Stage};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A word of a user's, which an erasure leaves nowhere.
const CANARY: &str = "canary-7f3a";

fn slow() -> Script {
    Script::new([Step::Frame(entry(CANARY)), Step::Wait(Duration::from_mins(1)), Step::Frame(result(CANARY))])
}

fn manage(stage: &Stage, ask: ManageCommand) -> ManageReply {
    match stage.handle(Command::Manage(ask)).unwrap() {
        Response::Ready(Reply::Managed(reply)) => *reply,
        _ => panic!("another reply"),
    }
}

fn overview(stage: &Stage) -> Overview {
    match manage(stage, ManageCommand::Overview) {
        ManageReply::Overview(overview) => *overview,
        _ => panic!("another reply"),
    }
}

fn change(stage: &Stage, change: AccountChange) -> Overview {
    match manage(stage, ManageCommand::Change(Box::new(change))) {
        ManageReply::Overview(overview) => *overview,
        _ => panic!("another reply"),
    }
}

fn status(status: AccountStatus) -> AccountChange {
    AccountChange { status: Some(status), reason: Some("unpaid".to_owned()), ..AccountChange::default() }
}

/// One step of an erasure.
fn erase(stage: &Stage, keep_account: bool, counted: bool) -> ErasureStep {
    erase_step(stage, keep_account, counted).unwrap()
}

fn erase_step(stage: &Stage, keep_account: bool, counted: bool) -> Option<ErasureStep> {
    let Response::Deferred(later) = stage
        .handle(Command::Manage(ManageCommand::Erase { keep_account, counted, erasure_id: Some(erasure()) }))
        .unwrap()
    else {
        panic!("at once")
    };
    let sent: Sent<ErasureStep> = Sent::default();
    let told = std::rc::Rc::clone(&sent);
    stage.executor.spawn(Owner::World, async move {
        if let Ok(Reply::Managed(reply)) = later.await
            && let ManageReply::Erased(step) = *reply
        {
            told.replace(Some(step));
        }
    });
    stage.pass(Duration::from_secs(20));
    sent.take()
}

/// All that the database holds, as text.
fn everything(stage: &Stage) -> String {
    let tables = stage.sql.texts("select name from sqlite_schema where type = 'table'");
    let rows = |table: &String| {
        let columns = stage.sql.texts(&format!("select name from pragma_table_info('{table}')"));
        let all = columns.iter().map(|name| format!("coalesce({name}, '')")).collect::<Vec<_>>().join(" || ' ' || ");
        stage.sql.texts(&format!("select {all} from {table}")).join("\n")
    };
    tables.iter().map(rows).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_suspended_account_ends_what_runs_keeps_what_waits_and_can_be_read() {
    let mut stage = Stage::new();
    let running = stage.query_that("a", slow());
    stage.pass(Duration::from_secs(1));
    let waiting = stage.query_that("b", Script::answer("4"));
    let after = change(&stage, status(AccountStatus::Suspended));
    assert_eq!((after.status, after.reason.as_deref()), (AccountStatus::Suspended, Some("unpaid")));
    stage.pass(Duration::from_secs(90));
    assert_eq!((stage.end(&running), stage.end(&waiting)), ("turn_cancelled".to_owned(), "queued".to_owned()));
    assert_eq!(overview(&stage).container, ContainerState::Stopped, "its container goes at once");
    assert!(stage.alarm() > Some(stage.executor.now().plus(DAY)), "and what waits wakes nobody");
    for reset in [false, true] {
        if reset {
            stage.reset();
        }
        assert!(matches!(stage.query_with("c", None), Err(AccountError::Suspended(Some(_)))));
        assert!(matches!(stage.handle(Command::Prewarm), Err(AccountError::Suspended(_))));
        assert!(matches!(ScriptedGateway::default().begin(&stage), Err(AccountError::Suspended(_))));
        let read = Command::ReadTurn { turn_id: running.clone(), items: false };
        assert!(stage.handle(read).is_ok());
    }
    change(&stage, AccountChange { status: Some(AccountStatus::Active), ..AccountChange::default() });
    stage.settle();
    assert_eq!(stage.end(&waiting), "completed");
    assert_eq!(overview(&stage).reason, None);
    let told = stage.runtime.noted.all();
    let statuses: Vec<_> = told.iter().filter_map(|(_, status)| *status).collect();
    assert_eq!(statuses, [AccountStatus::Suspended, AccountStatus::Active]);
}

/// A turn that waits for leave to run a call.
fn asking(stage: &Stage, session: &str) -> TurnId {
    let ask = Step::Ask(vec![session.to_owned()]);
    stage.query_that(session, Script::new([Step::Frame(entry("said")), ask, Step::Frame(result("done"))]))
}

/// Two turns that wait, the first without its process.
fn parked_and_held(stage: &Stage) -> (TurnId, TurnId) {
    let parked = asking(stage, "parked");
    stage.pass(Duration::from_mins(6));
    let held = asking(stage, "held");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.sql.texts("select parked is null or parked = 0 from turns order by ordinal"), ["0", "1"]);
    assert_eq!([&parked, &held].map(|turn| stage.end(turn)), ["requires_action", "requires_action"]);
    (parked, held)
}

#[test]
fn a_suspended_account_ends_a_turn_that_waits_with_a_process_and_keeps_one_that_waits_without() {
    let stage = Stage::new();
    let (parked, held) = parked_and_held(&stage);
    change(&stage, status(AccountStatus::Suspended));
    stage.pass(Duration::from_secs(90));
    assert_eq!([&parked, &held].map(|turn| stage.end(turn)), ["requires_action", "turn_cancelled"]);
    assert_eq!(overview(&stage).container, ContainerState::Stopped);
}

#[test]
fn a_suspended_account_neither_erases_nor_purges_itself() {
    let mut stage = Stage::new();
    let check = |stage: &Stage| stage.handle(Command::Manage(ManageCommand::CheckActive)).map(drop);
    check(&stage).unwrap();
    stage.query("a");
    stage.settle();
    check(&stage).unwrap();
    change(&stage, status(AccountStatus::Suspended));
    stage.reset();
    assert!(matches!(check(&stage), Err(AccountError::Suspended(Some(_)))));
    assert!(matches!(stage.handle(Command::Purge), Err(AccountError::Suspended(Some(_)))));
    assert!(matches!(stage.handle(Command::Visit), Ok(Response::Deferred(_))), "what is due goes all the same");
}

#[test]
fn an_erasure_ends_turns_that_wait_for_somebody_and_starts_none() {
    for keep_account in [false, true] {
        let mut stage = Stage::new();
        let (parked, held) = parked_and_held(&stage);
        if keep_account {
            stage.reset();
        }
        let step = erase(&stage, keep_account, false);
        assert_eq!((step.counts.turns, step.done), (2, false));
        assert_eq!([&parked, &held].map(|turn| stage.end(turn)), ["turn_cancelled", "turn_cancelled"]);
        let submitted = stage.container.calls("POST /turns");
        assert!(erase(&stage, keep_account, true).done);
        stage.pass(2 * DAY);
        assert_eq!(stage.container.calls("POST /turns"), submitted, "nothing runs when its action expires");
        assert!(overview(&stage).turns_open == 0 && overview(&stage).container == ContainerState::Stopped);
    }
}

#[test]
fn what_is_set_of_an_account_holds_in_place_of_what_holds_for_all_and_survives_its_object_and_its_purge() {
    let mut stage = Stage::with(&[("ACCOUNT_TURNS_PER_DAY", "5"), ("ACCOUNT_CONCURRENCY", "1")]);
    let limits: SetLimits = serde_json::from_str(r#"{"turns_per_day":1,"concurrency":2,"queued_turns":0}"#).unwrap();
    let set = AccountChange { limits, retention_days: Some(7), ..AccountChange::default() };
    let after = change(&stage, set);
    assert_eq!((after.limits.turns_per_day, after.limits.concurrency, after.retention_days), (Some(1), 2, 7));
    stage.reset();
    stage.query_that("a", slow());
    assert!(matches!(stage.query_with("b", None), Err(AccountError::BudgetExhausted(_))));
    stage.settle();
    stage.pass(8 * DAY);
    stage.visit();
    stage.settle();
    assert_eq!(overview(&stage).conversations, 0, "its own retention counts");
    assert_eq!(overview(&stage).limits.turns_per_day, Some(1), "and what is set of it stays");
    change(&stage, AccountChange { clears_limits: true, retention_days: Some(0), ..AccountChange::default() });
    let after = overview(&stage);
    assert_eq!((after.limits.turns_per_day, after.limits.concurrency, after.retention_days), (Some(5), 1, 30));
}

#[test]
fn one_limit_is_taken_back_and_the_others_stay() {
    let stage = Stage::with(&[("ACCOUNT_TURNS_PER_DAY", "5"), ("ACCOUNT_USD_PER_DAY", "9")]);
    let limits: SetLimits = serde_json::from_str(r#"{"turns_per_day":1,"usd_per_day":null,"concurrency":2}"#).unwrap();
    change(&stage, AccountChange { limits, ..AccountChange::default() });
    let taken_back = vec!["turns_per_day".to_owned(), "usd_per_day".to_owned()];
    let limits: SetLimits = serde_json::from_str(r#"{"tokens_per_day":7}"#).unwrap();
    let after = change(&stage, AccountChange { taken_back, limits, ..AccountChange::default() });
    let set = r#"{"tokens_per_day":7,"concurrency":2}"#;
    assert_eq!(serde_json::to_string(&after.set_limits).unwrap(), set, "what is not named stays");
    assert_eq!((after.limits.turns_per_day, after.limits.usd_per_day.map(NanoUsd::usd)), (Some(5), Some(9.0)));
}

#[test]
fn turns_run_at_once_and_wait_as_the_accounts_own_limits_say() {
    let stage = Stage::new();
    let limits: SetLimits = serde_json::from_str(r#"{"concurrency":2,"queued_turns":1}"#).unwrap();
    change(&stage, AccountChange { limits, ..AccountChange::default() });
    for session in ["a", "b", "c"] {
        stage.query_that(session, slow());
    }
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.sql.texts("select status from turns order by ordinal"), ["running", "running", "queued"]);
    assert!(matches!(stage.query_with("d", None), Err(AccountError::QueueFull { depth: 1 })));
}

#[test]
fn an_overview_sums_up_an_account_and_makes_nothing_of_one_that_is_none() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow());
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "claude-sonnet-5", Usage { input_tokens: 1_000_000, ..Usage::default() }).unwrap();
    let seen = overview(&stage);
    assert_eq!((seen.conversations, seen.turns_open, seen.container), (1, 1, ContainerState::Running));
    assert_eq!(serde_json::to_value(seen.usage.today.cost).unwrap(), 2.0);
    assert_eq!(seen.usage.today, seen.usage.month);
    assert!(seen.bytes.database > 0);
}

#[test]
fn an_erased_account_leaves_no_word_and_comes_back_as_a_new_one() {
    let (stage, mut gateway) = (Stage::with_files(&[]), ScriptedGateway::default());
    change(&stage, AccountChange { retention_days: Some(7), ..AccountChange::default() });
    stage.query_that("a", Script::writes(&[(CANARY, CANARY)]));
    stage.settle();
    let running = stage.query_that("b", slow());
    stage.pass(Duration::from_secs(1));
    gateway.begin(&stage).unwrap();
    gateway.call(&stage, "m", Usage { input_tokens: 5, ..Usage::default() }).unwrap();
    let waiting = stage.ask("b", None);
    assert!(everything(&stage).contains(CANARY) && !stage.bucket.keys().is_empty());
    let step = erase(&stage, false, false);
    assert_eq!((step.counts.conversations, step.counts.turns, step.done), (2, 3, false));
    assert_eq!((stage.end(&running), waiting.borrow().is_some()), ("turn_cancelled".to_owned(), true));
    assert!(matches!(stage.query_with("c", None), Err(AccountError::Suspended(_))), "nothing begins meanwhile");
    assert!(erase(&stage, false, true).done);
    assert!(stage.sql.texts("select name from sqlite_schema").is_empty());
    assert_eq!(stage.bucket.keys(), Vec::<String>::new());
    assert!(!stage.runtime.log_lines().concat().contains(CANARY));
    // A call that was in flight ends afterwards: nothing comes back for it.
    gateway.end(&stage, 0, "m", Usage { input_tokens: 5, ..Usage::default() });
    stage.pass(Duration::from_mins(1));
    assert!(stage.sql.texts("select name from sqlite_schema").is_empty());
    assert!(erase(&stage, false, true).done, "and it may be erased again");
    stage.query_that("a", Script::answer("4"));
    stage.settle();
    assert_eq!((overview(&stage).conversations, overview(&stage).retention_days), (1, 30));
}

#[test]
fn an_account_that_stays_keeps_what_is_set_of_it_and_what_it_has_used_and_nothing_else() {
    let (mut stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    let limits: SetLimits = serde_json::from_str(r#"{"tokens_per_day":5}"#).unwrap();
    change(&stage, AccountChange { limits, ..AccountChange::default() });
    stage.query_that("a", slow());
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "m", Usage { input_tokens: 5, ..Usage::default() }).unwrap();
    assert!(!erase(&stage, true, false).done);
    assert!(erase(&stage, true, true).done);
    assert!(!everything(&stage).contains(CANARY));
    for _ in 0..2 {
        assert!(matches!(stage.query_with("a", None), Err(AccountError::BudgetExhausted(_))), "its budget is not new");
        stage.reset();
    }
}

#[test]
fn an_erasure_that_is_cut_off_by_a_reset_goes_on_when_it_is_asked_again() {
    let mut stage = Stage::with_files(&[]);
    stage.query_that("a", Script::writes(&[("f", CANARY)]));
    stage.settle();
    erase(&stage, false, false);
    stage.reset();
    assert!(erase(&stage, false, true).done);
    assert_eq!(stage.bucket.keys(), Vec::<String>::new());
}

fn erasure() -> ErasureId {
    "erasure_01a202feb07b753ebcc7ee3525df0aa1".parse().unwrap()
}

#[test]
fn the_operators_webhook_is_told_of_an_erasure_in_a_few_tries_under_one_id() {
    for (fails, keep_account) in [(2, false), (2, true), (100, false)] {
        let stage = Stage::with(&[("WEBHOOK_URL", "https://hooks.example.com/ops"), ("WEBHOOK_SECRET", SECRET)]);
        stage.query("a");
        stage.settle();
        stage.pass(Duration::from_secs(1));
        let before = stage.receiver.arrivals().len();
        for _ in 0..fails {
            stage.receiver.answer(Behaviour::Status(500));
        }
        erase(&stage, keep_account, false);
        let mut steps = 1;
        while !erase(&stage, keep_account, true).done {
            steps += 1;
        }
        let told = &stage.receiver.arrivals()[before..];
        let most = usize::try_from(MAX_TRIES).unwrap();
        assert_eq!((steps, told.len()), if fails > 10 { (most, most) } else { (3, 3) });
        for arrival in told {
            assert!(arrival.is_signed_by(SECRET));
            let event = arrival.json();
            assert_eq!(
                (arrival.header("webhook-id"), &event["type"]),
                ("evt_01a202feb07b753ebcc7ee3525df0aa1", &json!("account.erased"))
            );
            assert_eq!(
                event["data"],
                json!({"account_id": "zoë", "erasure_id": erasure(), "keep_account": keep_account})
            );
        }
        assert_eq!(stage.logged("delivery_dead").len(), usize::from(fails > 10));
        if !keep_account {
            assert!(!everything(&stage).contains("zoë"));
        }
    }
}
