//! Finds `model` and `usage` of a JSON object, at its top level, as its bytes pass. Holds these two and nothing else of it.

use std::mem;

/// Longest value that is kept, in bytes of JSON. A `usage` has a few hundred.
const MAX_VALUE_BYTES: usize = 64 * 1024;
/// Longest name that is told from others.
const MAX_NAME_BYTES: usize = 16;

/// Reads one object. It does not check that it is JSON.
#[derive(Debug, Default)]
pub struct Members {
    /// The JSON of the two, as far as they have passed.
    pub model: Option<Vec<u8>>,
    /// See `model`.
    pub usage: Option<Vec<u8>>,
    depth: u32,
    string: Option<Escape>,
    /// The name of the member that is being read, then its value.
    text: Vec<u8>,
    keeps: Keeps,
}

/// Whether the byte before, within a string, was a backslash that escapes this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Keeps {
    #[default]
    Nothing,
    Name,
    Model,
    Usage,
}

impl Members {
    /// Reads the next piece.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match self.string {
                Some(Escape::Yes) => {
                    self.keep(byte);
                    self.string = Some(Escape::No);
                }
                Some(Escape::No) => {
                    self.keep(byte);
                    match byte {
                        b'\\' => self.string = Some(Escape::Yes),
                        b'"' => self.string = None,
                        _ if self.keeps == Keeps::Nothing => {
                            // Most of an answer is in here.
                            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                            rest = rest.get(end..).unwrap_or_default();
                        }
                        _ => {}
                    }
                }
                None => self.outside(byte),
            }
        }
    }

    fn outside(&mut self, byte: u8) {
        match byte {
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    return self.value_ended();
                }
            }
            b',' if self.depth == 1 => {
                self.value_ended();
                self.keeps = Keeps::Name;
                return;
            }
            b':' if self.depth == 1 => {
                self.keeps = match self.text.trim_ascii() {
                    b"\"model\"" => Keeps::Model,
                    b"\"usage\"" => Keeps::Usage,
                    _ => Keeps::Nothing,
                };
                self.text.clear();
                return;
            }
            _ => {}
        }
        self.keep(byte);
        match byte {
            b'"' => self.string = Some(Escape::No),
            b'{' | b'[' => {
                self.depth = self.depth.saturating_add(1);
                if self.depth == 1 {
                    self.text.clear();
                    self.keeps = Keeps::Name;
                }
            }
            _ => {}
        }
    }

    fn keep(&mut self, byte: u8) {
        let most = match self.keeps {
            Keeps::Nothing => return,
            Keeps::Name => MAX_NAME_BYTES,
            Keeps::Model | Keeps::Usage => MAX_VALUE_BYTES,
        };
        if self.text.len() < most {
            self.text.push(byte);
        } else {
            // What is cut is not the value, nor a name that is looked for.
            self.text.clear();
            self.keeps = Keeps::Nothing;
        }
    }

    fn value_ended(&mut self) {
        match self.keeps {
            Keeps::Model => self.model = Some(mem::take(&mut self.text)),
            Keeps::Usage => self.usage = Some(mem::take(&mut self.text)),
            Keeps::Nothing | Keeps::Name => {}
        }
        self.text.clear();
        self.keeps = Keeps::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, size: usize) -> (String, String) {
        let mut members = Members::default();
        json.as_bytes().chunks(size).for_each(|piece| members.feed(piece));
        let text = |value: Option<Vec<u8>>| String::from_utf8(value.unwrap_or_default()).unwrap().trim().to_owned();
        (text(members.model), text(members.usage))
    }

    #[test]
    fn the_two_members_are_found_at_the_top_alone_however_the_bytes_arrive() {
        let json = r#" {"id":"\"usage\":{","content":[{"usage":{"a":1},"model":"x","t":"\\"},"usage"], "usage" : {"a":[1,{"b":"}"}], "c":2} ,"model":"m","more":{"model":3}} "#;
        for size in 1..=json.len() {
            let found = read(json, size);
            assert_eq!(found, ("\"m\"".to_owned(), r#"{"a":[1,{"b":"}"}], "c":2}"#.to_owned()), "{size}");
        }
        assert_eq!(read(r#"{"usage":{"a":1},"model":"m"}"#, 7), ("\"m\"".to_owned(), r#"{"a":1}"#.to_owned()));
    }

    #[test]
    fn what_is_no_object_or_too_long_tells_nothing_and_takes_no_memory() {
        let long = format!(r#"{{"usage":"{}"}}"#, "a".repeat(MAX_VALUE_BYTES));
        for json in ["", "[]", "}}},,,:::", r#""usage":1"#, r#"["usage",{"usage":1}]"#, r#"{"usage":{"a":1"#, &long] {
            assert_eq!(read(json, 5), (String::new(), String::new()), "{}", json.len());
        }
        let mut members = Members::default();
        members.feed(br#"{"content":""#);
        for _ in 0..100 {
            members.feed(&vec![b'a'; MAX_VALUE_BYTES]);
        }
        assert!(members.text.capacity() <= 2 * MAX_NAME_BYTES);
        members.feed(br#"","usage":{"a":1}}"#);
        assert_eq!(members.usage, Some(br#"{"a":1}"#.to_vec()));
    }
}
