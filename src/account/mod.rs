//! The use cases of one account: the authority for its conversations, its queue of turns and its container.
//! Every method that changes something does so in one synchronous step; only the end of a turn is waited for.

mod alarm;
mod clean_up;
pub mod command;
mod conversations;
mod finish;
pub mod host;
pub mod listeners;
mod model_calls;
mod nothing;
mod prewarm;
mod progress;
mod purge;
mod run;
mod submit;
pub mod turn;
pub mod wake;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures_channel::mpsc;
use futures_util::lock::Mutex;

use command::{AccountError, AnswerForm, Command, Envelope, Reply, StartTurn};
use host::{Host, Registry};
use listeners::{Listeners, Subscription, announcement};
use model_calls::ModelCalls;
use turn::Stop;

use crate::agent::{Agent, Container, ContainerError};
use crate::config::Config;
use crate::digest;
use crate::domain::{
    AccountId, AgentSession, EventId, Message, Millis, RequestId, Role, SessionId, Turn, TurnId, TurnStatus,
};
use crate::log::{Level, Line};
use crate::store::Store;
use crate::store::sql::Sql;
use crate::store::turns::{ActiveTurn, NewTurn, TurnEnd, TurnWork};

/// What comes later.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, AccountError>>>>;

/// A reply that is there, or one that comes with the end of a turn or a purge.
pub enum Handled<J> {
    /// It is there.
    Now(Reply<J>),
    /// It comes.
    Later(Later<Reply<J>>),
}

/// A turn that the container has.
struct Running {
    session_id: SessionId,
    /// From when the container has said it, or its conversation was deleted.
    agent_session: Option<AgentSession>,
    /// What it has asked of the model so far.
    calls: ModelCalls,
    stop: mpsc::UnboundedSender<Stop>,
}

/// One account.
pub struct Account<S, C, H> {
    id: AccountId,
    log_id: String,
    store: Store<S>,
    agent: Agent<C>,
    host: H,
    config: Config,
    running: RefCell<BTreeMap<TurnId, Running>>,
    listeners: RefCell<BTreeMap<TurnId, Listeners>>,
    /// The conversations of turns that have ended here and not yet in the container.
    leaving: RefCell<Vec<SessionId>>,
    /// The conversations whose last turn was cut short: the container may hold more of it than is stored.
    cut_short: RefCell<Vec<SessionId>>,
    /// How many alarms more look for turns that have not left the container.
    orphan_looks: Cell<u32>,
    awake: Cell<bool>,
    alarm: Cell<Option<Millis>>,
    idle_since: Cell<Option<Millis>>,
    prewarm: Cell<Option<prewarm::Prewarm>>,
    purge: Cell<wake::Purge>,
    purge_lock: Mutex<()>,
    registering: Cell<bool>,
}

impl<S: Sql + 'static, C: Container + 'static, H: Host + Registry> Account<S, C, H> {
    /// The account whose database `store` is and whose container `agent` speaks to.
    pub fn new(id: AccountId, store: Store<S>, agent: Agent<C>, host: H, config: Config) -> Self {
        let log_id = digest::account(id.as_str());
        Self {
            id,
            log_id,
            store,
            agent,
            host,
            config,
            running: RefCell::default(),
            listeners: RefCell::default(),
            leaving: RefCell::default(),
            cut_short: RefCell::default(),
            orphan_looks: Cell::new(0),
            awake: Cell::new(false),
            alarm: Cell::new(None),
            idle_since: Cell::new(None),
            prewarm: Cell::new(None),
            purge: Cell::default(),
            purge_lock: Mutex::new(()),
            registering: Cell::new(false),
        }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// The caller's faults, and [`AccountError::Store`].
    pub fn handle(self: &Rc<Self>, envelope: Envelope) -> Result<Handled<S::Json>, AccountError> {
        if !self.store.is_made()
            && let Some(reply) = self.reply_of_nothing(&envelope.command)?
        {
            return Ok(Handled::Now(reply));
        }
        self.wake_up()?;
        let now = self.host.now();
        let reply = match envelope.command {
            Command::StartTurn(start) => {
                return self.start_turn(&start, &envelope.request_id, envelope.again, now);
            }
            Command::ListConversations { limit, page, words } => self.list_conversations(limit, &page, words)?,
            Command::ReadConversation { session_id, before } => {
                let read = self.read_conversation(&session_id, before, now)?;
                self.prewarm_for_reader(now);
                read
            }
            Command::UpdateConversation { session_id, title, metadata } => {
                self.update_conversation(&session_id, title.as_ref(), metadata, now)?
            }
            Command::FollowConversation { session_id, last_event_id } => {
                let turn_id = self.turn_to_follow(&session_id, last_event_id.as_ref())?;
                let after = last_event_id.filter(|id| id.turn_id == turn_id).map_or(0, |id| id.n);
                let events = self.follow(&turn_id, after, false)?;
                self.prewarm_for_reader(now);
                events
            }
            Command::CancelConversation { session_id } => {
                self.store.conversation(&session_id)?.ok_or(AccountError::NotFound)?;
                Reply::Cancelled(self.stop_turns_of(&session_id)?)
            }
            Command::DeleteConversation { session_id } => self.delete_conversation(&session_id)?,
            Command::ReadTurn { turn_id } => Reply::Turn(Box::new(self.turn(&turn_id)?)),
            Command::Prewarm => Reply::Prewarming { started: self.prewarm(now) },
            Command::StorageStats => self.storage_stats(now)?,
            Command::Purge => {
                let purge = Rc::clone(self).purge();
                return Ok(Handled::Later(Box::pin(async move { Ok(Reply::Purged(purge.await?)) })));
            }
            Command::Visit => {
                let purge = Rc::clone(self).purge();
                return Ok(Handled::Later(Box::pin(async move { Ok(Reply::Visited(purge.await?)) })));
            }
            Command::BeginCall(call) => Reply::CallBegun(self.begin_call(&call)?),
            Command::EndCall(call) => {
                self.end_call(&call, &envelope.request_id);
                Reply::Noted
            }
            Command::NoteRefusal(_) => Reply::Noted,
        };
        Ok(Handled::Now(reply))
    }

    /// Makes the storage usable, and takes up the turns that were running when the object lost its memory.
    /// Comes before every use of the storage in an event or after an await that the storage may have been cleared in.
    fn wake_up(self: &Rc<Self>) -> Result<(), AccountError> {
        if !self.store.is_made() {
            self.store.make(self.host.now())?;
        }
        if self.awake.replace(true) {
            return Ok(());
        }
        if self.agent.is_running() {
            self.agent.adopt(self.store.agent_token()?);
        }
        for turn in self.store.active_turns()? {
            if turn.status == TurnStatus::Running {
                self.launch(turn, run::Begin::Attach, None);
            }
        }
        self.look_for_orphans(clean_up::ORPHAN_LOOKS);
        Ok(())
    }

    fn start_turn(
        self: &Rc<Self>,
        start: &StartTurn,
        request_id: &RequestId,
        again: bool,
        now: Millis,
    ) -> Result<Handled<S::Json>, AccountError> {
        let answer = start.answer;
        // A request that is sent again may have made its turn before the object was reset.
        let made = if again { self.store.turn_by_request(request_id)? } else { None };
        let (turn_id, admitted, replayed) = if let Some(turn_id) = made {
            (turn_id, false, false)
        } else {
            let (turn_id, replayed) = self.store.transaction(|| self.admit(start, request_id, now))?;
            (turn_id, !replayed, replayed)
        };
        if admitted {
            let work = TurnWork {
                prompt: start.prompt.clone(),
                options: start.options.clone(),
                frames_stored: 0,
                instance: self.agent.ready_instance(),
            };
            self.pump_with(Some((&turn_id, work)), None)?;
            self.register_soon()?;
            self.set_alarm()?;
        }
        match answer {
            AnswerForm::Accepted => {
                Ok(Handled::Now(Reply::Accepted { turn: Box::new(self.turn(&turn_id)?), replayed }))
            }
            AnswerForm::Events => Ok(Handled::Now(self.follow(&turn_id, 0, replayed)?)),
            AnswerForm::Json => {
                // One that was admitted now has not ended.
                let ended =
                    if admitted { None } else { Some(self.turn(&turn_id)?).filter(|turn| turn.status.is_end()) };
                if let Some(turn) = ended {
                    return Ok(Handled::Now(Reply::Answer { turn: Box::new(turn), replayed }));
                }
                let end = self.listeners.borrow_mut().entry(turn_id).or_default().wait();
                let end = end.ok_or(AccountError::TooManyWait)?;
                Ok(Handled::Later(Box::pin(async move {
                    let turn = end.await.map_err(|_| AccountError::EndUnseen)?;
                    Ok(Reply::Answer { turn: Box::new(Turn::clone(&turn)), replayed })
                })))
            }
        }
    }

    /// Stores a turn, or finds the one that its key made. Part of one transaction.
    fn admit(&self, start: &StartTurn, request_id: &RequestId, now: Millis) -> Result<(TurnId, bool), AccountError> {
        if let Some((key, hash)) = &start.idempotency
            && let Some((turn_id, stored_hash)) = self.store.turn_by_key(key)?
        {
            return if stored_hash == *hash { Ok((turn_id, true)) } else { Err(AccountError::KeyReused) };
        }
        let session_id = start.session_id.clone().unwrap_or_else(|| SessionId::generate(now, self.host.uuid()));
        let active = self.store.active_turns()?;
        let queued = active.iter().filter(|turn| turn.status == TurnStatus::Queued).count();
        if queued >= self.config.max_queued_turns as usize {
            return Err(AccountError::QueueFull { depth: queued });
        }
        let starts_now = queued == 0 && self.has_room_for(&session_id, &active);
        let turn_id = TurnId::new(self.host.uuid());
        self.store.remember_account(&self.id)?;
        let seq = self.store.open_conversation(&session_id, &start.title, start.prompt.len(), now)?;
        let query =
            Message { seq, turn_id: turn_id.clone(), role: Role::User, content: start.prompt.clone(), timestamp: now };
        self.store.insert_message(&session_id, &query)?;
        self.store.insert_turn(&NewTurn {
            turn_id: &turn_id,
            session_id: &session_id,
            seq,
            ordinal: active.last().map_or(0, |last| last.ordinal) + 1,
            request_id,
            idempotency: start.idempotency.as_ref().map(|(key, hash)| (key, hash.as_str())),
            options: &start.options,
            created_at: now,
            started_at: starts_now.then_some(now),
            instance: self.agent.ready_instance().filter(|_| starts_now).as_deref(),
        })?;
        Ok((turn_id, false))
    }

    /// Whether a turn of the conversation may run now. One that was given up is stored as running, and holds its conversation;
    /// one whose conversation was deleted is stored no more; and one that has ended may not have left the container.
    fn has_room_for(&self, session_id: &SessionId, active: &[ActiveTurn]) -> bool {
        let running = self.running.borrow();
        running.len() < self.config.account_concurrency as usize
            && running.values().all(|turn| turn.session_id != *session_id)
            && active.iter().all(|turn| turn.status != TurnStatus::Running || turn.session_id != *session_id)
            && !self.leaving.borrow().contains(session_id)
    }

    /// Gives to the container what may run, first come first served.
    fn pump(self: &Rc<Self>) -> Result<(), AccountError> {
        self.pump_others(None)
    }

    /// The same, without a turn that has just been given up.
    fn pump_others(self: &Rc<Self>, given_up: Option<&TurnId>) -> Result<(), AccountError> {
        self.pump_with(None, given_up)
    }

    /// The same, with the work of the turn that has just been admitted: where it starts at once, nobody need ask for it.
    fn pump_with(
        self: &Rc<Self>,
        mut admitted: Option<(&TurnId, TurnWork)>,
        given_up: Option<&TurnId>,
    ) -> Result<(), AccountError> {
        for turn in self.store.active_turns()? {
            let known = self.running.borrow().contains_key(&turn.turn_id) || given_up == Some(&turn.turn_id);
            if turn.status == TurnStatus::Running && !known {
                let work = admitted.take_if(|(turn_id, _)| **turn_id == turn.turn_id).map(|(_, work)| work);
                self.launch(turn, run::Begin::Submit, work);
            } else if turn.status == TurnStatus::Queued
                && self.has_room_for(&turn.session_id, &self.store.active_turns()?)
            {
                let now = self.host.now();
                self.store.start_turn(&turn.turn_id, now, self.agent.ready_instance().as_deref())?;
                let started = ActiveTurn { started_at: Some(now), status: TurnStatus::Running, ..turn };
                self.launch(started, run::Begin::Submit, None);
            }
        }
        Ok(())
    }

    fn launch(self: &Rc<Self>, turn: ActiveTurn, begin: run::Begin, work: Option<TurnWork>) {
        let (stop, stops) = mpsc::unbounded();
        let session_id = turn.session_id.clone();
        let running = Running { session_id, agent_session: None, calls: ModelCalls::default(), stop };
        self.running.borrow_mut().insert(turn.turn_id.clone(), running);
        let mut listeners = self.listeners.borrow_mut();
        let event = announcement(&turn.turn_id, &turn.session_id, TurnStatus::Running, 0);
        listeners.entry(turn.turn_id.clone()).or_default().publish(event);
        drop(listeners);
        self.host.spawn(Rc::clone(self).run(turn, begin, work, stops));
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
        let running = self.running.borrow();
        let current = running.iter().find(|(_, turn)| turn.session_id == *session_id).map(|(id, _)| id.clone());
        current.map_or_else(|| self.store.latest_turn_of(session_id)?.ok_or(AccountError::NotFound), Ok)
    }

    /// A turn's events after the `after`-th.
    fn follow(&self, turn_id: &TurnId, after: u64, replayed: bool) -> Result<Reply<S::Json>, AccountError> {
        let from = |first| self.listeners.borrow_mut().entry(turn_id.clone()).or_default().follow(first, after);
        if let Some(running) = self.running.borrow().get(turn_id) {
            let first = announcement(turn_id, &running.session_id, TurnStatus::Running, 0);
            return Ok(Reply::Events { subscription: from(first), replayed });
        }
        let turn = self.turn(turn_id)?;
        if turn.status.is_end() {
            let events = Subscription::of_ended(&Rc::new(turn), self.store.last_events(turn_id)?, after);
            return Ok(events.map_or(Reply::NothingFollows, |subscription| Reply::Events { subscription, replayed }));
        }
        let position = if turn.status == TurnStatus::Queued {
            self.store.active_turns()?.iter().take_while(|active| active.turn_id != *turn_id).count()
        } else {
            0
        };
        let first = announcement(turn_id, &turn.session_id, turn.status, position);
        Ok(Reply::Events { subscription: from(first), replayed })
    }

    /// Ends the queued turns of a conversation and asks the running ones to end; returns how many.
    fn stop_turns_of(self: &Rc<Self>, session_id: &SessionId) -> Result<usize, AccountError> {
        let mut stopped = 0;
        for turn in self.store.active_turns()?.into_iter().filter(|turn| turn.session_id == *session_id) {
            stopped += 1;
            if turn.status == TurnStatus::Queued {
                self.end_queued(&turn)?;
            } else if let Some(running) = self.running.borrow().get(&turn.turn_id) {
                // A turn that is ending at this moment does not listen any more.
                let _ = running.stop.unbounded_send(Stop::Cancel);
            }
        }
        Ok(stopped)
    }

    fn delete_conversation(self: &Rc<Self>, session_id: &SessionId) -> Result<Reply<S::Json>, AccountError> {
        self.stop_turns_of(session_id)?;
        let agent_session = self.store.transaction(|| self.store.delete_conversation(session_id))?;
        self.cut_short.borrow_mut().retain(|cut| cut != session_id);
        let mut is_running = false;
        for turn in self.running.borrow_mut().values_mut().filter(|turn| turn.session_id == *session_id) {
            // A running turn forgets its session when it has ended.
            is_running = true;
            turn.agent_session = turn.agent_session.take().or_else(|| agent_session.clone());
        }
        if let Some(agent_session) = agent_session.filter(|_| !is_running && self.agent.is_running()) {
            let account = Rc::clone(self);
            self.host.spawn(async move { account.forget_session(&agent_session).await });
        }
        Ok(Reply::Deleted)
    }

    /// The token of a container that is about to start, stored: an object that comes after this one goes on with it.
    fn mint_token(&self) -> Result<String, ContainerError> {
        // Each has 74 random bits.
        let token = format!("{}{}", self.host.uuid().simple(), self.host.uuid().simple());
        let stored = self.store.remember_account(&self.id).and_then(|()| self.store.set_agent_token(&token));
        stored.map_err(|error| ContainerError(error.to_string()))?;
        Ok(token)
    }

    #[allow(clippy::large_types_passed_by_value, reason = "each line is made for this one call")]
    fn log(&self, level: Level, line: Line<'_>) {
        self.host.log(level, &Line { account: Some(&self.log_id), ..line });
    }
}
