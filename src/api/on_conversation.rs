//! `POST /conversations/{id}/cancel`, `/fork`, `/rewind` and `/compact`: what is done to a conversation, with what its body says of it.

use super::answer_form::Preference;
use super::body::Fields;
use super::problem::{ApiError, Code};
use super::start_turn::request_hash;
use crate::account::branches::command::{ForkAsked, RewindTo};
use crate::account::command::{Command, StartTurn};
use crate::domain::conversation::MAX_TITLE_CHARS;
use crate::domain::id::{BadId, MAX_SESSION_BYTES};
use crate::domain::turn::MAX_REASON_CHARS;
use crate::domain::{IdempotencyKey, Include, SessionId, Title, TurnId, TurnKind, TurnOptions};

/// Longest instructions for compacting a conversation, in bytes.
pub const MAX_INSTRUCTIONS_BYTES: usize = 8 * 1024;
/// Bytes of a turn's id that are read: a longer string is none.
const MAX_TURN_ID_BYTES: usize = 64;

/// What is done to a conversation, whose body is yet to be read.
#[derive(Debug)]
pub(super) enum OnConversation {
    Cancel(SessionId),
    Fork(SessionId),
    Rewind(SessionId),
    Compact(SessionId, Preference, Option<IdempotencyKey>),
}

impl OnConversation {
    /// The fields that its body may have.
    pub const fn fields(&self) -> &'static [&'static str] {
        match self {
            Self::Cancel(_) => &["accountId", "reason"],
            Self::Fork(_) => &["accountId", "at", "session_id", "title"],
            Self::Rewind(_) => &["accountId", "to", "before"],
            Self::Compact(..) => &["accountId", "instructions", "stream"],
        }
    }

    /// The command that it is; `fields` is none if it came without a body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn command(self, fields: Option<&Fields<'_>>) -> Result<Command, ApiError> {
        let text = |name, most, code| fields.map_or(Ok(None), |fields| fields.text(name, most, code));
        let turn = |name| turn_id(name, text(name, MAX_TURN_ID_BYTES, Code::InvalidParameter)?);
        match self {
            Self::Cancel(session_id) => {
                let rule = || ApiError::parameter("reason", "a string of at most 256 characters");
                let reason = text("reason", 4 * MAX_REASON_CHARS, Code::InvalidParameter).map_err(|_| rule())?;
                let reason = reason.filter(|reason| !reason.trim().is_empty());
                if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON_CHARS) {
                    return Err(rule());
                }
                Ok(Command::CancelConversation { session_id, reason })
            }
            Self::Fork(source) => {
                let session_id = text("session_id", MAX_SESSION_BYTES, Code::InvalidSessionId)?
                    .map(|id| id.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidSessionId, e.to_string())))
                    .transpose()?;
                let title = text("title", 4 * MAX_TITLE_CHARS, Code::InvalidParameter)?
                    .map(|title| Title::try_from(title).map_err(|rule| ApiError::parameter("title", rule)))
                    .transpose()?;
                Ok(Command::Fork(Box::new(ForkAsked { source, at: turn("at")?, session_id, title })))
            }
            Self::Rewind(session_id) => {
                let to = match (turn("to")?, turn("before")?) {
                    (Some(turn_id), None) => RewindTo::To(turn_id),
                    (None, Some(turn_id)) => RewindTo::Before(turn_id),
                    (Some(_), Some(_)) => return Err(ApiError::parameter("before", "not together with to")),
                    (None, None) => {
                        return Err(ApiError::parameter("to", "the id of a turn, unless there is one in before"));
                    }
                };
                Ok(Command::Rewind { session_id, to })
            }
            Self::Compact(session_id, preference, key) => {
                let instructions = text("instructions", MAX_INSTRUCTIONS_BYTES, Code::InvalidParameter)?;
                let instructions = instructions.unwrap_or_default();
                if instructions.len() > MAX_INSTRUCTIONS_BYTES {
                    return Err(ApiError::parameter("instructions", "at most 8192 bytes"));
                }
                let answer = preference.form(fields)?;
                let options = TurnOptions { kind: TurnKind::Compact, ..TurnOptions::default() };
                let prompt = options.kind.prompt_told(instructions.trim());
                let hash = request_hash(Some(&session_id), &prompt, None, &options);
                let idempotency = key.map(|key| (key, hash));
                let title = Title::from_prompt(&prompt);
                Ok(Command::StartTurn(Box::new(StartTurn {
                    session_id: Some(session_id),
                    prompt,
                    content: None,
                    title,
                    options,
                    idempotency,
                    answer,
                    include: Include::NOTHING,
                    replaces: false,
                })))
            }
        }
    }
}

fn turn_id(name: &str, text: Option<String>) -> Result<Option<TurnId>, ApiError> {
    let read = text.map(TurnId::try_from).transpose();
    read.map_err(|rule| ApiError::parameter(name, &rule.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::request::{Asked, parse};
    use super::*;
    use crate::account::command::AnswerForm;
    use crate::api::body::Head;
    use crate::config::Config;
    use crate::domain::Millis;

    const TURN: &str = "turn_0123456789abcdef0123456789abcdef";

    /// The command of a request on the conversation `a`.
    fn sent(action: &str, headers: &[(&str, &str)], body: &str) -> Result<Command, ApiError> {
        let fixed = [("ANTHROPIC_API_KEY", "k"), ("AUTH", "none")];
        let var = |name: &str| fixed.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let json = [("content-type", "application/json")];
        let header =
            |name: &str| headers.iter().chain(&json).find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let url = format!("https://a.example/conversations/a/{action}");
        let head = Head { method: "POST", url: &url, header: &header, now: Millis::new(0) };
        let Asked::WithBody(pending) = parse(&head, &Config::parse(var).unwrap())? else { unreachable!() };
        pending.with_body(Some(body.as_bytes())).map(|(_, command)| command)
    }

    fn detail(action: &str, body: &str) -> String {
        sent(action, &[], body).unwrap_err().detail
    }

    #[test]
    fn a_cancellation_may_say_why() {
        let reason = |body: &str| match sent("cancel", &[], body).unwrap() {
            Command::CancelConversation { reason, .. } => reason,
            _ => unreachable!(),
        };
        for none in ["", "{}", r#"{"reason":null}"#, r#"{"reason":" "}"#] {
            assert_eq!(reason(none), None, "{none}");
        }
        assert_eq!(reason(r#"{"reason":"Enough."}"#).as_deref(), Some("Enough."));
        let longest = "é".repeat(256);
        assert_eq!(reason(&format!("{{\"reason\":\"{longest}\"}}")), Some(longest.clone()));
        for wrong in [format!("\"{longest}x\""), "7".to_owned(), format!("\"{}\"", "x".repeat(9_000))] {
            let rule = "reason: a string of at most 256 characters";
            assert_eq!(detail("cancel", &format!("{{\"reason\":{wrong}}}")), rule);
        }
    }

    #[test]
    fn a_fork_names_a_turn_an_id_and_a_title_or_none_of_them() {
        let fork = |body: &str| match sent("fork", &[], body) {
            Ok(Command::Fork(asked)) => Ok((asked.at, asked.session_id, asked.title)),
            Ok(_) => unreachable!(),
            Err(error) => Err(error),
        };
        assert_eq!(fork(""), Ok((None, None, None)));
        let all = fork(&format!("{{\"at\":\"{TURN}\",\"session_id\":\"b:1\",\"title\":\"Other\"}}")).unwrap();
        assert_eq!(all, (TURN.parse().ok(), "b:1".parse().ok(), Title::try_from("Other".to_owned()).ok()));
        assert_eq!(fork(r#"{"session_id":"-b"}"#).unwrap_err().code, Code::InvalidSessionId);
        let rule = "at: a turn id is turn_ and 32 hexadecimal digits";
        for wrong in ["turn_1", "", &TURN.to_uppercase()] {
            assert_eq!(fork(&format!("{{\"at\":\"{wrong}\"}}")).unwrap_err().detail, rule);
        }
        assert_eq!(fork(r#"{"at":7}"#).unwrap_err().detail, "at: a string");
        assert!(fork(&format!("{{\"title\":\"{}\"}}", "x".repeat(201))).is_err());
    }

    #[test]
    fn a_rewind_names_the_turn_that_stays_or_the_one_that_goes() {
        let rewind = |body: &str| match sent("rewind", &[], body) {
            Ok(Command::Rewind { to, .. }) => Ok(to),
            Ok(_) => unreachable!(),
            Err(error) => Err(error.detail),
        };
        let turn: TurnId = TURN.parse().unwrap();
        assert_eq!(rewind(&format!("{{\"to\":\"{TURN}\",\"before\":null}}")), Ok(RewindTo::To(turn.clone())));
        assert_eq!(rewind(&format!("{{\"before\":\"{TURN}\"}}")), Ok(RewindTo::Before(turn)));
        let both = format!("{{\"to\":\"{TURN}\",\"before\":\"{TURN}\"}}");
        assert_eq!(rewind(&both).unwrap_err(), "before: not together with to");
        for neither in ["", "{}"] {
            assert_eq!(rewind(neither).unwrap_err(), "to: the id of a turn, unless there is one in before");
        }
    }

    #[test]
    fn a_compaction_has_the_forms_of_answer_and_the_key_of_a_query() {
        let compact = |headers: &[(&str, &str)], body: &str| match sent("compact", headers, body).unwrap() {
            Command::StartTurn(start) => *start,
            _ => unreachable!(),
        };
        let plain = compact(&[], "");
        assert_eq!(
            (plain.prompt.as_str(), plain.options.kind, plain.answer),
            ("/compact", TurnKind::Compact, AnswerForm::Json)
        );
        assert_eq!(compact(&[], r#"{"instructions":" Keep numbers. "}"#).prompt, "/compact Keep numbers.");
        assert_eq!(compact(&[], r#"{"stream":true}"#).answer, AnswerForm::Events);
        assert_eq!(compact(&[("accept", "text/event-stream")], "").answer, AnswerForm::Events);
        assert_eq!(compact(&[("prefer", "respond-async")], "").answer, AnswerForm::Accepted);
        let hash = |body| compact(&[("idempotency-key", "k")], body).idempotency.unwrap().1;
        assert_eq!((hash(""), hash("") == hash(r#"{"instructions":"x"}"#)), (hash("{}"), false));
        let body = |bytes| format!("{{\"instructions\":\"{}\"}}", "x".repeat(bytes));
        assert!(sent("compact", &[], &body(8_192)).is_ok());
        for bytes in [8_193, 60_000] {
            assert_eq!(detail("compact", &body(bytes)), "instructions: at most 8192 bytes");
        }
    }
}
