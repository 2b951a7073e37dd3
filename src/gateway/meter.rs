//! What an answer of the model cost, read off as it passes: the `usage` of a stream's `message_start` and `message_delta`, or of a JSON body.
//! The agent cannot forge it. Holds at most one line of the answer.

use serde_json::Value;

use crate::config::policy::MAX_MODEL_BYTES;
use crate::domain::Usage;

/// Longest line of a stream, and longest JSON body, that is looked at. `message_start` and `message_delta` are a few hundred bytes.
const MAX_TEXT_BYTES: usize = 256 * 1024;
/// More tokens than this are not one answer's: what is told beyond it is not believed.
const MAX_TOKENS: u64 = 1_000_000_000;

/// What an answer told of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metered {
    /// The model that answered.
    pub model: Option<String>,
    /// Its tokens. Their price is not known here.
    pub usage: Usage,
}

/// Reads one answer.
#[derive(Default)]
pub struct Meter {
    stream: bool,
    text: Vec<u8>,
    skip: bool,
    told: Metered,
}

impl Meter {
    /// Reads an answer of this media type.
    #[must_use]
    pub fn new(content_type: &str) -> Self {
        Self { stream: content_type.starts_with("text/event-stream"), ..Self::default() }
    }

    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        if !self.stream {
            return self.keep(piece);
        }
        let mut lines = piece.split(|byte| *byte == b'\n');
        // What follows the last line feed is the beginning of a line.
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.keep(line);
            self.line();
        }
        self.keep(rest);
    }

    /// Nothing follows.
    #[must_use]
    pub fn end(mut self) -> Metered {
        if self.stream {
            self.line();
        } else if let Some(message) = read(&self.text) {
            self.message(&message);
        }
        self.told
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.skip |= self.text.len() + bytes.len() > MAX_TEXT_BYTES
            || (self.text.is_empty() && self.stream && is_of_no_interest(bytes));
        if self.skip {
            self.text.clear();
        } else {
            self.text.extend_from_slice(bytes);
        }
    }

    fn line(&mut self) {
        let data = self.text.strip_prefix(b"data:").filter(|data| holds(data, b"\"usage\""));
        if let Some(event) = data.and_then(read) {
            self.message(event.get("message").unwrap_or(&Value::Null));
            self.tokens(&event);
        }
        self.text.clear();
        self.skip = false;
    }

    fn message(&mut self, message: &Value) {
        let model = message.get("model").and_then(Value::as_str).filter(|model| model.len() <= MAX_MODEL_BYTES);
        self.told.model = model.map(str::to_owned).or(self.told.model.take());
        self.tokens(message);
    }

    /// Numbers are of the whole answer so far: later ones take the place of earlier ones.
    fn tokens(&mut self, of: &Value) {
        let Some(told) = of.get("usage") else { return };
        let usage = &mut self.told.usage;
        for (name, known) in [
            ("input_tokens", &mut usage.input_tokens),
            ("output_tokens", &mut usage.output_tokens),
            ("cache_read_input_tokens", &mut usage.cache_read_input_tokens),
            ("cache_creation_input_tokens", &mut usage.cache_creation_input_tokens),
        ] {
            *known = told.get(name).and_then(Value::as_u64).map_or(*known, |told| told.min(MAX_TOKENS));
        }
    }
}

fn read(json: &[u8]) -> Option<Value> {
    serde_json::from_str(std::str::from_utf8(json).ok()?).ok()
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
mod tests {
    use super::*;

    const STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}\n\n\
        event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"{\\\"usage\\\":{\\\"output_tokens\\\":999}}\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":42}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    fn told(content_type: &str, text: &str, size: usize) -> Metered {
        let mut meter = Meter::new(content_type);
        text.as_bytes().chunks(size).for_each(|piece| meter.feed(piece));
        meter.end()
    }

    fn usage(input_tokens: u64, output_tokens: u64, cache_read_input_tokens: u64) -> Usage {
        Usage { input_tokens, output_tokens, cache_read_input_tokens, ..Usage::default() }
    }

    #[test]
    fn a_stream_is_read_however_its_bytes_arrive() {
        for size in 1..STREAM.len() {
            let metered = told("text/event-stream; charset=utf-8", STREAM, size);
            assert_eq!(metered, Metered { model: Some("claude-x".to_owned()), usage: usage(3, 42, 7) }, "{size}");
        }
    }

    #[test]
    fn a_stream_that_breaks_off_has_cost_what_it_told() {
        let cut = STREAM.split("event: message_delta").next().unwrap();
        assert_eq!(told("text/event-stream", cut, 50).usage, usage(3, 1, 7));
    }

    #[test]
    fn a_json_answer_is_read_whole() {
        let body = r#"{"type":"message","model":"claude-x","usage":{"input_tokens":5,"output_tokens":6}}"#;
        assert_eq!(
            told("application/json", body, 9),
            Metered { model: Some("claude-x".to_owned()), usage: usage(5, 6, 0) }
        );
    }

    #[test]
    fn nonsense_costs_nothing_and_takes_no_memory() {
        for text in ["data: {\"usage\":\n", "data:\n\n\n", "\u{0}", "data: {\"usage\":{\"input_tokens\":-1}}\n"] {
            assert_eq!(told("text/event-stream", text, 3), Metered::default());
        }
        let mut meter = Meter::new("text/event-stream");
        for _ in 0..100 {
            meter.feed(&vec![b'd'; 64 * 1024]);
            assert!(meter.text.len() <= MAX_TEXT_BYTES);
        }
        let most = format!("data: {{\"usage\":{{\"output_tokens\":{}}}}}\n", u64::MAX);
        assert_eq!(told("text/event-stream", &most, 9).usage.output_tokens, MAX_TOKENS);
    }
}
