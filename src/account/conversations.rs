//! What an account answers about its conversations without its container: lists, reads, changes and counts.

use super::Account;
use super::command::{AccountError, Reply};
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::{MetadataPatch, Millis, Page, SearchTerms, SessionId, Title, TurnId};
use crate::store::conversations::ACCESS_RESOLUTION;
use crate::store::sql::Sql;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(super) fn list_conversations(
        &self,
        limit: u32,
        page: &Page,
        words: Option<SearchTerms>,
    ) -> Result<Reply<S::Json>, AccountError> {
        let listing = match &words {
            Some(words) => self.store.search(words, limit, page)?,
            None => self.store.list(limit, page)?,
        };
        Ok(Reply::Listing { json: listing.json, limit, words, next: listing.next })
    }

    pub(super) fn read_conversation(
        &self,
        session_id: &SessionId,
        before: Option<i64>,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let document = |accessed_after| match before {
            None => self.store.conversation_document(&self.id, session_id, accessed_after),
            Some(_) => Ok(None),
        };
        // Most reads find an access that is recorded already: those write nothing and ask SQLite once.
        if let Some(json) = document(Some(now.minus(ACCESS_RESOLUTION)))? {
            return Ok(Reply::Document(json));
        }
        self.store.touch(session_id, now)?;
        if let Some(json) = document(None)? {
            return Ok(Reply::Document(json));
        }
        let conversation = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        let messages = self.store.messages_before(session_id, before.unwrap_or(i64::MAX))?;
        Ok(Reply::Conversation { conversation: Box::new(conversation), messages })
    }

    pub(super) fn list_turns(
        &self,
        session_id: SessionId,
        before: Option<&TurnId>,
        limit: u32,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        self.store.conversation(&session_id)?.ok_or(AccountError::NotFound)?;
        let before = before.map(|turn_id| self.store.seq_of(&session_id, turn_id)?.ok_or(AccountError::NotFound));
        let page = self.store.turns_before(&session_id, before.transpose()?.unwrap_or(i64::MAX), limit)?;
        self.store.touch(&session_id, now)?;
        Ok(Reply::Turns { turns: page.turns, session_id, limit, older: page.older })
    }

    /// No await lies between the read and the write that depends on it.
    pub(super) fn update_conversation(
        &self,
        session_id: &SessionId,
        title: Option<&Title>,
        metadata: Option<MetadataPatch>,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let before = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        let metadata = metadata.map(|patch| patch.apply(before.metadata)).transpose()?;
        self.store.update_conversation(session_id, title, metadata.as_deref(), now)?;
        let after = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        Ok(Reply::Updated(Box::new(after)))
    }

    pub(super) fn storage_stats(&self, now: Millis) -> Result<Reply<S::Json>, AccountError> {
        Ok(Reply::Document(self.store.storage_stats(self.retention()?, now)?))
    }
}
