//! Users' commands for files, carried out on the index and the inbox. An upload is begun and committed: in between, the Worker puts it.

use std::rc::Rc;

use super::command::{FilesCommand, FilesRefusal, FilesReply, Precondition};
use super::drain::DOOMED_GRACE;
use crate::account::Account;
use crate::account::branches::files_version_at;
use crate::account::error::AccountError;
use crate::account::feed::ConversationChange;
use crate::account::reply::Reply;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::file::{Change, MAX_FILES_PER_PAGE, Target, is_etag};
use crate::domain::{FilePath, Millis, SessionId, StoredFile, TurnId};
use crate::store::files::PageOf;
use crate::store::inbox::Upload;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(in crate::account) fn handle_files(
        self: &Rc<Self>,
        session_id: &SessionId,
        ask: &FilesCommand,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let Some(bucket) = self.files.bucket.clone() else { return Err(FilesRefusal::NotConfigured.into()) };
        let reply = match ask {
            FilesCommand::List { prefix, after, limit, content } => {
                let limit = usize::try_from((*limit).min(MAX_FILES_PER_PAGE)).unwrap_or(1).max(1);
                let after = after.as_deref().unwrap_or_default();
                let page = self.store.files(session_id, PageOf { prefix, after, limit, content: *content })?;
                let page = page.ok_or(AccountError::NotFound)?;
                self.store.touch(session_id, now)?;
                FilesReply::Page(page)
            }
            FilesCommand::Find { path, at } => {
                let file = match at {
                    None => self.store.file(session_id, path.as_str())?.ok_or(AccountError::NotFound)?,
                    Some(turn_id) => self.file_at(session_id, path, turn_id)?,
                };
                self.store.touch(session_id, now)?;
                FilesReply::File(file)
            }
            FilesCommand::BeginUpload { path, size, precondition } => {
                self.may_upload(session_id, path, *size, precondition, now)?;
                self.store.remember_account(&self.id)?;
                let key = format!("{}{}", bucket.prefix(), self.runtime.uuid());
                self.store.doom(std::slice::from_ref(&key), now)?;
                self.set_alarm()?;
                FilesReply::Upload { key }
            }
            FilesCommand::CommitUpload { path, key, size, etag, precondition, title } => {
                if !key.starts_with(bucket.prefix()) || !is_etag(etag) {
                    return Err(FilesRefusal::BadUpload.into());
                }
                // Sent again after it was stored, it is what its own precondition finds there.
                if !self.store.named(std::slice::from_ref(key))?.is_empty() {
                    let uploaded = FilesReply::Uploaded { path: path.clone(), size: *size, etag: etag.clone() };
                    return Ok(Reply::Files(Box::new(uploaded)));
                }
                self.may_upload(session_id, path, *size, precondition, now)?;
                let there = self.is_there(session_id, path)?;
                let upload = Upload { key: key.clone(), size: *size, etag: etag.clone() };
                let expired_at = now.minus(DOOMED_GRACE);
                let committed =
                    self.store.commit_upload((session_id, title.as_ref()), path, &upload, expired_at, now)?;
                self.store.touch(session_id, now)?;
                self.register_soon()?;
                self.set_alarm()?;
                if !committed {
                    return Err(FilesRefusal::UploadExpired.into());
                }
                self.tell_of_upload(session_id, path, there)?;
                FilesReply::Uploaded { path: path.clone(), size: *size, etag: etag.clone() }
            }
            FilesCommand::Delete { target, precondition } => {
                self.delete_files(session_id, target, precondition, now)?;
                self.feed.deleted_files(session_id, target);
                self.store.touch(session_id, now)?;
                self.set_alarm()?;
                FilesReply::Deleted
            }
        };
        Ok(Reply::Files(Box::new(reply)))
    }

    /// A file of the version that was the current one at the end of a turn.
    fn file_at(&self, session_id: &SessionId, path: &FilePath, turn_id: &TurnId) -> Result<StoredFile, AccountError> {
        let version = match self.store.files_version_of(session_id, turn_id)?.ok_or(AccountError::NotFound)? {
            0 => files_version_at(&self.store.ended_turns(session_id)?, turn_id),
            version => version,
        };
        let (oldest, _) = self.store.kept_versions(session_id)?;
        if version > 0 && version < oldest {
            return Err(FilesRefusal::VersionGone.into());
        }
        Ok(self.store.file_at(session_id, path.as_str(), version)?.ok_or(FilesRefusal::NotThen)?)
    }

    /// Whether the conversation, and a file of it, is there: for the account's feed, if anyone reads it.
    fn is_there(&self, session_id: &SessionId, path: &FilePath) -> Result<(bool, bool), AccountError> {
        if !self.feed.has_readers() {
            return Ok((true, true));
        }
        let conversation = self.store.conversation(session_id)?.is_some();
        Ok((conversation, self.store.file(session_id, path.as_str())?.is_some()))
    }

    fn tell_of_upload(
        &self,
        session_id: &SessionId,
        path: &FilePath,
        (conversation, file): (bool, bool),
    ) -> Result<(), AccountError> {
        if !conversation {
            let title = self.store.conversation(session_id)?.map(|conversation| conversation.title);
            self.feed.conversation(session_id, ConversationChange::Created, title.as_deref());
        }
        let change = if file { Change::Modified } else { Change::Added };
        self.feed.file(session_id, path.as_str(), change);
        Ok(())
    }

    fn may_upload(
        &self,
        session_id: &SessionId,
        path: &FilePath,
        size: u64,
        precondition: &Precondition,
        now: Millis,
    ) -> Result<(), AccountError> {
        let policy = &self.config.files;
        if size > policy.max_upload_bytes {
            return Err(FilesRefusal::UploadTooLarge.into());
        }
        let there = self.store.file(session_id, path.as_str())?;
        if !precondition.holds(there.as_ref().map(|file| file.etag.as_str())) {
            return Err(FilesRefusal::PreconditionFailed.into());
        }
        if !self.store.inbox_has_room(session_id, path.as_str())? {
            return Err(FilesRefusal::InboxFull.into());
        }
        if !self.make_room(size, now)? {
            return Err(FilesRefusal::StorageFull.into());
        }
        Ok(())
    }

    fn delete_files(
        &self,
        session_id: &SessionId,
        target: &Target,
        precondition: &Precondition,
        now: Millis,
    ) -> Result<(), AccountError> {
        self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        let path = String::from(target.clone());
        match target {
            Target::Everything => {
                self.store.empty_workspace(session_id, now)?;
                return Ok(());
            }
            Target::File(_) => {
                let there = self.store.file(session_id, &path)?.ok_or(AccountError::NotFound)?;
                if !precondition.holds(Some(&there.etag)) {
                    return Err(FilesRefusal::PreconditionFailed.into());
                }
            }
            Target::Folder(_) if !self.store.has_folder(session_id, &path)? => return Err(AccountError::NotFound),
            Target::Folder(_) => {}
        }
        if !self.store.inbox_has_room(session_id, &path)? {
            return Err(FilesRefusal::InboxFull.into());
        }
        Ok(self.store.delete_in_inbox(session_id, target, now)?)
    }
}
