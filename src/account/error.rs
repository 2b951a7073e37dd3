//! Why an account's object did not carry out a command.

use super::branches::command::NoBranch;
use super::files::command::FilesRefusal;
use crate::domain::content::TooLarge;
use crate::domain::limits::Exceeded;
use crate::domain::metadata::BadMetadata;
use crate::domain::{Action, ActionId, SessionId};
use crate::store::StoreError;
use crate::workspace::port::BucketError;

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// There is no such conversation or turn.
    #[error("not found")]
    NotFound,
    /// No turn runs that a call of the model could belong to.
    #[error("no turn is running")]
    NoTurn,
    /// A limit of the account leaves no room for what costs money.
    #[error("the budget is exhausted")]
    BudgetExhausted(Exceeded),
    /// The account stores as much as it may.
    #[error("the storage is full")]
    StorageFull(Exceeded),
    /// As many calls of the model are open as a turn may have.
    #[error("too many calls of the model are open")]
    TooManyCalls,
    /// The account may be read and nothing else, for this reason.
    #[error("the account is suspended")]
    Suspended(Option<String>),
    /// As many turns wait as may.
    #[error("{depth} turns are waiting")]
    QueueFull {
        /// How many wait.
        depth: usize,
    },
    /// As many requests wait for the turn as may.
    #[error("too many requests wait for the turn")]
    TooManyWait,
    /// The conversation has a turn open, and the caller does not wait for it.
    #[error("a turn of the conversation is open")]
    ConversationBusy,
    /// The turn's attachments break a bound.
    #[error("attachments: {0}")]
    Attachments(#[from] TooLarge),
    /// The conversation's turn waits for somebody.
    #[error("a turn of the conversation requires action")]
    ActionPending(Vec<ActionId>),
    /// The action was decided otherwise, has expired or was cancelled.
    #[error("the action was decided before")]
    ActionResolved(Box<Action>),
    /// What was decided of the actions that the turn waits for is more than the container can be told at once.
    #[error("the decisions of a turn are too large")]
    DecisionsTooLarge,
    /// The message that was answered waits for no answer.
    #[error("nothing is asked there")]
    NothingAsked,
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// A parameter is not what it must be, which only the account can tell.
    #[error("{parameter}: {rule}")]
    Refused {
        /// Its name.
        parameter: &'static str,
        /// What it must be.
        rule: &'static str,
    },
    /// A conversation with that id is there.
    #[error("there is a conversation with that id")]
    ConversationExists,
    /// A line of an import is not what an export writes.
    #[error("import: {0}")]
    BadImport(String),
    /// Conversations with these ids are there, which an import brings.
    #[error("there are conversations with ids of the import")]
    ImportConflicts(Vec<SessionId>),
    /// There is no such branch.
    #[error(transparent)]
    NoBranch(#[from] NoBranch),
    /// There would be too much metadata.
    #[error("metadata: {0}")]
    Metadata(#[from] BadMetadata),
    /// It cannot be done with the conversation's files.
    #[error(transparent)]
    Files(#[from] FilesRefusal),
    /// The bucket failed. The detail is for the log.
    #[error(transparent)]
    Bucket(#[from] BucketError),
    /// The object lost the turn's end; the turn is not lost.
    #[error("the object did not see the end of the turn")]
    EndUnseen,
    /// Storage failed. The detail is for the log.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::store::sql::SqlError> for AccountError {
    fn from(error: crate::store::sql::SqlError) -> Self {
        Self::Store(error.into())
    }
}
