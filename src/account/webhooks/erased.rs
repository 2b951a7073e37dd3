//! The operator's webhook is told of an erasure when nothing is left of the account: no outbox is there any more that could hold the event, so it is
//! sent as a part of the erasure.

use std::pin::pin;

use futures_util::future::{Either, select};

use super::deliver::DELIVERY_LIMIT;
use super::sign::signatures;
use crate::account::Account;
use crate::account::runtime::{Directory, NotSent, Runtime};
use crate::agent::Container;
use crate::domain::{ErasureId, EventType};
use crate::log::{Level, Line};
use crate::store::sql::Sql;

/// How often it is sent before the erasure ends without.
pub const MAX_TRIES: u32 = 5;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Tells it; whether there is nothing left to tell. The directory asks again otherwise.
    pub(in crate::account) async fn tell_erased(&self, erasure_id: Option<&ErasureId>, keep_account: bool) -> bool {
        let (Some(url), Some(erasure_id)) = (self.config.webhook.url.as_deref(), erasure_id) else { return true };
        let (tries, now) = (self.webhooks.erasure_tries.get() + 1, self.runtime.now());
        // The same in each try.
        let id = erasure_id.as_str().replace("erasure_", "evt_");
        let body = serde_json::json!({
            "id": id,
            "type": EventType::AccountErased.as_str(),
            "created_at": now.get(),
            "data": {"account_id": self.id.as_str(), "erasure_id": erasure_id, "keep_account": keep_account},
        });
        let (body, seconds) = (body.to_string(), now.get().div_euclid(1_000));
        let signature = signatures(self.config.webhook.secrets.iter().map(String::as_str), &id, seconds, &body);
        let headers = [
            ("content-type", "application/json"),
            ("webhook-id", id.as_str()),
            ("webhook-timestamp", &seconds.to_string()),
            ("webhook-signature", &signature),
        ];
        let post = self.runtime.post(url, &headers, &body, DELIVERY_LIMIT);
        let answer = match select(pin!(post), pin!(self.runtime.sleep(DELIVERY_LIMIT))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(NotSent::Timeout),
        };
        let is_told = matches!(answer, Ok(200..=299));
        let gives_up = tries >= MAX_TRIES || answer == Ok(410);
        if !is_told && gives_up {
            let why = answer.err().map_or("the endpoint did not take account.erased", NotSent::as_str);
            let line = Line { event: "delivery_dead", http_status: answer.ok(), error: Some(why), ..Line::default() };
            self.log(Level::Error, line);
        }
        self.webhooks.erasure_tries.set(if is_told || gives_up { 0 } else { tries });
        is_told || gives_up
    }
}
