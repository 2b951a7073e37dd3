//! `/webhooks`: where an account's events are sent, and what became of them.

use serde::Serialize;

use super::answer::Answer;
use super::auth::Principal;
use super::body::{Fields, Head, need_json};
use super::links;
use super::problem::{ApiError, Code};
use super::query::Target;
use crate::account::command::Command;
use crate::account::webhooks::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use crate::config::Config;
use crate::domain::webhook::{Include, MAX_SECRET_TEXT_BYTES, OPERATOR_WEBHOOK, secret_bytes};
use crate::domain::webhook_url::{self, MAX_URL_BYTES};
use crate::domain::{AccountId, EventType, ResourceName, WebhookEventId};

/// Longest body, in bytes: many times a webhook.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
pub(super) const DEFAULT_DELIVERIES: u32 = 50;
pub(super) const MAX_DELIVERIES: u32 = 200;
/// Most bytes of the raw JSON of `types` and of `include`.
const MAX_LIST_BYTES: usize = 4_096;
/// The fields of a webhook.
const FIELDS: &[&str] = &["accountId", "url", "types", "include", "secret", "rotate_secret"];

/// A webhook to be set, without its body.
#[derive(Debug)]
pub struct WebhookHead {
    principal: Principal,
    named: Option<AccountId>,
    name: ResourceName,
    own_host: String,
    to_this_machine: bool,
}

impl WebhookHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        config: &Config,
        principal: Principal,
        named: Option<AccountId>,
        name: ResourceName,
    ) -> Result<Self, ApiError> {
        need_json(head)?;
        if name.as_str() == OPERATOR_WEBHOOK {
            return Err(ApiError::parameter("name", "another than `operator`, which is WEBHOOK_URL's"));
        }
        let own_host = Target::of(head.url).host.to_owned();
        Ok(Self { principal, named, name, own_host, to_this_machine: !config.auth.is_configured() })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "A webhook has at most 65536 bytes.");
        let body = body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(too_large)?;
        let fields = Fields::of(body, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let text = |name, most| fields.text(name, most, Code::InvalidParameter);
        let url = text("url", MAX_URL_BYTES)?.ok_or_else(|| ApiError::parameter("url", "the endpoint's URL"))?;
        webhook_url::check(&url, Some(&self.own_host), self.to_this_machine)
            .map_err(|rule| ApiError::parameter("url", rule.0))?;
        let types = list(&fields, "types", "an array of types of events, such as turn.completed", |word| {
            EventType::parse(word).filter(|kind| *kind != EventType::Test)
        })?;
        let include = list(&fields, "include", "an array that holds result, or nothing", |word| {
            (word == "result").then_some(Include::Result)
        })?;
        let secret = text("secret", MAX_SECRET_TEXT_BYTES)?;
        if secret.as_ref().is_some_and(|secret| secret_bytes(secret).is_none()) {
            return Err(ApiError::parameter("secret", "whsec_ and the base64 of 24 to 64 bytes"));
        }
        let rotate = match fields.raw("rotate_secret") {
            None | Some("false") => false,
            Some("true") if secret.is_none() => true,
            Some(_) => return Err(ApiError::parameter("rotate_secret", "true or false, and not true with a secret")),
        };
        let set = SetWebhook { name: self.name, url, types, include, secret, rotate };
        Ok((account_id, Command::Webhooks(WebhooksCommand::Set(Box::new(set)))))
    }
}

/// A field that is an array of words; empty if it is absent. None stands in it twice.
fn list<T: PartialEq>(
    fields: &Fields<'_>,
    name: &str,
    rule: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, ApiError> {
    let refused = || ApiError::parameter(name, rule);
    let Some(raw) = fields.raw(name) else { return Ok(Vec::new()) };
    if raw.len() > MAX_LIST_BYTES {
        return Err(refused());
    }
    let words: Vec<String> = serde_json::from_str(raw).map_err(|_| refused())?;
    let mut all = Vec::new();
    for word in &words {
        let one = parse(word).ok_or_else(refused)?;
        if !all.contains(&one) {
            all.push(one);
        }
    }
    Ok(all)
}

/// Lets only an operator ask about the operator's webhook: it is told of every account.
///
/// # Errors
/// 404 `not_found`, as for a webhook that there is not.
pub(super) fn visible(principal: &Principal, name: ResourceName) -> Result<ResourceName, ApiError> {
    if name.as_str() == OPERATOR_WEBHOOK && *principal != Principal::Operator {
        return Err(ApiError::not_found());
    }
    Ok(name)
}

/// An event that is about to be sent.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "QueuedEvent"))]
pub(super) struct QueuedJson<'a> {
    /// Names it: the `webhook-id` of the delivery.
    pub(super) event_id: &'a WebhookEventId,
}

impl<J> Answer<J> {
    pub(super) fn of_webhooks(reply: &WebhooksReply, account_id: &AccountId) -> Self {
        match reply {
            WebhooksReply::List(webhooks) => Self::json(200, webhooks),
            WebhooksReply::One(webhook) => Self::json(200, webhook),
            WebhooksReply::Deleted => Self::success(),
            WebhooksReply::Deliveries { deliveries, name, limit, older } => {
                let answer = Self::json(200, deliveries);
                match deliveries.last().filter(|_| *older) {
                    Some(last) => {
                        answer.with("link", links::older_deliveries(account_id, name, *limit, &last.event_id))
                    }
                    None => answer,
                }
            }
            WebhooksReply::Queued(event_id) => Self::json(202, &QueuedJson { event_id }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::request::{Asked, parse};
    use super::*;
    use crate::domain::Millis;
    use crate::domain::webhook::secret_of;

    const KEY: &str = "0123456789abcdef01234567";

    fn command(method: &str, path: &str, body: &str, vars: &[(&str, &str)]) -> Result<Command, ApiError> {
        let config = Config::parse(|n| vars.iter().find(|(name, _)| *name == n).map(|(_, v)| (*v).to_owned())).unwrap();
        let authorization = format!("Bearer {KEY}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let host = if vars.is_empty() { "http://localhost:8787" } else { "https://agents.acme.com" };
        let url = format!("{host}{path}");
        match parse(&Head { method, url: &url, header: &header, now: Millis::new(0) }, &config)? {
            Asked::Command(_, command) => Ok(command),
            Asked::WithBody(pending) => Ok(pending.with_body(Some(body.as_bytes()))?.1),
            other => panic!("{other:?}"),
        }
    }

    fn set(body: &str) -> Result<SetWebhook, String> {
        match command("PUT", "/webhooks/crm", body, &[("API_KEYS", KEY)]) {
            Ok(Command::Webhooks(WebhooksCommand::Set(set))) => Ok(*set),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.detail),
        }
    }

    #[test]
    fn a_webhook_is_read_with_its_fields() {
        let secret = secret_of(&[7; 24]);
        let body = format!(
            r#"{{"url":"https://hooks.acme.com/a","types":["turn.failed","turn.failed","schedule.paused"],"include":["result"],"secret":"{secret}"}}"#
        );
        let read = set(&body).unwrap();
        assert_eq!((read.name.as_str(), read.url.as_str()), ("crm", "https://hooks.acme.com/a"));
        assert_eq!(read.types, [EventType::TurnFailed, EventType::SchedulePaused]);
        assert_eq!((read.include, read.secret, read.rotate), (vec![Include::Result], Some(secret), false));
        let least = set(r#"{"url":"https://hooks.acme.com/a","types":null,"rotate_secret":true}"#).unwrap();
        assert!(least.types.is_empty() && least.include.is_empty() && least.secret.is_none() && least.rotate);
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        for (body, part) in [
            (r"{}", "url: the endpoint's URL"),
            (r#"{"url":"http://hooks.acme.com"}"#, "url: a URL that starts with https://"),
            (r#"{"url":"https://agents.acme.com/x"}"#, "url: another host"),
            (r#"{"url":"http://localhost:1"}"#, "url: a URL that starts with https://"),
            (r#"{"url":"https://hooks.acme.com","types":["turn.started"]}"#, "types: an array"),
            (r#"{"url":"https://hooks.acme.com","types":["webhook.test"]}"#, "types: an array"),
            (r#"{"url":"https://hooks.acme.com","types":"turn.failed"}"#, "types: an array"),
            (r#"{"url":"https://hooks.acme.com","include":["items"]}"#, "include: an array"),
            (r#"{"url":"https://hooks.acme.com","secret":"hunter2"}"#, "secret: whsec_"),
            (r#"{"url":"https://hooks.acme.com","rotate_secret":1}"#, "rotate_secret: true or false"),
        ] {
            let refused = set(body).unwrap_err();
            assert!(refused.starts_with(part), "{body}: {refused}");
        }
        let many =
            format!(r#"{{"url":"https://hooks.acme.com","types":[{}]}}"#, vec!["\"turn.failed\""; 400].join(","));
        assert!(set(&many).unwrap_err().starts_with("types"));
    }

    #[test]
    fn this_machine_may_be_told_while_nothing_is_configured() {
        let local = r#"{"url":"http://localhost:9000/h"}"#;
        assert!(command("PUT", "/webhooks/a", local, &[]).is_ok());
        assert!(command("PUT", "/webhooks/a", local, &[("AUTH", "none")]).is_err());
    }

    #[test]
    fn the_operators_webhook_is_nobody_elses() {
        let body = r#"{"url":"https://hooks.acme.com"}"#;
        assert!(command("PUT", "/webhooks/operator", body, &[("API_KEYS", KEY)]).is_err());
        assert!(command("GET", "/webhooks/operator/deliveries", "", &[("API_KEYS", KEY)]).is_ok());
        let name: ResourceName = "operator".parse().unwrap();
        let of_token = visible(&Principal::Account("acme".parse().unwrap()), name.clone());
        assert_eq!(of_token.unwrap_err().code, Code::NotFound);
        assert!(visible(&Principal::Operator, name).is_ok());
    }
}
