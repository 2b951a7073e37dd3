//! The fields of a query about tools: those that its caller runs, and rules about those of the agent.

use serde::{Deserialize, Deserializer};

use super::body::{Fields, is_deeper};
use super::json_schema::{self, Of};
use super::problem::{ApiError, Code};
use crate::config::policy::is_tool_rule;
use crate::domain::RawJson;
use crate::domain::options::ClientTool;

/// Most tools of a query.
const MAX_TOOLS: usize = 64;
/// Longest name of a tool, longest description and longest schema, in bytes, and the schema's deepest nesting.
const MAX_NAME_BYTES: usize = 64;
const MAX_DESCRIPTION_BYTES: usize = 4 * 1024;
const MAX_SCHEMA_BYTES: usize = 32 * 1024;
const MAX_DEPTH: usize = 64;
/// All tools of a query, in bytes of JSON.
const MAX_TOOLS_BYTES: usize = 512 * 1024;
/// Most rules of one kind, and all of them in bytes of JSON.
const MAX_RULES: usize = 64;
const MAX_RULES_BYTES: usize = 32 * 1024;

/// Rules about the agent's tools.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Permissions {
    /// Calls that a person has to allow.
    #[serde(default, deserialize_with = "rules")]
    pub(super) ask: Vec<String>,
    /// Calls that are refused.
    #[serde(default, deserialize_with = "rules")]
    pub(super) deny: Vec<String>,
}

/// As with all fields, null is as if it were not there.
fn rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The tools that the caller runs.
pub(super) fn tools(fields: &Fields<'_>) -> Result<Vec<ClientTool>, ApiError> {
    let refused = |rule: &str| ApiError::parameter("tools", rule);
    let Some(raw) = fields.raw("tools") else { return Ok(Vec::new()) };
    if raw.len() > MAX_TOOLS_BYTES || is_deeper(raw, MAX_DEPTH + 2) {
        return Err(refused("at most 524288 bytes, schemas nested at most 64 levels deep"));
    }
    let tools: Vec<ClientTool> = serde_json::from_str(raw)
        .map_err(|_| refused("a list of objects with `name`, `description` and `input_schema`"))?;
    if tools.len() > MAX_TOOLS {
        return Err(refused("at most 64"));
    }
    for (index, tool) in tools.iter().enumerate() {
        let refused = |field: &str, rule: &str| Err(ApiError::parameter(&format!("tools[{index}].{field}"), rule));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(1..=MAX_NAME_BYTES).contains(&tool.name.len()) || !tool.name.bytes().all(is_name) {
            return refused("name", "1 to 64 characters of a-z A-Z 0-9 _ -");
        }
        if tools.iter().take(index).any(|before| before.name == tool.name) {
            return refused("name", "given once");
        }
        if tool.description.len() > MAX_DESCRIPTION_BYTES {
            return refused("description", "at most 4096 bytes");
        }
        if tool.input_schema.get().len() > MAX_SCHEMA_BYTES || !tool.input_schema.get().starts_with('{') {
            let rule = format!("tools[{index}].input_schema: a JSON Schema of an object, at most 32768 bytes");
            return Err(ApiError::new(Code::InvalidToolSchema, rule));
        }
        json_schema::check(tool.input_schema.get(), Of::Tool).map_err(|fault| {
            ApiError::new(Code::InvalidToolSchema, fault.of_field(&format!("tools[{index}].input_schema")))
        })?;
    }
    Ok(tools
        .into_iter()
        .map(|tool| ClientTool {
            input_schema: RawJson::parse(tool.input_schema.get()).unwrap_or(tool.input_schema),
            ..tool
        })
        .collect())
}

/// Whether the agent may ask the user questions.
pub(super) fn questions(fields: &Fields<'_>) -> Result<Option<bool>, ApiError> {
    match fields.raw("questions") {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::parameter("questions", "true or false")),
    }
}

/// The rules about the agent's tools: they narrow what the operator allows.
pub(super) fn permissions(fields: &Fields<'_>) -> Result<Permissions, ApiError> {
    let refused = |rule: &str| ApiError::parameter("permissions", rule);
    let Some(raw) = fields.raw("permissions") else { return Ok(Permissions::default()) };
    if raw.len() > MAX_RULES_BYTES || !raw.starts_with('{') {
        return Err(refused("an object with `ask` and `deny`, at most 32768 bytes"));
    }
    let permissions: Permissions =
        serde_json::from_str(raw).map_err(|_| refused("an object with `ask` and `deny`, lists of rules"))?;
    for rules in [&permissions.ask, &permissions.deny] {
        if rules.len() > MAX_RULES || !rules.iter().all(|rule| is_tool_rule(rule)) {
            return Err(refused("at most 64 rules of each kind, such as Write or Bash(git push:*)"));
        }
    }
    Ok(permissions)
}
