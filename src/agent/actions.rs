//! The calls of the agent server about what its turns wait for.

use super::client::{Agent, CALL_LIMIT, read_limited};
use super::continuation::Decided;
use super::error::AgentError;
use super::port::{Call, Container, Method};
use crate::domain::TurnId;

impl<C: Container> Agent<C> {
    /// Tells a turn that is held what was decided. Told again, it changes nothing.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`], [`AgentError::Draining`] if it cannot take it now, [`AgentError::Protocol`] if it never will.
    pub async fn decide(&self, turn_id: &TurnId, reference: &str, decided: &Decided) -> Result<(), AgentError> {
        let body = serde_json::to_string(decided).map_err(|e| AgentError::Protocol(e.to_string()))?;
        let path = format!("/turns/{turn_id}/actions/{reference}");
        let call = Call { body: Some(body), ..self.call(Method::Post, path) };
        let call = async {
            let answer = self.container.fetch(call).await?;
            let status = answer.status;
            read_limited(answer.body).await?;
            match status {
                // What it does not ask, or not any more, it need not hear.
                200 | 404 => Ok(()),
                500.. => Err(AgentError::Draining),
                status => Err(AgentError::Protocol(format!("a decision was answered {status}"))),
            }
        };
        self.limited(CALL_LIMIT, call).await
    }

    /// Asks that a turn that is held give up its process; its `result` frame tells when it has.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn park(&self, turn_id: &TurnId) -> Result<(), AgentError> {
        let call = self.call(Method::Post, format!("/turns/{turn_id}/park"));
        let call = async { read_limited(self.container.fetch(call).await?.body).await.map(drop) };
        self.limited(CALL_LIMIT, call).await
    }
}
