//! What the gateway counts is in the account's ledger, once, whatever becomes of the turn, the container and the object.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::time::Duration;

use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::ledger::{MAX_PENDING_CALLS, MAX_RECENT_CALLS};
use claude_agent_service::account::wake::WATCH;
use claude_agent_service::config::Config;
use claude_agent_service::domain::Usage;
use claude_agent_service::domain::ledger::{Day, Group, NanoUsd};
use claude_agent_service::domain::price::Extras;
use claude_agent_service::domain::time::DAY;
use proptest::prelude::*;
use support::model_calls::ScriptedGateway;
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

const MODELS: [&str; 2] = ["claude-opus-5-5", "claude-haiku-5-5"];

fn usage(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

/// A turn that works for a while and answers.
fn slow(seconds: u64) -> Script {
    Script::new([Step::Frame(entry("said")), Step::Wait(Duration::from_secs(seconds)), Step::Frame(result("4"))])
}

fn ledger(stage: &Stage) -> Vec<String> {
    stage.sql.texts(
        "select model || ' ' || turns || ' ' || calls || ' ' || input_tokens || ' ' || output_tokens || ' ' || cost || ' ' \
         || reported_input_tokens || ' ' || reported_output_tokens from usage order by day, model",
    )
}

fn counted(stage: &Stage) -> Vec<String> {
    stage.sql.texts("select coalesce(counted ->> 'calls', 0) || ' ' || coalesce(counted ->> 'input_tokens', 0) from turns order by turn_id")
}

#[test]
fn the_calls_of_a_turn_are_stored_with_its_end_in_one_row_beside_what_the_sdk_said() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "claude-opus-5-5", usage(409, 7)).unwrap();
    gateway.call(&stage, "claude-opus-5-5", usage(1, 1)).unwrap();
    assert_eq!((ledger(&stage).len(), gateway.waiting()), (0, 2), "nothing is stored before the turn's end");
    stage.settle();
    gateway.tell_again(&stage);
    // The SDK says another name of the model, which makes no other row.
    assert_eq!(ledger(&stage), ["claude-opus-5-5 1 2 410 8 1800000 3 1"]);
    assert_eq!((counted(&stage), gateway.waiting()), (vec!["2 410".to_owned()], 0));
}

#[test]
fn a_turn_writes_one_row_more_for_all_its_calls() {
    let rows_of = |calls: usize| {
        let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
        stage.query_that("a", slow(5));
        stage.pass(Duration::from_secs(1));
        for _ in 0..calls {
            gateway.call(&stage, "m", usage(3, 1)).unwrap();
        }
        let before = stage.store.rows_written();
        stage.settle();
        stage.store.rows_written() - before
    };
    assert_eq!((rows_of(1), rows_of(5)), (rows_of(0), rows_of(0)), "the SDK's word and the gateway's share the row");
}

#[test]
fn calls_of_a_long_turn_are_stored_before_its_end_and_survive_the_object() {
    let (mut stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(60));
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "m", usage(100, 0)).unwrap();
    stage.pass(WATCH);
    gateway.tell_again(&stage);
    assert_eq!((ledger(&stage), gateway.waiting()), (vec!["m 0 1 100 0 1500000 0 0".to_owned()], 0));
    gateway.call(&stage, "m", usage(10, 0)).unwrap();
    stage.reset();
    gateway.tell_again(&stage);
    stage.settle();
    gateway.tell_again(&stage);
    assert_eq!(ledger(&stage), ["m 1 2 110 0 1650000 3 1"]);
    assert_eq!((counted(&stage), gateway.waiting()), (vec!["2 110".to_owned()], 0));
}

#[test]
fn a_call_that_is_told_again_after_it_was_stored_counts_once() {
    let (mut stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    gateway.begin(&stage).unwrap();
    let call = gateway.open.pop().unwrap();
    for reset in [false, false, true, true] {
        let again = support::model_calls::Call { request_id: call.request_id.clone(), turn_id: call.turn_id.clone() };
        gateway.open.push(again);
        gateway.end(&stage, 0, "m", usage(7, 0));
        stage.settle();
        if reset {
            stage.reset();
        }
    }
    gateway.tell_again(&stage);
    assert_eq!((ledger(&stage), gateway.waiting()), (vec!["m 1 1 7 0 105000 3 1".to_owned()], 0));
}

#[test]
fn a_call_that_outlives_its_turn_or_its_conversation_counts_all_the_same() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(60));
    stage.pass(Duration::from_secs(1));
    for _ in 0..2 {
        gateway.begin(&stage).unwrap();
    }
    stage.cancel("a");
    stage.settle();
    gateway.end(&stage, 0, "m", usage(5, 0));
    stage.pass(WATCH);
    assert_eq!(counted(&stage), ["1 5"]);
    stage.delete("a");
    stage.visit();
    gateway.end(&stage, 0, "m", usage(6, 0));
    stage.pass(WATCH);
    gateway.tell_again(&stage);
    assert_eq!((ledger(&stage), gateway.waiting()), (vec!["m 0 2 11 0 165000 0 0".to_owned()], 0));
}

#[test]
fn a_call_of_a_turn_whose_conversation_is_deleted_is_stored_with_its_end() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(60));
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "m", usage(7, 0)).unwrap();
    stage.delete("a");
    stage.settle();
    gateway.tell_again(&stage);
    assert_eq!((ledger(&stage), gateway.waiting()), (vec!["m 1 1 7 0 105000 0 0".to_owned()], 0));
}

#[test]
fn many_calls_are_stored_at_once_and_the_list_of_them_has_a_bound() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    let all = MAX_RECENT_CALLS + MAX_PENDING_CALLS;
    for _ in 0..all {
        gateway.call(&stage, "m", usage(1, 0)).unwrap();
    }
    assert_eq!(ledger(&stage), [format!("m 0 {all} {all} 0 {} 0 0", all * 15_000)]);
    let recent = stage.sql.text("select recent from usage");
    assert_eq!(recent.split(' ').count(), MAX_RECENT_CALLS);
}

#[test]
fn no_call_leaves_without_a_turn() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    assert!(matches!(gateway.begin(&stage), Err(AccountError::NoTurn)));
    stage.query_that("a", slow(5));
    stage.settle();
    assert!(matches!(gateway.begin(&stage), Err(AccountError::NoTurn)));
    assert_eq!(stage.logged("call_without_turn").len(), 2);
}

#[test]
fn the_log_says_so_if_the_sdk_and_the_gateway_do_not_agree() {
    // By the list, 1,000 tokens of a model that it does not know are 0.015 dollars.
    let differs = |vars: &[(&'static str, &str)], tokens, cost_of_sdk: serde_json::Value| {
        let (stage, mut gateway) = (Stage::with(vars), ScriptedGateway::default());
        let mut said = result("4");
        said["usage"] = serde_json::json!({"input_tokens": 1000, "output_tokens": 0});
        said["cost_usd"] = cost_of_sdk;
        stage.query_that("a", Script::new([Step::Wait(Duration::from_secs(2)), Step::Frame(said)]));
        stage.pass(Duration::from_secs(1));
        gateway.call(&stage, "m", usage(tokens, 0)).unwrap();
        stage.settle();
        stage.logged("usage_differs").len()
    };
    assert_eq!([990, 1_000, 1_010].map(|tokens| differs(&[], tokens, 0.015.into())), [0, 0, 0]);
    assert_eq!([989, 1_011].map(|tokens| differs(&[], tokens, 0.015.into())), [1, 1]);
    assert_eq!([0.0148, 0.0152, 3.0].map(|cost| differs(&[], 1_000, cost.into())), [1, 1, 1], "searches, for instance");
    let own = [("MODEL_PRICES", r#"{"m": {"input": 1, "output": 1, "cache_read": 1, "cache_write": 1}}"#)];
    assert_eq!(differs(&own, 1_000, 0.015.into()), 0, "the SDK does not know an operator's prices");
}

#[test]
fn a_model_of_unknown_price_costs_what_the_dearest_does_and_is_logged_once() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    for model in ["tomorrow", "tomorrow", "claude-sonnet-5"] {
        gateway.call(&stage, model, usage(1_000_000, 0)).unwrap();
    }
    stage.settle();
    let costs = stage.sql.texts("select cost from usage order by model");
    assert_eq!(costs, ["2000000000", "30000000000"]);
    assert_eq!(stage.logged("model_price_unknown").len(), 1);
}

#[test]
fn the_day_of_a_call_is_that_of_its_end() {
    let (stage, mut gateway) = (Stage::new(), ScriptedGateway::default());
    let day = Day::of(stage.executor.now());
    let nearly_midnight = day.plus(1).start().minus(Duration::from_secs(5));
    stage.pass(nearly_midnight.since(stage.executor.now()));
    stage.query_that("a", slow(30));
    stage.pass(Duration::from_secs(2));
    gateway.call(&stage, "m", usage(1, 0)).unwrap();
    stage.pass(Duration::from_secs(8));
    gateway.call(&stage, "m", usage(2, 0)).unwrap();
    stage.settle();
    let by_day = stage.store.usage(Group::Day, (day, day.plus(1)), "", 10).unwrap();
    let seen: Vec<_> = by_day.iter().map(|sum| (sum.key.clone(), sum.turns, sum.counted.spent.input_tokens)).collect();
    assert_eq!(seen, [(day.to_string(), 0, 1), (day.plus(1).to_string(), 1, 2)]);
}

#[test]
fn the_ledger_outlives_the_conversations_and_is_forgotten_after_its_days() {
    let (stage, mut gateway) = (Stage::with(&[("USAGE_DAYS", "40")]), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "m", usage(7, 0)).unwrap();
    stage.settle();
    stage.delete("a");
    stage.visit();
    stage.settle();
    assert_eq!(ledger(&stage), ["m 1 1 7 0 105000 3 1"]);
    stage.pass(DAY * 40);
    stage.visit();
    assert_eq!(ledger(&stage).len(), 1, "the last of its days");
    stage.pass(DAY);
    stage.visit();
    assert!(stage.sql.texts("select name from sqlite_schema").is_empty(), "nothing is left");
}

#[test]
fn an_account_with_nothing_but_its_ledger_is_visited_when_that_is_due() {
    let (stage, mut gateway) = (Stage::with(&[("USAGE_DAYS", "40")]), ScriptedGateway::default());
    stage.query_that("a", slow(5));
    stage.pass(Duration::from_secs(1));
    gateway.call(&stage, "m", usage(7, 0)).unwrap();
    stage.settle();
    stage.delete("a");
    let due = Day::of(stage.executor.now()).plus(41).start().minus(DAY * 30);
    assert_eq!(stage.visit().map(|visit| visit.oldest_access_at), Some(Some(due)));
}

#[derive(Debug, Clone)]
enum Op {
    Query(&'static str, u64),
    Begin,
    End(usize, &'static str, u64, u64),
    Cancel(&'static str),
    Delete(&'static str),
    Pass(u64),
    Die(bool),
    Reset,
}

fn op() -> impl Strategy<Value = Op> {
    let conversation = || prop::sample::select(vec!["a", "b"]);
    prop_oneof![
        4 => (conversation(), 0..30_u64).prop_map(|(conversation, seconds)| Op::Query(conversation, seconds)),
        8 => Just(Op::Begin),
        8 => (0..4_usize, prop::sample::select(&MODELS[..]), 0..500_u64, 0..500_u64)
            .prop_map(|(at, model, input, output)| Op::End(at, model, input, output)),
        1 => conversation().prop_map(Op::Cancel),
        1 => conversation().prop_map(Op::Delete),
        6 => (0..12_000_u64).prop_map(Op::Pass),
        1 => any::<bool>().prop_map(Op::Die),
        3 => Just(Op::Reset),
    ]
}

fn check(concurrency: &str, ops: Vec<Op>) -> Result<(), TestCaseError> {
    let mut stage = Stage::with(&[("ACCOUNT_CONCURRENCY", concurrency), ("TURN_TIMEOUT", "60s")]);
    let (mut gateway, mut deleted) = (ScriptedGateway::default(), false);
    for op in ops {
        match op {
            Op::Query(conversation, seconds) => {
                stage.container.script(slow(seconds));
                drop(stage.query_with(conversation, None));
            }
            Op::Begin => drop(gateway.begin(&stage)),
            Op::End(at, model, input, output) if !gateway.open.is_empty() => {
                let at = at % gateway.open.len();
                gateway.end(&stage, at, model, usage(input, output + 1));
            }
            Op::End(..) => {}
            Op::Cancel(conversation) => stage.cancel(conversation),
            Op::Delete(conversation) => {
                stage.delete(conversation);
                deleted = true;
            }
            Op::Pass(ms) => stage.pass(Duration::from_millis(ms)),
            Op::Die(noticed) => stage.container.die(noticed),
            Op::Reset => stage.reset(),
        }
        gateway.tell_again(&stage);
    }
    while !gateway.open.is_empty() {
        gateway.end(&stage, 0, MODELS[0], usage(1, 1));
    }
    stage.settle();
    stage.pass(Duration::from_mins(1));
    gateway.tell_again(&stage);
    prop_assert_eq!(gateway.waiting(), 0, "the gateway is told that every call was taken");
    let day = Day::of(stage.executor.now());
    let sums = if stage.store.is_made() {
        stage.store.usage(Group::Model, (day.plus(-1), day), "", 10).unwrap()
    } else {
        Vec::new()
    };
    let config = Config::parse(|_| None).unwrap();
    for (model, (calls, usage)) in &gateway.counted {
        let sum = sums.iter().find(|sum| sum.key == *model).unwrap();
        let spent = &sum.counted.spent;
        prop_assert_eq!(
            (sum.counted.calls, spent.input_tokens, spent.output_tokens),
            (*calls, usage.input_tokens, usage.output_tokens)
        );
        // Each call is rounded to a billionth of a dollar, and these prices have no finer parts.
        prop_assert_eq!(spent.cost, config.accounts.cost(model, usage, &Extras::default()).0);
    }
    let all: u64 = gateway.counted.values().map(|(calls, _)| calls).sum();
    prop_assert_eq!(sums.iter().map(|sum| sum.counted.calls).sum::<u64>(), all);
    if !deleted && all > 0 {
        let of_turns = stage.sql.text("select sum(counted ->> 'calls') from turns");
        prop_assert_eq!(of_turns, all.to_string(), "each call belongs to a turn");
    }
    prop_assert!(sums.iter().all(|sum| sum.counted.spent.cost >= NanoUsd::default()));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn the_ledger_is_what_the_gateway_counted_one_turn_at_a_time(ops in prop::collection::vec(op(), 1..40)) {
        check("1", ops)?;
    }

    #[test]
    fn the_ledger_is_what_the_gateway_counted_four_turns_at_a_time(ops in prop::collection::vec(op(), 1..40)) {
        check("4", ops)?;
    }
}
