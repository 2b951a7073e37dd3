//! `POST /chat`: what the AI SDK's client sends. It sends all messages each time; the last one is read.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::problem::{ApiError, Code};
use super::super::start_turn::{QueryHead, asked, body_too_large, session_id, turn_that};
use super::super::turn_options::{one_of, options};
use super::answers::answers;
use super::json::elements;
use super::parts::blocks;
use crate::account::chat::command::ChatCommand;
use crate::account::command::{AnswerForm, Command};
use crate::account::error::AccountError;
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
    "tools",
    "permissions",
    "questions",
    "permission_mode",
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
    let id = message.text("id", MAX_CHAT_MESSAGE_BYTES, Code::InvalidParameter)?.unwrap_or_default();
    if message.raw("role") != Some(USER) {
        let answers = answers(&message, &id, &session_id)?;
        let answers = answers.ok_or_else(|| ApiError::from(&AccountError::NothingAsked))?;
        return Ok((account_id, Command::Chat(ChatCommand::Answer(Box::new(answers)))));
    }
    let id = ChatMessageId::try_from(id);
    let id = id.map_err(|rule: BadId| ApiError::parameter("messages", &rule.to_string()))?;
    let changed = fields.text("messageId", MAX_CHAT_MESSAGE_BYTES, Code::InvalidParameter)?;
    let replaces = trigger == Trigger::Regenerate || changed.is_some_and(|changed| changed == id.as_str());
    let parts: Vec<&RawValue> = elements(message.raw("parts").unwrap_or_default());
    let blocks = blocks(&parts, &session_id, head.internet, replaces)?;
    let said = asked(Some(prompt_of(&blocks)), Some(blocks))?;
    let mut options = options(&head.policy, &fields)?;
    options.chat = Some(ChatMessage { id });
    let form = (AnswerForm::Chat, Include::THINKING);
    let mut start = turn_that(Some(session_id), said, options, head.idempotency_key, form);
    start.replaces = replaces;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::chat::command::{ChatAnswer, ChatAnswers};
    use crate::account::command::StartTurn;
    use crate::api::body::Head;
    use crate::api::request::{Asked, parse};
    use crate::config::Config;
    use crate::domain::Millis;

    fn command(body: &str) -> Result<Command, ApiError> {
        let fixed = [("ANTHROPIC_API_KEY", "k"), ("AUTH", "none")];
        let var = |name: &str| fixed.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let header = |name: &str| (name == "content-type").then(|| "application/json".to_owned());
        let head = Head { method: "POST", url: "https://a.example/chat", header: &header, now: Millis::new(0) };
        let Asked::WithBody(pending) = parse(&head, &Config::parse(var).unwrap())? else { unreachable!() };
        Ok(pending.with_body(Some(body.as_bytes()))?.1)
    }

    fn sent(body: &str) -> Result<StartTurn, ApiError> {
        match command(body)? {
            Command::StartTurn(start) => Ok(*start),
            other => panic!("{other:?}"),
        }
    }

    /// A request with these fields beside the messages, of which this is the last.
    fn with(last: &str, more: &str) -> Result<StartTurn, ApiError> {
        let first = r#"{"id":"a","role":"assistant","parts":[{"type":"text","text":"forged"}]}"#;
        sent(&format!(r#"{{"id":"s","messages":[{first},{last}]{more}}}"#))
    }

    const LAST: &str =
        r#"{"id":"m-1","role":"user","parts":[{"type":"text","text":"one"},{"type":"text","text":"two"}]}"#;

    #[test]
    fn the_last_message_is_the_query_and_nothing_before_it_is_read() {
        let start = with(LAST, r#","trigger":"submit-message","model":"m","max_turns":3"#).unwrap();
        assert_eq!((start.prompt.as_str(), start.content, start.answer), ("one\n\ntwo", None, AnswerForm::Chat));
        assert_eq!(start.session_id.unwrap().as_str(), "s");
        assert_eq!((start.options.model.as_deref(), start.options.max_turns), (Some("m"), Some(3)));
        assert_eq!(start.options.chat, Some(ChatMessage { id: "m-1".parse().unwrap() }));
    }

    #[test]
    fn a_message_takes_the_place_of_the_one_that_is_named_as_it_is() {
        let replaces = |more| with(LAST, more).unwrap().replaces;
        assert!(replaces(r#","trigger":"submit-message","messageId":"m-1""#));
        assert!(replaces(r#","trigger":"regenerate-message","messageId":"answer""#));
        assert!(replaces(r#","trigger":"regenerate-message""#));
        assert!(!replaces(r#","messageId":"other""#) && !replaces(""));
    }

    fn answered(parts: &str) -> Result<ChatAnswers, ApiError> {
        let turn = "turn_0123456789abcdef0123456789abcdef";
        let last = format!(r#"{{"id":"{turn}","role":"assistant","parts":{parts}}}"#);
        match command(&format!(r#"{{"id":"s","messages":[{LAST},{last}],"messageId":"{turn}"}}"#))? {
            Command::Chat(ChatCommand::Answer(answers)) => Ok(*answers),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn of_a_message_of_the_agents_its_answers_are_read_and_its_steps_counted() {
        let id = "act_0123456789abcdef0123456789abcdef";
        let read = answered(&format!(
            r#"[{{"type":"step-start"}},{{"type":"text","text":"forged"}},{{"type":"step-start"}},
                {{"type":"dynamic-tool","toolCallId":"a","state":"approval-responded","approval":{{"id":"{id}","approved":true}}}},
                {{"type":"tool-Bash","toolCallId":"b","state":"approval-responded","approval":{{"id":"{id}","approved":false,"reason":"no"}}}},
                {{"type":"dynamic-tool","toolCallId":"c","state":"approval-requested","approval":{{"id":"{id}"}}}},
                {{"type":"dynamic-tool","toolCallId":"d","state":"output-available","output":"ours","providerExecuted":true}},
                {{"type":"dynamic-tool","toolCallId":"e","state":"output-available","output":{{"n":4}}}},
                {{"type":"dynamic-tool","toolCallId":"f","state":"output-error","errorText":"broken","providerExecuted":false}}]"#
        ));
        let read = read.unwrap();
        assert_eq!((read.session_id.as_str(), read.has_steps), ("s", 2));
        let approval = |approved, reason: Option<&str>| ChatAnswer::Approval {
            action_id: id.parse().unwrap(),
            approved,
            reason: reason.map(str::to_owned),
        };
        let output =
            |call: &str, output, is_error| ChatAnswer::Output { tool_call_id: call.to_owned(), output, is_error };
        let expected = [
            approval(true, None),
            approval(false, Some("no")),
            output("e", serde_json::json!({"n": 4}), false),
            output("f", "broken".into(), true),
        ];
        assert_eq!(read.answers, expected);
    }

    #[test]
    fn answers_that_cannot_be_read_are_refused_in_a_sentence() {
        let approval = |approval: &str| {
            answered(&format!(r#"[{{"type":"dynamic-tool","state":"approval-responded","approval":{approval}}}]"#))
        };
        for wrong in
            ["null", "1", "{}", r#"{"id":"x","approved":true}"#, r#"{"id":"act_0123456789abcdef0123456789abcdef"}"#]
        {
            let refused = approval(wrong).unwrap_err();
            assert_eq!(
                (refused.code, refused.detail.starts_with("messages: parts[0]: an approval has")),
                (Code::InvalidParameter, true),
                "{wrong}"
            );
        }
        let long = "x".repeat(8 * 1024 + 1);
        let id = "act_0123456789abcdef0123456789abcdef";
        let long = approval(&format!(r#"{{"id":"{id}","approved":false,"reason":"{long}"}}"#)).unwrap_err();
        assert_eq!(long.code, Code::InvalidParameter);
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        let deep =
            answered(&format!(r#"[{{"type":"tool-x","toolCallId":"a","state":"output-available","output":{deep}}}]"#));
        assert_eq!(deep.unwrap_err().code, Code::InvalidParameter);
        let one =
            format!(r#"{{"type":"tool-x","state":"approval-responded","approval":{{"id":"{id}","approved":true}}}}"#);
        assert!(answered(&format!("[{}]", vec![one.as_str(); 256].join(","))).is_ok());
        assert_eq!(
            answered(&format!("[{}]", vec![one.as_str(); 257].join(","))).unwrap_err().detail,
            "messages: at most 256 answers"
        );
        assert_eq!(answered("[]").unwrap_err().code, Code::ConversationBusy);
        assert_eq!(answered("[1]").unwrap_err().code, Code::InvalidParameter);
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let rule = "messages: the UI messages of the AI SDK, the last one with id, role and parts";
        for messages in ["[]", "{}", "1", "[1]", r#"["a"]"#] {
            let refused = sent(&format!(r#"{{"id":"s","messages":{messages}}}"#)).unwrap_err();
            assert_eq!(refused.detail, rule, "{messages}");
        }
        assert_eq!(sent(r#"{"id":"s"}"#).unwrap_err().detail, rule);
        assert_eq!(sent(r#"{"messages":[]}"#).unwrap_err().detail, "id: the chat's id");
        assert_eq!(sent(r#"{"id":"-","messages":[]}"#).unwrap_err().code, Code::InvalidSessionId);
        assert_eq!(with(LAST, r#","trigger":"resume""#).unwrap_err().code, Code::InvalidParameter);
        let without = |field: &str, by: &str| with(&LAST.replace(field, by), "").unwrap_err();
        assert_eq!(without(r#""id":"m-1","#, "").code, Code::InvalidParameter);
        assert_eq!(without("m-1", "m 1").code, Code::InvalidParameter);
        assert_eq!(without("user", "assistant").code, Code::ConversationBusy);
        assert_eq!(with(r#"{"id":"m-1","role":"user"}"#, "").unwrap_err().code, Code::NoPrompt);
    }
}
