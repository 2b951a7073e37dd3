//! Webhooks of an account on a stage.

use claude_agent_service::account::Response;
use claude_agent_service::account::command::Command;
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::webhooks::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use claude_agent_service::domain::Webhook;
use claude_agent_service::domain::webhook::Delivery;

use super::receiver::Arrival;
use super::stage::Stage;

pub const URL: &str = "https://hooks.acme.com/a";

pub fn ask(stage: &Stage, command: WebhooksCommand) -> Result<WebhooksReply, AccountError> {
    match stage.handle(Command::Webhooks(command))? {
        Response::Ready(Reply::Webhooks(reply)) => Ok(reply),
        _ => unreachable!(),
    }
}

pub fn wanted(name: &str) -> SetWebhook {
    let name = name.parse().unwrap();
    SetWebhook { name, url: URL.to_owned(), types: Vec::new(), include: Vec::new(), secret: None, rotate: false }
}

pub fn set(stage: &Stage, webhook: SetWebhook) -> Webhook {
    let Ok(WebhooksReply::One(webhook)) = ask(stage, WebhooksCommand::Set(Box::new(webhook))) else { panic!() };
    *webhook
}

/// A stage with the webhook `crm`, and its secret.
pub fn with_webhook() -> (Stage, String) {
    let stage = Stage::new();
    let secret = set(&stage, wanted("crm")).secret.unwrap();
    (stage, secret)
}

pub fn deliveries(stage: &Stage, name: &str) -> Vec<Delivery> {
    let command = WebhooksCommand::Deliveries { name: name.parse().unwrap(), before: None, limit: 200 };
    let Ok(WebhooksReply::Deliveries { deliveries, .. }) = ask(stage, command) else { panic!() };
    deliveries
}

pub fn types(arrivals: &[Arrival]) -> Vec<String> {
    arrivals.iter().map(|arrival| arrival.json()["type"].as_str().unwrap().to_owned()).collect()
}
