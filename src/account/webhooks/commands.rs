//! The commands about webhooks.

use std::rc::Rc;
use std::time::Duration;

use super::command::{SetWebhook, WebhooksCommand, WebhooksReply};
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::reply::Reply;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::time::DAY;
use crate::domain::webhook::{Event, MAX_WEBHOOKS, OPERATOR_WEBHOOK, secret_of};
use crate::domain::{EventType, Millis, ResourceName, Webhook, WebhookEventId};
use crate::store::outbox::OPERATOR;
use crate::store::sql::Sql;
use crate::store::webhooks::StoredWebhook;

/// How long deliveries are signed with the secret before a new one, too.
pub const ROTATION: Duration = DAY;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(in crate::account) fn handle_webhooks(
        self: &Rc<Self>,
        command: WebhooksCommand,
        now: Millis,
    ) -> Result<WebhooksReply, AccountError> {
        Ok(match command {
            WebhooksCommand::List => {
                WebhooksReply::List(self.store.webhooks()?.iter().map(|stored| shown(stored, now)).collect())
            }
            WebhooksCommand::Read { name } => {
                let stored = self.store.webhook(name.as_str())?.ok_or(AccountError::NotFound)?;
                WebhooksReply::One(Box::new(shown(&stored, now)))
            }
            WebhooksCommand::Set(set) => WebhooksReply::One(Box::new(self.set_webhook(*set, now)?)),
            WebhooksCommand::Delete { name } => {
                self.store.delete_webhook(name.as_str())?;
                WebhooksReply::Deleted
            }
            WebhooksCommand::Deliveries { name, before, limit } => {
                let (deliveries, older) = self.store.deliveries(self.target(&name)?, before.as_ref(), limit)?;
                WebhooksReply::Deliveries { deliveries, name, limit, older }
            }
            WebhooksCommand::Redeliver { name, event_id } => {
                if !self.store.redeliver(self.target(&name)?, &event_id, now)? {
                    return Err(AccountError::NotFound);
                }
                self.deliver()?;
                WebhooksReply::Queued(event_id)
            }
            WebhooksCommand::Test { name } => {
                let event = Event {
                    event_id: WebhookEventId::new(self.runtime.uuid()),
                    kind: EventType::Test,
                    created_at: now,
                    session_id: None,
                    turn_id: None,
                    more: serde_json::Map::new(),
                };
                let target = self.target(&name)?;
                self.store.transaction(|| self.store.tell_one(target, &event))?;
                self.deliver()?;
                WebhooksReply::Queued(event.event_id)
            }
        })
    }

    /// The reply of an account that nothing is stored of; none if something is to be stored.
    pub(in crate::account) fn webhooks_of_nothing(
        &self,
        ask: &WebhooksCommand,
    ) -> Result<Option<Reply<S::Json>>, AccountError> {
        Ok(Some(Reply::Webhooks(match ask {
            WebhooksCommand::Set(_) => return Ok(None),
            // The operator's webhook is there without a row.
            WebhooksCommand::Test { name }
                if name.as_str() == OPERATOR_WEBHOOK && self.config.webhook.url.is_some() =>
            {
                return Ok(None);
            }
            WebhooksCommand::List => WebhooksReply::List(Vec::new()),
            WebhooksCommand::Delete { .. } => WebhooksReply::Deleted,
            _ => return Err(AccountError::NotFound),
        })))
    }

    /// The outbox's word for a webhook that there is.
    fn target<'a>(&self, name: &'a ResourceName) -> Result<&'a str, AccountError> {
        if name.as_str() == OPERATOR_WEBHOOK {
            return if self.config.webhook.url.is_some() { Ok(OPERATOR) } else { Err(AccountError::NotFound) };
        }
        self.store.webhook(name.as_str())?.map(|_| name.as_str()).ok_or(AccountError::NotFound)
    }

    fn set_webhook(&self, set: SetWebhook, now: Millis) -> Result<Webhook, AccountError> {
        let before = self.store.webhook(set.name.as_str())?;
        if before.is_none() && self.store.webhooks()?.len() >= MAX_WEBHOOKS {
            let rule = "an account has at most 8 webhooks; delete one first";
            return Err(AccountError::Refused { parameter: "name", rule });
        }
        let created_at = before.as_ref().map_or(now, |stored| stored.webhook.created_at);
        let wanted = set.secret.or_else(|| (set.rotate || before.is_none()).then(|| self.new_secret()));
        let (is_new, secret, old_secret, old_until) = match (wanted, before) {
            (Some(new), Some(before)) if new != before.secret => {
                (true, new, Some(before.secret), Some(now.plus(ROTATION)))
            }
            (Some(new), None) => (true, new, None, None),
            (_, Some(before)) => (false, before.secret, before.old_secret, before.webhook.previous_secret_until),
            // Without a webhook before, one was made.
            (None, None) => return Err(AccountError::NotFound),
        };
        let webhook = Webhook {
            name: set.name,
            url: set.url,
            types: set.types,
            include: set.include,
            enabled: true,
            created_at,
            updated_at: now,
            previous_secret_until: old_until,
            secret: None,
        };
        let stored = StoredWebhook { webhook, secret, old_secret };
        self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            self.store.set_webhook(&stored)
        })?;
        let webhook = shown(&stored, now);
        Ok(Webhook { secret: is_new.then_some(stored.secret), ..webhook })
    }

    /// A secret of 222 random bits.
    fn new_secret(&self) -> String {
        let mut bytes = Vec::with_capacity(48);
        for _ in 0..3 {
            bytes.extend_from_slice(self.runtime.uuid().as_bytes());
        }
        secret_of(&bytes)
    }
}

/// A webhook as its account sees it.
fn shown(stored: &StoredWebhook, now: Millis) -> Webhook {
    let webhook = stored.webhook.clone();
    Webhook { previous_secret_until: webhook.previous_secret_until.filter(|until| *until > now), ..webhook }
}
