//! What a turn leaves behind in the container. A turn that may still be at work, or whose conversation is deleted, is ended there.
//! The conversation's next turn waits for that, and the files of a conversation that was not deleted stay.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{Either, select};

use super::finish::Outcome;
use super::progress::Progress;
use crate::account::Account;
use crate::account::runtime::{Directory, Runtime};
use crate::agent::{AgentError, Container};
use crate::domain::{SdkSession, SessionId, TurnId};
use crate::log::{Level, Line};
use crate::store::sql::Sql;
use crate::store::turns::ActiveTurn;

/// How long the conversation's next turn waits for the one before to leave the container.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
/// Tries within it, and the pause after the first; it doubles each time.
const LEAVE_TRIES: u32 = 4;
const FIRST_LEAVE_PAUSE: Duration = Duration::from_millis(250);
/// Most turns that one look at the container ends, and how many alarms look again if a turn did not leave.
const MAX_ORPHANS: usize = 64;
pub(in crate::account) const ORPHAN_LOOKS: u32 = 6;
/// Conversations of which it is kept that their last turn was cut short; of one that is not, the container's transcript is trusted.
const MAX_CUT_SHORT: usize = 64;

/// A turn that leaves.
struct Leaving {
    turn_id: TurnId,
    session_id: SessionId,
    sdk_session: Option<SdkSession>,
    /// Its conversation is deleted.
    deleted: bool,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// Releases the turn's resources in the container: of one that was `deleted`, and of one that does not end by itself because it is
    /// `stuck`. A turn that ended by itself is released with the conversation's next turn.
    pub(in crate::account) fn clean_up_after(
        self: &Rc<Self>,
        turn: &ActiveTurn,
        progress: &Progress,
        outcome: &Outcome,
        (deleted, stuck): (bool, bool),
    ) {
        // Without a result it may still be at work: its process is ended, the next turn resumes from the transcript.
        let at_work = (outcome.result.is_none() || stuck) && progress.given;
        if !(deleted || at_work) || !self.agent.is_running() {
            return;
        }
        if at_work && !deleted {
            let mut cut_short = self.cut_short.borrow_mut();
            cut_short.retain(|cut| *cut != turn.session_id);
            if cut_short.len() == MAX_CUT_SHORT {
                cut_short.remove(0);
            }
            cut_short.push(turn.session_id.clone());
        }
        let told = self.turns.sdk_session_of(&turn.turn_id);
        let left = Leaving {
            turn_id: turn.turn_id.clone(),
            session_id: turn.session_id.clone(),
            sdk_session: progress.sdk_session.clone().or(told),
            deleted,
        };
        self.leaving.borrow_mut().push(left.session_id.clone());
        self.runtime.spawn(Rc::clone(self).see_off(left));
    }

    async fn see_off(self: Rc<Self>, left: Leaving) {
        let outcome = match select(pin!(self.leave(&left)), pin!(self.runtime.sleep(LEAVE_LIMIT))).await {
            Either::Left((outcome, _)) => outcome.map_err(|error| error.to_string()),
            Either::Right(_) => Err("it took too long".to_owned()),
        };
        if let Err(why) = outcome {
            self.agent.suspect();
            self.orphan_looks.set(ORPHAN_LOOKS);
            self.log_left(&left.turn_id, "turn_not_left", &why);
        }
        let mut leaving = self.leaving.borrow_mut();
        if let Some(at) = leaving.iter().position(|session_id| *session_id == left.session_id) {
            leaving.swap_remove(at);
        }
        drop(leaving);
        if !self.store.is_made() {
            return;
        }
        if let Err(error) = self.pump().and_then(|()| self.set_alarm()) {
            self.log_left(&left.turn_id, "queue_stands", &error);
        }
    }

    async fn leave(&self, left: &Leaving) -> Result<(), AgentError> {
        let (mut tries, mut pause) = (1, FIRST_LEAVE_PAUSE);
        loop {
            match self.try_leave(left).await {
                // What is gone holds nothing.
                Err(error) if self.agent.is_running() => {
                    if tries == LEAVE_TRIES {
                        return Err(error);
                    }
                }
                Ok(()) | Err(_) => return Ok(()),
            }
            self.runtime.sleep(pause).await;
            tries += 1;
            pause *= 2;
        }
    }

    async fn try_leave(&self, left: &Leaving) -> Result<(), AgentError> {
        match &left.sdk_session {
            Some(sdk_session) if left.deleted => self.agent.forget_session(sdk_session).await?,
            Some(sdk_session) => self.agent.stop_session(sdk_session).await?,
            None => {}
        }
        // The answer comes when it has ended.
        self.agent.forget_turn(&left.turn_id).await
    }

    /// Looks for turns that have ended here and are at work in the container: they did not leave, or the object lost its memory
    /// before it had seen to that. If it fails, this many later alarms try again.
    pub(in crate::account) fn look_for_orphans(self: &Rc<Self>, more_looks: u32) {
        self.orphan_looks.set(0);
        if !self.agent.is_running() {
            return;
        }
        let account = Rc::clone(self);
        self.runtime.spawn(async move {
            if account.end_orphans().await.is_err() && account.store.is_made() {
                account.orphan_looks.set(more_looks);
                drop(account.set_alarm());
            }
        });
    }

    async fn end_orphans(&self) -> Result<(), AgentError> {
        let at_work = self.agent.at_work().await?;
        // If storage fails or is cleared, a later look finds them.
        if !self.store.is_made() {
            return Ok(());
        }
        let Ok(active) = self.store.active_turns() else { return Ok(()) };
        let orphans = at_work.into_turns().into_iter().filter(|id| active.iter().all(|turn| turn.turn_id != *id));
        for turn_id in orphans.take(MAX_ORPHANS) {
            self.agent.forget_turn(&turn_id).await?;
        }
        Ok(())
    }

    pub(in crate::account) async fn forget_session(&self, sdk_session: &SdkSession) {
        if let Err(error) = self.agent.forget_session(sdk_session).await {
            let why = error.to_string();
            self.log(Level::Warn, Line { event: "session_not_forgotten", error: Some(&why), ..Line::default() });
        }
    }

    fn log_left(&self, turn_id: &TurnId, event: &str, error: &dyn std::fmt::Display) {
        let why = error.to_string();
        self.log(Level::Warn, Line { event, turn_id: Some(turn_id), error: Some(&why), ..Line::default() });
    }
}
