//! The account's feed: what changes in it from the moment on at which a reader comes, after a snapshot of what goes on then. Nothing of it is
//! stored or kept, and while nobody reads it costs nothing. A reader that is too slow is cut, and comes back to a new snapshot.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_channel::mpsc;
use futures_util::Stream;
use serde::Serialize;

use crate::domain::event::Notice;
use crate::domain::file::{Change, Target};
use crate::domain::{Action, SessionId, Turn, TurnId, TurnStatus};

/// Readers of one account's feed; the oldest is cut for one more.
pub const MAX_READERS: usize = 32;
/// Changes that a reader may be behind before it is cut.
pub const MAX_BUFFERED_CHANGES: usize = 512;

/// What a reader of the feed hears.
#[derive(Debug)]
pub enum FeedEvent {
    /// What goes on when it comes.
    Snapshot(Snapshot),
    /// A turn has another status.
    Turn(TurnState),
    /// A conversation was created, changed or deleted.
    Conversation(ConversationChanged),
    /// A file of a conversation was changed.
    File(FileChanged),
    /// An action came up, or was decided, expired or cancelled.
    Action(Box<Action>),
    /// Something that the account's users should know.
    Notice(Notice),
}

/// `snapshot`: what goes on in the account; the first event.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FeedSnapshot"))]
pub struct Snapshot {
    /// The conversations that have a turn queued or running.
    pub conversations: Vec<OpenConversation>,
    /// The turns that are queued or running, in the order of the queue.
    pub turns: Vec<TurnState>,
    /// What waits for somebody's decision, the oldest first.
    pub actions: Vec<Action>,
}

/// A conversation that has a turn queued or running.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct OpenConversation {
    /// Names it.
    pub session_id: SessionId,
    /// Its title.
    pub title: String,
    /// Its running turn, or the one that runs next.
    pub turn: TurnId,
}

/// `turn`: where a turn stands.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FeedTurn"))]
pub struct TurnState {
    /// The turn.
    pub turn_id: TurnId,
    /// Its conversation.
    pub session_id: SessionId,
    /// Where it stands.
    pub status: TurnStatus,
    /// How many turns of the account run or wait before it.
    pub position: usize,
}

/// What happened to a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "FeedConversationChange"))]
pub enum ConversationChange {
    /// It is new.
    Created,
    /// It has another title or other metadata, or went back to an earlier state.
    Updated,
    /// It is gone.
    Deleted,
}

/// `conversation`: a conversation was created, changed or deleted. What its turns do comes as `turn`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FeedConversation"))]
pub struct ConversationChanged {
    /// The conversation.
    pub session_id: SessionId,
    /// What happened to it.
    pub change: ConversationChange,
    /// Its title; absent if it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub title: Option<String>,
}

/// `file`: a turn or an upload changed a file, or it was deleted.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "FeedFile"))]
pub struct FileChanged {
    /// The conversation.
    pub session_id: SessionId,
    /// The file's path; a folder's with a `/` at its end, and empty for all files.
    pub path: String,
    /// What became of it.
    pub change: Change,
}

/// Everyone who reads an account's feed.
#[derive(Default)]
pub(super) struct Followers(RefCell<VecDeque<mpsc::Sender<Rc<FeedEvent>>>>);

impl Followers {
    /// The snapshot, then the changes to come.
    pub fn follow(&self, snapshot: Snapshot) -> Feed {
        let mut readers = self.0.borrow_mut();
        readers.retain(|reader| !reader.is_closed());
        if readers.len() == MAX_READERS {
            readers.pop_front();
        }
        let (sender, live) = mpsc::channel(MAX_BUFFERED_CHANGES);
        readers.push_back(sender);
        Feed { snapshot: Some(Rc::new(FeedEvent::Snapshot(snapshot))), live }
    }

    /// Whether anyone reads it: what costs a look into the database is told only then.
    pub fn has_readers(&self) -> bool {
        !self.0.borrow().is_empty()
    }

    /// Tells everyone.
    fn tell(&self, event: impl FnOnce() -> FeedEvent) {
        if !self.has_readers() {
            return;
        }
        let event = Rc::new(event());
        self.0.borrow_mut().retain_mut(|reader| reader.try_send(Rc::clone(&event)).is_ok());
    }

    /// Tells where a turn stands.
    pub fn turn(&self, turn_id: &TurnId, session_id: &SessionId, status: TurnStatus, position: usize) {
        self.tell(|| {
            FeedEvent::Turn(TurnState { turn_id: turn_id.clone(), session_id: session_id.clone(), status, position })
        });
    }

    /// Tells how a turn has ended, and what it changed.
    pub fn ended(&self, turn: &Turn) {
        for file in turn.files.iter().flat_map(|files| &files.changed) {
            self.file(&turn.session_id, file.path.as_str(), file.change);
        }
        self.turn(&turn.turn_id, &turn.session_id, turn.status, 0);
    }

    /// Tells of a conversation; `title` if it is there.
    pub fn conversation(&self, session_id: &SessionId, change: ConversationChange, title: Option<&str>) {
        self.tell(|| {
            let title = title.map(str::to_owned);
            FeedEvent::Conversation(ConversationChanged { session_id: session_id.clone(), change, title })
        });
    }

    /// Tells how an action stands.
    pub fn action(&self, action: &Action) {
        self.tell(|| FeedEvent::Action(Box::new(action.clone())));
    }

    /// Tells of a file.
    pub fn file(&self, session_id: &SessionId, path: &str, change: Change) {
        self.tell(|| FeedEvent::File(FileChanged { session_id: session_id.clone(), path: path.to_owned(), change }));
    }

    /// Tells something that the account's users should know.
    pub fn notice(&self, code: &str, message: &str) {
        let (code, message) = (code.to_owned(), message.to_owned());
        self.tell(|| FeedEvent::Notice(Notice { code, message, from: None, to: None }));
    }

    /// Tells of files that a user has deleted.
    pub fn deleted_files(&self, session_id: &SessionId, target: &Target) {
        self.file(session_id, &String::from(target.clone()), Change::Deleted);
    }
}

/// An account's feed, one event after the other. It ends early if its reader was too slow.
pub struct Feed {
    snapshot: Option<Rc<FeedEvent>>,
    live: mpsc::Receiver<Rc<FeedEvent>>,
}

impl Stream for Feed {
    type Item = Rc<FeedEvent>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Rc<FeedEvent>>> {
        match self.snapshot.take() {
            Some(snapshot) => Poll::Ready(Some(snapshot)),
            None => Pin::new(&mut self.live).poll_next(cx),
        }
    }
}
