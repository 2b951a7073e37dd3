//! An account with a scripted container, on a deterministic executor: commands go in, time passes, and what is left is looked at.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::bucket::ScriptedBucket;
use super::container::Scripted;
use super::executor::{Executor, Owner};
use super::noted::Noted;
use super::receiver::Receiver;
use super::script::Script;
use super::stage_runtime::StageRuntime;
use super::{Rusqlite, made_store, session};
use claude_agent_service::account::command::{AnswerForm, Command, Envelope, StartTurn};
use claude_agent_service::account::error::AccountError;
use claude_agent_service::account::reply::Reply;
use claude_agent_service::account::runtime::Runtime as _;
use claude_agent_service::account::{Account, Response};
use claude_agent_service::agent::Agent;
use claude_agent_service::config::Config;
use claude_agent_service::domain::content::prompt_of;
use claude_agent_service::domain::{
    Block, Include, Millis, PurgeOutcome, RequestId, Title, Turn, TurnId, TurnOptions, WhenBusy,
};
use claude_agent_service::store::Store;
use serde_json::Value;

/// Virtual time after which what has not settled never will.
const PATIENCE: Duration = Duration::from_hours(3);

type StageAccount = Account<Rusqlite, Scripted, StageRuntime>;
pub type Sent<T> = Rc<RefCell<Option<T>>>;

/// Steps at one moment: beyond them, an alarm rings for ever.
const MAX_STEPS_AT_ONCE: u32 = 10_000;

/// An account, its database, its container and its time.
pub struct Stage {
    pub executor: Executor,
    pub container: Scripted,
    pub sql: Rusqlite,
    pub store: Store<Rusqlite>,
    pub runtime: StageRuntime,
    /// What is outside and takes webhooks.
    pub receiver: Receiver,
    /// Where files are saved, on a stage that saves them.
    pub bucket: ScriptedBucket,
    has_bucket: bool,
    /// How often the alarm has rung.
    rung: Cell<u32>,
    /// The moment of the last step, and how many steps there were at it.
    standstill: Cell<(Millis, u32)>,
    account: Rc<StageAccount>,
    vars: Vec<(&'static str, String)>,
}

impl Stage {
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// With variables of the configuration.
    pub fn with(vars: &[(&'static str, &str)]) -> Self {
        Self::made(vars, false)
    }

    /// With a bucket, and a container that saves files.
    pub fn with_files(vars: &[(&'static str, &str)]) -> Self {
        let stage = Self::made(vars, true);
        stage.container.state.borrow_mut().workspaces_held.saves = true;
        stage
    }

    fn made(vars: &[(&'static str, &str)], has_bucket: bool) -> Self {
        let executor = Executor::default();
        let receiver = Receiver::new(&executor);
        let runtime = StageRuntime {
            executor: executor.clone(),
            uuids: Rc::default(),
            alarm: Rc::default(),
            log: Rc::default(),
            noted: Noted::default(),
            reported: Rc::default(),
            receiver: receiver.clone(),
        };
        let (container, sql) = (Scripted::new(&executor), Rusqlite::in_memory());
        let vars: Vec<_> = vars.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let bucket = ScriptedBucket::new(&executor);
        let store = made_store(sql.clone(), executor.now());
        let account = open(&sql, &container, &runtime, &vars, Some(&bucket).filter(|_| has_bucket));
        Self {
            executor,
            container,
            sql,
            store,
            runtime,
            receiver,
            bucket,
            has_bucket,
            rung: Cell::new(0),
            standstill: Cell::new((Millis::new(0), 0)),
            account,
            vars,
        }
    }

    /// The object loses its memory, and everything that it was doing.
    pub fn reset(&mut self) {
        self.executor.drop_object();
        let bucket = Some(&self.bucket).filter(|_| self.has_bucket);
        self.account = open(&self.sql, &self.container, &self.runtime, &self.vars, bucket);
    }

    /// Sets a variable of the configuration, which counts from the next reset on.
    pub fn set_var(&mut self, name: &'static str, value: &str) {
        self.vars.push((name, value.to_owned()));
    }

    /// The same command again, as a Worker sends it if the object was reset before it had answered.
    pub fn handle_again(
        &self,
        command: Command,
        request_id: &RequestId,
        again: bool,
    ) -> Result<Reply<String>, AccountError> {
        match self.account.handle(Envelope { again, ..Envelope::new(request_id.clone(), command) })? {
            Response::Ready(reply) => Ok(reply),
            Response::Deferred(_) => unreachable!(),
        }
    }

    pub fn handle(&self, command: Command) -> Result<Response<String>, AccountError> {
        self.handle_as(&self.request_id(), command)
    }

    /// Carries out a command of that request.
    pub fn handle_as(&self, request_id: &RequestId, command: Command) -> Result<Response<String>, AccountError> {
        self.account.handle(Envelope::new(request_id.clone(), command))
    }

    /// The id of a new request.
    pub fn request_id(&self) -> RequestId {
        RequestId::new(self.runtime.uuid())
    }

    pub fn cancel(&self, session_id: &str) {
        self.cancel_because(session_id, None);
    }

    pub fn cancel_because(&self, session_id: &str, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        drop(self.handle(Command::CancelConversation { session_id: session(session_id), reason }));
    }

    pub fn delete(&self, session_id: &str) {
        drop(self.handle(Command::DeleteConversation { session_id: session(session_id) }));
    }

    /// Admits a turn in that conversation.
    pub fn query(&self, session_id: &str) -> TurnId {
        self.query_with(session_id, None).unwrap()
    }

    /// Admits a turn with these blocks.
    pub fn query_of(&self, session_id: &str, content: Vec<Block>, key: Option<&str>) -> Result<Turn, AccountError> {
        let Command::StartTurn(mut start) = start(session_id, key, AnswerForm::Accepted) else { unreachable!() };
        (start.prompt, start.content) = (prompt_of(&content), Some(content));
        match self.handle(Command::StartTurn(start))? {
            Response::Ready(Reply::Accepted { turn, .. }) => Ok(*turn),
            _ => unreachable!(),
        }
    }

    pub fn query_with(&self, session_id: &str, key: Option<&str>) -> Result<TurnId, AccountError> {
        match self.handle(start(session_id, key, AnswerForm::Accepted))? {
            Response::Ready(Reply::Accepted { turn, .. }) => Ok(turn.turn_id),
            _ => unreachable!(),
        }
    }

    /// Admits a turn that does so if its conversation is busy.
    pub fn query_when_busy(&self, session_id: &str, when_busy: WhenBusy) -> Result<TurnId, AccountError> {
        match self.handle(when_busy_is(when_busy, start(session_id, None, AnswerForm::Accepted)))? {
            Response::Ready(Reply::Accepted { turn, .. }) => Ok(turn.turn_id),
            _ => unreachable!(),
        }
    }

    /// Admits a turn with a key that the running turn may take in.
    pub fn query_to_steer(&self, session_id: &str, key: &str) -> TurnId {
        match self.handle(when_busy_is(WhenBusy::Steer, start(session_id, Some(key), AnswerForm::Accepted))).unwrap() {
            Response::Ready(Reply::Accepted { turn, .. }) => turn.turn_id,
            _ => unreachable!(),
        }
    }

    /// Admits a turn with these options.
    pub fn query_with_options(&self, session_id: &str, options: TurnOptions) -> TurnId {
        let mut command = start(session_id, None, AnswerForm::Accepted);
        if let Command::StartTurn(start) = &mut command {
            start.options = options;
        }
        match self.handle(command).unwrap() {
            Response::Ready(Reply::Accepted { turn, .. }) => turn.turn_id,
            _ => unreachable!(),
        }
    }

    /// Admits a turn that does so in the container.
    pub fn query_that(&self, session_id: &str, script: Script) -> TurnId {
        self.container.script(script);
        self.query(session_id)
    }

    /// Waits for the end of a turn as its caller does.
    pub fn ask(&self, session_id: &str, key: Option<&str>) -> Sent<Result<Turn, AccountError>> {
        self.answer_to(start(session_id, key, AnswerForm::Json))
    }

    /// The same, with what happens if the conversation is busy.
    pub fn ask_when_busy(&self, session_id: &str, when_busy: WhenBusy) -> Sent<Result<Turn, AccountError>> {
        self.answer_to(when_busy_is(when_busy, start(session_id, None, AnswerForm::Json)))
    }

    pub fn answer_to(&self, command: Command) -> Sent<Result<Turn, AccountError>> {
        let sent = Sent::default();
        let reply = match self.handle(command) {
            Err(error) => {
                sent.replace(Some(Err(error)));
                return sent;
            }
            Ok(Response::Deferred(later)) => later,
            Ok(Response::Ready(reply)) => Box::pin(std::future::ready(Ok(reply))),
        };
        let answered = Rc::clone(&sent);
        self.executor.spawn(Owner::World, async move {
            let turn = reply.await.map(|reply| match reply {
                Reply::Answer { turn, .. } => *turn,
                _ => unreachable!(),
            });
            answered.replace(Some(turn));
        });
        sent
    }

    /// How often the alarm has rung so far.
    pub fn alarms(&self) -> u32 {
        self.rung.get()
    }

    /// When the object wakes next.
    pub fn alarm(&self) -> Option<Millis> {
        self.runtime.alarm.get()
    }

    /// A visit of the directory, and what it found if that comes at once.
    pub fn visit(&self) -> Option<PurgeOutcome> {
        let Ok(Response::Deferred(visit)) = self.handle(Command::Visit) else { return None };
        let sent = Sent::default();
        let found = Rc::clone(&sent);
        self.executor.spawn(Owner::World, async move {
            if let Ok(Reply::Visited(outcome)) = visit.await {
                found.replace(Some(outcome));
            }
        });
        self.executor.run_ready();
        sent.take()
    }

    pub fn turn(&self, turn_id: &TurnId) -> Turn {
        self.store.turn(turn_id).unwrap().unwrap()
    }

    /// The status and the code that a turn has ended with.
    pub fn end(&self, turn_id: &TurnId) -> String {
        let turn = self.turn(turn_id);
        turn.error.map_or(turn.status.as_str().to_owned(), |error| {
            serde_json::to_string(&error.code).unwrap().trim_matches('"').to_owned()
        })
    }

    /// Lets time pass, alarms included.
    pub fn pass(&self, time: Duration) {
        let until = self.executor.now().plus(time);
        while self.step(until) {}
        self.executor.advance_to(until);
        self.executor.run_ready();
    }

    /// Lets time pass until nothing is left to do.
    pub fn settle(&self) {
        let until = self.executor.now().plus(PATIENCE);
        self.executor.run_ready();
        while self.executor.has_tasks() || !self.active().is_empty() {
            assert!(self.step(until), "it does not settle: {:?}", self.runtime.log.borrow());
        }
    }

    /// Runs what is due next, at the latest then; false where nothing is.
    fn step(&self, until: Millis) -> bool {
        self.executor.run_ready();
        let alarm = self.runtime.alarm.get();
        let Some(next) = [alarm, self.executor.next_timer()].into_iter().flatten().min().filter(|at| *at <= until)
        else {
            return false;
        };
        let (since, steps) = self.standstill.get();
        self.standstill.set(if next == since { (since, steps + 1) } else { (next, 0) });
        assert!(steps < MAX_STEPS_AT_ONCE, "time stands still: {:?}", self.runtime.log_lines());
        self.executor.advance_to(next);
        if alarm.is_some_and(|at| at <= self.executor.now()) {
            self.runtime.alarm.set(None);
            self.rung.set(self.rung.get() + 1);
            if let Some(purge) = self.account.alarm().unwrap() {
                self.executor.spawn(Owner::Object, async move { purge.await.unwrap() });
            }
        }
        self.executor.run_ready();
        true
    }

    /// Turns that are stored as queued or running.
    pub fn active(&self) -> Vec<String> {
        // An account that is left empty has no table.
        if self.sql.texts("select 1 from sqlite_schema where name = 'turns'").is_empty() {
            return Vec::new();
        }
        self.sql.texts("select turn_id from turns where finished_at is null")
    }

    /// The turn that was admitted last.
    pub fn newest_turn(&self) -> Option<TurnId> {
        // Ids count up here.
        let id = self.sql.text("select turn_id from turns where finished_at is null order by turn_id desc limit 1");
        id.parse().ok()
    }

    /// The lines of the log that tell of an event.
    pub fn logged(&self, event: &str) -> Vec<Value> {
        let log = self.runtime.log.borrow();
        let lines = log.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }
}

fn open(
    sql: &Rusqlite,
    container: &Scripted,
    runtime: &StageRuntime,
    vars: &[(&'static str, String)],
    bucket: Option<&ScriptedBucket>,
) -> Rc<StageAccount> {
    let config =
        Config::parse(|name| vars.iter().find(|(var, _)| *var == name).map(|(_, value)| value.clone())).unwrap();
    let store = Store::open(sql.clone(), runtime.now()).unwrap();
    let account = Account::new("zoë".parse().unwrap(), store, Agent::new(container.clone()), runtime.clone(), config);
    Rc::new(match bucket {
        Some(bucket) => account.with_bucket(Rc::new(bucket.clone())),
        None => account,
    })
}

fn when_busy_is(when_busy: WhenBusy, mut command: Command) -> Command {
    if let Command::StartTurn(start) = &mut command {
        start.options.when_busy = when_busy;
    }
    command
}

pub fn start(session_id: &str, key: Option<&str>, answer: AnswerForm) -> Command {
    Command::StartTurn(Box::new(StartTurn {
        session_id: Some(session(session_id)),
        prompt: "hello".to_owned(),
        content: None,
        title: Title::from_prompt("hello"),
        options: TurnOptions::default(),
        idempotency: key.map(|key| (key.parse().unwrap(), "hash".to_owned())),
        answer,
        include: Include::NOTHING,
    }))
}
