//! Webhooks: what an account's endpoints are told of, and how far that has come. Signatures are those of Standard Webhooks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{Millis, ResourceName, SessionId, TurnId, TurnStatus, WebhookEventId};

/// Most webhooks of an account.
pub const MAX_WEBHOOKS: usize = 8;
/// The name under which an operator finds the deliveries to `WEBHOOK_URL`. No webhook of an account has it.
pub const OPERATOR_WEBHOOK: &str = "operator";
/// What a secret begins with, before the base64 of its bytes.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a secret: Standard Webhooks asks for 24 to 64.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
/// Longest secret as it is written, in bytes.
pub const MAX_SECRET_TEXT_BYTES: usize = 96;

macro_rules! event_types {
    ($($(#[$doc:meta])* $name:ident $word:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub enum EventType {
            $($(#[$doc])* #[serde(rename = $word)] $name,)*
        }

        impl EventType {
            /// The word that is stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Some(match word {
                    $($word => Self::$name,)*
                    _ => return None,
                })
            }
        }
    };
}

event_types! {
    /// A turn was answered.
    TurnCompleted "turn.completed";
    /// A turn failed, or its container died under it.
    TurnFailed "turn.failed";
    /// A turn was cancelled, or its conversation deleted.
    TurnCancelled "turn.cancelled";
    /// A turn waits for somebody.
    TurnRequiresAction "turn.requires_action";
    /// Nobody did in time what a turn waited for.
    ActionExpired "action.expired";
    /// A budget is nearly spent.
    BudgetWarning "budget.warning";
    /// A budget is spent.
    BudgetExhausted "budget.exhausted";
    /// A run of a schedule failed.
    ScheduleFailed "schedule.failed";
    /// A schedule failed too often and runs no more.
    SchedulePaused "schedule.paused";
    /// Everything of an account was deleted.
    AccountErased "account.erased";
    /// Somebody asked for a test.
    Test "webhook.test";
}

impl EventType {
    /// What the end of a turn is; none for a turn that has not ended.
    #[must_use]
    pub const fn of_end(status: TurnStatus) -> Option<Self> {
        match status {
            TurnStatus::Completed => Some(Self::TurnCompleted),
            TurnStatus::Failed | TurnStatus::Interrupted => Some(Self::TurnFailed),
            TurnStatus::Cancelled => Some(Self::TurnCancelled),
            TurnStatus::Queued | TurnStatus::Running | TurnStatus::RequiresAction => None,
        }
    }
}

/// What a delivery holds beside the event itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WebhookInclude"))]
pub enum Include {
    /// The turn, as `GET /turns/{turn_id}` returns it.
    Result,
}

/// An endpoint that an account's events are sent to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Webhook {
    /// Names it within its account.
    pub name: ResourceName,
    /// Where the events are sent.
    pub url: String,
    /// The events that are sent; all if empty.
    pub types: Vec<EventType>,
    /// What is sent beside the event's ids.
    pub include: Vec<Include>,
    /// Whether events are sent. An endpoint that answers 410 is disabled until the webhook is written again.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last written.
    pub updated_at: Millis,
    /// Until when deliveries are signed with the secret before this one, too; absent if they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Millis"))]
    pub previous_secret_until: Option<Millis>,
    /// The secret; only in the response to the request that set it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub secret: Option<String>,
}

impl Webhook {
    /// Whether events of this type are sent to it.
    #[must_use]
    pub fn takes(&self, kind: EventType) -> bool {
        self.enabled && (self.types.is_empty() || self.types.contains(&kind))
    }
}

/// An event on its way to the webhooks. Its data are ids, never what anybody said.
pub struct Event<'a> {
    /// Names it.
    pub event_id: WebhookEventId,
    /// What happened.
    pub kind: EventType,
    /// When.
    pub created_at: Millis,
    /// The conversation that it is about.
    pub session_id: Option<&'a SessionId>,
    /// The turn that it is about.
    pub turn_id: Option<&'a TurnId>,
    /// The fields of `data` besides the ids of the account, the conversation and the turn.
    pub more: serde_json::Map<String, serde_json::Value>,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum DeliveryStatus {
    /// It is sent as soon as it is due.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// It is not tried again by itself.
    Dead,
}

/// An event and what became of it at one webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "WebhookDelivery"))]
pub struct Delivery {
    /// The event: the `webhook-id` of each attempt.
    pub event_id: WebhookEventId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// How far it has come.
    pub status: DeliveryStatus,
    /// How often it was tried.
    pub attempts: u32,
    /// When the event happened.
    pub created_at: Millis,
    /// When it is tried next; null if it has ended.
    pub next_attempt_at: Option<Millis>,
    /// When it was delivered or given up; null before.
    pub ended_at: Option<Millis>,
    /// The status of the last response; null if there was none.
    pub last_status: Option<u16>,
    /// Why the last attempt brought no response; null if it brought one.
    pub last_error: Option<String>,
    /// The conversation that the event is about.
    pub session_id: Option<SessionId>,
    /// The turn that the event is about.
    pub turn_id: Option<TurnId>,
}

/// The bytes of a secret; none if it is not `whsec_` and the base64 of 24 to 64 bytes.
#[must_use]
pub fn secret_bytes(secret: &str) -> Option<Vec<u8>> {
    let bytes = STANDARD.decode(secret.strip_prefix(SECRET_PREFIX)?).ok()?;
    SECRET_BYTES.contains(&bytes.len()).then_some(bytes)
}

/// The secret with these bytes.
#[must_use]
pub fn secret_of(bytes: &[u8]) -> String {
    format!("{SECRET_PREFIX}{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        for length in [24, 32, 64] {
            let bytes = vec![7; length];
            assert_eq!(secret_bytes(&secret_of(&bytes)), Some(bytes));
        }
        assert!(secret_of(&[7; 64]).len() <= MAX_SECRET_TEXT_BYTES);
        for bad in [secret_of(&[7; 23]), secret_of(&[7; 65]), "whsec_".to_owned(), "whsec_!".to_owned(), "x".repeat(40)]
        {
            assert_eq!(secret_bytes(&bad), None, "{bad}");
        }
    }

    #[test]
    fn every_type_reads_back_from_its_word() {
        for word in ["turn.completed", "turn.requires_action", "budget.exhausted", "schedule.paused", "webhook.test"] {
            let kind = EventType::parse(word).unwrap();
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{word}\""));
            assert_eq!(kind.as_str(), word);
        }
        assert_eq!(EventType::parse("turn"), None);
    }
}
