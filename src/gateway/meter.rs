//! What an answer of the model cost, read off as it passes: the `usage` of a stream's `message_start` and `message_delta`, or of a JSON body.
//! The agent cannot forge it. An answer that does not tell its usage to the end, because it broke off or its reader left, counts by an estimate
//! that is not below what it cost. Holds at most one line of the answer.

use std::mem;

use serde_json::Value;

use super::members::Members;
use crate::config::policy::MAX_MODEL_BYTES;
use crate::domain::Usage;
use crate::domain::price::Extras;

/// Longest line of a stream that is looked at. `message_start` and `message_delta` are a few hundred bytes.
const MAX_LINE_BYTES: usize = 256 * 1024;
/// More tokens than this are not one answer's: what is told beyond it is not believed.
const MAX_TOKENS: u64 = 1_000_000_000;
/// Of what is estimated, a token for so many bytes: English has four a token, code three.
pub const BYTES_A_TOKEN: u64 = 2;
/// Most tokens that are estimated, in each direction: what most models' context holds.
pub const MAX_ESTIMATED_TOKENS: u64 = 200_000;
/// A content block begins with so many bytes that are none of the model's words.
const BLOCK_START_BYTES: usize = 256;
/// So many tokens a second a model may think without showing them.
pub const THOUGHT_TOKENS_A_SECOND: u64 = 100;

/// What an answer told of itself, or what it counts for if it did not tell all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metered {
    /// The model that answered.
    pub model: Option<String>,
    /// Its tokens. Their price is not known here.
    pub usage: Usage,
    /// What else it used.
    pub extras: Extras,
    /// Some of these numbers are estimates.
    pub is_estimated: bool,
}

/// The call of which an answer is, as far as an estimate needs it.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// The bytes of its body; none if they are not known.
    pub bytes: Option<u64>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Reads one answer.
#[derive(Default)]
pub struct Meter {
    /// None: the answer is a stream.
    json: Option<Members>,
    /// The line that is being read.
    line: Vec<u8>,
    reads: Reads,
    told: Metered,
    seen: Seen,
    /// The bytes of what the model said, as far as it is shown.
    said_bytes: u64,
    /// The searches that the model asked for.
    searches: u64,
    /// The model thinks, and has not shown what.
    thinks: bool,
}

/// How much of a line is kept.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Reads {
    #[default]
    All,
    /// It is too long, and only counted.
    Bytes,
    /// It is no event's data.
    Nothing,
}

/// What an answer has told so far.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Seen {
    #[default]
    Nothing,
    /// What was sent, and which model answers.
    Start,
    /// The API fails, before it has answered anything.
    Failure,
    /// All that was used.
    All,
}

impl Meter {
    /// Reads an answer of this media type.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        let is_stream = content_type.starts_with("text/event-stream");
        Self { json: (!is_stream).then(Members::default), ..Self::default() }
    }

    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        if let Some(members) = &mut self.json {
            members.feed(piece);
            return self.said(piece.len());
        }
        let mut lines = piece.split(|byte| *byte == b'\n');
        // What follows the last line feed is the beginning of a line.
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.keep(line);
            self.line_ended();
        }
        self.keep(rest);
    }

    /// Nothing follows.
    #[must_use]
    pub fn end(mut self, asked: Asked) -> Metered {
        if let Some(members) = self.json.take() {
            let read = |json: Option<Vec<u8>>| json.as_deref().and_then(read);
            let (model, usage) = (read(members.model), read(members.usage));
            self.model(model.as_ref());
            if self.tokens(usage.as_ref()) {
                self.seen = Seen::All;
            }
        } else {
            self.line_ended();
        }
        if matches!(self.seen, Seen::Nothing | Seen::Start) {
            self.estimate(asked);
        }
        self.told
    }

    fn estimate(&mut self, asked: Asked) {
        let Metered { usage, extras, is_estimated, .. } = &mut self.told;
        *is_estimated = true;
        let tokens = |bytes: u64| bytes.div_ceil(BYTES_A_TOKEN);
        let thought = if self.thinks { asked.took_ms.div_ceil(1_000) * THOUGHT_TOKENS_A_SECOND } else { 0 };
        let said = tokens(self.said_bytes).saturating_add(thought).min(MAX_ESTIMATED_TOKENS);
        usage.output_tokens = usage.output_tokens.max(said);
        extras.web_searches = extras.web_searches.max(self.searches);
        if self.seen == Seen::Nothing {
            usage.input_tokens =
                asked.bytes.map_or(MAX_ESTIMATED_TOKENS, |bytes| tokens(bytes).min(MAX_ESTIMATED_TOKENS));
        }
    }

    fn said(&mut self, bytes: usize) {
        self.said_bytes = self.said_bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.line.is_empty() && self.reads == Reads::All && is_of_no_interest(bytes) {
            self.reads = Reads::Nothing;
        }
        if self.reads == Reads::All && self.line.len() + bytes.len() > MAX_LINE_BYTES {
            self.reads = Reads::Bytes;
            self.said(self.line.len());
            self.line.clear();
        }
        match self.reads {
            Reads::All => self.line.extend_from_slice(bytes),
            Reads::Bytes => self.said(bytes.len()),
            Reads::Nothing => {}
        }
    }

    fn line_ended(&mut self) {
        let mut line = mem::take(&mut self.line);
        if let Some(data) = line.strip_prefix(b"data:") {
            self.event(data.trim_ascii());
        }
        line.clear();
        self.line = line;
        self.reads = Reads::All;
    }

    fn event(&mut self, data: &[u8]) {
        let (kind, rest) = kind_of(data);
        match kind {
            b"content_block_delta" => self.said(words_of(rest)),
            b"content_block_start" => {
                self.thinks = holds(rest, b"\"thinking\"");
                self.searches += u64::from(holds(rest, b"\"server_tool_use\""));
                self.said(data.len().saturating_sub(BLOCK_START_BYTES));
            }
            b"content_block_stop" => self.thinks = false,
            b"message_stop" | b"ping" => {}
            b"error" => {
                if self.seen == Seen::Nothing && self.said_bytes == 0 {
                    self.seen = Seen::Failure;
                }
            }
            _ => match Some(data).filter(|data| holds(data, b"\"usage\"")).and_then(read) {
                Some(event) => self.usage_event(&event),
                None => self.said(data.len()),
            },
        }
    }

    fn usage_event(&mut self, event: &Value) {
        if let Some(message) = event.get("message") {
            self.model(message.get("model"));
            if self.tokens(message.get("usage")) && self.seen != Seen::All {
                self.seen = Seen::Start;
            }
        }
        if self.tokens(event.get("usage")) {
            self.seen = Seen::All;
        }
    }

    fn model(&mut self, model: Option<&Value>) {
        let model = model.and_then(Value::as_str).filter(|model| model.len() <= MAX_MODEL_BYTES);
        self.told.model = model.map(str::to_owned).or(self.told.model.take());
    }

    /// Takes a `usage`. Numbers are of the whole answer so far: later ones take the place of earlier ones. Whether it is one.
    fn tokens(&mut self, told: Option<&Value>) -> bool {
        let Some(told) = told.filter(|told| told.is_object()) else { return false };
        let number = |of: &Value, name| of.get(name).and_then(Value::as_u64).map(|told| told.min(MAX_TOKENS));
        // Where the API has asked the model several times, for instance to compact, some numbers are of its last answer alone.
        let iterations = told.get("iterations").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (usage, extras) = (&mut self.told.usage, &mut self.told.extras);
        for (name, known) in [
            ("input_tokens", &mut usage.input_tokens),
            ("output_tokens", &mut usage.output_tokens),
            ("cache_read_input_tokens", &mut usage.cache_read_input_tokens),
            ("cache_creation_input_tokens", &mut usage.cache_creation_input_tokens),
        ] {
            let sum = iterations.iter().filter_map(|iteration| number(iteration, name)).fold(0, u64::saturating_add);
            *known = number(told, name).unwrap_or(*known).max(sum.min(MAX_TOKENS));
        }
        let within = |group, name, known| told.get(group).and_then(|group| number(group, name)).unwrap_or(known);
        extras.cache_write_1h_tokens =
            within("cache_creation", "ephemeral_1h_input_tokens", extras.cache_write_1h_tokens);
        extras.web_searches = within("server_tool_use", "web_search_requests", extras.web_searches);
        let word = |name| told.get(name).and_then(Value::as_str);
        extras.fast |= word("speed").is_some_and(|speed| speed != "standard");
        extras.us_only |= word("inference_geo") == Some("us");
        true
    }
}

fn read(json: &[u8]) -> Option<Value> {
    serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
}

/// The `type` of an event, if it comes first, and what follows it.
fn kind_of(data: &[u8]) -> (&[u8], &[u8]) {
    let steps: [&[u8]; 4] = [b"{", b"\"type\"", b":", b"\""];
    let rest = steps.iter().try_fold(data, |data, step| data.trim_ascii_start().strip_prefix(*step));
    let split = rest.and_then(|rest| Some((rest, rest.iter().position(|byte| *byte == b'"')?)));
    split.and_then(|(rest, end)| rest.split_at_checked(end)).unwrap_or((b"", data))
}

/// How many bytes the value of a delta has: what stands behind its type, or all of it if that is not to be found.
fn words_of(delta: &[u8]) -> usize {
    const TYPE: &[u8] = b"_delta\"";
    let behind = delta.windows(TYPE.len()).position(|window| window == TYPE).and_then(|at| delta.get(at..));
    let value = behind.and_then(|rest| rest.get(rest.iter().position(|byte| *byte == b':')? + 1..));
    let value = value.unwrap_or(delta).trim_ascii();
    let value = value.strip_prefix(b"\"").unwrap_or(value);
    value.iter().rposition(|byte| *byte == b'"').unwrap_or(value.len())
}

/// Whether a line that begins like this is not an event's data: most are `event:` lines and empty ones.
fn is_of_no_interest(bytes: &[u8]) -> bool {
    const DATA: &[u8] = b"data:";
    !bytes.is_empty() && !bytes.iter().zip(DATA).all(|(byte, of)| byte == of)
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests;
