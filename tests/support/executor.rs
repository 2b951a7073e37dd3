//! A deterministic executor with a virtual clock: tasks run in the order in which they are woken, and the clock moves to the next
//! timer only where nothing else is left to do. What an object spawned dies with the object; what its world spawned does not.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use claude_agent_service::domain::Millis;

use super::NOW;

/// Polls at one moment before something is taken to spin.
const MAX_POLLS_AT_ONCE: usize = 100_000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Whose task it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The object's: it ends when the object is reset.
    Object,
    /// The world's.
    World,
}

struct Ready {
    id: u64,
    queue: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.queue.lock().unwrap().push_back(self.id);
    }
}

#[derive(Default)]
struct Inner {
    now: Cell<Option<Millis>>,
    made: Cell<u64>,
    tasks: RefCell<BTreeMap<u64, (Owner, Task)>>,
    timers: RefCell<BTreeMap<(Millis, u64), Waker>>,
    queue: Arc<Mutex<VecDeque<u64>>>,
}

/// Clones are the same executor.
#[derive(Clone, Default)]
pub struct Executor(Rc<Inner>);

impl Executor {
    /// The virtual time; it begins at [`NOW`].
    pub fn now(&self) -> Millis {
        self.0.now.get().unwrap_or(NOW)
    }

    fn next_id(&self) -> u64 {
        self.0.made.set(self.0.made.get() + 1);
        self.0.made.get()
    }

    pub fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + 'static) {
        let id = self.next_id();
        self.0.tasks.borrow_mut().insert(id, (owner, Box::pin(task)));
        self.0.queue.lock().unwrap().push_back(id);
    }

    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep { key: (self.now().plus(time), self.next_id()), executor: self.clone(), done: false }
    }

    /// Ends every task of the object, wherever it is.
    pub fn drop_object(&self) {
        let (dead, alive) = self.0.tasks.take().into_iter().partition(|(_, (owner, _))| *owner == Owner::Object);
        self.0.tasks.replace(alive);
        drop::<BTreeMap<_, _>>(dead);
    }

    pub fn has_tasks(&self) -> bool {
        !self.0.tasks.borrow().is_empty()
    }

    /// When the next timer is due.
    pub fn next_timer(&self) -> Option<Millis> {
        self.0.timers.borrow().keys().next().map(|(due, _)| *due)
    }

    /// Runs whatever can run at this moment.
    pub fn run_ready(&self) {
        for _ in 0..MAX_POLLS_AT_ONCE {
            let Some(id) = self.0.queue.lock().unwrap().pop_front() else { return };
            let Some((owner, mut task)) = self.0.tasks.borrow_mut().remove(&id) else { continue };
            let waker = Waker::from(Arc::new(Ready { id, queue: Arc::clone(&self.0.queue) }));
            if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                self.0.tasks.borrow_mut().insert(id, (owner, task));
            }
        }
        panic!("something spins at {:?}", self.now());
    }

    /// Moves the clock to a moment and wakes what is due by then.
    pub fn advance_to(&self, to: Millis) {
        self.0.now.set(Some(self.now().max(to)));
        loop {
            let mut timers = self.0.timers.borrow_mut();
            let Some(entry) = timers.first_entry().filter(|entry| entry.key().0 <= to) else { return };
            let waker = entry.remove();
            drop(timers);
            waker.wake();
        }
    }
}

/// Is ready at its time. One that is dropped before moves no clock.
pub struct Sleep {
    key: (Millis, u64),
    executor: Executor,
    done: bool,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut timers = self.executor.0.timers.borrow_mut();
        if let Some(waker) = timers.get_mut(&self.key) {
            waker.clone_from(context.waker());
            return Poll::Pending;
        }
        if self.done {
            return Poll::Ready(());
        }
        timers.insert(self.key, context.waker().clone());
        drop(timers);
        self.done = true;
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.executor.0.timers.borrow_mut().remove(&self.key);
    }
}
