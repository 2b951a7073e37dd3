//! What a test writes for a scripted container: what its turns do, and what becomes of its calls.

use std::time::Duration;

use serde_json::{Value, json};

/// What a turn does in the container, one after the other.
#[derive(Debug, Clone)]
pub enum Step {
    /// A frame without its number.
    Frame(Value),
    /// A line as it is, without its newline; `N` stands for its number.
    Line(String),
    Wait(Duration),
    /// A file is written into the turn's folder, or deleted there.
    Write(String, Option<Vec<u8>>),
    /// Whoever reads the turn's frames is cut off.
    Cut,
    /// Calls of which somebody is asked whether they may run, all at once.
    Ask(Vec<String>),
    /// The queries that were offered to the turn are taken in.
    TakeIn,
    /// The same, and the turn says so with its result.
    TakeInUntold,
    /// The container dies. The platform says so, or goes on saying that it runs.
    Die {
        noticed: bool,
    },
}

/// What the next turn in the container does, and how long it takes to end once it is asked to.
#[derive(Debug, Clone)]
pub struct Script {
    pub steps: Vec<Step>,
    /// None: only the end of its process ends it.
    pub ends_within: Option<Duration>,
}

impl Script {
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: steps.into_iter().collect(), ends_within: Some(Duration::from_millis(5)) }
    }

    /// `started`, an entry of the transcript, an answer.
    pub fn answer(text: &str) -> Self {
        Self::new([entry("said"), result(text)].map(Step::Frame))
    }

    /// One that writes files and answers.
    pub fn writes(files: &[(&str, &str)]) -> Self {
        let write = |(path, text): &(&str, &str)| Step::Write((*path).to_owned(), Some(text.as_bytes().to_vec()));
        let answer = [entry("said"), result("done")].map(Step::Frame);
        Self::new(files.iter().map(write).chain(answer))
    }

    /// One that works until it is ended.
    pub fn endless() -> Self {
        Self::new([Step::Frame(entry("said")), Step::Wait(Duration::from_hours(9))])
    }

    /// The same, and deaf to the server's word.
    pub fn deaf() -> Self {
        Self { ends_within: None, ..Self::endless() }
    }
}

pub fn entry(text: &str) -> Value {
    json!({ "type": "transcript", "entries": [{ "type": "user", "text": text }] })
}

pub fn result(text: &str) -> Value {
    let usage = json!({ "input_tokens": 3, "output_tokens": 1 });
    json!({ "type": "result", "status": "completed", "text": text, "model": "m", "usage": usage, "num_turns": 1 })
}

/// What becomes of a call instead of what should.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// It does not arrive.
    Fail,
    /// It is carried out and its answer is lost.
    LoseAnswer,
    Delay(Duration),
    /// It is refused with a status, and a code or a whole body.
    Refuse(u16, &'static str),
}

/// Whether the server has a feature, and whether the next one has it that boots.
#[derive(Default, Clone, Copy)]
pub struct Knows {
    pub now: bool,
    pub after_boot: bool,
}
