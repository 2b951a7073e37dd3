//! What the operator lets the agent do, and the one place that decides how it meets what a caller asks for:
//! a request is checked against it when it is admitted; its values are put in when the turn is given to the container, and never stored.

mod mcp;

use super::BadConfig;
use crate::agent::{Rules, RunOptions, SystemPrompt};
use crate::domain::ledger::NanoUsd;
use crate::domain::trace::TraceParent;
use crate::domain::{TurnKind, TurnOptions};
use mcp::McpServers;

/// Most model calls that a turn may be given.
pub const MAX_TURNS: u32 = 1_000;
/// Longest name of a model, in bytes.
pub const MAX_MODEL_BYTES: usize = 128;
/// Most models, and most rules about tools, of a list; the agent server takes no more.
const MAX_LIST: usize = 256;
/// The SDK's modes.
const PERMISSION_MODES: [&str; 5] = ["default", "acceptEdits", BYPASS, DONT_ASK, PLAN];
const BYPASS: &str = "bypassPermissions";
const DONT_ASK: &str = "dontAsk";
const PLAN: &str = "plan";
/// The tools whose rules are about paths, whatever tool reaches them.
const PATH_TOOLS: [&str; 4] = ["Read", "Edit", "Write", "NotebookEdit"];

/// What the operator lets the agent do.
#[derive(Debug)]
pub struct AgentPolicy {
    /// `MODEL`; else the first of `ALLOWED_MODELS`.
    model: Option<String>,
    /// `ALLOWED_MODELS`; empty: any.
    allowed_models: Vec<String>,
    /// `SYSTEM_PROMPT`.
    system_prompt: Option<String>,
    /// `SYSTEM_PROMPT_APPEND`; never with `system_prompt`.
    system_prompt_append: Option<String>,
    /// `ALLOW_SYSTEM_PROMPT`.
    allow_system_prompt: bool,
    /// `MAX_TURNS`.
    max_turns: Option<u32>,
    /// `ALLOWED_TOOLS`.
    allowed_tools: Vec<String>,
    /// `DISALLOWED_TOOLS`.
    disallowed_tools: Vec<String>,
    /// `PERMISSION_MODE`.
    permission_mode: Option<&'static str>,
    /// `ASK_TOOLS`.
    ask_tools: Vec<String>,
    /// `QUESTIONS`.
    questions: bool,
    /// `MAX_BUDGET_USD`.
    max_budget_usd: Option<f64>,
    /// `MCP_SERVERS`.
    mcp_servers: Option<McpServers>,
}

impl AgentPolicy {
    /// Reads the vars that `get` knows by name.
    ///
    /// # Errors
    /// The first var that is not what it must be.
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let allowed_models = list(get, "ALLOWED_MODELS", is_model, "names of models, separated by commas")?;
        let model = checked(get, "MODEL", "the name of a model, at most 128 ASCII characters", |text| {
            is_model(&text).then_some(text)
        })?;
        if model.as_ref().is_some_and(|model| !allowed_models.is_empty() && !allowed_models.contains(model)) {
            return Err(BadConfig { name: "MODEL", rule: "one of ALLOWED_MODELS" });
        }
        let system_prompt = get("SYSTEM_PROMPT");
        let system_prompt_append = get("SYSTEM_PROMPT_APPEND");
        if system_prompt.is_some() && system_prompt_append.is_some() {
            return Err(BadConfig { name: "SYSTEM_PROMPT_APPEND", rule: "not set together with SYSTEM_PROMPT" });
        }
        let tools = "tools such as Read or mcp__server__tool and rules such as Bash(git log:*), separated by commas";
        let allowed_tools = list(get, "ALLOWED_TOOLS", is_tool_rule, tools)?;
        let permission_mode =
            checked(get, "PERMISSION_MODE", "default, acceptEdits, bypassPermissions, dontAsk or plan", |text| {
                PERMISSION_MODES.into_iter().find(|mode| *mode == text)
            })?;
        if permission_mode == Some(BYPASS) && allowed_tools.iter().any(|rule| rule.contains('(')) {
            let rule = "not bypassPermissions where ALLOWED_TOOLS has rules in parentheses: it heeds none of them";
            return Err(BadConfig { name: "PERMISSION_MODE", rule });
        }
        Ok(Self {
            model: model.or_else(|| allowed_models.first().cloned()),
            allowed_models,
            system_prompt,
            system_prompt_append,
            allow_system_prompt: super::on_off(get, "ALLOW_SYSTEM_PROMPT", false)?,
            max_turns: checked(get, "MAX_TURNS", "a number from 1 to 1000", |text| {
                text.parse().ok().filter(|turns| (1..=MAX_TURNS).contains(turns))
            })?,
            allowed_tools,
            disallowed_tools: list(get, "DISALLOWED_TOOLS", is_tool_rule, tools)?,
            permission_mode,
            ask_tools: list(get, "ASK_TOOLS", is_tool_rule, tools)?,
            questions: super::on_off(get, "QUESTIONS", false)?,
            max_budget_usd: checked(get, "MAX_BUDGET_USD", "an amount above 0, such as 0.50", |text| {
                serde_json::from_str::<f64>(&text).ok().filter(|usd| *usd > 0.0)
            })?,
            mcp_servers: checked(get, "MCP_SERVERS", mcp::RULE, |text| McpServers::parse(&text))?,
        })
    }

    /// The models that a request may name; empty: any.
    #[must_use]
    pub fn allowed_models(&self) -> &[String] {
        &self.allowed_models
    }

    /// Whether a request may name this model.
    #[must_use]
    pub fn allows_model(&self, model: &str) -> bool {
        self.allowed_models.is_empty() || self.allowed_models.iter().any(|allowed| allowed == model)
    }

    /// Whether a request may bring its own system prompt: the operator's, if there is one, stands unless it is given up.
    #[must_use]
    pub fn allows_system_prompt(&self) -> bool {
        self.allow_system_prompt || (self.system_prompt.is_none() && self.system_prompt_append.is_none())
    }

    /// What one turn may spend. The gateway's count holds it: the agent has no part in it.
    #[must_use]
    pub fn max_budget(&self) -> Option<NanoUsd> {
        self.max_budget_usd.map(NanoUsd::of_usd)
    }

    /// The most model calls that a request may ask for.
    #[must_use]
    pub fn most_turns(&self) -> u32 {
        self.max_turns.unwrap_or(MAX_TURNS)
    }

    /// Whether a turn of these options may be about to wait for somebody, or has rules that must hold.
    #[must_use]
    pub fn needs_actions(&self, asked: &TurnOptions) -> bool {
        !self.ask_tools.is_empty()
            || self.permission_mode == Some("default")
            || !asked.ask_tools.is_empty()
            || !asked.deny_tools.is_empty()
            || !asked.tools.is_empty()
            || self.may_ask(asked)
            || self.after_plan(asked).is_some()
    }

    /// Whether rules say what this tool may do, the operator's or those that a request denies with: nobody here can tell of an input whether it may
    /// run.
    #[must_use]
    pub fn restricts(&self, tool: &str, denied: &[String]) -> bool {
        let rules = self.allowed_tools.iter().chain(&self.disallowed_tools).chain(denied);
        rules.filter_map(|rule| rule.split_once('(')).any(|(name, _)| name == tool || PATH_TOOLS.contains(&name))
    }

    /// Whether the agent may ask the user questions.
    fn may_ask(&self, asked: &TurnOptions) -> bool {
        asked.questions.unwrap_or(self.questions)
    }

    /// The mode that an approved plan leads to. Where the operator lets the agent plan only, none does.
    fn after_plan(&self, asked: &TurnOptions) -> Option<&'static str> {
        let usual = if self.allowed_tools.is_empty() { BYPASS } else { DONT_ASK };
        let mode = self.permission_mode.unwrap_or(usual);
        (asked.plan && mode != PLAN).then_some(mode)
    }

    /// What a turn runs with: what its caller asked for and was allowed, and the operator's values for all else.
    #[must_use]
    pub fn run_options<'a>(&'a self, asked: &'a TurnOptions) -> RunOptions<'a> {
        let operators = || {
            let replace = self.system_prompt.as_deref().map(SystemPrompt::Replace);
            replace.or_else(|| self.system_prompt_append.as_deref().map(SystemPrompt::Append))
        };
        let after_plan = self.after_plan(asked);
        RunOptions {
            model: asked.model.as_deref().or(self.model.as_deref()),
            effort: asked.effort,
            thinking: asked.thinking,
            output_schema: asked.output_schema.as_ref(),
            system_prompt: asked.system_prompt.as_deref().map(SystemPrompt::Replace).or_else(operators),
            max_turns: asked.max_turns.or(self.max_turns),
            allowed_tools: &self.allowed_tools,
            disallowed_tools: &self.disallowed_tools,
            permission_mode: after_plan.map_or(self.permission_mode, |_| Some(PLAN)),
            after_plan,
            questions: self.may_ask(asked),
            ask_tools: Rules(&self.ask_tools, &asked.ask_tools),
            operator_ask_tools: (!asked.ask_tools.is_empty()).then_some(self.ask_tools.as_slice()),
            deny_tools: &asked.deny_tools,
            client_tools: &asked.tools,
            max_budget_usd: None,
            mcp_servers: self.mcp_servers.as_ref().map(McpServers::json),
            compact: asked.kind == TurnKind::Compact,
            traceparent: asked.traceparent.as_ref().map(TraceParent::as_str),
        }
    }
}

/// Whether this can be a model's name.
#[must_use]
pub fn is_model(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_MODEL_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn checked<T>(
    get: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    rule: &'static str,
    read: impl FnOnce(String) -> Option<T>,
) -> Result<Option<T>, BadConfig> {
    get(name).map(|text| read(text).ok_or(BadConfig { name, rule })).transpose()
}

fn list(
    get: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    is_item: fn(&str) -> bool,
    rule: &'static str,
) -> Result<Vec<String>, BadConfig> {
    let items = checked(get, name, rule, |text| {
        let items = split(&text)?;
        (items.len() <= MAX_LIST && items.iter().all(|item| is_item(item))).then_some(items)
    })?;
    Ok(items.unwrap_or_default())
}

/// The items between the commas that are in no parentheses; none if a parenthesis is left open or was never opened.
fn split(text: &str) -> Option<Vec<String>> {
    let (mut depth, mut from, mut items) = (0_u32, 0, Vec::new());
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                items.push(text.get(from..at)?.trim().to_owned());
                from = at + 1;
            }
            _ => {}
        }
    }
    items.push(text.get(from..)?.trim().to_owned());
    (depth == 0).then_some(items)
}

/// `Name`, or `Name(what it is about)`.
#[must_use]
pub fn is_tool_rule(rule: &str) -> bool {
    let (name, about) = rule.split_once('(').map_or((rule, None), |(name, about)| (name, Some(about)));
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-*".contains(&byte))
        && about.is_none_or(|about| about.len() > 1 && about.ends_with(')'))
}

#[cfg(test)]
mod tests;
