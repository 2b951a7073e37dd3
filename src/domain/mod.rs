//! The nouns of the service: ids, time, conversations and turns.
//! Values and their rules only; it knows no layer above it and no runtime.

pub mod account;
pub mod action;
pub mod audit;
mod changes;
pub mod content;
pub mod conversation;
pub mod cron;
pub mod event;
pub mod file;
pub mod fleet;
pub mod id;
pub mod include;
pub mod json;
pub mod ledger;
pub mod limits;
pub mod metadata;
pub mod options;
pub mod price;
pub mod purge;
pub mod schedule;
pub mod search;
pub mod stored_file;
pub mod time;
pub mod trace;
pub mod transfer;
pub mod turn;
pub mod usage;
pub mod webhook;
pub mod webhook_url;

pub use action::{Action, ActionKind, ActionStatus, ContinueBy, Decision};
pub use content::Block;
pub use conversation::{Conversation, Message, Messages, Page, Position, Role, Title};
pub use file::{FilePath, TurnFiles};
pub use id::{
    AccountId, ActionId, ChatMessageId, ErasureId, EventId, IdempotencyKey, RequestId, ResourceName, RunId, SdkSession,
    SessionId, TurnId, WebhookEventId,
};
pub use include::Include;
pub use json::RawJson;
pub use metadata::MetadataPatch;
pub use options::{ChatMessage, Effort, Thinking, TurnKind, TurnOptions, WhenBusy};
pub use purge::{PurgeOutcome, PurgeRun, Trigger};
pub use schedule::{Missed, TurnTrigger};
pub use search::SearchTerms;
pub use stored_file::{Content, FilesPage, FrameRange, StoredFile};
pub use time::Millis;
pub use turn::{Failure, FailureCode, Turn, TurnStatus};
pub use usage::{ByModel, ContextUse, Usage};
pub use webhook::{EventType, Webhook};
