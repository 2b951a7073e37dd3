//! The use cases of one account: the authority for its conversations, its queue of turns and its container.
//! Every method that changes something does so in one synchronous step; only the end of a turn is waited for.

mod actions;
mod alarm;
mod attachments;
pub mod branches;
pub mod chat;
pub mod command;
mod container_use;
mod conversations;
pub mod error;
pub mod feed;
pub mod files;
mod fleet;
pub mod ledger;
pub mod limits;
pub mod manage;
mod nothing;
mod prewarm;
mod purge;
mod queue;
pub mod reply;
pub mod runtime;
pub mod schedules;
pub mod turn;
pub mod wake;
pub mod webhooks;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::lock::Mutex;

use command::{Command, Envelope};
use error::AccountError;
use reply::Reply;
use runtime::{Directory, Runtime};
use turn::active::ActiveTurns;
use turn::events::{Subscription, announcement};
use turn::items;

use crate::agent::{Agent, AgentError, Container, ContainerError, Readiness};
use crate::config::Config;
use crate::digest;
use crate::domain::fleet::ContainerStage;
use crate::domain::ledger::Day;
use crate::domain::{AccountId, EventId, Include, Millis, SessionId, Turn, TurnId, TurnStatus};
use crate::log::{Level, Line};
use crate::store::Store;
use crate::store::sql::Sql;
use crate::workspace::port::Bucket;

/// Why an account that is being erased does nothing.
const ERASING: &str = "This account is being erased.";

/// A result that comes later: with the end of a turn or of a purge.
pub type Deferred<T> = Pin<Box<dyn Future<Output = Result<T, AccountError>>>>;

/// The response to a command.
pub enum Response<J> {
    /// The reply.
    Ready(Reply<J>),
    /// The reply, when the turn or the purge that it waits for has ended.
    Deferred(Deferred<Reply<J>>),
}

/// One account.
pub struct Account<S, C, R> {
    id: AccountId,
    log_id: String,
    store: Store<S>,
    agent: Agent<C>,
    runtime: R,
    config: Config,
    turns: ActiveTurns,
    /// The conversations of turns that have ended here and not yet in the container.
    leaving: RefCell<Vec<SessionId>>,
    /// The conversations whose last turn was cut short: the container may hold more of it than is stored.
    cut_short: RefCell<Vec<SessionId>>,
    /// How many alarms more look for turns that have not left the container.
    orphan_looks: Cell<u32>,
    awake: Cell<bool>,
    /// Whether it is stored that the running container's agent server has answered.
    agent_answered: Cell<bool>,
    /// When the container that was started last was asked for.
    container_begun: Cell<Option<Millis>>,
    alarm: Cell<Option<Millis>>,
    idle_since: Cell<Option<Millis>>,
    prewarm: Cell<Option<prewarm::Prewarm>>,
    purge: Cell<wake::Purge>,
    purge_lock: Mutex<()>,
    registering: Cell<bool>,
    files: files::Files,
    webhooks: webhooks::Webhooks,
    feed: feed::Followers,
    ledger: ledger::Ledger,
    settings: limits::Settings,
    fleet: fleet::Fleet,
    /// The day of which the directory knows that the account is active.
    active_day: Cell<Option<Day>>,
    /// Whether the account is being erased.
    erasing: Cell<bool>,
    /// Whether it was erased, and has not worked since.
    erased: Cell<bool>,
}

impl<S: Sql + 'static, C: Container + 'static, R: Runtime + Directory> Account<S, C, R> {
    /// The account whose database `store` is and whose container `agent` speaks to.
    pub fn new(id: AccountId, store: Store<S>, agent: Agent<C>, runtime: R, config: Config) -> Self {
        let log_id = digest::account(id.as_str());
        store.set_operator_webhook(config.webhook.url.is_some());
        Self {
            id,
            log_id,
            store,
            agent,
            runtime,
            config,
            turns: ActiveTurns::default(),
            leaving: RefCell::default(),
            cut_short: RefCell::default(),
            orphan_looks: Cell::new(0),
            awake: Cell::new(false),
            agent_answered: Cell::new(false),
            container_begun: Cell::new(None),
            alarm: Cell::new(None),
            idle_since: Cell::new(None),
            prewarm: Cell::new(None),
            purge: Cell::default(),
            purge_lock: Mutex::new(()),
            registering: Cell::new(false),
            files: files::Files::default(),
            webhooks: webhooks::Webhooks::default(),
            feed: feed::Followers::default(),
            ledger: ledger::Ledger::default(),
            settings: limits::Settings::default(),
            fleet: fleet::Fleet::default(),
            active_day: Cell::new(None),
            erasing: Cell::new(false),
            erased: Cell::new(false),
        }
    }

    /// The same account, whose conversations' files are saved in `bucket`.
    #[must_use]
    pub fn with_bucket(mut self, bucket: Rc<dyn Bucket>) -> Self {
        self.files = files::Files::on(bucket);
        self
    }

    /// Carries out a command. Changes are stored when it returns; only the end of a turn and a purge are waited for.
    ///
    /// # Errors
    /// [`AccountError::Store`] if storage fails, [`AccountError::Bucket`] if the bucket fails, [`AccountError::EndUnseen`] if
    /// the object lost the turn; every other [`AccountError`] is the caller's fault.
    pub fn handle(self: &Rc<Self>, envelope: Envelope) -> Result<Response<S::Json>, AccountError> {
        if self.erasing.get() && envelope.command.needs_active_account() {
            return Err(AccountError::Suspended(Some(ERASING.to_owned())));
        }
        if !self.store.is_made()
            && let Some(reply) = self.reply_of_nothing(&envelope.command)?
        {
            return Ok(Response::Ready(reply));
        }
        self.wake_up()?;
        if envelope.command.needs_active_account() {
            self.check_active()?;
        }
        let now = self.runtime.now();
        let reply = match envelope.command {
            Command::StartTurn(start) => {
                return self.start_in_place(start, envelope.request_id, envelope.again, now);
            }
            Command::LookUpAttachments(asked) => return self.look_up_attachments(&asked, now),
            Command::ListConversations { limit, page, words } => self.list_conversations(limit, &page, words)?,
            Command::ReadConversation { session_id, before, items } => {
                let read = self.read_conversation(&session_id, before, items, now)?;
                self.prewarm_for_reader(now);
                read
            }
            Command::UpdateConversation { session_id, title, metadata } => {
                self.update_conversation(&session_id, title.as_ref(), metadata, now)?
            }
            Command::FollowConversation { session_id, last_event_id, include } => {
                let turn_id = self.turn_to_follow(&session_id, last_event_id.as_ref())?;
                let after = last_event_id.filter(|id| id.turn_id == turn_id).map_or(0, |id| id.n);
                let events = self.follow(&turn_id, after, include, false)?;
                self.prewarm_for_reader(now);
                events
            }
            Command::FollowAccount => Reply::Feed(self.feed.follow(self.snapshot()?)),
            Command::CancelConversation { session_id, reason } => {
                self.store.conversation(&session_id)?.ok_or(AccountError::NotFound)?;
                Reply::Cancelled(self.stop_turns_of(&session_id, reason.as_deref())?)
            }
            Command::ReadContext { session_id } => self.read_context(&session_id, now)?,
            Command::Fork(asked) => self.fork(*asked, &envelope.request_id, envelope.again, now)?,
            Command::Rewind { session_id, to } => self.rewind(&session_id, &to, envelope.again, now)?,
            Command::DeleteConversation { session_id } => self.delete_conversation(&session_id)?,
            Command::Files { session_id, ask } => self.handle_files(&session_id, &ask, now)?,
            Command::DecideAction(asked) => return self.decide_action(*asked, now),
            Command::ListActions { of, limit } => self.list_actions(&of, limit)?,
            Command::ReadAction { action_id } => self.read_action(&action_id)?,
            Command::ListTurns { session_id, before, limit } => {
                self.list_turns(session_id, before.as_ref(), limit, now)?
            }
            Command::ReadTurn { turn_id, items } => self.read_turn(&turn_id, items)?,
            Command::Prewarm => Reply::Prewarming { started: self.prewarm(now) },
            Command::StorageStats => self.storage_stats(now)?,
            Command::Purge => {
                let purge = Rc::clone(self).purge();
                return Ok(Response::Deferred(Box::pin(async move { Ok(Reply::Purged(purge.await?)) })));
            }
            Command::Visit => {
                let purge = Rc::clone(self).purge();
                return Ok(Response::Deferred(Box::pin(async move { Ok(Reply::Visited(purge.await?)) })));
            }
            Command::BeginCall(call) => Reply::CallBegun(self.begin_call(&call)?),
            Command::EndCall(call) => return self.end_call(&call, &envelope.request_id),
            Command::NoteRefusal(_) => Reply::Noted,
            Command::Manage(ask) => return self.manage(ask, now),
            Command::Webhooks(ask) => Reply::Webhooks(self.handle_webhooks(ask, now)?),
            Command::Chat(ask) => return self.handle_chat(ask, now),
            Command::Schedules(ask) => {
                Reply::Schedules(self.handle_schedules(ask, &envelope.request_id, envelope.again, now)?)
            }
        };
        Ok(Response::Ready(reply))
    }

    /// Makes the storage usable, and takes up the turns that were running when the object lost its memory.
    /// Comes before every use of the storage in an event or after an await that the storage may have been cleared in.
    fn wake_up(self: &Rc<Self>) -> Result<(), AccountError> {
        if !self.store.is_made() {
            self.store.make(self.runtime.now())?;
        }
        if self.awake.replace(true) {
            return Ok(());
        }
        if self.agent.is_running() {
            let (token, answered) = self.store.agent_token()?.unzip();
            self.agent_answered.set(answered.unwrap_or(false));
            self.agent.adopt(token, self.agent_answered.get());
        }
        for turn in self.store.active_turns()? {
            if turn.status != TurnStatus::Queued && !turn.is_parked() {
                self.launch(turn, turn::run::Entry::Reattach, None);
            }
        }
        self.look_for_orphans(turn::clean_up::ORPHAN_LOOKS);
        Ok(())
    }

    fn turn(&self, turn_id: &TurnId) -> Result<Turn, AccountError> {
        self.store.turn(turn_id)?.ok_or(AccountError::NotFound)
    }

    fn turn_to_follow(&self, session_id: &SessionId, last: Option<&EventId>) -> Result<TurnId, AccountError> {
        if let Some(last) = last
            && self.store.turn(&last.turn_id)?.is_some_and(|turn| turn.session_id == *session_id)
        {
            return Ok(last.turn_id.clone());
        }
        let current = self.turns.turn_of(session_id);
        current.map_or_else(|| self.store.latest_turn_of(session_id)?.ok_or(AccountError::NotFound), Ok)
    }

    /// A turn's events after the `after`-th.
    fn follow(
        &self,
        turn_id: &TurnId,
        after: u64,
        include: Include,
        replayed: bool,
    ) -> Result<Reply<S::Json>, AccountError> {
        let from = |first| self.turns.follow(turn_id, first, after, include);
        if let Some(session_id) = self.turns.session_of(turn_id) {
            let runs = self.turns.takes_place(turn_id);
            let status = if runs { TurnStatus::Running } else { TurnStatus::RequiresAction };
            let first = announcement(turn_id, &session_id, status, 0);
            return Ok(Reply::Events { subscription: from(first), replayed });
        }
        let turn = self.turn(turn_id)?;
        if turn.status.is_end() {
            let (last, told) = self.told(&turn)?;
            let events = Subscription::of_ended(&Rc::new(turn), last, told, after, include);
            return Ok(events.map_or(Reply::NothingFollows, |subscription| Reply::Events { subscription, replayed }));
        }
        if turn.status == TurnStatus::RequiresAction
            && let Some(active) = self.store.active_turns()?.into_iter().find(|active| active.turn_id == *turn_id)
        {
            if let Some(last) = self.last_of_parked(&active)? {
                let told = items::events(&self.store.items(&turn.session_id, turn_id)?);
                let events = Subscription::of_paused(&turn, last, told, after, include);
                return Ok(
                    events.map_or(Reply::NothingFollows, |subscription| Reply::Events { subscription, replayed })
                );
            }
            self.recall(turn_id, &turn.session_id)?;
        }
        let position = if turn.status == TurnStatus::Queued {
            self.store.active_turns()?.iter().take_while(|active| active.turn_id != *turn_id).count()
        } else {
            0
        };
        let first = announcement(turn_id, &turn.session_id, turn.status, position);
        Ok(Reply::Events { subscription: from(first), replayed })
    }

    pub(in crate::account) fn delete_conversation(
        self: &Rc<Self>,
        session_id: &SessionId,
    ) -> Result<Reply<S::Json>, AccountError> {
        self.stop_turns_of(session_id, None)?;
        let now = self.runtime.now();
        let is_told = self.feed.has_readers() && self.store.conversation(session_id)?.is_some();
        let sdk_session = self.store.transaction(|| {
            self.store.tell_deleted(session_id, now)?;
            self.store.delete_conversation(session_id)
        })?;
        self.deliver()?;
        if self.files.is_on() {
            self.set_alarm()?;
        }
        if is_told {
            self.feed.conversation(session_id, feed::ConversationChange::Deleted, None);
        }
        self.cut_short.borrow_mut().retain(|cut| cut != session_id);
        let is_running = self.turns.delete_conversation(session_id, sdk_session.as_ref());
        if let Some(sdk_session) = sdk_session.filter(|_| !is_running && self.agent.is_running()) {
            let account = Rc::clone(self);
            self.runtime.spawn(async move { account.forget_session(&sdk_session).await });
        }
        Ok(Reply::Deleted)
    }

    /// Makes sure that the agent server answers, and keeps in mind that it has.
    async fn ensure_agent(&self, busy: bool) -> Result<Readiness, AgentError> {
        let readiness = self.agent.ensure(busy, &|| self.mint_token()).await?;
        if !self.agent_answered.replace(true)
            && self.store.is_made()
            && let Err(error) = self.store.set_agent_answered(self.container_begun.get().unwrap_or(self.runtime.now()))
        {
            let why = error.to_string();
            self.log(Level::Error, Line { event: "storage_failed", error: Some(&why), ..Line::default() });
        }
        Ok(readiness)
    }

    /// The token of a container that is about to start, stored: an object that comes after this one goes on with it.
    fn mint_token(&self) -> Result<String, ContainerError> {
        // Each has 74 random bits.
        let token = format!("{}{}", self.runtime.uuid().simple(), self.runtime.uuid().simple());
        self.agent_answered.set(false);
        let now = self.runtime.now();
        self.container_begun.set(Some(now));
        self.container_stopped(now).map_err(|error| ContainerError(error.to_string()))?;
        let stored = self.store.remember_account(&self.id).and_then(|()| self.store.set_agent_token(&token));
        stored.map_err(|error| ContainerError(error.to_string()))?;
        self.report_with(ContainerStage::Starting, now);
        Ok(token)
    }

    #[allow(clippy::large_types_passed_by_value, reason = "each line is made for this one call")]
    fn log(&self, level: Level, line: Line<'_>) {
        self.runtime.log(level, &Line { account: Some(&self.log_id), ..line });
    }
}
