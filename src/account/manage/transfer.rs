//! Export and import of an account, a page or a batch of lines at a time.

use std::rc::Rc;

use super::command::{ImportBatch, ImportObject, ManageReply};
use crate::account::Account;
use crate::account::error::AccountError;
use crate::account::feed::ConversationChange;
use crate::account::files::command::FilesRefusal;
use crate::account::files::drain::DOOMED_GRACE;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::Millis;
use crate::domain::transfer::{ExportPlace, ObjectOf};
use crate::store::sql::Sql;
use crate::store::transfer::{BadLine, ImportRules, first_line};
use crate::store::untold::Untold;

/// The last line of an export.
const DONE: &str = "{\"type\":\"done\"}\n";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// A page of the export; `place` is none at its beginning. What the account has used comes last.
    pub(super) fn export(&self, place: Option<ExportPlace>, now: Millis) -> Result<ManageReply, AccountError> {
        let place = place.unwrap_or_default();
        let mut text = String::new();
        if place.begins() {
            // What has not been stored yet was used all the same.
            self.store_calls()?;
            text = self.store.export_head(&self.id, now)?;
        }
        let (page, next) = self.store.export_page(place)?;
        text.push_str(&page);
        if next.is_none() {
            text.push_str(DONE);
        }
        Ok(ManageReply::Exported { text, next })
    }

    /// The same of an account that nothing is stored of.
    pub(super) fn export_of_nothing(&self, place: Option<&ExportPlace>) -> Result<ManageReply, AccountError> {
        let begins = place.is_none_or(ExportPlace::begins);
        let mut text = if begins { first_line(&self.id, self.runtime.now())? } else { String::new() };
        text.push_str(DONE);
        Ok(ManageReply::Exported { text, next: None })
    }

    /// Stores a batch of lines, all or none of them.
    pub(super) fn import(self: &Rc<Self>, batch: &ImportBatch, now: Millis) -> Result<ManageReply, AccountError> {
        let bytes = u64::try_from(batch.lines.len()).unwrap_or(u64::MAX);
        self.check_storage(&self.limits()?, bytes)?;
        let (mut line_no, rules) = (batch.first_line, self.import_rules(batch.by_operator, batch.resume, now)?);
        let stored = self.store.transaction(|| {
            self.store.remember_account(&self.id)?;
            let mut whole = Vec::new();
            for line in batch.lines.lines() {
                if !line.trim_ascii().is_empty() {
                    whole.extend(self.store.import_line(line, &rules)?);
                }
                line_no += 1;
            }
            Ok(whole)
        });
        let whole = stored.map_err(|error| refused(error, line_no))?;
        for session_id in &whole {
            if let Some(conversation) = self.store.conversation(session_id)? {
                self.feed.conversation(session_id, ConversationChange::Created, Some(&conversation.title));
            }
        }
        if batch.is_last && !batch.resume {
            self.drop_unfinished_import()?;
        }
        if batch.by_operator {
            let before = self.settings()?.status;
            self.settings.forget();
            if self.settings()?.status != before {
                self.store.set_untold(Untold { status: true, ..Untold::default() })?;
            }
        }
        self.erased.set(false);
        self.register_soon()?;
        self.tell_active(now)?;
        self.set_alarm()?;
        Ok(ManageReply::Imported { conversations: u64::try_from(whole.len()).unwrap_or(u64::MAX) })
    }

    fn import_rules(&self, by_operator: bool, resume: bool, now: Millis) -> Result<ImportRules, AccountError> {
        Ok(ImportRules { by_operator, resume, now, due_before: now.minus(self.retention()?) })
    }

    /// Makes a key for the object that a line stands for, or stores the line when its object is in the bucket.
    pub(super) fn import_object(&self, asked: &ImportObject, now: Millis) -> Result<ManageReply, AccountError> {
        let Some(bucket) = self.files.bucket.clone() else { return Err(FilesRefusal::NotConfigured.into()) };
        let refused = |error| refused(error, asked.line_no);
        let Some(object) = &asked.stored else {
            let rules = self.import_rules(false, asked.resume, now)?;
            if self.store.passes_object_over(&asked.line, &rules).map_err(refused)? {
                return Ok(ManageReply::PassedOver);
            }
            let size = self.store.object_size(&asked.line, self.config.files.max_upload_bytes).map_err(refused)?;
            self.need_room(size, now)?;
            let key = format!("{}{}", bucket.prefix(), self.runtime.uuid());
            self.store.doom(std::slice::from_ref(&key), now)?;
            self.set_alarm()?;
            return Ok(ManageReply::Object(ObjectOf { key, size }));
        };
        if !object.key.starts_with(bucket.prefix()) {
            return Err(FilesRefusal::BadUpload.into());
        }
        let expired_at = now.minus(DOOMED_GRACE);
        let stored = self.store.transaction(|| self.store.import_object(&asked.line, object, expired_at));
        if stored.map_err(refused)? {
            Ok(ManageReply::Imported { conversations: 0 })
        } else {
            Err(FilesRefusal::UploadExpired.into())
        }
    }

    /// An import goes on no more: what is not whole of it goes.
    pub(super) fn drop_unfinished_import(&self) -> Result<(), AccountError> {
        Ok(self.store.drop_unfinished_import()?)
    }
}

fn refused(error: BadLine, line_no: u64) -> AccountError {
    match error {
        BadLine::Bad(why) => AccountError::BadImport(format!("line {line_no}: {why}")),
        BadLine::Conflicts(ids) => AccountError::ImportConflicts(ids),
        BadLine::Store(error) => AccountError::Store(error),
    }
}
