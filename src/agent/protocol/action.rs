//! What a turn waits for, as the container says it: bounded, and never trusted to have been decided.

use serde::Deserialize;

use super::{BadFrame, MAX_MESSAGE_CHARS, MAX_NAME_CHARS, cut};
use crate::domain::{ActionKind, RawJson};

/// Longest reference of an action, in bytes.
const MAX_REFERENCE_BYTES: usize = 64;
/// Longest input of a call, in bytes of JSON, and longest suggestions and schema.
const MAX_INPUT_BYTES: usize = 256 * 1024;
const MAX_RULES_BYTES: usize = 32 * 1024;

/// See `FrameBody::Action`.
#[derive(Debug, Clone, Deserialize)]
pub struct ActionAsked {
    /// What the container calls it: unique in its turn.
    pub reference: String,
    /// What is waited for.
    pub kind: ActionKind,
    /// The tool call that it is about.
    #[serde(default)]
    pub tool_call_id: Option<String>,
    /// The tool.
    #[serde(default)]
    pub tool: Option<String>,
    /// The call's input.
    #[serde(default)]
    pub input: Option<RawJson>,
    /// What the user is told or asked.
    #[serde(default)]
    pub message: Option<String>,
    /// Rules that would cover the call.
    #[serde(default)]
    pub suggestions: Option<RawJson>,
    /// What an MCP server wants.
    #[serde(default)]
    pub schema: Option<RawJson>,
}

/// See `FrameBody::ActionResolved`.
#[derive(Debug, Clone, Deserialize)]
pub struct ActionLetGo {
    /// Which action.
    pub reference: String,
    /// What became of it.
    #[serde(default)]
    pub outcome: String,
}

impl ActionAsked {
    pub(super) fn parse(line: &str) -> Result<Self, BadFrame> {
        let mut asked: Self = serde_json::from_str(line)?;
        for text in [&mut asked.tool_call_id, &mut asked.tool].into_iter().flatten() {
            cut(text, MAX_NAME_CHARS);
        }
        if let Some(message) = &mut asked.message {
            cut(message, MAX_MESSAGE_CHARS);
        }
        let too_long = |json: &Option<RawJson>, most| json.as_ref().is_some_and(|json| json.get().len() > most);
        if !is_reference(&asked.reference)
            || too_long(&asked.input, MAX_INPUT_BYTES)
            || too_long(&asked.suggestions, MAX_RULES_BYTES)
            || too_long(&asked.schema, MAX_RULES_BYTES)
        {
            return Err(BadFrame::of("an action that is not what it must be"));
        }
        // On one line, whatever the container sent.
        for json in [&mut asked.input, &mut asked.suggestions, &mut asked.schema].into_iter().flatten() {
            *json = RawJson::parse(json.get()).ok_or_else(|| BadFrame::of("no JSON"))?;
        }
        Ok(asked)
    }
}

impl ActionLetGo {
    pub(super) fn parse(line: &str) -> Result<Self, BadFrame> {
        let mut let_go: Self = serde_json::from_str(line)?;
        cut(&mut let_go.outcome, MAX_NAME_CHARS);
        if is_reference(&let_go.reference) { Ok(let_go) } else { Err(BadFrame::of("no reference")) }
    }
}

fn is_reference(text: &str) -> bool {
    let fits = (1..=MAX_REFERENCE_BYTES).contains(&text.len());
    fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_bounded() {
        let line = |reference: &str, input: &str| {
            format!(
                "{{\"n\":3,\"type\":\"action\",\"reference\":\"{reference}\",\"kind\":\"permission\",\"tool\":\"{}\",\"input\":{input}}}",
                "x".repeat(900)
            )
        };
        let asked = ActionAsked::parse(&line("toolu_1", "{\r\"a\":1}")).unwrap();
        assert_eq!((asked.input.unwrap().get(), asked.tool.unwrap().len()), ("{ \"a\":1}", MAX_NAME_CHARS));
        assert!(ActionAsked::parse(&line("a b", "{}")).is_err());
        assert!(ActionAsked::parse(&line(&"x".repeat(65), "{}")).is_err());
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_INPUT_BYTES));
        assert!(ActionAsked::parse(&line("toolu_1", &long)).is_err());
        assert!(ActionAsked::parse(&line("toolu_1", "{}").replace("permission", "wish")).is_err());
    }
}
