//! A runtime without a world: a clock that moves when somebody waits, tasks that run when they are driven, an alarm and a log to look at.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use claude_agent_service::domain::Millis;

use super::NOW;

/// Polls before a future that does not end is given up.
const MAX_POLLS: usize = 100_000;

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// What a fake runtime holds. Clones are the same runtime.
#[derive(Clone)]
pub struct VirtualRuntime {
    /// The time.
    pub now: Rc<Cell<Millis>>,
    /// How long a wait lasts at least: what passes while an object yields.
    pub least_wait: Rc<Cell<Duration>>,
    /// The alarm that was set last.
    pub alarm: Rc<Cell<Option<Millis>>>,
    /// The log's lines.
    pub log: Rc<RefCell<Vec<String>>>,
    tasks: Rc<RefCell<Vec<Task>>>,
}

impl VirtualRuntime {
    /// A runtime at [`NOW`].
    pub fn new() -> Self {
        Self {
            now: Rc::new(Cell::new(NOW)),
            least_wait: Rc::default(),
            alarm: Rc::default(),
            log: Rc::default(),
            tasks: Rc::default(),
        }
    }

    /// Waits: the clock is moved by whoever's wait ends.
    pub fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        let (now, time) = (Rc::clone(&self.now), time.max(self.least_wait.get()));
        async move {
            next_poll().await;
            now.set(now.get().plus(time));
        }
    }

    /// Keeps a task for [`VirtualRuntime::run_tasks`].
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.tasks.borrow_mut().push(Box::pin(task));
    }

    /// Runs every task to its end.
    pub fn run_tasks(&self) {
        loop {
            let tasks = self.tasks.take();
            if tasks.is_empty() {
                return;
            }
            tasks.into_iter().for_each(drive);
        }
    }

    /// The lines of the log that tell of an event.
    pub fn logged(&self, event: &str) -> Vec<serde_json::Value> {
        let lines = self.log.borrow();
        let lines = lines.iter().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        lines.filter(|line| line["event"] == event).collect()
    }
}

/// Is ready when it is polled again, and asks for that.
pub async fn next_poll() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future once.
pub fn poll<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Polls a future to its end.
pub fn drive<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    (0..MAX_POLLS).find_map(|_| poll(future.as_mut())).unwrap()
}
