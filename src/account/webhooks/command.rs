//! What users ask of their webhooks.

use serde::{Deserialize, Serialize};

use crate::domain::webhook::{Delivery, Include};
use crate::domain::{EventType, ResourceName, Webhook, WebhookEventId};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WebhooksCommand {
    /// All webhooks.
    List,
    /// One webhook.
    Read {
        /// Its name.
        name: ResourceName,
    },
    /// Make a webhook, or change it.
    Set(Box<SetWebhook>),
    /// Delete a webhook and its deliveries.
    Delete {
        /// Its name.
        name: ResourceName,
    },
    /// The deliveries to a webhook, newest first.
    Deliveries {
        /// Its name.
        name: ResourceName,
        /// Only those of before this event.
        before: Option<WebhookEventId>,
        /// At most so many.
        limit: u32,
    },
    /// Send an event to a webhook anew.
    Redeliver {
        /// Its name.
        name: ResourceName,
        /// The event.
        event_id: WebhookEventId,
    },
    /// Send a webhook an event that tells of nothing.
    Test {
        /// Its name.
        name: ResourceName,
    },
}

impl WebhooksCommand {
    /// Whether it holds what must not stand in a URL: the address and the secret of a webhook.
    #[must_use]
    pub const fn has_content(&self) -> bool {
        matches!(self, Self::Set(_))
    }

    /// Whether it changes something.
    pub(in crate::account) const fn changes(&self) -> bool {
        !matches!(self, Self::List | Self::Read { .. } | Self::Deliveries { .. })
    }

    /// Whether it may be sent again if no response came. A secret that is made is shown to one response.
    #[must_use]
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Set(set) if set.rotate)
    }
}

/// A webhook as it is to be.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetWebhook {
    /// Its name.
    pub name: ResourceName,
    /// Where the events are sent.
    pub url: String,
    /// The events that are sent; all if empty.
    pub types: Vec<EventType>,
    /// What is sent beside the event's ids.
    pub include: Vec<Include>,
    /// The secret that signs; if absent, the one that it has, or a new one.
    pub secret: Option<String>,
    /// Whether a new secret takes the place of the one that it has.
    pub rotate: bool,
}

/// What they are answered.
pub enum WebhooksReply {
    /// All webhooks, by name.
    List(Vec<Webhook>),
    /// One.
    One(Box<Webhook>),
    /// The webhook is gone.
    Deleted,
    /// Some of the deliveries to a webhook.
    Deliveries {
        /// Newest first.
        deliveries: Vec<Delivery>,
        /// The webhook.
        name: ResourceName,
        /// How many were asked for.
        limit: u32,
        /// Whether there are older ones.
        older: bool,
    },
    /// The event is about to be sent.
    Queued(WebhookEventId),
}
