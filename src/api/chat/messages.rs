//! A conversation as the AI SDK's UI messages: what its client would hold if it had heard every turn to its end.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::document::outcome;
use super::super::links;
use super::super::problem::Code;
use super::calls::{Calls, STOPPED, Told};
use super::json::{Field, call_of, data_name, descriptor, elements, quoted, write, write_call};
use super::metadata::Metadata;
use super::parts::NO_DATA;
use crate::account::chat::OF_THE_USER;
use crate::account::chat::command::ChatTurn;
use crate::account::turn::events::EventKind;
use crate::domain::event::Tool;
use crate::domain::{Action, Include, RawJson, TurnStatus};

/// The messages of these turns, as a JSON array. One that runs has its question alone: its stream tells the answer. Of one that waits for
/// somebody, what it did until then is an answer, too.
pub(super) fn of(turns: &[ChatTurn]) -> String {
    let mut out = String::from("[");
    for turn in turns {
        question(turn, &mut out);
        // If its question was taken in by another turn, the answer is there.
        let tells = turn.turn.status.is_end() || turn.turn.status == TurnStatus::RequiresAction;
        if tells && turn.turn.steered_into.is_none() {
            answer(turn, &mut out);
        }
    }
    closed(&mut out);
    out
}

/// Ends an array whose elements have a comma behind each.
fn closed(out: &mut String) {
    if out.ends_with(',') {
        out.pop();
    }
    out.push(']');
}

fn begin_message(out: &mut String, id: &str, role: &str) {
    for piece in ["{\"id\":", &quoted(id), ",\"role\":\"", role, "\",\"parts\":["] {
        out.push_str(piece);
    }
}

fn part(out: &mut String, kind: &str, fields: &[(&str, Field<'_>)]) {
    write(out, kind, fields);
    out.push(',');
}

fn question(turn: &ChatTurn, out: &mut String) {
    let named = turn.message.as_ref().map(|id| id.as_str().to_owned());
    begin_message(out, &named.unwrap_or_else(|| [turn.turn.turn_id.as_str(), OF_THE_USER].concat()), "user");
    let attachments = turn.attachments.as_ref().map(RawJson::get).unwrap_or_default();
    let conversation = links::conversation(&turn.turn.session_id);
    for attachment in elements(attachments) {
        write_attachment(attachment, &conversation, out);
    }
    if !turn.said.is_empty() {
        part(out, "text", &[("text", Field::Text(&turn.said))]);
    }
    closed(out);
    out.push_str("},");
}

/// The file part of an attachment, as a conversation tells of that.
fn write_attachment(attachment: &RawValue, conversation: &str, out: &mut String) {
    let Ok(fields) = Fields::of(attachment.get().as_bytes(), &["type", "media_type", "path", "url", "title"]) else {
        return;
    };
    let text = |name| fields.text(name, attachment.get().len(), Code::Internal).ok().flatten();
    let (path, title) = (text("path"), text("title"));
    let at = path.as_ref().map(|path| [conversation, "/files/", &links::encoded_path(path)].concat());
    let url = at.or_else(|| text("url")).unwrap_or_else(|| NO_DATA.to_owned());
    let kind = if fields.raw("type") == Some("\"image\"") { "image" } else { "application/octet-stream" };
    let media_type = text("media_type").unwrap_or_else(|| kind.to_owned());
    let mut all = vec![("mediaType", Field::Text(&media_type)), ("url", Field::Text(&url))];
    let name = title.as_deref().or_else(|| path.as_deref()?.rsplit('/').next());
    all.extend(name.map(|name| ("filename", Field::Text(name))));
    part(out, "file", &all);
}

fn answer(turn: &ChatTurn, out: &mut String) {
    let ChatTurn { turn, told, actions, .. } = turn;
    let waits = !turn.status.is_end();
    let failed = if waits { None } else { outcome(turn).err() };
    let mut parts = Parts { calls: Calls::new(actions.clone()), ..Parts::default() };
    for event in told {
        parts.take(event);
    }
    if waits {
        parts.hide();
    } else if failed.is_none() && !parts.parts.iter().any(|part| matches!(part, Part::Text(_))) {
        parts.say(turn.response.as_deref().unwrap_or_default());
    }
    begin_message(out, turn.turn_id.as_str(), "assistant");
    for part in &parts.parts {
        part.write(waits, out);
    }
    closed(out);
    let metadata = Metadata::of(turn, failed.as_ref().map(|error| (error, &turn.request_id))).json();
    for piece in [",\"metadata\":", &metadata, "},"] {
        out.push_str(piece);
    }
}

/// A part of an answer.
enum Part<'a> {
    Step,
    Text(&'a str),
    Reasoning(String),
    Call(Call<'a>),
    Data(&'a EventKind),
}

/// A tool call with what is told of it.
struct Call<'a> {
    tool: Cow<'a, Tool>,
    approval: Option<Approval<'a>>,
    /// What was told last.
    last: Option<Told>,
}

/// The question about a call.
struct Approval<'a> {
    action: &'a Action,
    /// Whether leave was given, and what was said to that.
    answer: Option<(bool, Option<String>)>,
}

/// The parts of an answer, as its chunks make them.
#[derive(Default)]
struct Parts<'a> {
    parts: Vec<Part<'a>>,
    in_step: bool,
    calls: Calls,
}

impl<'a> Parts<'a> {
    fn take(&mut self, event: &'a EventKind) {
        match event {
            EventKind::Thinking(thinking) if thinking.parent.is_none() => self.think(&thinking.text),
            EventKind::Message(message) if message.parent.is_none() => self.say(&message.content),
            EventKind::Tool(tool) => self.tool(tool),
            EventKind::Action(action) => match self.calls.ask(action) {
                Some((id, told)) => self.tell(&id, Some(action), told),
                None => self.parts.push(Part::Data(event)),
            },
            EventKind::ActionResolved(resolved) => match self.calls.resolve(resolved) {
                Some((id, told)) => {
                    self.tell(&id, None, told);
                    self.end_step_if_over();
                }
                None => self.parts.push(Part::Data(event)),
            },
            EventKind::Compacted(_) | EventKind::AttachmentRemoved(_) | EventKind::Notice(_) | EventKind::File(_) => {
                self.parts.push(Part::Data(event));
            }
            _ => {}
        }
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.in_step, true) {
            self.parts.push(Part::Step);
        }
    }

    fn say(&mut self, text: &'a str) {
        if !text.is_empty() {
            self.go_on();
            self.begin();
            self.parts.push(Part::Text(text));
        }
    }

    fn think(&mut self, piece: &str) {
        if let Some(Part::Reasoning(text)) = self.parts.last_mut() {
            text.push_str(piece);
            return;
        }
        self.go_on();
        self.begin();
        self.parts.push(Part::Reasoning(piece.to_owned()));
    }

    fn tool(&mut self, tool: &'a Tool) {
        let has_begun = tool.status == "started";
        if has_begun && tool.parent.is_none() {
            self.go_on();
        }
        if self.calls.begin(tool) {
            if tool.parent.is_none() || !self.in_step {
                self.begin();
            }
            self.parts.push(Part::Call(Call { tool: Cow::Borrowed(tool), approval: None, last: None }));
        }
        if has_begun {
            return;
        }
        let told = self.calls.end(tool);
        self.tell(&tool.id, None, told);
        if tool.parent.is_none() {
            self.end_step_if_over();
        }
    }

    fn go_on(&mut self) {
        let ended = self.calls.goes_on();
        if ended.is_empty() {
            return;
        }
        for (id, told) in ended {
            self.tell(&id, None, [told]);
        }
        self.end_step_if_over();
    }

    fn end_step_if_over(&mut self) {
        self.in_step &= !self.calls.is_step_over();
    }

    fn tell(&mut self, id: &str, action: Option<&'a Action>, told: impl IntoIterator<Item = Told>) {
        let call = self.parts.iter_mut().rev().find_map(|part| match part {
            Part::Call(call) if call.tool.id == id => Some(call),
            _ => None,
        });
        let Some(call) = call else { return };
        for told in told {
            match (&told, action) {
                (Told::Request, Some(action)) => call.approval = Some(Approval { action, answer: None }),
                (Told::Offer, Some(action)) => call.tool = Cow::Owned(call_of(action, id)),
                (Told::Response(approved, reason), _) => {
                    if let Some(approval) = &mut call.approval {
                        approval.answer = Some((*approved, reason.clone()));
                    }
                }
                _ => {}
            }
            call.last = Some(told);
        }
    }

    /// Takes calls out that would keep the client from answering.
    fn hide(&mut self) {
        let step = self.parts.iter().rposition(|part| matches!(part, Part::Step)).unwrap_or_default();
        let (hidden, mut at) = (self.calls.hidden(), 0);
        self.parts.retain(|part| {
            at += 1;
            !(at > step && matches!(part, Part::Call(call) if hidden.contains(&call.tool.id.as_str())))
        });
    }
}

impl Part<'_> {
    fn write(&self, waits: bool, out: &mut String) {
        let done = ("state", Field::Text("done"));
        match self {
            Self::Step => part(out, "step-start", &[]),
            Self::Text(text) => part(out, "text", &[("text", Field::Text(text)), done]),
            Self::Reasoning(text) => part(out, "reasoning", &[("text", Field::Text(text)), done]),
            Self::Data(event) => {
                if let Some((name, data)) = event.data(Include::NOTHING) {
                    part(out, &data_name(name), &[("data", Field::Json(&data))]);
                }
            }
            Self::Call(call) => call.write(waits, out),
        }
    }
}

impl Call<'_> {
    fn write(&self, waits: bool, out: &mut String) {
        let (state, output) = match &self.last {
            Some(Told::Request) if waits => ("approval-requested", None),
            Some(Told::Response(..)) if waits => ("approval-responded", None),
            None | Some(Told::Offer) if waits => ("input-available", None),
            Some(Told::Output(output)) => ("output-available", Some(("output", output.clone()))),
            Some(Told::Denied) => ("output-denied", None),
            Some(Told::Error(words)) => ("output-error", Some(("errorText", quoted(words)))),
            None | Some(Told::Request | Told::Response(..) | Told::Offer) => {
                ("output-error", Some(("errorText", quoted(STOPPED))))
            }
        };
        let approval = self.approval.as_ref().map(Approval::json);
        let mut more = vec![("state", Field::Text(state))];
        more.extend(output.as_ref().map(|(name, json)| (*name, Field::Json(json))));
        more.extend(approval.as_deref().map(|approval| ("approval", Field::Json(approval))));
        let is_ours = !(waits && self.last == Some(Told::Offer));
        write_call(out, "dynamic-tool", &self.tool, is_ours, &more);
        out.push(',');
    }
}

impl Approval<'_> {
    /// As a client holds it.
    fn json(&self) -> String {
        let Self { action, answer } = self;
        let id = quoted(action.action_id.as_str());
        let mut json = ["{\"id\":", &id, ",\"descriptor\":", &descriptor(action)].concat();
        let mut field = |name: &str, value: &str| json.push_str(&[",\"", name, "\":", value].concat());
        if let Some(message) = &action.message {
            field("requestReason", &quoted(message));
        }
        if let Some((approved, reason)) = answer {
            field("approved", if *approved { "true" } else { "false" });
            if let Some(reason) = reason {
                field("reason", &quoted(reason));
            }
        }
        json.push('}');
        json
    }
}
