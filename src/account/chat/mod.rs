//! A conversation as a chat of the AI SDK: the same turns, found by the names that the client gave to its messages.

mod answers;
pub mod command;
pub(super) mod replace;

use std::rc::Rc;

use self::command::{ChatCommand, ChatReply, ChatStream, ChatTurn};
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
            ChatCommand::MakeWay(_) => Ok(Response::Ready(Reply::Chat(ChatReply::WayMade))),
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

    /// The turn that was made of this very message before, if it was. One whose place a message takes was not made of it.
    pub(super) fn turn_of_chat(&self, start: &StartTurn) -> Result<Option<TurnId>, AccountError> {
        let (Some(session_id), Some(chat)) = (&start.session_id, &start.options.chat) else { return Ok(None) };
        if chat.replaces { Ok(None) } else { self.turn_of_message(session_id, &chat.id) }
    }

    fn turn_of_message(&self, session_id: &SessionId, id: &ChatMessageId) -> Result<Option<TurnId>, AccountError> {
        let named = id.as_str().strip_suffix(OF_THE_USER).and_then(|turn_id| turn_id.parse().ok());
        match named {
            Some(turn_id) => Ok(self.store.seq_of(session_id, &turn_id)?.map(|_| turn_id)),
            None => Ok(self.store.turn_of_chat_message(session_id, id)?),
        }
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
