//! A scripted bucket: objects by key, with failures, stalls and lies. What a test looks at is `objects`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::container::Scripted;
use super::executor::Executor;
use claude_agent_service::agent::Stream;
use claude_agent_service::workspace::port::{Asked, Bucket, BucketError, Found};

/// What the keys of the suites' accounts begin with.
pub const PREFIX: &str = "0a1b/";

/// A body on its way, and the container that it comes out of, with the instance that must live until it has passed.
pub struct Carried {
    pub bytes: Vec<u8>,
    pub from: Option<(Scripted, String)>,
}

/// What becomes of a call instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketFault {
    /// It does not arrive.
    Fail,
    /// It is carried out and its answer is lost.
    LoseAnswer,
    /// It never ends.
    Stall,
    /// A put stores half of the body and says so.
    Half,
    Delay(Duration),
}

#[derive(Default)]
pub struct BucketState {
    /// The bytes under each key, and when they came.
    pub objects: BTreeMap<String, (Vec<u8>, i64)>,
    pub calls: Vec<String>,
    /// Faults of the calls to come, by their names: each counts once.
    pub faults: Vec<(&'static str, BucketFault)>,
    pub latency: Duration,
    /// Every call fails.
    pub is_down: bool,
}

/// Clones are the same bucket.
#[derive(Clone)]
pub struct ScriptedBucket {
    executor: Executor,
    pub state: Rc<RefCell<BucketState>>,
}

impl ScriptedBucket {
    pub fn new(executor: &Executor) -> Self {
        Self { executor: executor.clone(), state: Rc::default() }
    }

    pub fn fault(&self, call: &'static str, fault: BucketFault) {
        self.state.borrow_mut().faults.push((call, fault));
    }

    pub fn calls(&self, beginning: &str) -> usize {
        self.state.borrow().calls.iter().filter(|call| call.starts_with(beginning)).count()
    }

    pub fn keys(&self) -> Vec<String> {
        self.state.borrow().objects.keys().cloned().collect()
    }

    /// Puts an object as a Worker does.
    pub fn put_directly(&self, key: &str, bytes: &[u8]) {
        let at = self.executor.now().get();
        self.state.borrow_mut().objects.insert(key.to_owned(), (bytes.to_vec(), at));
    }

    fn asked<T: 'static>(
        &self,
        call: &'static str,
        what: &str,
        act: impl FnOnce(&mut BucketState, bool, i64) -> Result<T, BucketError> + 'static,
    ) -> Asked<T> {
        let bucket = self.clone();
        let fault = {
            let mut state = self.state.borrow_mut();
            state.calls.push(format!("{call} {what}"));
            let at = state.faults.iter().position(|(name, _)| *name == call);
            at.map(|at| state.faults.remove(at).1)
        };
        Box::pin(async move {
            let latency = bucket.state.borrow().latency;
            bucket.executor.sleep(latency).await;
            match fault {
                Some(BucketFault::Fail) => return Err(BucketError("it did not arrive".to_owned())),
                Some(BucketFault::Stall) => std::future::pending().await,
                Some(BucketFault::Delay(time)) => bucket.executor.sleep(time).await,
                Some(BucketFault::LoseAnswer | BucketFault::Half) | None => {}
            }
            if bucket.state.borrow().is_down {
                return Err(BucketError("it is down".to_owned()));
            }
            let now = bucket.executor.now().get();
            let outcome = act(&mut bucket.state.borrow_mut(), fault == Some(BucketFault::Half), now);
            if fault == Some(BucketFault::LoseAnswer) {
                return Err(BucketError("the answer was lost".to_owned()));
            }
            outcome
        })
    }
}

impl Bucket for ScriptedBucket {
    fn prefix(&self) -> &str {
        PREFIX
    }

    fn put(&self, key: &str, body: Stream) -> Asked<u64> {
        let key = key.to_owned();
        let carried: Carried = body.into_body().unwrap();
        self.asked("put", &key.clone(), move |state, half, now| {
            if let Some((container, instance)) = carried.from
                && container.instance().as_ref() != Some(&instance)
            {
                return Err(BucketError("Network connection lost.".to_owned()));
            }
            let length = if half { carried.bytes.len() / 2 } else { carried.bytes.len() };
            let bytes = carried.bytes[..length].to_vec();
            state.objects.insert(key, (bytes, now));
            Ok(u64::try_from(length).unwrap())
        })
    }

    fn get(&self, key: &str) -> Asked<Option<Stream>> {
        let key = key.to_owned();
        self.asked("get", &key.clone(), move |state, _, _| {
            let bytes = state.objects.get(&key).map(|(bytes, _)| bytes.clone());
            Ok(bytes.map(|bytes| Stream::new(u64::try_from(bytes.len()).ok(), Carried { bytes, from: None })))
        })
    }

    fn delete(&self, keys: &[String]) -> Asked<()> {
        assert!((1..=1_000).contains(&keys.len()));
        let keys = keys.to_vec();
        self.asked("delete", &keys.len().to_string(), move |state, _, _| {
            for key in keys {
                state.objects.remove(&key);
            }
            Ok(())
        })
    }

    fn list(&self, after: Option<&str>) -> Asked<Vec<Found>> {
        let after = after.unwrap_or_default().to_owned();
        self.asked("list", &after.clone(), move |state, _, _| {
            let found = state.objects.iter().filter(|(key, _)| key.starts_with(PREFIX) && **key > after);
            // Small pages, so that there are several.
            Ok(found.take(3).map(|(key, (_, at))| Found { key: key.clone(), uploaded_at: *at }).collect())
        })
    }
}
