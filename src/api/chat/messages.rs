//! A conversation as the AI SDK's UI messages: what its client would hold if it had heard every turn to its end.

use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::document::outcome;
use super::super::links;
use super::super::problem::Code;
use super::chunks::{STOPPED, words_of};
use super::json::{Field, data_name, elements, quoted, write, write_call};
use super::metadata::Metadata;
use super::parts::NO_DATA;
use crate::account::chat::OF_THE_USER;
use crate::account::chat::command::ChatTurn;
use crate::account::turn::events::EventKind;
use crate::domain::event::Tool;
use crate::domain::{Include, RawJson};

/// The messages of these turns, as a JSON array. One that runs has its question alone: its stream tells the answer.
pub(super) fn of(turns: &[ChatTurn]) -> String {
    let mut out = String::from("[");
    for turn in turns {
        question(turn, &mut out);
        // If its question was taken in by another turn, the answer is there.
        if turn.turn.status.is_end() && turn.turn.steered_into.is_none() {
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
    let ChatTurn { turn, told, .. } = turn;
    let failed = outcome(turn).err();
    let mut parts = Parts::default();
    for event in told {
        parts.take(event);
    }
    if failed.is_none() && !parts.parts.iter().any(|part| matches!(part, Part::Text(_))) {
        parts.say(turn.response.as_deref().unwrap_or_default());
    }
    begin_message(out, turn.turn_id.as_str(), "assistant");
    for part in &parts.parts {
        part.write(out);
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
    /// A call, as it began and as it ended.
    Call(&'a Tool, Option<&'a Tool>),
    Data(&'a EventKind),
}

/// The parts of an answer, as its chunks make them.
#[derive(Default)]
struct Parts<'a> {
    parts: Vec<Part<'a>>,
    in_step: bool,
}

impl<'a> Parts<'a> {
    fn take(&mut self, event: &'a EventKind) {
        match event {
            EventKind::Thinking(thinking) if thinking.parent.is_none() => self.think(&thinking.text),
            EventKind::Message(message) if message.parent.is_none() => self.say(&message.content),
            EventKind::Tool(tool) => self.tool(tool),
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
            self.begin();
            self.parts.push(Part::Text(text));
        }
    }

    fn think(&mut self, piece: &str) {
        if let Some(Part::Reasoning(text)) = self.parts.last_mut() {
            text.push_str(piece);
            return;
        }
        self.begin();
        self.parts.push(Part::Reasoning(piece.to_owned()));
    }

    fn tool(&mut self, tool: &'a Tool) {
        let ended = Some(tool).filter(|tool| tool.status != "started");
        let known = self.parts.iter_mut().find_map(|part| match part {
            Part::Call(begun, end) if begun.id == tool.id => Some(end),
            _ => None,
        });
        if let Some(end) = known {
            *end = ended.or(*end);
        } else {
            if tool.parent.is_none() || !self.in_step {
                self.begin();
            }
            self.parts.push(Part::Call(tool, ended));
        }
        if ended.is_some() && tool.parent.is_none() {
            self.in_step = false;
        }
    }
}

impl Part<'_> {
    fn write(&self, out: &mut String) {
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
            Self::Call(begun, ended) => {
                let result = ended.and_then(|tool| tool.result.as_deref()).map(RawValue::get);
                let (state, output) = match ended {
                    Some(tool) if tool.status == "finished" => {
                        ("output-available", ("output", result.unwrap_or("\"\"").to_owned()))
                    }
                    Some(_) => ("output-error", ("errorText", quoted(&words_of(result)))),
                    None => ("output-error", ("errorText", quoted(STOPPED))),
                };
                let end = [("state", Field::Text(state)), (output.0, Field::Json(&output.1))];
                write_call(out, "dynamic-tool", begun, &end);
                out.push(',');
            }
        }
    }
}
