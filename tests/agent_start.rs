//! How a container is started, waited for and given up: what a laptop's platform never does to it, a scripted one does here.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a suite that cannot go on stops")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use claude_agent_service::agent::port::Method;
use claude_agent_service::agent::start::START_LIMIT;
use claude_agent_service::agent::{Agent, AgentError, Answer, Body, Call, Container, ContainerError, Readiness};

const SECOND: Duration = Duration::from_secs(1);
const FOREVER: Duration = Duration::from_hours(24);

/// What becomes of one start.
#[derive(Clone, Copy)]
enum Start {
    /// The platform refuses it with this text.
    Refused(&'static str),
    /// The server answers after so long.
    Boots(Duration),
    /// It dies after so long, before it answers.
    Dies(Duration),
}

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// What does not answer refuses the connection.
    Refuses,
    /// What does not answer keeps the caller waiting.
    Hangs,
}

/// A platform with a clock that stands until everybody waits.
struct Platform {
    now: Cell<Duration>,
    sleepers: RefCell<Vec<Duration>>,
    starts: RefCell<VecDeque<Start>>,
    running: Cell<Option<(Duration, Start)>>,
    manner: Cell<Manner>,
    draining: Cell<bool>,
    token: RefCell<String>,
    log: RefCell<Vec<String>>,
}

#[derive(Clone)]
struct World(Rc<Platform>);

impl World {
    fn new(starts: &[Start]) -> Self {
        Self(Rc::new(Platform {
            now: Cell::default(),
            sleepers: RefCell::default(),
            starts: RefCell::new(starts.iter().copied().collect()),
            running: Cell::new(None),
            manner: Cell::new(Manner::Refuses),
            draining: Cell::new(false),
            token: RefCell::default(),
            log: RefCell::default(),
        }))
    }

    fn sleep_until(&self, at: Duration) -> impl Future<Output = ()> + use<> {
        let world = Rc::clone(&self.0);
        world.sleepers.borrow_mut().push(at);
        poll_fn(move |_| if world.now.get() >= at { Poll::Ready(()) } else { Poll::Pending })
    }

    fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            let now = self.0.now.get();
            self.0.sleepers.borrow_mut().retain(|at| *at > now);
            let next = self.0.sleepers.borrow().iter().min().copied().unwrap();
            self.0.now.set(next);
        }
    }

    fn ensure(&self, agent: &Agent<World>) -> Result<Readiness, AgentError> {
        self.drive(agent.ensure(false, &|| Ok("secret".to_owned())))
    }

    fn count(&self, what: &str) -> usize {
        self.0.log.borrow().iter().filter(|line| *line == what).count()
    }

    fn is_up(&self) -> bool {
        let now = self.0.now.get();
        matches!(self.0.running.get(), Some((since, Start::Boots(after))) if now >= since + after)
    }
}

struct Text(Option<Vec<u8>>);

impl Body for Text {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        Ok(self.0.take())
    }
}

impl Container for World {
    type Body = Text;

    fn is_running(&self) -> bool {
        if let Some((since, Start::Dies(after))) = self.0.running.get()
            && self.0.now.get() >= since + after
        {
            self.0.running.set(None);
        }
        self.0.running.get().is_some()
    }

    async fn prepare(&self) -> Result<(), ContainerError> {
        self.0.log.borrow_mut().push("prepare".to_owned());
        Ok(())
    }

    async fn start(&self, token: &str) -> Result<(), ContainerError> {
        assert!(!self.is_running(), "what runs is not started");
        self.0.log.borrow_mut().push("start".to_owned());
        let start = self.0.starts.borrow_mut().pop_front().unwrap();
        if let Start::Refused(why) = start {
            return Err(ContainerError(why.to_owned()));
        }
        self.0.token.replace(token.to_owned());
        self.0.running.set(Some((self.0.now.get(), start)));
        Ok(())
    }

    async fn fetch(&self, call: Call) -> Result<Answer<Text>, ContainerError> {
        if !self.is_running() || !self.is_up() {
            if self.is_running() && self.0.manner.get() == Manner::Hangs {
                self.sleep_until(self.0.now.get() + FOREVER).await;
            }
            return Err(ContainerError("the container is not listening".to_owned()));
        }
        let known = call.bearer.as_deref() == Some(self.0.token.borrow().as_str());
        let status = if !known {
            401
        } else if self.0.draining.get() {
            503
        } else {
            200
        };
        assert_eq!((call.method, call.path.as_str()), (Method::Get, "/healthz"));
        Ok(Answer { status, body: Text(Some(br#"{"instance":"i"}"#.to_vec())) })
    }

    fn terminate(&self) {
        self.0.running.set(None);
    }

    async fn destroy(&self) {
        self.0.log.borrow_mut().push("destroy".to_owned());
        self.0.running.set(None);
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.sleep_until(self.0.now.get() + time)
    }
}

/// An agent in front of a container that runs since now.
fn running(start: Start) -> (World, Agent<World>) {
    let world = World::new(&[Start::Boots(SECOND)]);
    world.0.running.set(Some((Duration::ZERO, start)));
    world.0.token.replace("earlier".to_owned());
    let agent = Agent::new(world.clone());
    agent.adopt(Some("earlier".to_owned()), false);
    (world, agent)
}

#[test]
fn a_slow_start_is_waited_for_and_never_destroyed() {
    for seconds in [0, 3, 24, 47, 58] {
        let world = World::new(&[Start::Boots(SECOND * seconds)]);
        assert_eq!(world.ensure(&Agent::new(world.clone())).unwrap(), Readiness::Started, "{seconds} s");
        assert_eq!((world.count("start"), world.count("destroy")), (1, 0), "{seconds} s");
    }
}

#[test]
fn a_start_that_takes_longer_than_a_turn_waits_is_taken_up_by_the_next_turn() {
    let world =
        World::new(&[Start::Refused("there is no container instance that can be provided"), Start::Boots(SECOND * 59)]);
    world.0.starts.borrow_mut().extend([Start::Boots(SECOND)]);
    // The first start is refused a few times before the second begins late.
    for _ in 0..8 {
        world.0.starts.borrow_mut().push_front(Start::Refused("there is no container instance that can be provided"));
    }
    let agent = Agent::new(world.clone());
    assert!(matches!(world.ensure(&agent), Err(AgentError::Unreachable(_))));
    assert!(world.is_running() && world.count("destroy") == 0);
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Ready);
    assert_eq!(world.count("destroy"), 0);
}

#[test]
fn what_the_platform_refuses_for_a_moment_is_asked_for_again() {
    for why in [
        "There is no container instance that can be provided to this Durable Object",
        "You are requesting too many containers per second",
        "Network connection lost.",
    ] {
        let world = World::new(&[Start::Refused(why), Start::Refused(why), Start::Boots(SECOND)]);
        assert_eq!(world.ensure(&Agent::new(world.clone())).unwrap(), Readiness::Started);
        assert_eq!(world.count("start"), 3);
    }
}

#[test]
fn a_platform_without_room_is_told_apart_from_one_that_fails() {
    let refusals = |why| World::new(&[Start::Refused(why); 100]);
    let full = refusals("There is no container instance that can be provided to this Durable Object");
    let error = full.ensure(&Agent::new(full.clone())).unwrap_err();
    assert!(matches!(&error, AgentError::NoInstance(why) if why.0.contains("no container instance")), "{error:?}");
    assert!(full.0.now.get() >= START_LIMIT);
    assert!((15..40).contains(&full.count("start")), "{}", full.count("start"));
    let broken = refusals("the image cannot be pulled");
    assert!(
        matches!(broken.ensure(&Agent::new(broken.clone())), Err(AgentError::Unreachable(why)) if why.0.contains("pulled"))
    );
}

#[test]
fn a_container_that_dies_while_it_boots_is_started_again() {
    let world = World::new(&[Start::Dies(SECOND * 2), Start::Dies(SECOND), Start::Boots(SECOND * 5)]);
    assert_eq!(world.ensure(&Agent::new(world.clone())).unwrap(), Readiness::Started);
    assert_eq!((world.count("start"), world.count("destroy")), (3, 0));
}

#[test]
fn one_refused_question_destroys_no_container_that_boots_under_a_new_object() {
    let (world, agent) = running(Start::Boots(SECOND * 40));
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Ready);
    assert_eq!((world.count("start"), world.count("destroy")), (0, 0));
}

#[test]
fn one_that_has_answered_and_falls_silent_is_replaced_soon() {
    let world = World::new(&[Start::Boots(SECOND), Start::Boots(SECOND)]);
    let agent = Agent::new(world.clone());
    world.ensure(&agent).unwrap();
    world.0.running.set(Some((world.0.now.get(), Start::Boots(FOREVER))));
    world.0.manner.set(Manner::Hangs);
    agent.suspect();
    let begun = world.0.now.get();
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Replaced);
    assert!(world.0.now.get() < begun + SECOND * 15, "{:?}", world.0.now.get());
    assert_eq!(world.count("destroy"), 1);
}

#[test]
fn one_that_an_earlier_object_has_heard_and_that_refuses_is_replaced_at_once() {
    let (world, agent) = running(Start::Boots(FOREVER));
    agent.adopt(Some("earlier".to_owned()), true);
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Replaced);
    assert!(world.0.now.get() < SECOND * 3, "{:?}", world.0.now.get());
}

#[test]
fn one_that_never_answers_is_replaced_within_the_wait_of_one_turn() {
    let (world, agent) = running(Start::Boots(FOREVER));
    world.0.manner.set(Manner::Hangs);
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Replaced);
    assert_eq!(world.count("destroy"), 1);
}

#[test]
fn a_server_that_does_not_take_the_token_is_replaced_at_once() {
    let (world, agent) = running(Start::Boots(Duration::ZERO));
    agent.adopt(Some("of another start".to_owned()), true);
    assert_eq!(world.ensure(&agent).unwrap(), Readiness::Replaced);
    assert!(world.0.now.get() < SECOND * 2);
    assert_eq!(*world.0.token.borrow(), "secret");
}

#[test]
fn the_way_to_the_model_is_laid_before_a_container_is_used() {
    let (world, agent) = running(Start::Boots(Duration::ZERO));
    world.ensure(&agent).unwrap();
    assert_eq!(world.count("prepare"), 1);
}

#[test]
fn a_server_that_drains_is_left_to_it_while_it_is_busy_and_replaced_else() {
    let (world, agent) = running(Start::Boots(Duration::ZERO));
    world.0.draining.set(true);
    let busy = world.drive(agent.ensure(true, &|| Ok("secret".to_owned())));
    assert!(matches!(busy, Err(AgentError::Draining)) && world.count("destroy") == 0);
    world.0.draining.set(true);
    let draining = Rc::clone(&world.0);
    let mint = || {
        draining.draining.set(false);
        Ok("secret".to_owned())
    };
    let ensured = world.drive(agent.ensure(false, &mint));
    assert_eq!(ensured.unwrap(), Readiness::Replaced);
}
