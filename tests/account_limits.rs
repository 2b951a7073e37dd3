//! Limits of an account act: before a turn is admitted, before each call of the model, and nothing is read for an account without any.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::branches::command::ForkAsked;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::files::command::{FilesCommand, Precondition};
use claude_agent_service::account::limits::MAX_OPEN_CALLS;
use claude_agent_service::account::manage::command::{ImportBatch, ManageCommand, ManageReply};
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::webhooks::command::SetWebhook;
use claude_agent_service::domain::file::Unsaved;
use claude_agent_service::domain::ledger::{Day, NanoUsd};
use claude_agent_service::domain::limits::{Amount, Exceeded, LimitName};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::{EventType, Usage};
use serde_json::Value;
use support::listening::told;
use support::model_calls::ScriptedGateway;
use support::script::{Script, Step, entry, result};
use support::session;
use support::stage::Stage;
use support::webhooks::{set, wanted};

/// A million of these tokens are 15 dollars.
const MODEL: &str = "a model of unknown price";

fn dollars(usd: u64) -> Usage {
    Usage { input_tokens: usd * 1_000_000 / 15, ..Usage::default() }
}

fn slow() -> Script {
    Script::new([Step::Frame(entry("said")), Step::Wait(Duration::from_mins(1)), Step::Frame(result("4"))])
}

/// A stage with a turn that runs.
fn running(vars: &[(&'static str, &str)]) -> (Stage, ScriptedGateway) {
    let stage = Stage::with(vars);
    stage.query_that("a", slow());
    stage.pass(Duration::from_secs(1));
    (stage, ScriptedGateway::default())
}

fn refusal(stage: &Stage) -> Exceeded {
    match stage.query_with("b", None) {
        Err(AccountError::BudgetExhausted(exceeded) | AccountError::StorageFull(exceeded)) => exceeded,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_agent_that_goes_on_calling_past_the_cap_is_stopped_and_pays_for_the_calls_in_flight() {
    let (stage, mut gateway) = running(&[("ACCOUNT_USD_PER_DAY", "30")]);
    let turn = stage.newest_turn().unwrap();
    // Two calls are in flight when the third reaches the cap.
    for _ in 0..3 {
        gateway.begin(&stage).unwrap();
    }
    gateway.end(&stage, 0, MODEL, dollars(30));
    let refused = (0..30).filter(|_| matches!(gateway.begin(&stage), Err(AccountError::BudgetExhausted(_)))).count();
    assert_eq!(refused, 30);
    for _ in 0..2 {
        gateway.end(&stage, 0, MODEL, dollars(15));
    }
    stage.settle();
    gateway.tell_again(&stage);
    assert_eq!((stage.end(&turn), gateway.waiting()), ("budget_exhausted".to_owned(), 0));
    let day = Day::of(stage.executor.now());
    assert_eq!(stage.store.usage_total(day, day).unwrap().counted.calls, 3);
    let exceeded = refusal(&stage);
    let (limit, used) = (Amount::Usd(NanoUsd::of_usd(30.0)), exceeded.used);
    assert_eq!(
        (exceeded.name, exceeded.limit, exceeded.resets_at),
        (LimitName::UsdPerDay, limit, Some(day.plus(1).start()))
    );
    assert!(used > Amount::Usd(NanoUsd::of_usd(59.9)) && used <= Amount::Usd(NanoUsd::of_usd(60.0)), "{used:?}");
}

#[test]
fn a_turn_that_ends_for_its_budget_says_when_to_come_back_and_the_account_goes_on_the_next_day() {
    let (mut stage, mut gateway) = running(&[("ACCOUNT_TOKENS_PER_DAY", "1000"), ("TURN_TIMEOUT", "55m")]);
    let turn = stage.newest_turn().unwrap();
    gateway.call(&stage, MODEL, Usage { output_tokens: 1_000, ..Usage::default() }).unwrap();
    assert!(gateway.begin(&stage).is_err());
    stage.settle();
    let until_midnight = Day::of(stage.executor.now()).plus(1).start().since(stage.executor.now());
    let told = stage.turn(&turn).error.unwrap().retry_after_s.unwrap();
    assert!(told.abs_diff(until_midnight.as_secs()) <= 2, "{told}");
    assert_eq!(refusal(&stage).name, LimitName::TokensPerDay);
    stage.reset();
    assert_eq!(refusal(&stage).used, Amount::Count(1_000), "an object that comes after knows it");
    stage.pass(until_midnight);
    stage.query("b");
}

#[test]
fn a_month_is_one_of_the_calendar() {
    let (stage, mut gateway) = running(&[("ACCOUNT_USD_PER_MONTH", "10")]);
    gateway.call(&stage, MODEL, dollars(10)).unwrap();
    gateway.call(&stage, MODEL, dollars(1)).unwrap();
    stage.cancel("a");
    stage.settle();
    let exceeded = refusal(&stage);
    let next_month = Day::of(stage.executor.now()).next_month().start();
    assert_eq!((exceeded.name, exceeded.resets_at), (LimitName::UsdPerMonth, Some(next_month)));
    stage.pass(Duration::from_hours(24));
    assert_eq!(refusal(&stage).name, LimitName::UsdPerMonth);
    stage.pass(next_month.since(stage.executor.now()));
    stage.query("b");
}

#[test]
fn turns_of_a_day_are_those_that_ended_and_those_that_are_open() {
    let stage = Stage::with(&[("ACCOUNT_TURNS_PER_DAY", "2")]);
    let mut gateway = ScriptedGateway::default();
    stage.query_that("a", slow());
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, MODEL, dollars(1)).unwrap();
    stage.query("a");
    assert_eq!(refusal(&stage).used, Amount::Count(2));
    gateway.call(&stage, MODEL, dollars(1)).unwrap();
    stage.settle();
    assert_eq!(refusal(&stage).used, Amount::Count(2), "and the turns that ran are not stopped by it");
}

#[test]
fn an_account_that_stores_as_much_as_it_may_admits_no_turn() {
    let stage = Stage::with(&[("ACCOUNT_STORAGE_BYTES", "1000")]);
    let exceeded = refusal(&stage);
    assert_eq!(
        (exceeded.name, exceeded.limit, exceeded.resets_at),
        (LimitName::StorageBytes, Amount::Count(1_000), None)
    );
}

fn manage(stage: &Stage, ask: ManageCommand) -> Result<ManageReply, AccountError> {
    match stage.handle(Command::Manage(ask))? {
        Response::Ready(Reply::Managed(reply)) => Ok(*reply),
        _ => panic!("another reply"),
    }
}

fn begin_upload(stage: &Stage, size: u64) -> Result<(), AccountError> {
    let path = "up".parse().unwrap();
    let ask = FilesCommand::BeginUpload { path, size, precondition: Precondition::default() };
    stage.handle(Command::Files { session_id: session("a"), ask }).map(drop)
}

fn is_full<T>(outcome: &Result<T, AccountError>) -> bool {
    matches!(outcome, Err(AccountError::StorageFull(Exceeded { name: LimitName::StorageBytes, .. })))
}

#[test]
fn storage_bytes_holds_for_whatever_is_stored() {
    const MOST: u64 = 1 << 20;
    let stage = Stage::with_files(&[("ACCOUNT_STORAGE_BYTES", "1MiB")]);
    let made = |lines: &str| {
        ManageCommand::Import(Box::new(ImportBatch {
            lines: lines.to_owned(),
            first_line: 1,
            is_last: true,
            by_operator: false,
            resume: false,
        }))
    };
    for id in ["a", "own"] {
        stage.query_that(id, Script::writes(&[("f", "x")]));
        stage.settle();
    }
    let room = MOST - stage.store.database_bytes() - stage.store.files_bytes().unwrap();
    assert!(is_full(&begin_upload(&stage, room + 1)) && begin_upload(&stage, room).is_ok());
    assert!(is_full(&manage(&stage, made(&" ".repeat(usize::try_from(room).unwrap() + 1)))));
    let large = "y".repeat(usize::try_from(room).unwrap() + 1_000);
    let turn = stage.query_that("a", Script::writes(&[("f", &large)]));
    stage.settle();
    assert_eq!(stage.turn(&turn).files.unwrap().reason, Some(Unsaved::StorageFull));
    let fork = |into: &str| {
        let asked = ForkAsked { source: session("a"), at: None, session_id: Some(session(into)), title: None };
        stage.handle(Command::Fork(Box::new(asked)))
    };
    fork("b").unwrap();
    // What a turn leaves that takes no more than before is saved all the same.
    let turn = stage.query_that("own", Script::writes(&[("f", "z")]));
    stage.sql.run(&format!("insert into workspace_packs values ('b', 99, 1, null, '0a1b/full', {MOST}, 0)"));
    stage.settle();
    assert_eq!(stage.turn(&turn).files.unwrap().reason, None);
    assert!(is_full(&fork("c")) && is_full(&begin_upload(&stage, 0)) && is_full(&manage(&stage, made(""))));
    assert_eq!(refusal(&stage).name, LimitName::StorageBytes);
}

#[test]
fn a_turns_own_budget_is_held_by_the_gateways_count() {
    let (stage, mut gateway) = running(&[("MAX_BUDGET_USD", "20")]);
    let turn = stage.newest_turn().unwrap();
    gateway.call(&stage, MODEL, dollars(15)).unwrap();
    gateway.call(&stage, MODEL, dollars(15)).unwrap();
    assert!(matches!(gateway.begin(&stage), Err(AccountError::BudgetExhausted(_))));
    stage.settle();
    assert_eq!(stage.end(&turn), "budget_exhausted");
    stage.query("b");
}

#[test]
fn a_turn_has_so_many_calls_open_at_most() {
    let (stage, mut gateway) = running(&[]);
    for _ in 0..MAX_OPEN_CALLS {
        gateway.begin(&stage).unwrap();
    }
    assert!(matches!(gateway.begin(&stage), Err(AccountError::TooManyCalls)));
    gateway.end(&stage, 0, MODEL, dollars(1));
    gateway.begin(&stage).unwrap();
}

#[test]
fn an_account_is_warned_once_a_day_whatever_becomes_of_its_object() {
    let (mut stage, mut gateway) = running(&[("ACCOUNT_USD_PER_DAY", "100"), ("TURN_TIMEOUT", "55m")]);
    gateway.call(&stage, MODEL, dollars(79)).unwrap();
    gateway.begin(&stage).unwrap();
    assert_eq!(stage.logged("budget_warning").len(), 0);
    gateway.call(&stage, MODEL, dollars(3)).unwrap();
    for _ in 0..2 {
        gateway.begin(&stage).unwrap();
        stage.reset();
        gateway.tell_again(&stage);
    }
    assert_eq!(stage.logged("budget_warning").len(), 1);
}

#[test]
fn webhooks_and_the_feed_hear_once_a_day_that_a_budget_is_nearly_spent_and_that_it_is() {
    let (stage, mut gateway) = running(&[("ACCOUNT_USD_PER_DAY", "100"), ("TURN_TIMEOUT", "55m")]);
    let types = vec![EventType::BudgetWarning, EventType::BudgetExhausted];
    set(&stage, SetWebhook { types, ..wanted("crm") });
    let Response::Ready(Reply::Feed(mut feed)) = stage.handle(Command::FollowAccount).unwrap() else {
        panic!("no feed")
    };
    for usd in [79, 1, 1, 30, 5] {
        gateway.begin(&stage).unwrap();
        gateway.end(&stage, gateway.open.len() - 1, MODEL, dollars(usd));
        if usd == 30 {
            break;
        }
    }
    stage.pass(Duration::from_secs(1));
    let arrivals = stage.receiver.arrivals();
    assert_eq!(support::webhooks::types(&arrivals), ["budget.warning", "budget.exhausted"]);
    let resets_at = Day::of(stage.executor.now()).plus(1).start().get();
    let Value::Object(data) = &arrivals[0].json()["data"] else { panic!("no data") };
    assert_eq!(
        (&data["limit_name"], &data["limit"], &data["resets_at"]),
        (&"usd_per_day".into(), &100.0.into(), &resets_at.into())
    );
    assert!(data["used"].as_f64().is_some_and(|used| (80.0..=81.1).contains(&used)), "{data:?}");
    let notices: Vec<Value> =
        told(&mut feed).into_iter().filter(|(name, _)| name == "notice").map(|(_, data)| data).collect();
    assert_eq!(
        notices.iter().map(|notice| notice["code"].as_str().unwrap()).collect::<Vec<_>>(),
        ["budget_warning", "budget_exhausted"]
    );
    // The next day begins anew.
    stage.pass(DAY);
    stage.query_that("c", slow());
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, MODEL, dollars(85)).unwrap();
    stage.pass(Duration::from_secs(1));
    assert_eq!(support::webhooks::types(&stage.receiver.arrivals()).len(), 3);
}

#[test]
fn whoever_sends_the_same_request_again_hears_of_its_turn_even_beyond_the_limit() {
    let stage = Stage::with(&[("ACCOUNT_TURNS_PER_DAY", "1")]);
    stage.container.script(slow());
    let turn = stage.query_with("a", Some("key")).unwrap();
    assert_eq!(stage.query_with("a", Some("key")).unwrap(), turn);
    assert!(stage.query_with("a", Some("another")).is_err());
}
