//! What the agent server is told of decisions: of one that a turn is held for, and of all that a parked turn waited for.

use serde::Serialize;

use crate::domain::{ActionKind, ContinueBy, Decision, RawJson};

/// What an agent server whose turns can wait for somebody has in its features.
pub(super) const ACTIONS_FEATURE: &str = "actions";

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

impl Decided {
    /// What became of an action that is not pending.
    #[must_use]
    pub fn of(decision: Option<Decision>) -> Self {
        decision.map_or(Self::Expired(Expired::Expired), Self::Decision)
    }
}

/// How a turn goes on that had waited without a process.
#[derive(Debug, Clone, Serialize)]
pub struct Continuation {
    /// Names this run of the turn among its runs: it rises.
    pub run: u64,
    /// How the container parked it.
    pub by: ContinueBy,
    /// What it waited for.
    pub actions: Vec<Continued>,
    /// Whether a plan of the turn was approved, now or before: its mode is the one after that.
    #[serde(skip)]
    pub has_plan: bool,
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
            serde_json::to_string(&Continuation { run: 7, by: ContinueBy::Results, actions, has_plan: false }).unwrap(),
            "{\"run\":7,\"by\":\"results\",\"actions\":[{\"reference\":\"r1\",\"kind\":\"tool\",\"tool_call_id\":\"toolu_1\",\"decision\":\
             {\"decision\":\"result\",\"content\":\"4\"}},{\"reference\":\"r1\",\"kind\":\"tool\",\"tool_call_id\":\"toolu_1\",\
             \"decision\":{\"decision\":\"expired\"}}]}"
        );
    }
}
