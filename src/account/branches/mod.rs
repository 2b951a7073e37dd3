//! Branches: a conversation that is made of another's state, and one that goes back to a state that it had. Both happen in one transaction of the
//! database: no container is woken, and no object of the bucket is read or written. A turn of the conversation must not be open meanwhile.

pub mod command;

use std::rc::Rc;

use self::command::{ForkAsked, NoBranch, RewindTo};
use super::Account;
use super::error::AccountError;
use super::feed::ConversationChange;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use crate::agent::Container;
use crate::domain::{Millis, RequestId, SdkSession, SessionId, TurnId};
use crate::store::branches::{Branch, EndedTurn, Fork};
use crate::store::conversations::sdk_session;
use crate::store::sql::Sql;

/// Most bytes of transcript, messages and items that a fork copies: one transaction writes them, and nothing else is served meanwhile.
pub const MAX_FORK_BYTES: u64 = 256 * 1024 * 1024;
/// Most bytes of the index of older files that a fork copies. If there are more, it begins with the files of its turn alone.
pub const MAX_FORK_INDEX_BYTES: u64 = 32 * 1024 * 1024;

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// `again`: the request is sent again, because the object was reset before it had answered.
    pub(super) fn fork(
        self: &Rc<Self>,
        asked: ForkAsked,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let ForkAsked { source, at, session_id, title } = asked;
        if again && let Some(turn_id) = self.store.turn_by_request(request_id)? {
            let made = self.store.conversation(&self.turn(&turn_id)?.session_id)?;
            return Ok(Reply::Forked(Box::new(made.ok_or(AccountError::NotFound)?)));
        }
        let turns = self.turns_at_rest(&source, at.as_ref())?;
        if let Some(session_id) = &session_id {
            // One that was deleted may have a turn that is about to end.
            let is_taken = self.store.conversation(session_id)?.is_some() || self.turns.turn_of(session_id).is_some();
            if is_taken {
                return Err(AccountError::ConversationExists);
            }
        }
        let last = turns.len().checked_sub(1).ok_or(NoBranch::NoTurn)?;
        let at = at.map_or(Ok(last), |at| position_of(&turns, &at).ok_or(AccountError::NotFound))?;
        let (branch, _) = branch_behind(&turns, Some(at))?;
        self.need_files(&source, &branch)?;
        if self.store.bytes_of_branch(&source, &branch)? > MAX_FORK_BYTES {
            return Err(NoBranch::TooLarge.into());
        }
        let session_id = session_id.unwrap_or_else(|| SessionId::generate(now, self.runtime.uuid()));
        let turn_ids: Vec<TurnId> = branch.turns.iter().map(|_| TurnId::new(self.runtime.uuid())).collect();
        self.store.fork(&Fork {
            source: &source,
            branch: &branch,
            session_id: &session_id,
            title: title.as_ref(),
            sdk_session: &self.new_sdk_session()?,
            request_id,
            turn_ids: &turn_ids,
            max_index_bytes: MAX_FORK_INDEX_BYTES,
            now,
        })?;
        self.store.touch(&source, now)?;
        self.register_soon()?;
        self.set_alarm()?;
        let forked = self.forked(&session_id)?;
        if let Reply::Forked(conversation) = &forked {
            self.feed.conversation(&session_id, ConversationChange::Created, Some(&conversation.title));
        }
        Ok(forked)
    }

    fn forked(&self, session_id: &SessionId) -> Result<Reply<S::Json>, AccountError> {
        let conversation = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        Ok(Reply::Forked(Box::new(conversation)))
    }

    pub(super) fn rewind(
        self: &Rc<Self>,
        session_id: &SessionId,
        to: &RewindTo,
        again: bool,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        let (RewindTo::To(named) | RewindTo::Before(named)) = to;
        let conversation = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        if again && matches!(to, RewindTo::Before(_)) && self.store.turn(named)?.is_none() {
            // It was carried out before the object was reset.
            return Ok(Reply::Updated(Box::new(conversation)));
        }
        let turns = self.turns_at_rest(session_id, Some(named))?;
        let at = position_of(&turns, named).ok_or(AccountError::NotFound)?;
        let last = if matches!(to, RewindTo::To(_)) { Some(at) } else { at.checked_sub(1) };
        let (branch, removed) = branch_behind(&turns, last)?;
        self.need_files(session_id, &branch)?;
        let new_session = self.new_sdk_session()?;
        self.store.rewind(session_id, &branch, &removed, &new_session, now)?;
        self.set_alarm()?;
        self.leave_session(session_id, conversation.sdk_session);
        let conversation = self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        self.feed.conversation(session_id, ConversationChange::Updated, Some(&conversation.title));
        Ok(Reply::Updated(Box::new(conversation)))
    }

    /// Lets the container forget what it holds of a conversation, which goes on in another session of the SDK.
    pub(super) fn leave_session(self: &Rc<Self>, session_id: &SessionId, left: Option<SdkSession>) {
        self.cut_short.borrow_mut().retain(|cut| cut != session_id);
        if let Some(left) = left.filter(|_| self.agent.is_running()) {
            let account = Rc::clone(self);
            self.runtime.spawn(async move { account.forget_session(&left).await });
        }
    }

    /// The turns of a conversation, all of which have ended; `named` is one of them, if it is given.
    fn turns_at_rest(&self, session_id: &SessionId, named: Option<&TurnId>) -> Result<Vec<EndedTurn>, AccountError> {
        self.store.conversation(session_id)?.ok_or(AccountError::NotFound)?;
        if let Some(named) = named {
            self.store.seq_of(session_id, named)?.ok_or(AccountError::NotFound)?;
        }
        if self.store.active_turns()?.iter().any(|turn| turn.session_id == *session_id) {
            return Err(AccountError::ConversationBusy);
        }
        Ok(self.store.ended_turns(session_id)?)
    }

    /// Refuses a branch whose version of the files is kept no longer.
    pub(super) fn need_files(&self, session_id: &SessionId, branch: &Branch) -> Result<(), AccountError> {
        let Some(version) = branch.files_version else { return Ok(()) };
        let (oldest, _) = self.store.kept_versions(session_id)?;
        if version > 0 && version < oldest { Err(NoBranch::FilesGone.into()) } else { Ok(()) }
    }

    pub(super) fn new_sdk_session(&self) -> Result<SdkSession, AccountError> {
        Ok(sdk_session(self.runtime.uuid().to_string())?)
    }
}

/// Where a turn stands among those that have ended.
fn position_of(turns: &[EndedTurn], turn_id: &TurnId) -> Option<usize> {
    let at = turns.iter().position(|turn| turn.turn_id == *turn_id)?;
    turns.get(at).map(|turn| end_of(turns, at, turn))
}

/// Where the end of a turn stands: one whose query another turn took in ended with that.
pub(super) fn end_of(turns: &[EndedTurn], at: usize, turn: &EndedTurn) -> usize {
    let host = turn.steered_into.as_ref();
    host.and_then(|host| turns.iter().position(|turn| turn.turn_id == *host)).unwrap_or(at)
}

/// The state of a conversation when the turn at `last` had ended, before the first if absent; and the turns that came later.
fn branch_behind(turns: &[EndedTurn], last: Option<usize>) -> Result<(Branch, Vec<TurnId>), NoBranch> {
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    for (at, turn) in turns.iter().enumerate() {
        if Some(end_of(turns, at, turn)) <= last {
            kept.push(turn.clone());
        } else {
            removed.push(turn.turn_id.clone());
        }
    }
    if removed.is_empty() {
        return Ok((Branch { turns: kept, transcript_seq: None, files_version: None }, removed));
    }
    Ok((state_after(kept)?, removed))
}

/// The state of a conversation that has these turns and no later one.
pub(super) fn state_after(turns: Vec<EndedTurn>) -> Result<Branch, NoBranch> {
    let transcript_seq = match turns.iter().rfind(|turn| turn.ran) {
        Some(turn) => turn.transcript_seq.ok_or(NoBranch::TranscriptUnknown)?,
        None => 0,
    };
    let files_version = Some(version_behind(&turns));
    Ok(Branch { turns, transcript_seq: Some(transcript_seq), files_version })
}

/// The version of the files behind these turns; 0 if there was none. A turn that told of no files left them as they were.
fn version_behind(turns: &[EndedTurn]) -> u64 {
    turns.iter().rev().find_map(|turn| turn.files_version).unwrap_or(0)
}

/// The version of the files at the end of a turn, of which `turns` are those of its conversation that have ended. If it is none of them, the one there is by now.
pub(super) fn files_version_at(turns: &[EndedTurn], turn_id: &TurnId) -> u64 {
    let until = position_of(turns, turn_id).and_then(|last| turns.get(..=last));
    version_behind(until.unwrap_or(turns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn turn(n: u128) -> EndedTurn {
        EndedTurn {
            turn_id: TurnId::new(Uuid::from_u128(n)),
            seq: i64::try_from(n).unwrap() * 2,
            ran: true,
            transcript_seq: i64::try_from(n).ok(),
            files_version: None,
            steered_into: None,
        }
    }

    fn queued(n: u128) -> EndedTurn {
        EndedTurn { ran: false, transcript_seq: None, ..turn(n) }
    }

    type Found = (Vec<i64>, Option<i64>, Option<u64>, usize);

    /// The turns of a branch, its last row and its version, and how many turns came later.
    fn behind(turns: &[EndedTurn], last: Option<usize>) -> Result<Found, NoBranch> {
        let (branch, removed) = branch_behind(turns, last)?;
        let kept = branch.turns.iter().map(|turn| turn.seq / 2).collect();
        Ok((kept, branch.transcript_seq, branch.files_version, removed.len()))
    }

    #[test]
    fn a_branch_is_the_state_at_the_end_of_a_turn() {
        let mut turns = [turn(1), turn(2), turn(3)];
        turns[0].files_version = Some(4);
        turns[2].files_version = Some(5);
        assert_eq!(behind(&turns, None), Ok((vec![], Some(0), Some(0), 3)), "before the first");
        assert_eq!(behind(&turns, Some(0)), Ok((vec![1], Some(1), Some(4), 2)));
        assert_eq!(behind(&turns, Some(1)), Ok((vec![1, 2], Some(2), Some(4), 1)), "it left the files as they were");
        assert_eq!(behind(&turns, Some(2)), Ok((vec![1, 2, 3], None, None, 0)), "the last: all as it is now");
    }

    #[test]
    fn a_turn_that_never_ran_has_the_transcript_of_the_one_before() {
        let turns = [queued(1), turn(2), queued(3), turn(4)];
        assert_eq!(behind(&turns, Some(0)), Ok((vec![1], Some(0), Some(0), 3)));
        assert_eq!(behind(&turns, Some(2)), Ok((vec![1, 2, 3], Some(2), Some(0), 1)));
    }

    #[test]
    fn a_turn_whose_query_another_took_in_belongs_to_that() {
        let mut turns = [turn(1), queued(2), turn(3)];
        turns[1].steered_into = Some(turns[0].turn_id.clone());
        assert_eq!(position_of(&turns, &turns[1].turn_id), Some(0));
        assert_eq!(behind(&turns, Some(0)), Ok((vec![1, 2], Some(1), Some(0), 1)));
        assert_eq!(behind(&turns, None), Ok((vec![], Some(0), Some(0), 3)));
    }

    #[test]
    fn a_turn_that_told_of_no_files_has_those_of_the_one_before() {
        let mut turns = [queued(1), turn(2), queued(3), turn(4), queued(5)];
        turns[1].files_version = Some(4);
        turns[3].files_version = Some(6);
        turns[4].steered_into = Some(turns[1].turn_id.clone());
        let at = |n: usize| files_version_at(&turns, &turns[n].turn_id);
        assert_eq!([at(0), at(1), at(2), at(3), at(4)], [0, 4, 4, 6, 4]);
        assert_eq!(files_version_at(&turns, &queued(6).turn_id), 6, "it has not ended");
    }

    #[test]
    fn a_turn_of_before_the_transcript_was_counted_is_a_branch_only_as_the_last() {
        let turns = [EndedTurn { transcript_seq: None, ..turn(1) }, turn(2)];
        assert_eq!(behind(&turns, Some(0)), Err(NoBranch::TranscriptUnknown));
        assert_eq!(behind(&turns[..1], Some(0)), Ok((vec![1], None, None, 0)));
        assert_eq!(behind(&turns, None), Ok((vec![], Some(0), Some(0), 2)), "nothing of it is kept");
    }
}
