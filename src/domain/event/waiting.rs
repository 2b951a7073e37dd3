//! What the events of a turn that waits for somebody say.

use serde::{Deserialize, Serialize};

use crate::domain::{Action, ActionId, ActionStatus, SessionId, TurnId, TurnStatus};

/// `action_resolved`: the turn does not wait for this any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "ActionResolvedEvent"))]
pub struct ActionResolved {
    /// The action.
    pub action_id: ActionId,
    /// How it stands now.
    pub status: ActionStatus,
    /// What was decided: `allow`, `deny`, `answer` or `result`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub decision: Option<String>,
}

impl ActionResolved {
    /// What is told of an action as it stands.
    #[must_use]
    pub fn of(action: &Action) -> Self {
        let decision = action.decision.as_ref().map(|decision| decision.word().to_owned());
        Self { action_id: action.action_id.clone(), status: action.status, decision }
    }
}

/// `paused`: the turn waits without a process, and nothing follows until it goes on.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "PausedEvent"))]
pub struct Paused {
    /// The turn.
    pub turn_id: TurnId,
    /// Its conversation.
    pub session_id: SessionId,
    /// Always `requires_action`.
    pub status: TurnStatus,
    /// What it waits for.
    pub actions: Vec<Action>,
}
