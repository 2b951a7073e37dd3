//! A conversation as a chat of the AI SDK: the same turns, found by the names that the client gave to its messages.

mod answers;
pub mod command;

use std::rc::Rc;

use self::command::{ChatCommand, ChatReply, ChatStream, ChatTurn};
use super::branches::command::RewindTo;
use super::command::StartTurn;
use super::error::AccountError;
use super::reply::Reply;
use super::runtime::{Directory, Runtime};
use super::turn::events::{EventKind, Subscription};
use super::turn::items;
use super::{Account, Response};
use crate::agent::Container;
use crate::domain::{ChatMessageId, Include, Millis, Role, SessionId, TurnId, TurnStatus};
use crate::store::sql::Sql;

/// Most bytes of items in the messages of a chat; of the turns before, only the answers are told.
const MAX_ITEMS_BYTES: u64 = 1024 * 1024;
/// What the name of a question ends in that its client gave none: before it stands the turn.
pub const OF_THE_USER: &str = ":user";

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    pub(super) fn handle_chat(
        self: &Rc<Self>,
        ask: ChatCommand,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        match ask {
            ChatCommand::MakeWay(session_id, message) => self.make_way(session_id, &message, now),
            ChatCommand::Follow(session_id) => {
                let turn_id = self.store.active_turns()?.into_iter().find(|turn| turn.session_id == session_id);
                self.prewarm_for_reader(now);
                let nothing = Reply::Chat(ChatReply::NothingRuns);
                Ok(Response::Ready(turn_id.map_or(Ok(nothing), |turn| self.follow_chat(&turn.turn_id, false, None))?))
            }
            ChatCommand::Answer(answers) => Ok(Response::Ready(self.answer_chat(&answers, now)?)),
            ChatCommand::Read(session_id) => {
                let read = self.read_chat(&session_id, now)?;
                self.prewarm_for_reader(now);
                Ok(Response::Ready(Reply::Chat(ChatReply::Messages(read))))
            }
        }
    }

    /// A turn's events from its beginning, up to where it waits for somebody: a client answers when the stream has ended. One that was
    /// `admitted` now has done nothing yet.
    pub(super) fn follow_chat(
        &self,
        turn_id: &TurnId,
        admitted: bool,
        has_steps: Option<u32>,
    ) -> Result<Reply<S::Json>, AccountError> {
        let actions = if admitted { Vec::new() } else { self.store.actions_of(turn_id)? };
        let waiting = if actions.is_empty() { None } else { self.waiting_turn(turn_id)? };
        let events = match waiting {
            // What it has done until now is stored with what it asks.
            Some(turn) => {
                let told = items::events(&self.store.items(&turn.session_id, turn_id)?);
                Subscription::of_waiting(&turn, told, Include::THINKING)
            }
            None => match self.follow(turn_id, 0, Include::THINKING, false)? {
                Reply::Events { subscription, .. } => {
                    self.turns.leave_when_it_waits(turn_id);
                    subscription
                }
                other => return Ok(other),
            },
        };
        Ok(Reply::Chat(ChatReply::Stream(Box::new(ChatStream { events, actions, has_steps }))))
    }

    /// The turn that was made of this very message before, if it was.
    pub(super) fn turn_of_chat(&self, start: &StartTurn) -> Result<Option<TurnId>, AccountError> {
        let (Some(session_id), Some(chat)) = (&start.session_id, &start.options.chat) else { return Ok(None) };
        self.turn_of_message(session_id, &chat.id)
    }

    fn turn_of_message(&self, session_id: &SessionId, id: &ChatMessageId) -> Result<Option<TurnId>, AccountError> {
        let named = id.as_str().strip_suffix(OF_THE_USER).and_then(|turn_id| turn_id.parse().ok());
        match named {
            Some(turn_id) => Ok(self.store.seq_of(session_id, &turn_id)?.map(|_| turn_id)),
            None => Ok(self.store.turn_of_chat_message(session_id, id)?),
        }
    }

    /// Goes back to before a message. A turn of the conversation that is still open is ended first: whoever asks something else in the place
    /// of a question wants no answer to it.
    fn make_way(
        self: &Rc<Self>,
        session_id: SessionId,
        message: &ChatMessageId,
        now: Millis,
    ) -> Result<Response<S::Json>, AccountError> {
        let Some(turn_id) = self.turn_of_message(&session_id, message)? else {
            return Ok(Response::Ready(Reply::Chat(ChatReply::WayMade)));
        };
        let running = self.turns.turn_of(&session_id);
        self.stop_turns_of(&session_id, None)?;
        let Some(running) = running else {
            return Ok(Response::Ready(self.take_out(&session_id, turn_id, now)?));
        };
        let end = self.turns.wait(running).ok_or(AccountError::TooManyWait)?;
        let account = Rc::clone(self);
        Ok(Response::Deferred(Box::pin(async move {
            end.await.map_err(|_| AccountError::EndUnseen)?;
            account.wake_up()?;
            account.take_out(&session_id, turn_id, account.runtime.now())
        })))
    }

    fn take_out(
        self: &Rc<Self>,
        session_id: &SessionId,
        turn_id: TurnId,
        now: Millis,
    ) -> Result<Reply<S::Json>, AccountError> {
        // Of the questions from this one on, the one that ended first: branches are told apart by the ends of turns.
        let seq = self.store.seq_of(session_id, &turn_id)?;
        let first = self.store.ended_turns(session_id)?.into_iter().find(|turn| Some(turn.seq) >= seq);
        let first = first.map_or(turn_id, |turn| turn.turn_id);
        self.rewind(session_id, &RewindTo::Before(first), false, now)?;
        Ok(Reply::Chat(ChatReply::WayMade))
    }

    fn read_chat(&self, session_id: &SessionId, now: Millis) -> Result<Vec<ChatTurn>, AccountError> {
        if self.store.conversation(session_id)?.is_none() {
            return Ok(Vec::new());
        }
        self.store.touch(session_id, now)?;
        let read = self.store.messages_before(session_id, i64::MAX)?;
        let names = self.store.chat_messages(session_id)?;
        let (mut turns, mut bytes) = (Vec::new(), 0);
        for message in read.messages.into_iter().rev().filter(|message| message.role == Role::User) {
            let Some(turn) = self.store.turn(&message.turn_id)? else { continue };
            bytes += self.store.items_bytes(session_id, &turn.turn_id)?;
            let waits = turn.status == TurnStatus::RequiresAction;
            let told = if waits {
                items::events(&self.store.items(session_id, &turn.turn_id)?)
                    .into_iter()
                    .map(|(_, event)| event)
                    .collect()
            } else if !turn.status.is_end() {
                Vec::new()
            } else if bytes > MAX_ITEMS_BYTES {
                turn.response.iter().map(|response| EventKind::said(response.clone())).collect()
            } else {
                self.told(&turn)?.1.into_iter().map(|(_, event)| event).collect()
            };
            let has_actions = told.iter().any(|event| matches!(event, EventKind::Action(_)));
            let actions = if has_actions { self.store.actions_of(&turn.turn_id)? } else { Vec::new() };
            let name = names.iter().find(|(turn_id, _)| *turn_id == turn.turn_id).map(|(_, name)| name.clone());
            let attachments = read.attachments.get(&message.seq).cloned();
            turns.push(ChatTurn { turn, message: name, said: message.content, attachments, told, actions });
        }
        turns.reverse();
        Ok(turns)
    }
}
