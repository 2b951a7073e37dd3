//! Webhooks: each end of a turn reaches every endpoint that takes it, at least once and under one id, whatever breaks meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use claude_agent_service::account::webhooks::deliver::{DELIVERY_LIMIT, MAX_AT_ONCE, RETRIES};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::webhook::{DeliveryStatus, Include, secret_of};
use claude_agent_service::domain::{EventType, WhenBusy};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::receiver::{Arrival, Behaviour};
use support::script::{Script, Step, entry, result};
use support::stage::Stage;
use support::webhooks::{URL, ask, deliveries, set, wanted, with_webhook};

#[test]
fn the_end_of_a_turn_is_told_signed_and_without_a_word_of_it() {
    let (stage, secret) = with_webhook();
    let turn_id = stage.query_that("s", Script::answer("secret answer"));
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(arrivals.len(), 1);
    let (arrival, finished_at) = (&arrivals[0], stage.turn(&turn_id).finished_at.unwrap());
    let event_id = turn_id.as_str().replace("turn_", "evt_");
    let data = json!({"account_id": "zoë", "session_id": "s", "turn_id": turn_id.as_str(), "status": "completed"});
    let event = json!({"id": event_id, "type": "turn.completed", "created_at": finished_at.get(), "data": data});
    assert_eq!((arrival.url.as_str(), arrival.json()), (URL, event));
    assert_eq!(arrival.header("webhook-id"), event_id);
    assert_eq!(arrival.header("webhook-timestamp"), (arrival.at.get() / 1_000).to_string());
    assert!(arrival.is_signed_by(&secret) && !arrival.is_signed_by(&secret_of(&[7; 24])));
    let names: Vec<&str> = arrival.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(deliveries(&stage, "crm")[0].status, DeliveryStatus::Delivered);
}

#[test]
fn an_account_without_a_webhook_writes_nothing_of_an_event() {
    let rows = |stage: &Stage| {
        stage.query("s");
        stage.settle();
        let before = stage.sql.text("select total_changes()").parse::<i64>().unwrap();
        stage.query("s");
        stage.settle();
        stage.sql.text("select total_changes()").parse::<i64>().unwrap() - before
    };
    let plain = Stage::new();
    let of_turn = rows(&plain);
    assert_eq!((plain.sql.count("outbox"), plain.receiver.arrivals().len()), (0, 0));
    let (told, _) = with_webhook();
    assert_eq!(rows(&told) - of_turn, 2, "one row with the end, one with the delivery");
}

#[test]
fn each_way_to_end_has_its_type() {
    let (stage, _) = with_webhook();
    stage.query_that("a", Script::new([Step::Frame(entry("said")), Step::Die { noticed: true }]));
    stage.settle();
    let of = |arrivals: &[Arrival], at: usize| {
        let event = arrivals[at].json();
        format!("{} {} {}", event["type"], event["data"]["status"], event["data"]["code"]).replace('"', "")
    };
    assert_eq!(of(&stage.receiver.arrivals(), 0), "turn.failed interrupted turn_interrupted");
    // One runs, one waits: both are cancelled.
    stage.query_that("b", Script::endless());
    stage.query("b");
    stage.pass(Duration::from_secs(1));
    stage.cancel("b");
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!((1..3).map(|at| of(&arrivals, at)).collect::<Vec<_>>(), ["turn.cancelled cancelled turn_cancelled"; 2]);
    // A conversation is deleted under its turn.
    let turn_id = stage.query_that("c", Script::endless());
    stage.pass(Duration::from_secs(1));
    stage.delete("c");
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(of(&arrivals, 3), "turn.cancelled cancelled null");
    assert_eq!(arrivals[3].json()["data"]["turn_id"], turn_id.as_str());
    assert_eq!(arrivals.len(), 4);
    assert_eq!(deliveries(&stage, "crm").len(), 3, "what was delivered of a deleted conversation is gone with it");
}

#[test]
fn a_query_that_another_turn_took_in_is_told_of_too() {
    let (stage, _) = with_webhook();
    let steps =
        [Step::Frame(entry("said")), Step::Wait(Duration::from_secs(2)), Step::TakeIn, Step::Frame(result("both"))];
    stage.query_that("s", Script::new(steps));
    stage.pass(Duration::from_secs(1));
    let steered = stage.query_when_busy("s", WhenBusy::Steer).unwrap();
    stage.settle();
    let told: Vec<Value> =
        stage.receiver.arrivals().iter().map(|arrival| arrival.json()["data"]["turn_id"].clone()).collect();
    assert_eq!(told.len(), 2);
    assert!(told.contains(&steered.as_str().into()), "{told:?}");
}

#[test]
fn a_webhook_gets_the_types_that_it_takes_and_a_turn_if_it_wants_one() {
    let stage = Stage::new();
    set(&stage, SetWebhook { types: vec![EventType::TurnFailed], ..wanted("failures") });
    set(&stage, SetWebhook { include: vec![Include::Result], ..wanted("results") });
    let turn_id = stage.query_that("s", Script::answer("the answer"));
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(arrivals.len(), 1);
    let turn = &arrivals[0].json()["data"]["turn"];
    assert_eq!((&turn["response"], &turn["turn_id"]), (&"the answer".into(), &turn_id.as_str().into()));
    // A long answer would not pass everybody's limits: its event comes without it.
    stage.query_that("s", Script::answer(&"x".repeat(300 * 1024)));
    stage.settle();
    assert!(stage.receiver.arrivals()[1].json()["data"].get("turn").is_none());
}

#[test]
fn an_endpoint_that_fails_is_tried_for_more_than_three_days_and_then_given_up() {
    let (stage, _) = with_webhook();
    stage.receiver.always(Behaviour::Status(500));
    stage.query("s");
    stage.pass(5 * DAY);
    let arrivals = stage.receiver.arrivals();
    assert_eq!(arrivals.len(), RETRIES.len() + 1);
    for (pair, pause) in arrivals.windows(2).zip(RETRIES) {
        let waited = pair[1].at.since(pair[0].at);
        assert!(
            waited >= pause && waited <= pause + pause / 10 + Duration::from_millis(10),
            "{waited:?} for {pause:?}"
        );
        assert_eq!(pair[0].header("webhook-id"), pair[1].header("webhook-id"));
        assert_eq!(pair[0].body, pair[1].body);
    }
    let [delivery] = deliveries(&stage, "crm").try_into().unwrap();
    assert_eq!((delivery.status, delivery.attempts, delivery.last_status), (DeliveryStatus::Dead, 9, Some(500)));
    assert_eq!(stage.logged("delivery_dead").len(), 1);
}

#[test]
fn what_is_no_response_is_tried_again() {
    let (stage, _) = with_webhook();
    for behaviour in [Behaviour::Stall, Behaviour::Break, Behaviour::Status(307), Behaviour::Status(404)] {
        stage.receiver.answer(behaviour);
    }
    stage.query("s");
    stage.pass(Duration::from_millis(500));
    let last = |stage: &Stage| {
        let [delivery] = deliveries(stage, "crm").try_into().unwrap();
        (delivery.attempts, delivery.last_status, delivery.last_error.unwrap_or_default())
    };
    assert_eq!(last(&stage).0, 0);
    stage.pass(DELIVERY_LIMIT);
    assert_eq!(last(&stage), (1, None, "timeout".to_owned()));
    stage.pass(Duration::from_secs(6));
    assert_eq!(last(&stage), (2, None, "unreachable".to_owned()));
    stage.pass(Duration::from_secs(34));
    assert_eq!(last(&stage), (3, Some(307), String::new()));
    stage.pass(Duration::from_mins(13));
    assert_eq!(last(&stage), (5, Some(204), String::new()));
    assert_eq!(stage.receiver.arrivals().len(), 5);
}

#[test]
fn an_endpoint_that_is_gone_is_disabled_until_it_is_set_again() {
    let (stage, _) = with_webhook();
    stage.receiver.answer(Behaviour::Status(410));
    stage.query("s");
    stage.settle();
    let shown = || match ask(&stage, WebhooksCommand::Read { name: "crm".parse().unwrap() }) {
        Ok(WebhooksReply::One(webhook)) => *webhook,
        _ => panic!(),
    };
    assert!(!shown().enabled);
    assert_eq!(deliveries(&stage, "crm")[0].status, DeliveryStatus::Dead);
    stage.query("s");
    stage.settle();
    assert_eq!(stage.sql.count("outbox"), 1);
    let again = set(&stage, wanted("crm"));
    assert!(again.enabled && again.secret.is_none());
    stage.query("s");
    stage.settle();
    assert_eq!(stage.receiver.arrivals().len(), 2);
}

#[test]
fn the_events_of_a_conversation_come_in_order_and_four_at_once() {
    let stage = Stage::with(&[("ACCOUNT_CONCURRENCY", "8")]);
    set(&stage, wanted("crm"));
    stage.receiver.always(Behaviour::Slow(Duration::from_secs(5)));
    stage.receiver.answer(Behaviour::Status(503));
    for turn in 0..3 {
        for conversation in ["a", "b", "c", "d", "e", "f"] {
            stage.container.script(Script::answer(&format!("{conversation}{turn}")));
            stage.query(conversation);
        }
    }
    stage.pass(Duration::from_mins(3));
    assert_eq!(stage.receiver.state.borrow().most_at_once, MAX_AT_ONCE);
    let mut order: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for arrival in stage.receiver.arrivals() {
        let data = arrival.json()["data"].clone();
        let of_conversation = order.entry(data["session_id"].as_str().unwrap().to_owned()).or_default();
        of_conversation.push(data["turn_id"].as_str().unwrap().to_owned());
    }
    assert_eq!(order.values().map(Vec::len).sum::<usize>(), 19);
    for told in order.values() {
        let mut in_order = told.clone();
        in_order.sort();
        assert_eq!(*told, in_order);
    }
}

#[test]
fn an_event_that_is_refused_for_good_does_not_hold_up_the_next_ones() {
    let (stage, _) = with_webhook();
    let first = stage.query("s");
    stage.receiver.always(Behaviour::Status(422));
    stage.pass(Duration::from_mins(1));
    let second = stage.query("s");
    stage.pass(Duration::from_mins(4));
    let told: Vec<String> =
        stage.receiver.arrivals().iter().map(|a| a.json()["data"]["turn_id"].as_str().unwrap().to_owned()).collect();
    assert!(told.contains(&second.as_str().to_owned()) && told[0] == first.as_str(), "{told:?}");
}

#[test]
fn an_object_that_loses_its_memory_sends_again_under_the_same_id() {
    let (mut stage, _) = with_webhook();
    stage.receiver.answer(Behaviour::Stall);
    stage.query("s");
    stage.pass(Duration::from_secs(1));
    assert_eq!(stage.receiver.arrivals().len(), 1);
    stage.reset();
    stage.pass(Duration::from_mins(1));
    let arrivals = stage.receiver.arrivals();
    assert_eq!(arrivals.len(), 2);
    assert_eq!(arrivals[0].header("webhook-id"), arrivals[1].header("webhook-id"));
    assert_eq!(deliveries(&stage, "crm")[0].status, DeliveryStatus::Delivered);
}

#[test]
fn an_endpoint_that_comes_back_after_a_day_gets_everything() {
    let (stage, _) = with_webhook();
    stage.receiver.always(Behaviour::Break);
    for _ in 0..5 {
        stage.query("s");
        stage.pass(Duration::from_secs(5));
    }
    stage.pass(DAY);
    stage.receiver.always(Behaviour::Status(200));
    stage.pass(2 * DAY);
    let delivered = deliveries(&stage, "crm");
    assert_eq!(delivered.iter().filter(|one| one.status == DeliveryStatus::Delivered).count(), 5);
}

#[test]
fn a_storage_that_fails_does_not_send_for_ever() {
    let (stage, _) = with_webhook();
    stage.sql.run("create trigger no_record before update on outbox begin select raise(abort, 'no room'); end");
    stage.query("s");
    stage.pass(Duration::from_mins(5));
    assert!((2..=6).contains(&stage.receiver.arrivals().len()), "{}", stage.receiver.arrivals().len());
    stage.sql.run("drop trigger no_record");
    stage.pass(Duration::from_mins(2));
    assert_eq!(deliveries(&stage, "crm")[0].status, DeliveryStatus::Delivered);
}

#[derive(Debug, Clone)]
enum Act {
    Query(u8),
    Cancel(u8),
    Reset,
    Fault(Behaviour),
    ContainerDies,
    Pass(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0_u8..3).prop_map(Act::Query),
        1 => (0_u8..3).prop_map(Act::Cancel),
        2 => Just(Act::Reset),
        2 => prop_oneof![
            Just(Behaviour::Stall),
            Just(Behaviour::Break),
            Just(Behaviour::Status(500)),
            Just(Behaviour::Slow(Duration::from_secs(8))),
        ].prop_map(Act::Fault),
        1 => Just(Act::ContainerDies),
        3 => (0_u64..20_000).prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_end_is_told_at_least_once_under_one_id_and_none_is_invented(acts in prop::collection::vec(act(), 1..40)) {
        let (mut stage, secret) = with_webhook();
        for act in acts {
            match act {
                Act::Query(n) => drop(stage.query_with(&format!("c{n}"), None)),
                Act::Cancel(n) => stage.cancel(&format!("c{n}")),
                Act::Reset => stage.reset(),
                Act::Fault(behaviour) => stage.receiver.answer(behaviour),
                Act::ContainerDies => stage.container.die(true),
                Act::Pass(ms) => stage.pass(Duration::from_millis(ms)),
            }
        }
        stage.settle();
        stage.pass(Duration::from_hours(9));
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        for arrival in stage.receiver.arrivals() {
            prop_assert!(arrival.is_signed_by(&secret));
            let event = arrival.json();
            prop_assert_eq!(event["id"].as_str(), Some(arrival.header("webhook-id")));
            let ending = format!("{} {}", event["data"]["turn_id"], event["type"]).replace('"', "");
            let before = told.insert(event["id"].as_str().unwrap().to_owned(), ending.clone());
            prop_assert!(before.is_none_or(|before| before == ending), "one id, one event");
        }
        let mut told: Vec<String> = told.into_values().collect();
        told.sort();
        let kind = "case status when 'completed' then 'completed' when 'cancelled' then 'cancelled' else 'failed' end";
        let ended = stage.sql.texts(&format!("select turn_id || ' turn.' || {kind} from turns order by 1"));
        prop_assert_eq!(told, ended);
    }
}
