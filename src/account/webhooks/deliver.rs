//! Delivery: what is due in the outbox is sent, a few at a time, and tried again until an endpoint takes it or too long has passed. A delivery
//! that the object loses its memory over is sent again: an endpoint gets each event at least once, under one id.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};
use serde_json::value::RawValue;

use super::sign::signatures;
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::runtime::{Directory, NotSent, Runtime};
use crate::account::wake;
use crate::agent::Container;
use crate::domain::webhook::Include;
use crate::domain::{Millis, webhook_url};
use crate::log::{Level, Line};
use crate::store::outbox::{Attempt, Envelope, OPERATOR, Pending};
use crate::store::sql::Sql;

/// Most deliveries of an account that are sent at once.
pub const MAX_AT_ONCE: usize = 4;
/// How long an endpoint has to respond.
pub const DELIVERY_LIMIT: Duration = Duration::from_secs(10);
/// How long after each failed attempt the next one comes. After the last, the delivery is dead.
pub const RETRIES: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
    Duration::from_hours(1),
    Duration::from_hours(6),
    Duration::from_hours(24),
    Duration::from_hours(48),
];
/// How much later an attempt may come, as one part in so many: what failed at once is not tried again at once.
const JITTER_PART: u32 = 10;
/// Longest turn that a delivery holds, in bytes of JSON.
pub const MAX_RESULT_BYTES: usize = 256 * 1024;
/// Pause of all deliveries after storage failed.
const STORAGE_PAUSE: Duration = Duration::from_mins(1);

/// Where a delivery goes, what signs it, and what it holds.
struct Endpoint {
    url: String,
    secrets: Vec<String>,
    has_result: bool,
    /// Whether it may be on this machine.
    is_local: bool,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Begins to send what is due, and sees to it that an alarm goes on if the object loses its memory.
    pub(in crate::account) fn deliver(self: &Rc<Self>) -> Result<(), AccountError> {
        let now = self.runtime.now();
        let dropped = self.store.take_dropped();
        if dropped > 0 {
            let deleted = u64::try_from(dropped).ok();
            self.log(Level::Warn, Line { event: "deliveries_dropped", deleted, ..Line::default() });
        }
        if self.webhooks.paused_until.get().is_some_and(|until| until > now) {
            return Ok(());
        }
        let mut begun = false;
        while self.webhooks.in_flight.borrow().len() < MAX_AT_ONCE {
            let Some(next) = self.next_to_send(now)? else { break };
            self.webhooks.in_flight.borrow_mut().push(next.clone());
            begun = true;
            self.runtime.spawn(Rc::clone(self).send_delivery(next));
        }
        if begun { self.set_alarm() } else { Ok(()) }
    }

    /// The first delivery that is due and whose conversation has none under way to the same webhook.
    fn next_to_send(&self, now: Millis) -> Result<Option<Pending>, AccountError> {
        let in_flight = self.webhooks.in_flight.borrow();
        let is_free = |one: &&Pending| {
            one.due_at <= now
                && in_flight.iter().all(|sent| {
                    sent.seq != one.seq
                        && (sent.target != one.target || sent.session_id.is_none() || sent.session_id != one.session_id)
                })
        };
        Ok(self.store.pending(|pending| pending.iter().find(is_free).cloned())?)
    }

    /// When the object wakes for a delivery; none if none is pending.
    pub(in crate::account) fn next_delivery(&self, now: Millis) -> Result<Option<Millis>, AccountError> {
        if !self.webhooks.in_flight.borrow().is_empty() {
            return Ok(Some(now.plus(wake::WATCH)));
        }
        let due_at = self.store.pending(|pending| pending.iter().map(|one| one.due_at).min())?;
        let paused_until = self.webhooks.paused_until.get().unwrap_or(now);
        Ok(due_at.map(|at| at.max(paused_until).max(now)))
    }

    async fn send_delivery(self: Rc<Self>, delivery: Pending) {
        let sent = self.send(&delivery).await;
        self.webhooks.in_flight.borrow_mut().retain(|one| one.seq != delivery.seq);
        if !self.store.is_made() {
            return;
        }
        let stored = sent.and_then(|answer| match answer {
            Some(answer) => self.record(&delivery, answer),
            None => Ok(()),
        });
        if let Err(error) = &stored {
            // It would be sent again and again.
            self.webhooks.paused_until.set(Some(self.runtime.now().plus(STORAGE_PAUSE)));
            self.log_delivery("delivery_not_stored", Level::Error, None, &error.to_string());
        }
        if let Err(error) = self.deliver().and_then(|()| self.set_alarm()) {
            self.log_delivery("delivery_not_stored", Level::Error, None, &error.to_string());
        }
    }

    /// Sends a delivery; none if it is not to be sent any more.
    async fn send(&self, delivery: &Pending) -> Result<Option<Result<u16, NotSent>>, AccountError> {
        let Some(envelope) = self.store.envelope(delivery.seq)? else { return Ok(None) };
        let now = self.runtime.now();
        let Some(endpoint) = self.endpoint(&delivery.target, now)? else {
            self.store.end_deliveries_to(&delivery.target, now)?;
            return Ok(None);
        };
        if webhook_url::check(&endpoint.url, None, endpoint.is_local).is_err() {
            return Ok(Some(Err(NotSent::Refused)));
        }
        let body = self.body(&envelope, endpoint.has_result)?;
        let (id, seconds) = (envelope.event_id.as_str(), now.get().div_euclid(1_000));
        let signature = signatures(endpoint.secrets.iter().map(String::as_str), id, seconds, &body);
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &seconds.to_string()),
            ("webhook-signature", &signature),
        ];
        let post = self.runtime.post(&endpoint.url, &headers, &body, DELIVERY_LIMIT);
        Ok(Some(match select(pin!(post), pin!(self.runtime.sleep(DELIVERY_LIMIT))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(NotSent::Timeout),
        }))
    }

    /// Where the deliveries of a target go; none if it is gone or disabled.
    fn endpoint(&self, target: &str, now: Millis) -> Result<Option<Endpoint>, AccountError> {
        if target == OPERATOR {
            let webhook = &self.config.webhook;
            let url = webhook.url.as_deref().map(str::to_owned);
            let secrets = webhook.secrets.to_vec();
            return Ok(url.map(|url| Endpoint { url, secrets, has_result: false, is_local: true }));
        }
        let stored = self.store.webhook(target)?.filter(|stored| stored.webhook.enabled);
        Ok(stored.map(|stored| {
            let old = stored.old_secret.filter(|_| stored.webhook.previous_secret_until.is_some_and(|at| at > now));
            Endpoint {
                has_result: stored.webhook.include.contains(&Include::Result),
                url: stored.webhook.url,
                secrets: [stored.secret].into_iter().chain(old).collect(),
                is_local: !self.config.auth.is_configured(),
            }
        }))
    }

    fn body(&self, envelope: &Envelope, has_result: bool) -> Result<String, AccountError> {
        let turn = match envelope.turn_id.as_ref().filter(|_| has_result) {
            Some(turn_id) => self.store.turn(turn_id)?,
            None => None,
        };
        let turn = turn.map(|turn| self.runtime.turn_json(&turn)).filter(|json| json.len() <= MAX_RESULT_BYTES);
        let mut data = envelope.more.clone();
        data.insert("account_id".to_owned(), self.id.as_str().into());
        if let Some(session_id) = &envelope.session_id {
            data.insert("session_id".to_owned(), session_id.as_str().into());
        }
        if let Some(turn_id) = &envelope.turn_id {
            data.insert("turn_id".to_owned(), turn_id.as_str().into());
        }
        let mut data = serde_json::Value::Object(data).to_string();
        if let Some(turn) = turn.and_then(|json| RawValue::from_string(json).ok()) {
            data.truncate(data.len() - 1);
            data.push_str(",\"turn\":");
            data.push_str(turn.get());
            data.push('}');
        }
        let Envelope { event_id, kind, created_at, .. } = envelope;
        let (kind, created_at) = (kind.as_str(), created_at.get());
        Ok(format!("{{\"id\":\"{event_id}\",\"type\":\"{kind}\",\"created_at\":{created_at},\"data\":{data}}}"))
    }

    fn record(&self, delivery: &Pending, answer: Result<u16, NotSent>) -> Result<(), AccountError> {
        let now = self.runtime.now();
        let next = RETRIES.get(delivery.attempts as usize).map(|pause| now.plus(self.with_jitter(*pause)));
        let attempt = match answer {
            Ok(200..=299) => Attempt::Delivered,
            Ok(410) | Err(NotSent::Refused) => Attempt::Dead,
            _ => next.map_or(Attempt::Dead, Attempt::Again),
        };
        let told = answer.map_err(NotSent::as_str);
        self.store.attempted(delivery.seq, attempt, told, now)?;
        if answer == Ok(410) {
            self.log_delivery("webhook_gone", Level::Warn, Some(410), "the endpoint answered 410");
            if delivery.target != OPERATOR {
                self.store.transaction(|| {
                    self.store.disable_webhook(&delivery.target, now)?;
                    self.store.end_deliveries_to(&delivery.target, now)
                })?;
            }
        } else if attempt == Attempt::Dead {
            let level = if delivery.target == OPERATOR { Level::Error } else { Level::Warn };
            self.log_delivery(
                "delivery_dead",
                level,
                answer.ok(),
                told.err().unwrap_or("the endpoint did not take it"),
            );
        }
        Ok(())
    }

    /// A pause, and up to a tenth of it more.
    fn with_jitter(&self, pause: Duration) -> Duration {
        let [.., random] = *self.runtime.uuid().as_bytes();
        pause + pause / JITTER_PART * u32::from(random) / u32::from(u8::MAX)
    }

    fn log_delivery(&self, event: &str, level: Level, http_status: Option<u16>, why: &str) {
        self.log(level, Line { event, http_status, error: Some(why), ..Line::default() });
    }
}
