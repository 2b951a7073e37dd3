//! What a call's body may ask of the model's API, read as it passes: a model that `ALLOWED_MODELS` does not have, and, while
//! `CONTAINER_INTERNET` is off, whatever makes the API itself go to the internet. Holds the names on the way to where it reads, never the
//! body. It is not a validator: the API refuses what is no JSON; here a valid text must not mean anything else than it means there.

use std::rc::Rc;

use super::Refused;
use crate::config::Config;

/// The family of the SDK's own small model, with which it names and summarises; `ALLOWED_MODELS` does not shut it out.
const SMALL_MODEL: &str = "claude-haiku-";
/// Kinds of tools that the agent carries out itself; every other `type` is one that the model's API carries out.
const CLIENT_TOOLS: &[&str] = &["custom", "bash_", "text_editor_", "computer_", "memory_", "tool_search_"];
/// Longest text that is looked at, in bytes of JSON: longer ones are no name of anything.
const MAX_NAME_BYTES: usize = 512;
/// Deepest nesting that passes.
const MAX_DEPTH: usize = 512;

/// The members that say something, wherever they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Name {
    Model,
    McpServers,
    Tools,
    Messages,
    System,
    Content,
    Source,
    Type,
    Other,
}

/// An object or an array that is open, and the member that it is the value of; none for the whole and for what is in an array.
#[derive(Debug, Clone, Copy)]
struct Open {
    object: bool,
    member: Option<Name>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lexeme {
    None,
    Text {
        escaped: bool,
    },
    /// A number, `true`, `false` or `null`.
    Bare,
}

/// Reads one body.
pub struct BodyScan {
    config: Rc<Config>,
    open: Vec<Open>,
    lexeme: Lexeme,
    /// The text that is being read, as it is in the JSON, as far as it can be a name.
    text: Vec<u8>,
    long: bool,
    /// The next text is a member's name.
    names: bool,
    member: Option<Name>,
    models: u32,
    done: bool,
}

impl BodyScan {
    /// A scan of one body, if this configuration wants one.
    #[must_use]
    pub fn wanted(config: &Rc<Config>) -> Option<Self> {
        let wanted = !config.container_internet || !config.agent.allowed_models().is_empty();
        wanted.then(|| Self {
            config: Rc::clone(config),
            open: Vec::new(),
            lexeme: Lexeme::None,
            text: Vec::new(),
            long: false,
            names: false,
            member: None,
            models: 0,
            done: false,
        })
    }

    /// Reads the next piece.
    ///
    /// # Errors
    /// What the body asks for may not be had; nothing of this piece may go on.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Refused> {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            match self.lexeme {
                Lexeme::Text { escaped: true } => {
                    self.keep(byte);
                    self.lexeme = Lexeme::Text { escaped: false };
                }
                Lexeme::Text { escaped: false } => match byte {
                    b'"' => {
                        self.lexeme = Lexeme::None;
                        self.text_ended()?;
                    }
                    b'\\' => {
                        self.keep(byte);
                        self.lexeme = Lexeme::Text { escaped: true };
                    }
                    _ => {
                        self.keep(byte);
                        if self.long {
                            // Most of a body is in here.
                            let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(rest.len());
                            rest = rest.get(end..).unwrap_or_default();
                        }
                    }
                },
                Lexeme::Bare if !matches!(byte, b',' | b'}' | b']') && !byte.is_ascii_whitespace() => {}
                Lexeme::Bare | Lexeme::None => {
                    self.lexeme = Lexeme::None;
                    self.outside(byte)?;
                }
            }
        }
        Ok(())
    }

    /// Nothing follows.
    ///
    /// # Errors
    /// The body is not one JSON object.
    pub fn end(&self) -> Result<(), Refused> {
        if self.done { Ok(()) } else { Err(not_json()) }
    }

    fn outside(&mut self, byte: u8) -> Result<(), Refused> {
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        if self.done || (self.open.is_empty() && byte != b'{') {
            return Err(not_json());
        }
        match byte {
            b'{' | b'[' => {
                if self.open.len() == MAX_DEPTH {
                    return Err(Refused::new(400, "invalid_request_error", "The request is nested too deeply."));
                }
                self.open.push(Open { object: byte == b'{', member: self.member.take() });
                self.names = byte == b'{';
            }
            b'}' | b']' => {
                self.open.pop();
                (self.names, self.member) = (false, None);
                self.done = self.open.is_empty();
            }
            b',' => {
                self.names = self.open.last().is_some_and(|open| open.object);
                self.member = None;
            }
            b':' => {}
            b'"' => {
                self.lexeme = Lexeme::Text { escaped: false };
                self.text.clear();
                self.long = false;
            }
            _ => self.lexeme = Lexeme::Bare,
        }
        Ok(())
    }

    fn keep(&mut self, byte: u8) {
        if self.text.len() < MAX_NAME_BYTES {
            self.text.push(byte);
        } else {
            self.long = true;
        }
    }

    /// The text that has just been read, decoded; none if it is too long to be a name, or no text.
    fn text(&self) -> Option<String> {
        if self.long {
            return None;
        }
        let text = std::str::from_utf8(&self.text).ok()?;
        serde_json::from_str(&format!("\"{text}\"")).ok()
    }

    fn text_ended(&mut self) -> Result<(), Refused> {
        if !self.names {
            return self.value();
        }
        self.names = false;
        let name = match self.text().as_deref() {
            Some("model") => Name::Model,
            Some("mcp_servers") => Name::McpServers,
            Some("tools") => Name::Tools,
            Some("messages") => Name::Messages,
            Some("system") => Name::System,
            Some("content") => Name::Content,
            Some("source") => Name::Source,
            Some("type") => Name::Type,
            _ => Name::Other,
        };
        self.member = Some(name);
        if self.open.len() > 1 {
            return Ok(());
        }
        if name == Name::Model {
            self.models += 1;
            if self.models > 1 {
                return Err(Refused::new(400, "invalid_request_error", "model: named more than once"));
            }
        }
        if name == Name::McpServers && !self.config.container_internet {
            return Err(no_internet("mcp_servers"));
        }
        Ok(())
    }

    fn value(&mut self) -> Result<(), Refused> {
        let Some(member) = self.member.filter(|member| matches!(member, Name::Model | Name::Type)) else {
            return Ok(());
        };
        let path: Vec<Name> = self.open.iter().filter_map(|open| open.member).collect();
        match (path.as_slice(), member) {
            ([], Name::Model) if self.open.len() == 1 => self.model(),
            ([Name::Tools], Name::Type) if !self.config.container_internet => self.tool(),
            ([Name::Messages | Name::System, between @ .., Name::Source], Name::Type)
                if !self.config.container_internet && between.iter().all(|name| *name == Name::Content) =>
            {
                if self.text().as_deref() == Some("url") { Err(no_internet("a source of type url")) } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }

    fn model(&self) -> Result<(), Refused> {
        let model = self.text().unwrap_or_default();
        if allows(self.config.agent.allowed_models(), &model) {
            return Ok(());
        }
        Err(Refused::new(403, "permission_error", "This model is not one of ALLOWED_MODELS."))
    }

    fn tool(&self) -> Result<(), Refused> {
        let kind = self.text().unwrap_or_default();
        if CLIENT_TOOLS.iter().any(|known| kind == *known || (known.ends_with('_') && kind.starts_with(known))) {
            return Ok(());
        }
        Err(no_internet("a tool that the model's API carries out"))
    }
}

/// Whether the model's API may be asked for this model. The CLI turns an alias (`sonnet`) into a name and a name may carry its date.
fn allows(allowed: &[String], model: &str) -> bool {
    allowed.is_empty() || model.starts_with(SMALL_MODEL) || allowed.iter().any(|allowed| is_of(allowed, model))
}

fn is_of(allowed: &str, model: &str) -> bool {
    // The CLI's mark of a larger context window is none of the API's.
    let allowed = allowed.strip_suffix("[1m]").unwrap_or(allowed);
    let Some(rest) = model.strip_prefix(allowed) else {
        // An alias is one word: the name of a family.
        return !allowed.contains('-') && model.starts_with("claude-") && model.split('-').any(|word| word == allowed);
    };
    rest.is_empty()
        || rest.strip_prefix('-').is_some_and(|date| date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()))
}

fn not_json() -> Refused {
    Refused::new(400, "invalid_request_error", "The request body is not one JSON object.")
}

fn no_internet(what: &str) -> Refused {
    Refused::new(403, "permission_error", format!("CONTAINER_INTERNET is off: {what} would reach the internet."))
}

#[cfg(test)]
mod tests;
