//! A conversation and its messages, as they are stored and listed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Millis, RawJson, SdkSession, SessionId, TurnId, Usage};

/// Longest title, in characters.
pub const MAX_TITLE_CHARS: usize = 200;
/// Longest title that is made from a prompt, in characters.
const MADE_TITLE_CHARS: usize = 60;

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Role {
    /// The account's user.
    User,
    /// The agent.
    Assistant,
}

impl Role {
    /// The word that is stored and sent.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }

    /// Reads the stored word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::User, Self::Assistant].into_iter().find(|role| role.as_str() == word)
    }
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its place in the conversation. A turn's answer stands right after its query; a turn without an answer leaves a gap.
    pub seq: i64,
    /// The turn that it belongs to.
    pub turn_id: TurnId,
    /// Who wrote it.
    pub role: Role,
    /// Its whole text.
    pub content: String,
    /// When it was stored.
    pub timestamp: Millis,
}

/// A conversation without its messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Conversation {
    /// Its id, unique within the account.
    pub session_id: SessionId,
    /// The SDK's session, once a turn has begun in it.
    pub sdk_session: Option<SdkSession>,
    /// Its title.
    pub title: String,
    /// When its first turn was stored.
    pub created_at: Millis,
    /// When a turn of it was last stored or ended, or it was last read (moved at most once a minute by reads).
    pub last_accessed_at: Millis,
    /// How many messages it has.
    pub message_count: u64,
    /// Bytes of all its messages' texts.
    pub message_bytes: u64,
    /// The caller's own keys, a JSON object of strings.
    pub metadata: serde_json::Map<String, serde_json::Value>,
    /// What all its turns used.
    pub usage: Usage,
}

/// A place in the list of conversations, newest access first: the next page starts after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The last listed conversation's last access.
    pub last_accessed_at: Millis,
    /// Its id.
    pub session_id: SessionId,
}

/// A page of the list of conversations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The place that it starts after; the newest conversation comes first if absent.
    pub after: Option<Position>,
    /// How many conversations are skipped from there.
    pub skip: u32,
}

/// Consecutive messages of a conversation.
pub struct Messages {
    /// Oldest first.
    pub messages: Vec<Message>,
    /// What is told of the attachments of those that have some, by their `seq`: a JSON array.
    pub attachments: BTreeMap<i64, RawJson>,
    /// Whether there are older ones.
    pub older: bool,
}

/// A title of 0 to 200 characters without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Title(String);

impl Title {
    /// The first words of a conversation's first prompt.
    #[must_use]
    pub fn from_prompt(prompt: &str) -> Self {
        let mut title = String::new();
        let mut chars = 0;
        for word in prompt.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
            let word_chars = word.chars().count();
            if chars + usize::from(chars > 0) + word_chars > MADE_TITLE_CHARS {
                if title.is_empty() {
                    title.extend(word.chars().take(MADE_TITLE_CHARS - 1));
                }
                title.push('…');
                break;
            }
            if chars > 0 {
                title.push(' ');
                chars += 1;
            }
            title.push_str(word);
            chars += word_chars;
        }
        Self(title)
    }

    /// The title as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Title {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.chars().count() > MAX_TITLE_CHARS || text.chars().any(char::is_control) {
            return Err("a title has at most 200 characters, none of them a control character");
        }
        Ok(Self(text))
    }
}

impl From<Title> for String {
    fn from(title: Title) -> Self {
        title.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_made_of_the_first_words_of_the_prompt() {
        assert_eq!(Title::from_prompt("  What is\n2+2? ").as_str(), "What is 2+2?");
        let long = Title::from_prompt(&"word ".repeat(40));
        assert_eq!(long.as_str().chars().count(), 60);
        assert!(long.as_str().ends_with("word…"));
        assert_eq!(Title::from_prompt(&"é".repeat(500)).as_str().chars().count(), 60);
        assert_eq!(Title::from_prompt("\u{1}\u{2}").as_str(), "");
    }

    #[test]
    fn a_made_title_is_a_title() {
        let made = Title::from_prompt("a\u{0}b \u{7f}c");
        assert_eq!(Title::try_from(String::from(made.clone())), Ok(made));
    }
}
