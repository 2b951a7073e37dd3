//! `POST /query`: a turn to be started.

use std::rc::Rc;

use super::auth::Principal;
use super::body::{Fields, Head, need_json};
use crate::account::command::{AnswerForm, Command, StartTurn};
use crate::config::Config;
use crate::config::agent::{AgentPolicy, MAX_MODEL_BYTES, is_model};
use crate::digest;
use crate::domain::id::{BadId, MAX_SESSION_BYTES};
use crate::domain::{AccountId, IdempotencyKey, SessionId, Title, TurnOptions};
use crate::error::{ApiError, Code};

/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Longest body that is read: a prompt of [`MAX_PROMPT_BYTES`] of which every byte is escaped to six, and the other fields.
pub const MAX_BODY_BYTES: usize = 6 * MAX_PROMPT_BYTES + 256 * 1024;
/// Longest system prompt of a request, in bytes.
pub const MAX_SYSTEM_PROMPT_BYTES: usize = 64 * 1024;
/// The fields of a query.
const FIELDS: &[&str] =
    &["accountId", "session_id", "query", "prompt", "model", "system_prompt", "max_turns", "stream"];
/// Bytes of the digest that stands for a request.
const REQUEST_HASH_BYTES: usize = 16;

/// A query without its body.
#[derive(Debug)]
pub struct QueryHead {
    principal: Principal,
    named: Option<AccountId>,
    wants_events: bool,
    respond_async: bool,
    idempotency_key: Option<IdempotencyKey>,
    policy: Rc<AgentPolicy>,
}

impl QueryHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        config: &Config,
        principal: Principal,
        named: Option<AccountId>,
    ) -> Result<Self, ApiError> {
        if config.credential.is_none() {
            return Err(ApiError::token_not_set());
        }
        need_json(head)?;
        let length = (head.header)("content-length").and_then(|length| length.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY_BYTES) {
            return Err(prompt_too_large());
        }
        let accepts_events = (head.header)("accept").is_some_and(|accept| {
            accept
                .split(',')
                .any(|kind| kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream"))
        });
        let respond_async = (head.header)("prefer").is_some_and(|prefer| {
            prefer.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("respond-async"))
        });
        let idempotency_key = (head.header)("idempotency-key")
            .map(|key| key.try_into().map_err(|e| ApiError::parameter("Idempotency-Key", &format!("{e}"))))
            .transpose()?;
        let policy = Rc::clone(&config.agent);
        Ok(Self { principal, named, wants_events: accepts_events, respond_async, idempotency_key, policy })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let fields = Fields::of(body.ok_or_else(prompt_too_large)?, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let session_id = fields
            .text("session_id", MAX_SESSION_BYTES, Code::InvalidSessionId)?
            .map(|id| id.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidSessionId, e.to_string())))
            .transpose()?;
        let prompt = |name| fields.text(name, MAX_BODY_BYTES, Code::InvalidParameter);
        let prompt = prompt("query")?.or(prompt("prompt")?);
        let prompt = prompt
            .filter(|prompt| !prompt.trim().is_empty())
            .ok_or_else(|| ApiError::new(Code::NoPrompt, "No prompt provided"))?;
        if prompt.len() > MAX_PROMPT_BYTES {
            return Err(prompt_too_large());
        }
        let options = options(&self.policy, &fields)?;
        let streams = match fields.raw("stream") {
            None => self.wants_events,
            Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(ApiError::parameter("stream", "true or false")),
        };
        let answer = match (self.respond_async, streams) {
            (true, _) => AnswerForm::Accepted,
            (false, true) => AnswerForm::Events,
            (false, false) => AnswerForm::Json,
        };
        let idempotency = self.idempotency_key.map(|key| (key, request_hash(session_id.as_ref(), &prompt, &options)));
        let title = Title::from_prompt(&prompt);
        let start = StartTurn { session_id, prompt, title, options, idempotency, answer };
        Ok((account_id, Command::StartTurn(Box::new(start))))
    }
}

/// The refusal of a prompt, or of a body that cannot hold an allowed one.
fn prompt_too_large() -> ApiError {
    ApiError::new(Code::PromptTooLarge, "A prompt has at most 1 MiB (1048576 bytes of UTF-8).")
}

/// What the caller asks of the agent, where it is well formed and the operator allows it.
fn options(policy: &AgentPolicy, fields: &Fields<'_>) -> Result<TurnOptions, ApiError> {
    let text = |name, most| fields.text(name, most, Code::InvalidParameter);
    let model = text("model", MAX_MODEL_BYTES)?;
    if let Some(model) = &model {
        if !is_model(model) {
            return Err(ApiError::parameter("model", "the name of a model, at most 128 ASCII characters"));
        }
        if !policy.allows_model(model) {
            return Err(ApiError::parameter("model", &format!("one of {}", policy.allowed_models().join(", "))));
        }
    }
    let system_prompt = text("system_prompt", MAX_SYSTEM_PROMPT_BYTES)?;
    if let Some(prompt) = &system_prompt {
        if !policy.allows_system_prompt() {
            return Err(ApiError::parameter("system_prompt", "none; this service has its own"));
        }
        if prompt.len() > MAX_SYSTEM_PROMPT_BYTES {
            return Err(ApiError::parameter("system_prompt", "at most 65536 bytes"));
        }
    }
    let most = policy.most_turns();
    let most_turns = || ApiError::parameter("max_turns", &format!("a whole number from 1 to {most}"));
    let whole = |raw: &str| raw.parse().ok().filter(|turns| (1..=most).contains(turns)).ok_or_else(most_turns);
    let max_turns = fields.raw("max_turns").map(whole).transpose()?;
    Ok(TurnOptions { model, system_prompt, max_turns })
}

/// What makes two requests the same for an idempotency key: all that decides what the agent does.
fn request_hash(session_id: Option<&SessionId>, prompt: &str, options: &TurnOptions) -> String {
    let what = serde_json::to_string(&(session_id, prompt, options)).unwrap_or_default();
    digest::hex(&what, REQUEST_HASH_BYTES)
}

#[cfg(test)]
mod tests {
    use super::super::request::{Asked, parse};
    use super::*;
    use crate::domain::Millis;

    /// What a query with these fields asks of the agent, where the operator has set these vars.
    fn asked(vars: &[(&str, &str)], fields: &str) -> Result<TurnOptions, ApiError> {
        let fixed = [("ANTHROPIC_API_KEY", "k"), ("AUTH", "none")];
        let var = |name: &str| fixed.iter().chain(vars).find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let config = Config::parse(var).unwrap();
        let header = |name: &str| (name == "content-type").then(|| "application/json".to_owned());
        let head = Head { method: "POST", url: "https://a.example/query", header: &header, now: Millis::new(0) };
        let Asked::WithBody(pending) = parse(&head, &config)? else { unreachable!() };
        let body = format!("{{\"query\":\"hello\",{fields}}}");
        let (_, Command::StartTurn(start)) = pending.with_body(Some(body.as_bytes()))? else { unreachable!() };
        Ok(start.options)
    }

    fn refusal(vars: &[(&str, &str)], fields: &str) -> String {
        let error = asked(vars, fields).unwrap_err();
        assert_eq!(error.code, Code::InvalidParameter);
        error.detail
    }

    #[test]
    fn what_a_caller_may_ask_for_is_taken_as_it_is() {
        let options = asked(&[], r#""model":"m","system_prompt":"Be brief.","max_turns":1000"#).unwrap();
        let expected = TurnOptions {
            model: Some("m".to_owned()),
            system_prompt: Some("Be brief.".to_owned()),
            max_turns: Some(1_000),
        };
        assert_eq!(options, expected);
    }

    #[test]
    fn nothing_of_the_operators_is_in_what_is_stored() {
        let vars = [
            ("MODEL", "m"),
            ("SYSTEM_PROMPT", "Be brief."),
            ("MAX_TURNS", "7"),
            ("MCP_SERVERS", r#"{"a":{"command":"x"}}"#),
        ];
        assert_eq!(asked(&vars, r#""model":null,"stream":false"#).unwrap(), TurnOptions::default());
    }

    #[test]
    fn a_model_outside_the_operators_list_is_refused_and_told_the_list() {
        let vars = [("ALLOWED_MODELS", "m1,m2")];
        assert!(asked(&vars, r#""model":"m2""#).is_ok());
        assert_eq!(refusal(&vars, r#""model":"m3""#), "model: one of m1, m2");
    }

    #[test]
    fn more_turns_than_the_operator_gives_are_refused() {
        let vars = [("MAX_TURNS", "7")];
        assert!(asked(&vars, r#""max_turns":7"#).is_ok());
        assert_eq!(refusal(&vars, r#""max_turns":8"#), "max_turns: a whole number from 1 to 7");
        assert_eq!(refusal(&[], r#""max_turns":1001"#), "max_turns: a whole number from 1 to 1000");
    }

    #[test]
    fn a_system_prompt_is_refused_where_the_operator_has_one_and_does_not_give_it_up() {
        let fields = r#""system_prompt":"mine""#;
        for name in ["SYSTEM_PROMPT", "SYSTEM_PROMPT_APPEND"] {
            assert_eq!(refusal(&[(name, "a")], fields), "system_prompt: none; this service has its own");
            assert!(asked(&[(name, "a"), ("ALLOW_SYSTEM_PROMPT", "on")], fields).is_ok());
        }
    }

    #[test]
    fn what_is_no_model_is_refused() {
        for model in ["", "two words", "modèle", &"m".repeat(129)] {
            let rule = "model: the name of a model, at most 128 ASCII characters";
            assert_eq!(refusal(&[], &format!("\"model\":\"{model}\"")), rule);
        }
    }
}
