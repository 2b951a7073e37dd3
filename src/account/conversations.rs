//! What an account answers about its conversations without its container: lists, reads, changes and counts.

use super::Account;
use super::error::AccountError;
use super::feed::{ConversationChange, OpenConversation, Snapshot, TurnState};
use super::reply::{ItemsOfTurns, Reply};
use super::runtime::{Directory, Runtime};
use super::turn::events::EventKind;
use super::turn::items;
use crate::agent::Container;
use crate::domain::action::ActionsOf;
use crate::domain::{
    ActionStatus, Messages, MetadataPatch, Millis, Page, Role, SearchTerms, SessionId, Title, Turn, TurnId, TurnStatus,
};
use crate::store::conversations::ACCESS_RESOLUTION;
use crate::store::sql::Sql;
use crate::store::turns::LastEvents;

/// Most bytes of items in the answer that a conversation is; one turn's may be more, if they come alone.
const MAX_ITEMS_BYTES_PER_ANSWER: u64 = 1024 * 1024;

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
        items: bool,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let document = |accessed_after| {
            if before.is_some() || items {
                return Ok(None);
            }
            self.store.conversation_document(&self.id, session_id, accessed_after)
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
        let items = if items { Some(self.items_of(&messages)?) } else { None };
        Ok(Reply::Conversation { conversation: Box::new(conversation), messages, items })
    }

    /// What the turns of these messages did, the newest first, as far as an answer has room; of a turn that only said its answer, nothing.
    fn items_of(&self, messages: &Messages) -> Result<ItemsOfTurns, AccountError> {
        let (mut all, mut bytes) = (ItemsOfTurns::new(), 0);
        for message in messages.messages.iter().rev().filter(|message| message.role == Role::User) {
            let Some(turn) = self.store.turn(&message.turn_id)? else { continue };
            let stored = self.store.items_bytes(&turn.session_id, &turn.turn_id)?;
            let answer = turn.response.as_ref().map_or(0, |response| u64::try_from(response.len()).unwrap_or(u64::MAX));
            let told = match stored {
                _ if !turn.status.is_end() => continue,
                0 if turn.files.as_ref().is_none_or(|files| files.changed.is_empty()) => continue,
                _ if bytes > 0 && bytes + stored + answer > MAX_ITEMS_BYTES_PER_ANSWER => {
                    all.insert(turn.turn_id, None);
                    continue;
                }
                _ => self.told(&turn)?.1,
            };
            let array = items::array(&told);
            bytes += u64::try_from(array.len()).unwrap_or(u64::MAX);
            all.insert(turn.turn_id, Some(array));
        }
        Ok(all)
    }

    pub(super) fn read_turn(&self, turn_id: &TurnId, items: bool) -> Result<Reply<S::Json>, AccountError> {
        let turn = self.turn(turn_id)?;
        if !items || !turn.status.is_end() {
            return Ok(Reply::Turn(Box::new(turn)));
        }
        let items = items::array(&self.told(&turn)?.1);
        Ok(Reply::TurnWithItems { turn: Box::new(turn), items })
    }

    /// What is told of a turn that has ended, and the numbers of its last events.
    pub(super) fn told(&self, turn: &Turn) -> Result<(LastEvents, Vec<(u64, EventKind)>), AccountError> {
        let last = items::last_events(self.store.last_events(&turn.turn_id)?);
        let stored = self.store.items(&turn.session_id, &turn.turn_id)?;
        Ok((last, items::told(turn, last, &stored)))
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
        self.feed.conversation(session_id, ConversationChange::Updated, Some(&after.title));
        Ok(Reply::Updated(Box::new(after)))
    }

    pub(super) fn read_context(&self, session_id: &SessionId, now: Millis) -> Result<Reply<S::Json>, AccountError> {
        self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        self.store.touch(session_id, now)?;
        Ok(Reply::Context(self.store.context(session_id)?))
    }

    /// What goes on in the account now.
    pub(super) fn snapshot(&self) -> Result<Snapshot, AccountError> {
        let mut snapshot = Snapshot::default();
        for (at, turn) in self.store.active_turns()?.into_iter().enumerate() {
            if !snapshot.conversations.iter().any(|open| open.session_id == turn.session_id)
                && let Some(conversation) = self.store.conversation(&turn.session_id)?
            {
                let (session_id, title) = (turn.session_id.clone(), conversation.title);
                snapshot.conversations.push(OpenConversation { session_id, title, turn: turn.turn_id.clone() });
            }
            let position = if turn.status == TurnStatus::Queued { at } else { 0 };
            let (turn_id, session_id, status) = (turn.turn_id, turn.session_id, turn.status);
            snapshot.turns.push(TurnState { turn_id, session_id, status, position });
        }
        let of = ActionsOf { status: Some(ActionStatus::Pending), ..ActionsOf::default() };
        snapshot.actions = self.store.list_actions(&of, self.config.max_pending_actions, u64::MAX)?.0;
        Ok(snapshot)
    }

    pub(super) fn storage_stats(&self, now: Millis) -> Result<Reply<S::Json>, AccountError> {
        Ok(Reply::Document(self.store.storage_stats(self.retention()?, now)?))
    }
}
