//! The scripted container behind the agent's ports: how calls reach it, are disturbed on their way, and how its frames are read.

use std::future::Future;
use std::time::Duration;

use super::container::{Scripted, ScriptedBody, State, problem, text};
use super::script::Fault;
use claude_agent_service::agent::{Answer, Body, Call, Container, ContainerError, Stream};

impl State {
    /// What the server names in its health.
    pub(super) fn features(&self) -> Vec<&'static str> {
        let all = [
            ("workspace", self.workspaces_held.saves),
            ("turns", self.knows_turns.now),
            ("actions", self.knows_turns.now),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
    }
}

impl Body for ScriptedBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ContainerError> {
        let (container, instance, id, read, cuts) = match self {
            Self::Text(text) => return Ok(text.take().map(String::into_bytes)),
            Self::Pack(_) => return Err(ContainerError("a pack is not read".to_owned())),
            Self::Frames { container, instance, turn, read, cuts } => (container, instance, turn, read, cuts),
        };
        let mut chunk = Err(ContainerError("the container is gone".to_owned()));
        container
            .until(|state| {
                let turn = state.turns.get(id).filter(|_| state.instance.as_ref() == Some(instance));
                let Some(turn) = turn else { return true };
                let end = turn.cuts.get(*cuts).copied().unwrap_or(turn.lines.len());
                let lines = turn.lines.get(*read..end).unwrap_or_default();
                if lines.is_empty() {
                    chunk = Ok(None);
                    return turn.ended || turn.cuts.len() > *cuts;
                }
                *read = end;
                chunk = Ok(Some(lines.concat().into_bytes()));
                true
            })
            .await;
        chunk
    }

    fn into_stream(self) -> Option<Stream> {
        let Self::Pack(Some(carried)) = self else { return None };
        Some(Stream::new(u64::try_from(carried.bytes.len()).ok(), carried))
    }
}

impl Container for Scripted {
    type Body = ScriptedBody;

    fn is_running(&self) -> bool {
        self.state.borrow().platform_says_running
    }

    async fn prepare(&self) -> Result<(), ContainerError> {
        Ok(())
    }

    async fn start(&self, token: &str) -> Result<(), ContainerError> {
        if let Some(why) = self.state.borrow().refuses_to_start {
            return Err(ContainerError(why.to_owned()));
        }
        self.boot();
        self.state.borrow_mut().token = Some(token.to_owned());
        Ok(())
    }

    async fn fetch(&self, call: Call) -> Result<Answer<ScriptedBody>, ContainerError> {
        let said = format!("{} {}", call.method.as_str(), call.path);
        let (latency, fault) = {
            let mut state = self.state.borrow_mut();
            state.calls.push(said.clone());
            let fault = state.faults.iter().position(|(call, _)| said.starts_with(call));
            (state.latency, fault.map(|at| state.faults.remove(at).1))
        };
        self.executor.sleep(latency).await;
        match fault {
            Some(Fault::Fail) => Err(ContainerError("it did not arrive".to_owned())),
            Some(Fault::Refuse(status, said)) if said.starts_with('{') => {
                Ok(text(status, &serde_json::from_str(said).unwrap()))
            }
            Some(Fault::Refuse(status, code)) => Ok(problem(status, code)),
            Some(Fault::LoseAnswer) => {
                drop(self.handle(call).await);
                Err(ContainerError("the answer was lost".to_owned()))
            }
            Some(Fault::Delay(time)) => {
                self.executor.sleep(time).await;
                self.handle(call).await
            }
            None => self.handle(call).await,
        }
    }

    fn terminate(&self) {
        self.die(true);
    }

    async fn destroy(&self) {
        self.die(true);
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> {
        self.executor.sleep(time)
    }
}
