//! Webhooks as their account sets them: secrets, lists, tests, what is sent anew, what stays and what goes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

mod support;

use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use claude_agent_service::domain::time::DAY;
use claude_agent_service::domain::webhook::{DeliveryStatus, secret_of};
use claude_agent_service::store::deliveries::MAX_DELIVERIES;
use serde_json::json;
use support::receiver::Behaviour;
use support::stage::Stage;
use support::webhooks::{URL, ask, deliveries, set, types, wanted, with_webhook};

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
