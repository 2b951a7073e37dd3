//! The calls of the agent server about what its turns wait for.

use serde::Serialize;

use super::client::{Agent, CALL_LIMIT, read_limited};
use super::error::AgentError;
use super::port::{Call, Container, Method};
use crate::domain::{ActionKind, Decision, RawJson, TurnId};

/// A decision as the container takes it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum Decided {
    /// What was decided.
    Decision(Decision),
    /// Nobody decided in time.
    Expired(Expired),
}

/// The word for a decision that did not come.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Expired {
    /// Nobody decided in time.
    Expired,
}

/// How a turn goes on that had waited without a process.
#[derive(Debug, Clone, Serialize)]
pub struct Continuation {
    /// How the container parked it.
    pub by: ContinueBy,
    /// What it waited for.
    pub actions: Vec<Continued>,
}

/// How the SDK is told what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContinueBy {
    /// By the results of the open calls.
    Results,
    /// By a message: the calls were closed.
    Message,
}

impl ContinueBy {
    /// The number that is stored; 0 is a turn that is not parked.
    #[must_use]
    pub const fn stored(self) -> i64 {
        match self {
            Self::Results => 1,
            Self::Message => 2,
        }
    }

    /// Reads the stored number.
    #[must_use]
    pub const fn parse(stored: i64) -> Option<Self> {
        match stored {
            1 => Some(Self::Results),
            2 => Some(Self::Message),
            _ => None,
        }
    }
}

/// One action of a [`Continuation`].
#[derive(Debug, Clone, Serialize)]
pub struct Continued {
    /// What the container called it.
    pub reference: String,
    /// What was waited for.
    pub kind: ActionKind,
    /// The call that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// The call's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<RawJson>,
    /// What was decided.
    pub decision: Decided,
}

impl<C: Container> Agent<C> {
    /// Tells a turn that is held what was decided. Told again, it changes nothing.
    ///
    /// # Errors
    /// [`AgentError::Unreachable`].
    pub async fn decide(&self, turn_id: &TurnId, reference: &str, decided: &Decided) -> Result<(), AgentError> {
        let body = serde_json::to_string(decided).map_err(|e| AgentError::Protocol(e.to_string()))?;
        let path = format!("/turns/{turn_id}/actions/{reference}");
        let call = Call { body: Some(body), ..self.call(Method::Post, path) };
        let call = async {
            let answer = self.container.fetch(call).await?;
            let status = answer.status;
            read_limited(answer.body).await?;
            if status == 200 { Ok(()) } else { Err(AgentError::Protocol(format!("a decision was answered {status}"))) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_continuation_is_pinned() {
        let one = |decision| Continued {
            reference: "r1".to_owned(),
            kind: ActionKind::Tool,
            tool_call_id: Some("toolu_1".to_owned()),
            tool: None,
            input: None,
            decision,
        };
        let result = Decision::Result { content: "4".into(), is_error: false };
        let actions = vec![one(Decided::Decision(result)), one(Decided::Expired(Expired::Expired))];
        assert_eq!(
            serde_json::to_string(&Continuation { by: ContinueBy::Results, actions }).unwrap(),
            "{\"by\":\"results\",\"actions\":[{\"reference\":\"r1\",\"kind\":\"tool\",\"tool_call_id\":\"toolu_1\",\"decision\":\
             {\"decision\":\"result\",\"content\":\"4\"}},{\"reference\":\"r1\",\"kind\":\"tool\",\"tool_call_id\":\"toolu_1\",\
             \"decision\":{\"decision\":\"expired\"}}]}"
        );
    }

    #[test]
    fn how_a_turn_goes_on_reads_back() {
        for by in [ContinueBy::Results, ContinueBy::Message] {
            assert_eq!(ContinueBy::parse(by.stored()), Some(by));
        }
        assert_eq!(ContinueBy::parse(0), None);
    }
}
