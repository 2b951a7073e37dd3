//! The nouns of the service: ids, time, conversations and turns.
//! Values and their rules only; it knows no layer above it and no runtime.

pub mod conversation;
pub mod file;
pub mod id;
pub mod metadata;
pub mod options;
pub mod purge;
pub mod search;
pub mod time;
pub mod turn;

pub use conversation::{Conversation, Message, Position, Role, Title};
pub use file::{FilePath, TurnFiles};
pub use id::{AccountId, AgentSession, EventId, IdempotencyKey, RequestId, RunId, SessionId, TurnId};
pub use metadata::MetadataPatch;
pub use options::{RunOptions, SystemPrompt, TurnOptions};
pub use purge::{PurgeRun, Trigger, Visit};
pub use search::Words;
pub use time::Millis;
pub use turn::{Failure, FailureCode, Timing, Turn, TurnStatus, Usage};
