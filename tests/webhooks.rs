//! Webhooks: each end of a turn reaches every endpoint that takes it, at least once and under one id, whatever breaks meanwhile.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use claude_agent_service::account::Response;
use claude_agent_service::account::command::{AccountError, Command, Reply};
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use claude_agent_service::account::webhooks::deliver::{DELIVERY_LIMIT, MAX_AT_ONCE, RETRIES};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::webhook::{Delivery, DeliveryStatus, Include, secret_of};
use claude_agent_service::domain::{EventType, Webhook, WhenBusy};
use claude_agent_service::store::deliveries::MAX_DELIVERIES;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::receiver::{Arrival, Behaviour};
use support::script::{Script, Step, entry, result};
use support::stage::Stage;

const URL: &str = "https://hooks.acme.com/a";

fn ask(stage: &Stage, command: WebhooksCommand) -> Result<WebhooksReply, AccountError> {
    match stage.handle(Command::Webhooks(command))? {
        Response::Ready(Reply::Webhooks(reply)) => Ok(reply),
        _ => unreachable!(),
    }
}

fn wanted(name: &str) -> SetWebhook {
    let name = name.parse().unwrap();
    SetWebhook { name, url: URL.to_owned(), types: Vec::new(), include: Vec::new(), secret: None, rotate: false }
}

fn set(stage: &Stage, webhook: SetWebhook) -> Webhook {
    let Ok(WebhooksReply::One(webhook)) = ask(stage, WebhooksCommand::Set(Box::new(webhook))) else { panic!() };
    *webhook
}

/// A stage with the webhook `crm`, and its secret.
fn with_webhook() -> (Stage, String) {
    let stage = Stage::new();
    let secret = set(&stage, wanted("crm")).secret.unwrap();
    (stage, secret)
}

fn deliveries(stage: &Stage, name: &str) -> Vec<Delivery> {
    let command = WebhooksCommand::Deliveries { name: name.parse().unwrap(), before: None, limit: 200 };
    let Ok(WebhooksReply::Deliveries { deliveries, .. }) = ask(stage, command) else { panic!() };
    deliveries
}

fn types(arrivals: &[Arrival]) -> Vec<String> {
    arrivals.iter().map(|arrival| arrival.json()["type"].as_str().unwrap().to_owned()).collect()
}

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
    stage.pass(Duration::from_secs(60));
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
fn two_secrets_sign_for_a_day_after_a_rotation() {
    let (stage, old) = with_webhook();
    let new = set(&stage, SetWebhook { rotate: true, ..wanted("crm") });
    let secret = new.secret.unwrap();
    assert_ne!(secret, old);
    assert!(new.previous_secret_until.is_some());
    stage.query("s");
    stage.settle();
    let last = |stage: &Stage| stage.receiver.arrivals().pop().unwrap();
    assert!(last(&stage).is_signed_by(&secret) && last(&stage).is_signed_by(&old));
    stage.pass(DAY);
    stage.query("s");
    stage.settle();
    assert!(last(&stage).is_signed_by(&secret) && !last(&stage).is_signed_by(&old));
    let own = secret_of(&[9; 32]);
    assert_eq!(set(&stage, SetWebhook { secret: Some(own.clone()), ..wanted("crm") }).secret, Some(own.clone()));
    assert_eq!(
        set(&stage, SetWebhook { secret: Some(own), ..wanted("crm") }).secret,
        None,
        "it is the one that there is"
    );
    let Ok(WebhooksReply::List(all)) = ask(&stage, WebhooksCommand::List) else { panic!() };
    assert!(all.iter().all(|webhook| webhook.secret.is_none()));
}

#[test]
fn an_event_is_sent_anew_and_a_test_is_sent_if_somebody_asks() {
    let (stage, _) = with_webhook();
    stage.query("s");
    stage.settle();
    let event_id = deliveries(&stage, "crm")[0].event_id.clone();
    let redeliver = |event_id| WebhooksCommand::Redeliver { name: "crm".parse().unwrap(), event_id };
    ask(&stage, redeliver(event_id.clone())).unwrap();
    stage.settle();
    ask(&stage, WebhooksCommand::Test { name: "crm".parse().unwrap() }).unwrap();
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(types(&arrivals), ["turn.completed", "turn.completed", "webhook.test"]);
    assert_eq!(arrivals[1].header("webhook-id"), event_id.as_str());
    assert_eq!(arrivals[2].json()["data"], json!({"account_id": "zoë"}));
    let unknown = "evt_00000000000000000000000000000000".parse().unwrap();
    assert!(matches!(ask(&stage, redeliver(unknown)), Err(AccountError::NotFound)));
    let test = WebhooksCommand::Test { name: "none".parse().unwrap() };
    assert!(matches!(ask(&stage, test), Err(AccountError::NotFound)));
    ask(&stage, WebhooksCommand::Delete { name: "crm".parse().unwrap() }).unwrap();
    assert_eq!((stage.sql.count("outbox"), stage.sql.count("webhooks")), (0, 0));
}

#[test]
fn deliveries_come_in_pages() {
    let (stage, _) = with_webhook();
    for _ in 0..5 {
        stage.query("s");
        stage.settle();
    }
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let command = WebhooksCommand::Deliveries { name: "crm".parse().unwrap(), before, limit: 2 };
        let Ok(WebhooksReply::Deliveries { deliveries, older, .. }) = ask(&stage, command) else { panic!() };
        before = deliveries.last().map(|last| last.event_id.clone());
        found.extend(deliveries.into_iter().map(|delivery| delivery.turn_id.unwrap()));
        if !older {
            break;
        }
    }
    let mut newest_first = found.clone();
    newest_first.sort();
    newest_first.reverse();
    newest_first.dedup();
    assert_eq!((found.len(), found), (5, newest_first));
}

#[test]
fn an_account_has_at_most_eight_webhooks() {
    let stage = Stage::new();
    for n in 0..8 {
        set(&stage, wanted(&format!("w{n}")));
    }
    let ninth = ask(&stage, WebhooksCommand::Set(Box::new(wanted("w8"))));
    assert!(matches!(ninth, Err(AccountError::Refused { parameter: "name", .. })));
    set(&stage, wanted("w7"));
}

#[test]
fn the_operators_webhook_is_told_of_every_account() {
    let secrets = [secret_of(&[1; 24]), secret_of(&[2; 24])];
    let vars = [("WEBHOOK_URL", URL), ("WEBHOOK_SECRET", &format!("{},{}", secrets[0], secrets[1]))];
    let stage = Stage::with(&vars);
    stage.query("s");
    stage.settle();
    let arrivals = stage.receiver.arrivals();
    assert_eq!(types(&arrivals), ["turn.completed"]);
    assert!(secrets.iter().all(|secret| arrivals[0].is_signed_by(secret)));
    assert_eq!(deliveries(&stage, "operator").len(), 1);
    let Ok(WebhooksReply::List(own)) = ask(&stage, WebhooksCommand::List) else { panic!() };
    assert!(own.is_empty());
    // What the operator takes away is sent no more.
    stage.receiver.always(Behaviour::Status(410));
    stage.query("s");
    stage.pass(DAY);
    assert_eq!(stage.receiver.arrivals().len(), 2);
    assert_eq!(stage.logged("webhook_gone").len(), 1);
}

#[test]
fn an_address_that_is_not_allowed_any_more_is_not_asked() {
    let mut stage = Stage::new();
    set(&stage, SetWebhook { url: "http://localhost:9000/".to_owned(), ..wanted("local") });
    stage.query("s");
    stage.settle();
    assert_eq!(stage.receiver.arrivals().len(), 1);
    stage.set_var("API_KEYS", "0123456789abcdef01234567");
    stage.reset();
    stage.query("s");
    stage.settle();
    assert_eq!(stage.receiver.arrivals().len(), 1);
    let last = &deliveries(&stage, "local")[0];
    assert_eq!((last.status, last.last_error.as_deref()), (DeliveryStatus::Dead, Some("refused")));
}

#[test]
fn webhooks_outlive_the_conversations_of_their_account() {
    let (stage, _) = with_webhook();
    stage.query("s");
    stage.pass(40 * DAY);
    stage.visit();
    stage.settle();
    assert_eq!((stage.sql.count("conversations"), stage.sql.count("webhooks"), stage.sql.count("outbox")), (0, 1, 0));
    assert!(stage.alarm().is_none_or(|at| at > stage.executor.now()), "nothing is left to do");
    ask(&stage, WebhooksCommand::Delete { name: "crm".parse().unwrap() }).unwrap();
    stage.visit();
    stage.settle();
    assert!(stage.sql.texts("select name from sqlite_schema where name = 'webhooks'").is_empty());
}

#[test]
fn a_delivery_is_dropped_only_for_want_of_room_and_the_log_says_so() {
    let (stage, _) = with_webhook();
    stage.sql.run(&format!(
        "with recursive n (value) as (select 1 union all select value + 1 from n where value < {MAX_DELIVERIES}) \
         insert into outbox (event_id, type, target, data, created_at, due_at, ended_at, last_status) \
         select 'evt_' || printf('%032x', value), 'turn.failed', 'crm', '{{}}', 1, \
         iif(value < 3, 9000000000000, null), 1, 500 from n"
    ));
    stage.query("s");
    stage.settle();
    assert_eq!(stage.sql.count("outbox"), MAX_DELIVERIES - 99);
    assert_eq!(
        stage.sql.text("select count(*) from outbox where due_at is not null"),
        "2",
        "what is pending goes last"
    );
    assert_eq!(stage.logged("deliveries_dropped")[0]["deleted"], 100);
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
