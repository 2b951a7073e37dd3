//! `POST /chat`: what the AI SDK's client sends. It sends all messages each time; the last one is read.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::problem::{ApiError, Code};
use super::super::start_turn::{QueryHead, body_too_large, session_id, turn_that};
use super::super::turn_options::{one_of, options};
use super::json::elements;
use super::parts::blocks;
use crate::account::command::{AnswerForm, Command};
use crate::domain::content::prompt_of;
use crate::domain::id::{BadId, MAX_CHAT_MESSAGE_BYTES};
use crate::domain::{AccountId, ChatMessage, ChatMessageId, Include};

/// The fields of a request.
const FIELDS: &[&str] = &[
    "accountId",
    "id",
    "messages",
    "trigger",
    "messageId",
    "model",
    "effort",
    "thinking",
    "system_prompt",
    "max_turns",
    "metadata",
    "when_busy",
];

/// Why the client asks.
#[derive(PartialEq, Eq)]
enum Trigger {
    /// A message was written, or changed.
    Submit,
    /// Another answer is wanted.
    Regenerate,
}

impl Trigger {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "submit-message" => Some(Self::Submit),
            "regenerate-message" => Some(Self::Regenerate),
            _ => None,
        }
    }
}

/// The fields of a message that are read.
const MESSAGE: &[&str] = &["id", "role", "parts"];
const USER: &str = "\"user\"";

/// Parses the body and makes the command of it.
///
/// # Errors
/// The refusals of the contract.
pub(in crate::api) fn with_body(head: QueryHead, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
    let fields = Fields::of(body.ok_or_else(body_too_large)?, FIELDS)?;
    let account_id = head.principal.account(fields.account(head.named)?)?;
    let session_id = session_id(&fields, "id")?.ok_or_else(|| ApiError::parameter("id", "the chat's id"))?;
    let trigger = trigger(&fields)?;
    let message = last_message(fields.raw("messages"))?;
    if message.raw("role") != Some(USER) {
        let detail = "This message waits for no answer. Load the messages again with GET /chat/{session_id}/messages.";
        return Err(ApiError::new(Code::ConversationBusy, detail));
    }
    let id = message.text("id", MAX_CHAT_MESSAGE_BYTES, Code::InvalidParameter)?.unwrap_or_default();
    let id = ChatMessageId::try_from(id);
    let id = id.map_err(|rule: BadId| ApiError::parameter("messages", &rule.to_string()))?;
    let changed = fields.text("messageId", MAX_CHAT_MESSAGE_BYTES, Code::InvalidParameter)?;
    let replaces = trigger == Trigger::Regenerate || changed.is_some_and(|changed| changed == id.as_str());
    let parts: Vec<&RawValue> = elements(message.raw("parts").unwrap_or_default());
    let blocks = blocks(&parts, &session_id, head.internet, replaces)?;
    let mut options = options(&head.policy, &fields)?;
    options.chat = Some(ChatMessage { id, replaces });
    let said = (Some(prompt_of(&blocks)), Some(blocks));
    let form = (AnswerForm::Chat, Include::THINKING);
    let start = turn_that(Some(session_id), said, options, head.idempotency_key, form)?;
    Ok((account_id, Command::StartTurn(Box::new(start))))
}

fn trigger(fields: &Fields<'_>) -> Result<Trigger, ApiError> {
    let trigger = one_of(fields, "trigger", "submit-message, regenerate-message", Trigger::parse)?;
    Ok(trigger.unwrap_or(Trigger::Submit))
}

/// The last of the messages. Of the others nothing is kept.
fn last_message(raw: Option<&str>) -> Result<Fields<'_>, ApiError> {
    let last = raw.and_then(|raw| serde_json::from_str(raw).ok()).and_then(|Last(last)| last);
    let read = last.and_then(|last| Fields::of(last.get().as_bytes(), MESSAGE).ok());
    read.ok_or_else(|| {
        ApiError::parameter("messages", "the UI messages of the AI SDK, the last one with id, role and parts")
    })
}

struct Last<'a>(Option<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Last<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Last<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut newest = None;
                while let Some(element) = list.next_element()? {
                    newest = Some(element);
                }
                Ok(Last(newest))
            }
        }
        deserializer.deserialize_seq(List)
    }
}
