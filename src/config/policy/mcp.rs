//! `MCP_SERVERS`: checked in form once and handed on as a text. What it holds may be secret: it never prints and never leaves in an error.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

/// What the var must be; the agent server takes nothing else.
pub const RULE: &str = "a JSON object of 1 to 32 servers by name (letters, digits, _ and -), each {\"command\", \"args\"?, \"env\"?} \
     or {\"type\": \"http\" or \"sse\", \"url\", \"headers\"?}, whose values are texts";
/// Most servers, and most arguments of one.
const MAX_SERVERS: usize = 32;
const MAX_ARGUMENTS: usize = 256;
/// Longest name: the model knows a tool as `mcp__<server>__<tool>`.
const MAX_NAME_BYTES: usize = 64;

/// Servers by name, as one line of JSON.
pub struct McpServers(Box<RawValue>);

impl std::fmt::Debug for McpServers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("McpServers(…)")
    }
}

impl McpServers {
    /// Reads the var; none if it breaks [`RULE`].
    pub fn parse(text: &str) -> Option<Self> {
        let servers: Value = serde_json::from_str(text).ok()?;
        let by_name = servers.as_object()?;
        let holds = (1..=MAX_SERVERS).contains(&by_name.len())
            && by_name.iter().all(|(name, server)| is_name(name) && server.as_object().is_some_and(is_server));
        // Written anew: a turn is sent as one line, and the var may have several.
        if holds { to_raw_value(&servers).ok().map(Self) } else { None }
    }

    /// The JSON text.
    pub fn json(&self) -> &RawValue {
        &self.0
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}

fn is_server(server: &Map<String, Value>) -> bool {
    let (needed, is_remote) = match server.get("type").map(Value::as_str) {
        None | Some(Some("stdio")) => ("command", false),
        Some(Some("http" | "sse")) => ("url", true),
        Some(_) => return false,
    };
    server.contains_key(needed)
        && server.iter().all(|(field, value)| match (is_remote, field.as_str()) {
            (_, "type") => true,
            (false, "command") => is_text(value),
            (false, "args") => {
                value.as_array().is_some_and(|args| args.len() <= MAX_ARGUMENTS && args.iter().all(is_text))
            }
            (true, "url") => {
                value.as_str().is_some_and(|url| url.starts_with("https://") || url.starts_with("http://"))
            }
            (false, "env") | (true, "headers") => {
                value.as_object().is_some_and(|texts| texts.values().all(Value::is_string))
            }
            _ => false,
        })
}

fn is_text(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty())
}
