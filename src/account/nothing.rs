//! What an account answers that nothing was ever stored of: as if its tables were empty, and without making them. Anyone who may ask could
//! otherwise leave a database behind for each name that comes to mind, for good.

use super::Account;
use super::command::Command;
use super::error::AccountError;
use super::feed::Snapshot;
use super::files::command::{FilesRefusal, FilesReply};
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::{PurgeOutcome, TurnKind, Usage};
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// The reply to a command that finds nothing; none for one that stores something.
    pub(super) fn reply_of_nothing(&self, command: &Command) -> Result<Option<Reply<S::Json>>, AccountError> {
        let visit = PurgeOutcome { deleted: 0, errors: 0, oldest_access_at: None };
        let reply = match command {
            Command::StartTurn(start) if start.options.kind == TurnKind::Compact => return Err(AccountError::NotFound),
            Command::StartTurn(_) | Command::Prewarm => return Ok(None),
            // Its turn was deleted; it is paid for all the same.
            Command::EndCall(call) if call.usage != Usage::default() && !self.erased.get() => return Ok(None),
            Command::FollowAccount => Reply::Feed(self.feed.follow(Snapshot::default())),
            Command::Files { .. } if !self.files.is_on() => return Err(FilesRefusal::NotConfigured.into()),
            Command::Files { ask, .. } if ask.stores() => return Ok(None),
            Command::LookUpAttachments(asked) => {
                let files = asked.paths.iter().map(|_| None).collect();
                Reply::Files(Box::new(FilesReply::Found { files, attachment_bytes: 0 }))
            }
            Command::ListConversations { limit, words, .. } => {
                Reply::Listing { json: self.store.empty_list(), limit: *limit, words: words.clone(), next: None }
            }
            Command::ReadConversation { .. }
            | Command::UpdateConversation { .. }
            | Command::FollowConversation { .. }
            | Command::CancelConversation { .. }
            | Command::ReadContext { .. }
            | Command::Fork(_)
            | Command::Rewind { .. }
            | Command::Files { .. }
            | Command::DecideAction(_)
            | Command::ReadAction { .. }
            | Command::ListTurns { .. }
            | Command::ReadTurn { .. } => return Err(AccountError::NotFound),
            Command::DeleteConversation { .. } => Reply::Deleted,
            Command::ListActions { of, limit } => {
                Reply::Actions { actions: Vec::new(), of: of.clone(), limit: *limit, more: false }
            }
            Command::StorageStats => Reply::Document(self.store.storage_stats_of_nothing(self.config.retention)?),
            Command::Purge => Reply::Purged(visit),
            Command::Visit => Reply::Visited(visit),
            Command::BeginCall(_) => return Err(AccountError::NoTurn),
            Command::EndCall(_) | Command::NoteRefusal(_) => Reply::Noted,
            Command::Manage(ask) => return Ok(self.manage_nothing(ask)?.map(|reply| Reply::Managed(Box::new(reply)))),
            Command::Webhooks(ask) => return self.webhooks_of_nothing(ask),
            Command::Schedules(ask) => return Self::schedules_of_nothing(ask),
            Command::Chat(ask) => Reply::Chat(ask.reply_of_nothing().ok_or(AccountError::NothingAsked)?),
        };
        Ok(Some(reply))
    }
}
