//! Export and import of an account's conversations, a page or a batch of lines at a time.

use std::rc::Rc;

use super::command::{ImportBatch, ManageReply};
use crate::account::Account;
use crate::account::command::AccountError;
use crate::account::feed::ConversationChange;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::Millis;
use crate::domain::transfer::ExportPlace;
use crate::store::sql::Sql;
use crate::store::transfer::BadLine;

/// The last line of an export.
const DONE: &str = "{\"type\":\"done\"}\n";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// A page of the export; `place` is none at its beginning. What the account has used comes last.
    pub(super) fn export(&self, place: Option<ExportPlace>, now: Millis) -> Result<ManageReply, AccountError> {
        let mut text = if place.is_none() { self.store.export_head(&self.id, now)? } else { String::new() };
        let (page, next) = self.store.export_page(place.unwrap_or_default())?;
        text.push_str(&page);
        if next.is_none() {
            text.push_str(DONE);
        }
        Ok(ManageReply::Exported { text, next })
    }

    /// Stores a batch of lines, all or none of them.
    pub(super) fn import(self: &Rc<Self>, batch: &ImportBatch, now: Millis) -> Result<ManageReply, AccountError> {
        self.check_storage(&self.limits()?)?;
        let mut line_no = batch.first_line;
        let stored = self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            let mut whole = Vec::new();
            for line in batch.lines.lines() {
                if !line.trim_ascii().is_empty() {
                    whole.extend(self.store.import_line(line)?);
                }
                line_no += 1;
            }
            Ok(whole)
        });
        let whole = stored.map_err(|error| match error {
            BadLine::Bad(why) => AccountError::BadImport(format!("line {line_no}: {why}")),
            BadLine::Conflicts(ids) => AccountError::ImportConflicts(ids),
            BadLine::Store(error) => AccountError::Store(error),
        })?;
        for session_id in &whole {
            if let Some(conversation) = self.store.conversation(session_id)? {
                self.feed.conversation(session_id, ConversationChange::Created, Some(&conversation.title));
            }
        }
        if batch.is_last {
            self.drop_unfinished_import()?;
        }
        self.erased.set(false);
        self.register_soon()?;
        self.tell_active(now)?;
        self.set_alarm()?;
        Ok(ManageReply::Imported { conversations: u64::try_from(whole.len()).unwrap_or(u64::MAX) })
    }

    /// An import goes on no more: what is not whole of it goes.
    pub(super) fn drop_unfinished_import(&self) -> Result<(), AccountError> {
        Ok(self.store.drop_unfinished_import()?)
    }
}
