//! An action: something that a turn waits for, which a person or the caller's own code decides. Its names are pinned: they are stored and sent.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ActionId, Millis, RawJson, SessionId, TurnId};

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ActionKind {
    /// Leave to run a tool.
    Permission,
    /// An answer to a question of the agent.
    Question,
    /// Leave to carry out a plan.
    Plan,
    /// What an MCP server asks for.
    Elicitation,
    /// The result of a tool that the caller runs.
    Tool,
}

/// Where an action stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum ActionStatus {
    /// Nobody has decided.
    Pending,
    /// Somebody has decided.
    Resolved,
    /// Nobody decided in time.
    Expired,
    /// Its turn ended without it.
    Cancelled,
}

macro_rules! words {
    ($kind:ty { $($variant:ident $word:literal),+ }) => {
        impl $kind {
            /// The word that is stored and sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                [$(Self::$variant),+].into_iter().find(|known| known.as_str() == word)
            }
        }
    };
}

words!(ActionKind {
    Permission "permission", Question "question", Plan "plan", Elicitation "elicitation", Tool "tool"
});
words!(ActionStatus { Pending "pending", Resolved "resolved", Expired "expired", Cancelled "cancelled" });

/// For how long a decision counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Remember {
    /// For every call of its conversation that the suggested rules cover.
    Conversation,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// The call may run, or the plan be carried out.
    Allow {
        /// The input that it runs with instead of its own.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        input: Option<Map<String, Value>>,
        /// For how long that counts; once if absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        remember: Option<Remember>,
    },
    /// No.
    Deny {
        /// What the agent is told.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        message: Option<String>,
    },
    /// The answers to what was asked.
    Answer {
        /// By question, or by field.
        answers: Map<String, Value>,
    },
    /// The result of the caller's tool.
    Result {
        /// A string, or content blocks.
        content: Value,
        /// Whether the tool failed.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        is_error: bool,
    },
}

impl Decision {
    /// The word of it.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Allow { .. } => "allow",
            Self::Deny { .. } => "deny",
            Self::Answer { .. } => "answer",
            Self::Result { .. } => "result",
        }
    }

    /// Whether it answers an action of this kind.
    #[must_use]
    pub const fn answers(&self, kind: ActionKind) -> bool {
        match (self, kind) {
            (Self::Allow { input, remember }, ActionKind::Plan) => input.is_none() && remember.is_none(),
            (Self::Allow { .. } | Self::Deny { .. }, ActionKind::Permission)
            | (Self::Deny { .. }, ActionKind::Plan)
            | (Self::Deny { .. } | Self::Answer { .. }, ActionKind::Question | ActionKind::Elicitation)
            | (Self::Result { .. }, ActionKind::Tool) => true,
            _ => false,
        }
    }
}

/// How the SDK is told what was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// The words that decide an action of this kind, for a refusal of others.
#[must_use]
pub const fn decisions_for(kind: ActionKind) -> &'static str {
    match kind {
        ActionKind::Permission | ActionKind::Plan => "allow or deny",
        ActionKind::Question | ActionKind::Elicitation => "answer or deny",
        ActionKind::Tool => "result",
    }
}

/// An action, as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Action {
    /// Names it.
    pub action_id: ActionId,
    /// The turn that waits.
    pub turn_id: TurnId,
    /// Its conversation.
    pub session_id: SessionId,
    /// What the container calls it: unique in its turn.
    #[serde(skip)]
    pub reference: String,
    /// The number of the event that told of it.
    #[serde(skip)]
    pub n: u64,
    /// What is waited for.
    pub kind: ActionKind,
    /// The tool call that it is about, as the events name it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub tool_call_id: Option<String>,
    /// The tool.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub tool: Option<String>,
    /// The call's input.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Map<String, Value>"))]
    pub input: Option<RawJson>,
    /// What the user is told or asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "String"))]
    pub message: Option<String>,
    /// The rules that `remember` would store.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Value"))]
    pub suggestions: Option<RawJson>,
    /// The JSON Schema of the answers that an MCP server wants.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Value"))]
    pub schema: Option<RawJson>,
    /// Where it stands.
    pub status: ActionStatus,
    /// What was decided.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Value"))]
    pub decision: Option<Decision>,
    /// When it came up.
    pub created_at: Millis,
    /// When it expires, if nobody decides.
    pub expires_at: Millis,
    /// When it was decided, expired or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(test, schemars(with = "Millis"))]
    pub resolved_at: Option<Millis>,
}

/// Which actions a page lists.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionsOf {
    /// Only those that stand so.
    pub status: Option<ActionStatus>,
    /// Only those of this conversation.
    pub session_id: Option<SessionId>,
    /// Only those behind this one.
    pub after: Option<(Millis, ActionId)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_turn_goes_on_reads_back() {
        for by in [ContinueBy::Results, ContinueBy::Message] {
            assert_eq!(ContinueBy::parse(by.stored()), Some(by));
        }
        assert_eq!(ContinueBy::parse(0), None);
    }

    #[test]
    fn a_decision_is_stored_as_it_is_sent() {
        for json in [
            r#"{"decision":"allow"}"#,
            r#"{"decision":"allow","input":{"command":"ls"},"remember":"conversation"}"#,
            r#"{"decision":"deny","message":"no"}"#,
            r#"{"decision":"answer","answers":{"Which?":["a","b"]}}"#,
            r#"{"decision":"result","content":[{"text":"4","type":"text"}],"is_error":true}"#,
            r#"{"decision":"result","content":"4"}"#,
        ] {
            let decision: Decision = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&decision).unwrap(), json);
        }
    }

    #[test]
    fn each_kind_has_its_decisions() {
        let decision = |json: &str| serde_json::from_str::<Decision>(json).unwrap();
        let allow = decision(r#"{"decision":"allow"}"#);
        let changed = decision(r#"{"decision":"allow","input":{}}"#);
        let deny = decision(r#"{"decision":"deny"}"#);
        let answer = decision(r#"{"decision":"answer","answers":{}}"#);
        let result = decision(r#"{"decision":"result","content":""}"#);
        let kinds =
            [ActionKind::Permission, ActionKind::Question, ActionKind::Plan, ActionKind::Elicitation, ActionKind::Tool];
        let fits = |decision: &Decision| kinds.map(|kind| decision.answers(kind));
        assert_eq!(fits(&allow), [true, false, true, false, false]);
        assert_eq!(fits(&changed), [true, false, false, false, false]);
        assert_eq!(fits(&deny), [true, true, true, true, false]);
        assert_eq!(fits(&answer), [false, true, false, true, false]);
        assert_eq!(fits(&result), [false, false, false, false, true]);
    }

    #[test]
    fn words_read_back() {
        for word in ["permission", "question", "plan", "elicitation", "tool"] {
            assert_eq!(ActionKind::parse(word).map(ActionKind::as_str), Some(word));
        }
        for word in ["pending", "resolved", "expired", "cancelled"] {
            assert_eq!(ActionStatus::parse(word).map(ActionStatus::as_str), Some(word));
        }
        assert_eq!(ActionKind::parse("Tool"), None);
    }
}
