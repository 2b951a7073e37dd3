//! Entries of a transcript on their way from the container to storage: whole, or in parts, and never more of them in memory than their
//! bytes. What is stored is what a container gets back: `{subpath, entry}`, a line each.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use thiserror::Error;

/// Most entries of one `transcript` frame.
pub const MAX_FRAME_ENTRIES: usize = 10_000;
/// Longest text of one `transcript_part` frame, in bytes.
pub const MAX_PART_BYTES: usize = 1024 * 1024;
/// Longest entry of a transcript that comes in parts, in bytes.
pub const MAX_ENTRY_BYTES: usize = 12 * 1024 * 1024;
/// Longest name of a subagent's transcript, in bytes: it is stored with each of its entries.
const MAX_SUBPATH_BYTES: usize = 512;

/// See `FrameBody::Transcript`.
#[derive(Debug, Deserialize)]
pub struct Transcript {
    /// A subagent's own transcript, or the main one.
    #[serde(default)]
    pub subpath: Option<String>,
    /// The array of the entries, byte for byte: a list of them would take many times its bytes.
    pub entries: Box<RawValue>,
}

/// See `FrameBody::TranscriptPart`. The parts of an entry follow each other; other kinds of frames may come between them.
#[derive(Debug, Deserialize)]
pub struct TranscriptPart {
    /// A subagent's own transcript, or the main one.
    #[serde(default)]
    pub subpath: Option<String>,
    /// The next piece of the entry's JSON, on one line.
    pub text: String,
    /// Whether the entry is whole.
    pub last: bool,
}

impl TranscriptPart {
    /// Whether it is a piece of a line.
    ///
    /// # Errors
    /// [`BadTranscript`] if it is too long, or ends the line.
    pub fn check(&self) -> Result<(), BadTranscript> {
        if self.text.len() > MAX_PART_BYTES || self.text.contains(['\n', '\r']) {
            return Err(BadTranscript("a part is no piece of a line"));
        }
        Ok(())
    }
}

/// A transcript that is not what it must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("transcript: {0}")]
pub struct BadTranscript(pub &'static str);

impl Transcript {
    /// Appends the entries in the form in which they are stored and go back to a container: `{subpath, entry}`, a line each.
    ///
    /// # Errors
    /// [`BadTranscript`], and then nothing was appended.
    pub fn write_lines(&self, lines: &mut String) -> Result<(), BadTranscript> {
        let before = lines.len();
        let mut head = String::new();
        Self::begin_line(self.subpath.as_deref(), &mut head)?;
        let mut reader = serde_json::Deserializer::from_str(self.entries.get());
        reader.deserialize_seq(Entries { head: &head, lines: &mut *lines }).map_err(|_| {
            lines.truncate(before);
            BadTranscript("its entries are not a list of objects, or too many")
        })
    }

    /// Appends what stands before an entry.
    ///
    /// # Errors
    /// [`BadTranscript`] if the subagent's name is too long.
    pub fn begin_line(subpath: Option<&str>, line: &mut String) -> Result<(), BadTranscript> {
        if subpath.is_some_and(|subpath| subpath.len() > MAX_SUBPATH_BYTES) {
            return Err(BadTranscript("its subpath is too long"));
        }
        line.push_str("{\"subpath\":");
        line.push_str(&serde_json::to_string(&subpath).unwrap_or_else(|_| "null".to_owned()));
        line.push_str(",\"entry\":");
        Ok(())
    }

    /// Appends what stands behind an entry.
    pub fn end_line(line: &mut String) {
        line.push_str("}\n");
    }

    /// Whether a text is an entry.
    ///
    /// # Errors
    /// [`BadTranscript`] if it is no JSON object.
    pub fn check_entry(text: &str) -> Result<(), BadTranscript> {
        match serde_json::from_str::<&RawValue>(text) {
            Ok(_) if text.starts_with('{') => Ok(()),
            _ => Err(BadTranscript("an entry is no object")),
        }
    }
}

struct Entries<'a> {
    head: &'a str,
    lines: &'a mut String,
}

impl<'de> Visitor<'de> for Entries<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(entry) = entries.next_element::<&'de RawValue>()? {
            count += 1;
            if count > MAX_FRAME_ENTRIES || !entry.get().starts_with('{') {
                return Err(A::Error::custom("entry"));
            }
            self.lines.push_str(self.head);
            // A carriage return can only stand between two tokens, where a space says the same.
            self.lines
                .extend(entry.get().split('\r').enumerate().flat_map(|(i, part)| [if i > 0 { " " } else { "" }, part]));
            Transcript::end_line(self.lines);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(entries: &str) -> Result<String, BadTranscript> {
        let transcript: Transcript =
            serde_json::from_str(&format!("{{\"subpath\":\"s\",\"entries\":{entries}}}")).unwrap();
        let mut lines = "before\n".to_owned();
        let outcome = transcript.write_lines(&mut lines);
        assert!(outcome.is_ok() || lines == "before\n", "what is refused leaves nothing");
        outcome.map(|()| lines)
    }

    #[test]
    fn entries_stay_as_they_are() {
        let written =
            "before\n{\"subpath\":\"s\",\"entry\":{\"b\":1.0, \"a\":\"\\u00e9\"}}\n{\"subpath\":\"s\",\"entry\":{}}\n";
        assert_eq!(lines(r#"[{"b":1.0, "a":"\u00e9"}, {} ]"#).unwrap(), written);
        assert_eq!(lines("[]").unwrap(), "before\n");
    }

    #[test]
    fn an_entry_stays_on_its_line() {
        assert_eq!(lines("[{\r\"a\":\r1}]").unwrap(), "before\n{\"subpath\":\"s\",\"entry\":{ \"a\": 1}}\n");
    }

    #[test]
    fn what_is_no_list_of_objects_is_refused() {
        for bad in ["{}", "null", "\"x\"", "[{},1]", "[[]]", "[null]"] {
            assert!(lines(bad).is_err(), "{bad}");
        }
        let many = |count: usize| format!("[{}]", vec!["{}"; count].join(","));
        assert!(lines(&many(MAX_FRAME_ENTRIES)).is_ok());
        assert!(lines(&many(MAX_FRAME_ENTRIES + 1)).is_err());
    }

    #[test]
    fn a_part_is_a_piece_of_a_line() {
        let part = |text: &str| {
            let text = serde_json::to_string(text).unwrap();
            serde_json::from_str::<TranscriptPart>(&format!("{{\"text\":{text},\"last\":false}}")).unwrap().check()
        };
        assert!(part(&"x".repeat(MAX_PART_BYTES)).is_ok());
        assert!(part(&"x".repeat(MAX_PART_BYTES + 1)).is_err());
        assert!(part("a\nb").is_err() && part("a\rb").is_err());
    }
}
