//! The calls of a message, and what somebody is asked about them: what the client is told of each, whether as chunks or as parts.
//! Which step a call is in depends on the events alone, never on what is decided meanwhile: whoever counts steps counts the same ones each time.

use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::problem::Code;
use super::json::elements;
use crate::domain::event::{ActionResolved, Tool};
use crate::domain::{Action, ActionId, ActionKind, ActionStatus, Decision};

/// What becomes of a tool call whose end the turn's own came before.
pub(super) const STOPPED: &str = "The turn ended before this call did.";
/// What is said of a call that somebody was asked about, and nobody answered.
const NOBODY_ANSWERED: &str = "Nobody answered in time.";
/// What is said of a call that nobody is asked about any more.
const WITHDRAWN: &str = "This call was taken back before anybody answered.";
/// What becomes of a call that was allowed when its process was gone: the agent makes it again, and that one runs.
const MADE_AGAIN: &str = "\"Allowed. The agent makes this call again, since it had waited too long.\"";
const ALLOWED: &str = "\"Allowed.\"";

/// What is said of a call that is reported without words.
const NO_WORDS: &str = "The call failed.";

/// Something that the client is told of a call.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Told {
    /// It waits for leave.
    Request,
    /// Leave was given or denied, with what was said to that.
    Response(bool, Option<String>),
    /// The client is to give its output.
    Offer,
    /// Its output, as JSON.
    Output(String),
    /// It was denied.
    Denied,
    /// It failed, in words.
    Error(String),
}

/// What somebody was asked about a call.
struct Asked {
    action: Action,
    is_decided: bool,
    /// The agent has heard how it was decided.
    is_told: bool,
    /// It ended before: its process gave it up.
    is_given_up: bool,
}

struct Call {
    id: String,
    is_of_subagent: bool,
    /// It has no end among the events.
    is_open: bool,
    /// The client was told an end.
    has_end: bool,
    asked: Option<Asked>,
}

/// The calls of a message: those that have no end, and those that somebody was asked about.
#[derive(Default)]
pub(super) struct Calls {
    /// The turn's actions as they stand, which its events may tell later.
    known: Vec<Action>,
    calls: Vec<Call>,
    /// Actions that no call stands for, and whether somebody still has to decide them.
    apart: Vec<(ActionId, bool)>,
}

impl Calls {
    pub fn new(known: Vec<Action>) -> Self {
        Self { known, ..Self::default() }
    }

    /// A call is told of; false if it was before.
    pub fn begin(&mut self, tool: &Tool) -> bool {
        let is_new = !self.calls.iter().any(|call| call.id == tool.id);
        if is_new {
            self.calls.push(Call {
                id: tool.id.clone(),
                is_of_subagent: tool.parent.is_some(),
                is_open: true,
                has_end: false,
                asked: None,
            });
        }
        is_new
    }

    /// A call has ended.
    pub fn end(&mut self, tool: &Tool) -> Option<Told> {
        let at = self.calls.iter().position(|call| call.id == tool.id)?;
        let call = self.calls.get_mut(at)?;
        let result = tool.result.as_deref().map(RawValue::get);
        let told = match &mut call.asked {
            // Its process gave it up: it goes on waiting.
            Some(asked) if !asked.is_told => {
                asked.is_given_up = true;
                return call.close_if_given_up();
            }
            _ if tool.status == "finished" => Told::Output(result.unwrap_or("\"\"").to_owned()),
            Some(Asked { action: Action { kind, decision: Some(Decision::Deny { .. }), .. }, .. })
                if is_leave(*kind) =>
            {
                Told::Denied
            }
            _ => Told::Error(words_of(result)),
        };
        (call.is_open, call.has_end) = (false, true);
        if call.asked.is_none() {
            self.calls.remove(at);
        }
        Some(told)
    }

    /// Somebody is asked. What the client is told of the call that it is about; none if there is no such call.
    pub fn ask(&mut self, action: &Action) -> Option<(String, Vec<Told>)> {
        if action.status != ActionStatus::Pending {
            // Nobody was asked: too many waited. The call's own end says so.
            return Some((String::new(), Vec::new()));
        }
        let action = self.known.iter().find(|known| known.action_id == action.action_id).unwrap_or(action);
        let is_pending = action.status == ActionStatus::Pending;
        let id = action.tool_call_id.as_ref().filter(|_| action.kind != ActionKind::Elicitation);
        let Some(call) = id.and_then(|id| self.calls.iter_mut().find(|call| call.id == *id)) else {
            self.apart.push((action.action_id.clone(), is_pending));
            return None;
        };
        let mut told = Vec::new();
        if is_leave(action.kind) {
            told.push(Told::Request);
        } else if is_pending {
            told.push(Told::Offer);
        }
        let asked = Asked { action: action.clone(), is_decided: false, is_told: false, is_given_up: false };
        (call.is_open, call.has_end, call.asked) = (true, false, Some(asked));
        told.extend(call.decide(action.status, action.decision.as_ref()));
        Some((call.id.clone(), told))
    }

    /// The agent has heard how an action was decided. What the client is told of the call that it is about; none if no call stands for it.
    pub fn resolve(&mut self, resolved: &ActionResolved) -> Option<(String, Vec<Told>)> {
        if let Some((_, is_pending)) = self.apart.iter_mut().find(|(id, _)| *id == resolved.action_id) {
            *is_pending = false;
            return None;
        }
        let is_it =
            |call: &&mut Call| call.asked.as_ref().is_some_and(|asked| asked.action.action_id == resolved.action_id);
        let Some(call) = self.calls.iter_mut().find(is_it) else { return Some((String::new(), Vec::new())) };
        let decision = match resolved.decision.as_deref() {
            Some("allow") => Some(Decision::Allow { input: None, remember: None }),
            Some("deny") => Some(Decision::Deny { message: None }),
            _ => None,
        };
        let is_over = resolved.status != ActionStatus::Resolved || matches!(decision, Some(Decision::Deny { .. }));
        let mut told = call.decide(resolved.status, decision.as_ref());
        if let Some(asked) = &mut call.asked {
            asked.is_told = true;
            call.is_open &= !is_over && !asked.is_given_up;
        }
        told.extend(call.close_if_given_up());
        Some((call.id.clone(), told))
    }

    /// The model goes on: calls that it heard to be allowed, and that have no end, were given up. It makes them again.
    pub fn goes_on(&mut self) -> Vec<(String, Told)> {
        let mut ended = Vec::new();
        for call in self.calls.iter_mut().filter(|call| call.is_open && !call.is_of_subagent) {
            let Some(asked) = call.asked.as_mut().filter(|asked| asked.is_told) else { continue };
            asked.is_given_up = true;
            let told = call.close_if_given_up();
            call.is_open = false;
            ended.extend(told.map(|told| (call.id.clone(), told)));
        }
        ended
    }

    /// What the question about a call is answered by.
    pub fn approval_of(&self, id: &str) -> Option<String> {
        let call = self.calls.iter().find(|call| call.id == id)?;
        Some(call.asked.as_ref()?.action.action_id.as_str().to_owned())
    }

    /// Whether the model has what it waited for: all its calls have ended.
    pub fn is_step_over(&self) -> bool {
        !self.calls.iter().any(|call| call.is_open && !call.is_of_subagent)
    }

    /// Calls that would keep a client from answering while the turn waits, since they have neither an end nor a question.
    /// None of them, if what is asked cannot be seen: then the client is not to answer.
    pub fn hidden(&self) -> Vec<&str> {
        let is_apart = self.apart.iter().any(|(_, is_pending)| *is_pending);
        let is_hidden = |call: &&Call| call.is_open && call.asked.is_none() && !is_apart;
        self.calls.iter().filter(is_hidden).map(|call| call.id.as_str()).collect()
    }

    /// The calls of which the client was told no end.
    pub fn without_end(&self) -> impl Iterator<Item = &str> {
        self.calls.iter().filter(|call| !call.has_end).map(|call| call.id.as_str())
    }
}

/// Whether it asks for leave, which is given or not.
const fn is_leave(kind: ActionKind) -> bool {
    matches!(kind, ActionKind::Permission | ActionKind::Plan)
}

impl Call {
    /// What the client is told of a decision, the first time.
    fn decide(&mut self, status: ActionStatus, decision: Option<&Decision>) -> Vec<Told> {
        let Some(asked) = self.asked.as_mut().filter(|asked| !asked.is_decided && status != ActionStatus::Pending)
        else {
            return Vec::new();
        };
        asked.is_decided = true;
        if asked.action.decision.is_none() {
            asked.action.decision = decision.cloned();
        }
        let leave = is_leave(asked.action.kind);
        let (told, has_end) = match (status, decision) {
            (ActionStatus::Expired, _) => (vec![Told::Error(NOBODY_ANSWERED.to_owned())], true),
            (ActionStatus::Pending | ActionStatus::Cancelled, _) => (vec![Told::Error(WITHDRAWN.to_owned())], true),
            (ActionStatus::Resolved, Some(Decision::Allow { .. })) => (vec![Told::Response(true, None)], false),
            (ActionStatus::Resolved, Some(Decision::Deny { message })) if leave => {
                (vec![Told::Response(false, message.clone()), Told::Denied], true)
            }
            (ActionStatus::Resolved, Some(Decision::Deny { message })) => {
                (vec![Told::Error(message.clone().unwrap_or_else(|| NO_WORDS.to_owned()))], true)
            }
            (ActionStatus::Resolved, Some(Decision::Answer { answers })) => {
                let answers = serde_json::to_string(answers).unwrap_or_default();
                (vec![Told::Output(["{\"answers\":", &answers, "}"].concat())], true)
            }
            (ActionStatus::Resolved, Some(Decision::Result { content, is_error })) => {
                let content = content.to_string();
                (vec![if *is_error { Told::Error(words_of(Some(&content))) } else { Told::Output(content) }], true)
            }
            (ActionStatus::Resolved, None) => (Vec::new(), false),
        };
        self.has_end = has_end;
        told
    }

    /// The end of a call that was decided when its process was gone.
    fn close_if_given_up(&mut self) -> Option<Told> {
        let asked = self.asked.as_ref().filter(|asked| asked.is_given_up && asked.is_decided)?;
        let is_first = !std::mem::replace(&mut self.has_end, true);
        is_first.then(|| {
            Told::Output(match asked.action.kind {
                ActionKind::Permission => MADE_AGAIN.to_owned(),
                ActionKind::Plan => ALLOWED.to_owned(),
                ActionKind::Question | ActionKind::Elicitation | ActionKind::Tool => "\"\"".to_owned(),
            })
        })
    }
}

/// The words of a tool's result: a string, or blocks some of which are text.
fn words_of(result: Option<&str>) -> String {
    let json = result.unwrap_or_default();
    let words = serde_json::from_str(json).unwrap_or_else(|_| {
        let text = |block: &&RawValue| {
            let fields = Fields::of(block.get().as_bytes(), &["text"]).ok()?;
            fields.text("text", block.get().len(), Code::Internal).ok()?
        };
        elements(json).iter().filter_map(text).collect::<Vec<_>>().join("\n")
    });
    if words.trim().is_empty() { NO_WORDS.to_owned() } else { words }
}
