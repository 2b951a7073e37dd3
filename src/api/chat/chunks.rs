//! A turn's events as chunks of the AI SDK. A client takes chunks in this order alone: a part begins before it goes on and ends; a tool's input
//! comes before its output; and a stream that ends without `finish` and without `error` would pass for a whole answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::Stream;

use super::super::document::outcome;
use super::calls::{Calls, STOPPED};
use super::json::{Field, data_name, write};
use super::metadata::Metadata;
use crate::account::chat::command::ChatStream;
use crate::account::turn::events::{EventKind, Subscription, TurnEvent};
use crate::domain::event::Retry;
use crate::domain::{Action, Include, RequestId, Turn, TurnId, TurnStatus};

mod tools;

const DONE: &str = "data: [DONE]\n\n";
/// What a client is told whose stream was cut because it read too slowly.
const CUT: &str = "The connection was too slow and was closed. The answer continues: load the conversation again.";

/// The part that is being written.
enum Open {
    /// With what of the block was sent.
    Text(String),
    Reasoning(String),
}

/// The stream of a turn's chunks, each a piece of text for the client.
pub struct Chunks {
    events: Subscription,
    encoder: Encoder,
    is_over: bool,
}

impl Chunks {
    /// The chunks of these events, on the response to this request.
    #[must_use]
    pub fn new(stream: ChatStream, request_id: RequestId) -> Self {
        let encoder = Encoder::new(request_id, stream.actions, stream.has_steps);
        Self { events: stream.events, encoder, is_over: false }
    }
}

impl Stream for Chunks {
    type Item = String;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<String>> {
        while !self.is_over {
            let Poll::Ready(event) = Pin::new(&mut self.events).poll_next(cx) else { return Poll::Pending };
            let text = match event {
                Some(event) => self.encoder.take(&event),
                None => self.encoder.cut(),
            };
            self.is_over = self.encoder.stage == Stage::Ended;
            if !text.is_empty() {
                return Poll::Ready(Some(text));
            }
        }
        Poll::Ready(None)
    }
}

/// How far a message has come.
#[derive(PartialEq, Eq)]
enum Stage {
    Unknown,
    Begun,
    Ended,
}

/// A chunk of the step that is being written, and the call that it is about.
struct Kept {
    call: Option<String>,
    text: String,
}

/// What is to be known of the chunks before the next one.
struct Encoder {
    request_id: RequestId,
    out: String,
    stage: Stage,
    has_spoken: bool,
    in_step: bool,
    /// The chunks of the step's whole parts: what stays of it if the model starts over.
    kept: Vec<Kept>,
    open: Option<Open>,
    calls: Calls,
    parts: u32,
    /// So many steps begin before the client hears anything: it has those before the last of them, which is told again from its beginning.
    unheard: Option<u32>,
}

impl Encoder {
    /// `known` are the turn's actions as they stand; `has_steps` says how many steps the client's message has, if it has the message.
    fn new(request_id: RequestId, known: Vec<Action>, has_steps: Option<u32>) -> Self {
        Self {
            request_id,
            out: String::new(),
            stage: Stage::Unknown,
            has_spoken: false,
            in_step: false,
            kept: Vec::new(),
            open: None,
            calls: Calls::new(known),
            parts: 0,
            unheard: has_steps,
        }
    }

    /// The chunks of one event; none of one that the client has no part for.
    fn take(&mut self, event: &TurnEvent) -> String {
        match &event.kind {
            EventKind::Turn { session_id, status, position } => {
                let metadata = Metadata::begun(&event.id.turn_id, session_id, *status).json();
                self.stands(&event.id.turn_id, &metadata, *status, *position);
            }
            EventKind::Delta(delta) => self.write(false, &delta.text),
            EventKind::Thinking(thinking) if thinking.parent.is_none() => self.write(true, &thinking.text),
            EventKind::Message(message) if message.parent.is_none() => self.whole(&message.content),
            EventKind::Tool(tool) => self.tool(tool),
            EventKind::Retry(retry) => self.retry(retry, &event.kind),
            EventKind::Thinking(_) | EventKind::Message(_) | EventKind::ToolInput(_) | EventKind::Usage(_) => {}
            EventKind::Compacted(_) | EventKind::AttachmentRemoved(_) | EventKind::Notice(_) | EventKind::File(_) => {
                self.data(&event.kind);
            }
            EventKind::Action(action) => self.ask(action, &event.kind),
            EventKind::ActionResolved(resolved) => self.resolve(resolved, &event.kind),
            EventKind::Paused(paused) => {
                let metadata = Metadata::begun(&paused.turn_id, &paused.session_id, paused.status).json();
                self.pause(&metadata);
            }
            EventKind::Ended(turn) => self.end(turn),
        }
        if !matches!(event.kind, EventKind::Turn { .. } | EventKind::Paused(_) | EventKind::Ended(_)) {
            self.forget_unheard();
        }
        std::mem::take(&mut self.out)
    }

    /// Leaves out what the client has.
    fn forget_unheard(&mut self) {
        if self.unheard.is_some() {
            self.out.clear();
        }
    }

    /// The end of a stream that lost sight of its turn.
    fn cut(&mut self) -> String {
        self.close();
        self.forget_unheard();
        self.chunk("error", &[("errorText", Field::Text(CUT))]);
        self.stage = Stage::Ended;
        std::mem::take(&mut self.out)
    }

    /// `start`, then where the turn stands, which is no part of the message.
    fn stands(&mut self, turn_id: &TurnId, metadata: &str, status: TurnStatus, position: usize) {
        if self.stage == Stage::Unknown {
            self.stage = Stage::Begun;
            self.chunk(
                "start",
                &[("messageId", Field::Text(turn_id.as_str())), ("messageMetadata", Field::Json(metadata))],
            );
            if self.unheard == Some(0) {
                self.unheard = None;
                self.chunk("reset-step", &[]);
            }
        }
        let position = position.to_string();
        let data = ["{\"status\":\"", status.as_str(), "\",\"position\":", &position, "}"].concat();
        self.chunk("data-turn", &[("data", Field::Json(&data)), ("transient", Field::Json("true"))]);
    }

    /// A piece of text, or of thinking.
    fn write(&mut self, is_thinking: bool, piece: &str) {
        let goes_on =
            matches!((&self.open, is_thinking), (Some(Open::Reasoning(_)), true) | (Some(Open::Text(_)), false));
        if !goes_on {
            self.go_on();
            self.begin_part();
            self.parts += 1;
            self.open = Some(if is_thinking { Open::Reasoning(String::new()) } else { Open::Text(String::new()) });
            self.of_part("-start", None);
        }
        self.of_part("-delta", Some(piece));
        if let Some(Open::Text(sent) | Open::Reasoning(sent)) = &mut self.open {
            sent.push_str(piece);
        }
        self.has_spoken |= !is_thinking;
    }

    /// A block of text, whose pieces were sent, or some of them, or none.
    fn whole(&mut self, content: &str) {
        let rest = match &self.open {
            Some(Open::Text(sent)) => content.strip_prefix(sent.as_str()),
            _ => Some(content),
        };
        match rest {
            Some("") => {}
            Some(rest) => self.write(false, rest),
            // Pieces are missing that nobody keeps any more.
            None => {
                self.start_over();
                self.write(false, content);
            }
        }
        self.close();
    }

    fn retry(&mut self, retry: &Retry, event: &EventKind) {
        if retry.retracted {
            self.start_over();
        }
        if let Some((_, data)) = event.data(Include::NOTHING) {
            self.chunk("data-retry", &[("data", Field::Json(&data)), ("transient", Field::Json("true"))]);
        }
    }

    /// Takes back what of the step is not whole.
    fn start_over(&mut self) {
        self.open = None;
        if self.in_step {
            self.chunk("reset-step", &[]);
            self.out.extend(self.kept.iter().map(|kept| kept.text.as_str()));
        }
    }

    /// An event that is a part by itself, under the event's own name.
    fn data(&mut self, event: &EventKind) {
        let Some((name, data)) = event.data(Include::NOTHING) else { return };
        self.close();
        self.part(&data_name(name), &[("data", Field::Json(&data))]);
    }

    /// The end of a stream whose turn waits for somebody, and goes on later.
    fn pause(&mut self, metadata: &str) {
        self.stage = Stage::Ended;
        self.close();
        self.hide();
        self.end_step();
        self.forget_unheard();
        let metadata = ("messageMetadata", Field::Json(metadata));
        self.chunk("finish", &[("finishReason", Field::Text("tool-calls")), metadata]);
        self.out.push_str(DONE);
    }

    fn end(&mut self, turn: &Turn) {
        self.stage = Stage::Ended;
        let failed = outcome(turn).err();
        if failed.is_none() && !self.has_spoken {
            self.whole(turn.response.as_deref().unwrap_or_default());
        }
        self.close();
        let stopped: Vec<String> = self.calls.without_end().map(str::to_owned).collect();
        for id in stopped {
            self.chunk("tool-output-error", &[("toolCallId", Field::Text(&id)), ("errorText", Field::Text(STOPPED))]);
        }
        self.end_step();
        self.forget_unheard();
        let request_id = self.request_id.clone();
        let metadata = Metadata::of(turn, failed.as_ref().map(|error| (error, &request_id))).json();
        let metadata = ("messageMetadata", Field::Json(&metadata));
        match &failed {
            None => {
                let reason = match turn.stop_reason.as_deref() {
                    Some("max_tokens") => "length",
                    Some("refusal") => "content-filter",
                    _ => "stop",
                };
                self.chunk("finish", &[("finishReason", Field::Text(reason)), metadata]);
            }
            // Some clients send by themselves when an answer has ended, but not after this word.
            Some(error) if turn.status == TurnStatus::Cancelled => {
                self.chunk("abort", &[("reason", Field::Text(&error.detail))]);
                self.chunk("finish", &[("finishReason", Field::Text("interrupted")), metadata]);
            }
            Some(error) => {
                self.chunk("message-metadata", &[metadata]);
                self.chunk("error", &[("errorText", Field::Text(&error.detail))]);
            }
        }
        self.out.push_str(DONE);
    }

    /// Ends the part before the next one, and begins a step if none is open.
    fn begin_part(&mut self) {
        self.close();
        if self.in_step {
            return;
        }
        self.in_step = true;
        self.kept.clear();
        self.unheard = self.unheard.map(|steps| steps.saturating_sub(1));
        if self.unheard == Some(0) {
            // The client has this step, or a part of it: it is told again.
            self.unheard = None;
            self.out.clear();
            self.chunk("reset-step", &[]);
        } else {
            self.chunk("start-step", &[]);
        }
    }

    fn end_step(&mut self) {
        if self.in_step {
            self.in_step = false;
            self.chunk("finish-step", &[]);
        }
    }

    /// Ends the part that is being written; it is whole.
    fn close(&mut self) {
        let Some(open) = &self.open else { return };
        let (Open::Text(sent) | Open::Reasoning(sent)) = open;
        let whole = sent.clone();
        self.of_part("-end", None);
        // The same part again, in one piece.
        let before = std::mem::take(&mut self.out);
        self.of_part("-start", None);
        self.of_part("-delta", Some(&whole));
        self.of_part("-end", None);
        let text = std::mem::replace(&mut self.out, before);
        self.kept.push(Kept { call: None, text });
        self.open = None;
    }

    /// A chunk of the part that is being written.
    fn of_part(&mut self, what: &str, delta: Option<&str>) {
        let kind = if matches!(self.open, Some(Open::Reasoning(_))) { "reasoning" } else { "text" };
        let id = self.parts.to_string();
        let id = ("id", Field::Text(&id));
        let kind = [kind, what].concat();
        match delta {
            Some(delta) => self.chunk(&kind, &[id, ("delta", Field::Text(delta))]),
            None => self.chunk(&kind, &[id]),
        }
    }

    /// A chunk that stays if the model starts over.
    fn part(&mut self, kind: &str, fields: &[(&str, Field<'_>)]) {
        self.keep(None, |encoder| encoder.chunk(kind, fields));
    }

    /// Keeps what is written, for a call or without one.
    fn keep(&mut self, call: Option<&str>, write: impl FnOnce(&mut Self)) {
        let before = self.out.len();
        write(self);
        let text = self.out.get(before..).unwrap_or_default().to_owned();
        self.kept.push(Kept { call: call.map(str::to_owned), text });
    }

    fn chunk(&mut self, kind: &str, fields: &[(&str, Field<'_>)]) {
        self.out.push_str("data: ");
        write(&mut self.out, kind, fields);
        self.out.push_str("\n\n");
    }
}

#[cfg(test)]
mod tests;
