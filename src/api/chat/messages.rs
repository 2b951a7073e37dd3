//! A conversation as the AI SDK's UI messages: what its client would hold if it had heard every turn to its end.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::super::document::outcome;
use super::super::links;
use super::chunks::{STOPPED, data_name, words_of};
use super::metadata::Metadata;
use crate::account::chat::OF_THE_USER;
use crate::account::chat::command::ChatTurn;
use crate::account::turn::events::EventKind;
use crate::domain::event::Tool;
use crate::domain::{Include, RawJson};

/// A message.
#[derive(Serialize)]
pub(super) struct UiMessage {
    id: String,
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<RawJson>,
    parts: Vec<Value>,
}

/// The messages of these turns. One that runs has its question alone: its stream tells the answer.
pub(super) fn of(turns: &[ChatTurn]) -> Vec<UiMessage> {
    let mut messages = Vec::new();
    for turn in turns {
        messages.push(question(turn));
        // Its question was taken in by another turn, whose answer is there.
        if turn.turn.status.is_end() && turn.turn.steered_into.is_none() {
            messages.push(answer(turn));
        }
    }
    messages
}

fn question(turn: &ChatTurn) -> UiMessage {
    let session_id = links::conversation(&turn.turn.session_id);
    let attachments: Vec<Summary> =
        turn.attachments.as_ref().and_then(|json| serde_json::from_str(json.get()).ok()).unwrap_or_default();
    let mut parts: Vec<Value> = attachments.iter().filter_map(|attachment| attachment.part(&session_id)).collect();
    if !turn.said.is_empty() {
        parts.push(json!({"type": "text", "text": turn.said}));
    }
    let id = match &turn.message {
        Some(id) => id.as_str().to_owned(),
        None => format!("{}{OF_THE_USER}", turn.turn.turn_id),
    };
    UiMessage { id, role: "user", metadata: None, parts }
}

/// An attachment, as a conversation tells of it.
#[derive(Deserialize)]
struct Summary {
    #[serde(rename = "type")]
    kind: String,
    media_type: Option<String>,
    path: Option<String>,
    url: Option<String>,
    title: Option<String>,
}

impl Summary {
    /// The file part that it is; none if nobody can fetch it.
    fn part(&self, conversation: &str) -> Option<Value> {
        let url = self.path.as_ref().map(|path| format!("{conversation}/files/{}", links::encoded_path(path)));
        let kind = if self.kind == "image" { "image" } else { "application/octet-stream" };
        let media_type = self.media_type.as_deref().unwrap_or(kind);
        let mut part = json!({"type": "file", "mediaType": media_type, "url": url.or_else(|| self.url.clone())?});
        let name = self.path.as_deref().and_then(|path| path.rsplit('/').next());
        if let Some(name) = self.title.as_deref().or(name) {
            part["filename"] = name.into();
        }
        Some(part)
    }
}

fn answer(turn: &ChatTurn) -> UiMessage {
    let ChatTurn { turn, told, .. } = turn;
    let failed = outcome(turn).err();
    let mut parts = Parts::default();
    told.iter().for_each(|event| parts.take(event));
    if failed.is_none() && !parts.has_spoken {
        parts.say(turn.response.as_deref().unwrap_or_default());
    }
    let metadata = Metadata::of(turn, failed.as_ref().map(|error| (error, &turn.request_id))).json();
    let (id, metadata) = (turn.turn_id.as_str().to_owned(), RawJson::parse(&metadata));
    UiMessage { id, role: "assistant", metadata, parts: parts.ended() }
}

/// The parts of an answer, as its chunks make them.
#[derive(Default)]
struct Parts {
    parts: Vec<Value>,
    in_step: bool,
    has_spoken: bool,
}

impl Parts {
    fn take(&mut self, event: &EventKind) {
        match event {
            EventKind::Thinking(thinking) if thinking.parent.is_none() => self.think(&thinking.text),
            EventKind::Message(message) if message.parent.is_none() => self.say(&message.content),
            EventKind::Tool(tool) => self.tool(tool),
            EventKind::Compacted(_) | EventKind::AttachmentRemoved(_) | EventKind::Notice(_) | EventKind::File(_) => {
                if let Some((name, data)) = event.data(Include::NOTHING) {
                    self.parts.push(json!({"type": data_name(name), "data": value(&data)}));
                }
            }
            _ => {}
        }
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.in_step, true) {
            self.parts.push(json!({"type": "step-start"}));
        }
    }

    fn say(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.begin();
        self.has_spoken = true;
        self.parts.push(json!({"type": "text", "text": text, "state": "done"}));
    }

    fn think(&mut self, piece: &str) {
        let last = self.parts.last_mut().filter(|part| part["type"] == "reasoning").map(|part| &mut part["text"]);
        if let Some(Value::String(text)) = last {
            text.push_str(piece);
            return;
        }
        self.begin();
        self.parts.push(json!({"type": "reasoning", "text": piece, "state": "done"}));
    }

    fn tool(&mut self, tool: &Tool) {
        let at = self.parts.iter().position(|part| part["toolCallId"] == tool.id.as_str());
        let at = at.unwrap_or_else(|| {
            if tool.parent.is_none() || !self.in_step {
                self.begin();
            }
            let input = tool.whole_input.as_deref().or(tool.input.as_deref()).map_or("{}", RawValue::get);
            let mut part = json!({"type": "dynamic-tool", "toolName": tool.name, "toolCallId": tool.id,
                "state": "input-available", "input": value(input), "providerExecuted": true});
            if let Some(parent) = &tool.parent {
                part["toolMetadata"] = json!({"parent": parent});
            }
            self.parts.push(part);
            self.parts.len() - 1
        });
        if tool.status == "started" {
            return;
        }
        if let Some(part) = self.parts.get_mut(at) {
            let result = tool.result.as_deref().map(RawValue::get);
            if tool.status == "finished" {
                part["state"] = "output-available".into();
                part["output"] = result.map_or_else(|| "".into(), value);
            } else {
                fail(part, words_of(result));
            }
        }
        if tool.parent.is_none() {
            self.in_step = false;
        }
    }

    fn ended(mut self) -> Vec<Value> {
        for part in self.parts.iter_mut().filter(|part| part["state"] == "input-available") {
            fail(part, STOPPED.to_owned());
        }
        self.parts
    }
}

fn fail(part: &mut Value, why: String) {
    part["state"] = "output-error".into();
    part["errorText"] = why.into();
}

fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}
