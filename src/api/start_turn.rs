//! `POST /query`: a turn to be started.

use std::rc::Rc;

use super::answer_form::{Preference, idempotency_key};
use super::auth::Principal;
use super::body::{Fields, Head, need_json};
use super::content::{self, Content};
use super::include;
use super::problem::{ApiError, Code};
use super::turn_options::{options, with_options};
use crate::account::command::{AnswerForm, Command, StartTurn};
use crate::config::Config;
use crate::config::policy::AgentPolicy;
use crate::digest;
use crate::domain::content::{prompt_of, title_of};
use crate::domain::id::{BadId, MAX_SESSION_BYTES};
use crate::domain::trace::TraceParent;
use crate::domain::{AccountId, Block, IdempotencyKey, Include, SessionId, Title, TurnOptions};

/// Longest prompt, in bytes.
pub const MAX_PROMPT_BYTES: usize = 1024 * 1024;
/// Longest body that is read: a prompt of [`MAX_PROMPT_BYTES`] of which every byte is escaped to six, and the other fields.
pub const MAX_BODY_BYTES: usize = 6 * MAX_PROMPT_BYTES + 256 * 1024;
/// The fields of a query.
const FIELDS: &[&str] = with_options!["accountId", "session_id", "query", "prompt", "content", "stream", "include"];
/// Bytes of the digest that stands for a request.
const REQUEST_HASH_BYTES: usize = 16;

/// A query without its body.
#[derive(Debug)]
pub struct QueryHead {
    pub(super) principal: Principal,
    pub(super) named: Option<AccountId>,
    preference: Preference,
    pub(super) idempotency_key: Option<IdempotencyKey>,
    pub(super) policy: Rc<AgentPolicy>,
    /// Whether the model's API may fetch what a block names.
    pub(super) internet: bool,
    /// The trace that the request belongs to.
    pub(super) traceparent: Option<TraceParent>,
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
            return Err(body_too_large());
        }
        let preference = Preference::of(head);
        let idempotency_key = idempotency_key(head)?;
        let (policy, internet) = (Rc::clone(&config.agent), config.container_internet);
        let traceparent = (head.header)("traceparent").and_then(|header| TraceParent::read(&header));
        Ok(Self { principal, named, preference, idempotency_key, policy, internet, traceparent })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let fields = Fields::of(body.ok_or_else(body_too_large)?, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let session_id = session_id(&fields, "session_id")?;
        let said = words(&fields, MAX_BODY_BYTES)?;
        let (prompt, content) = match fields.raw("content") {
            None => (said, None),
            Some(_) if said.is_some() => return Err(ApiError::parameter("content", "not together with query")),
            Some(raw) => match content::parse(raw, self.internet)? {
                Content::Text(text) => (Some(text), None),
                Content::Blocks(blocks) => (Some(prompt_of(&blocks)), Some(blocks)),
            },
        };
        let (prompt, content) = asked(prompt, content)?;
        let options = options(&self.policy, &fields)?;
        let answer = self.preference.form(Some(&fields))?;
        let include = include::of_body(fields.raw("include"))?;
        let start = turn_that(session_id, (prompt, content), options, self.idempotency_key, (answer, include));
        Ok((account_id, Command::StartTurn(Box::new(start))))
    }
}

/// The conversation that a body names.
pub(super) fn session_id(fields: &Fields<'_>, name: &str) -> Result<Option<SessionId>, ApiError> {
    let id = fields.text(name, MAX_SESSION_BYTES, Code::InvalidSessionId)?;
    id.map(|id| id.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidSessionId, e.to_string()))).transpose()
}

/// What a request says: in `query`, or in `prompt`. No field is decoded that is longer than `most` bytes.
pub(super) fn words(fields: &Fields<'_>, most: usize) -> Result<Option<String>, ApiError> {
    let said_in = |name| {
        let text = fields.text(name, most, Code::InvalidParameter)?;
        Ok::<_, ApiError>(text.filter(|prompt| says_something(prompt)))
    };
    Ok(said_in("query")?.or(said_in("prompt")?))
}

fn says_something(prompt: &str) -> bool {
    !prompt.trim().is_empty()
}

/// A prompt, and blocks.
pub(super) type Said = (String, Option<Vec<Block>>);

/// What is asked: a prompt, and blocks if they are more than words.
pub(super) fn asked(prompt: Option<String>, content: Option<Vec<Block>>) -> Result<Said, ApiError> {
    // Blocks of words alone are a prompt like any other.
    let content = content.filter(|blocks| blocks.iter().any(|block| block.attachment().is_some()));
    let prompt = prompt.filter(|prompt| content.is_some() || says_something(prompt));
    let prompt = prompt.ok_or_else(|| ApiError::new(Code::NoPrompt, "No prompt provided"))?;
    if prompt.len() > MAX_PROMPT_BYTES {
        return Err(prompt_too_large());
    }
    Ok((prompt, content))
}

/// The turn that answers this prompt with these blocks.
pub(super) fn turn_that(
    session_id: Option<SessionId>,
    (prompt, content): Said,
    options: TurnOptions,
    idempotency_key: Option<IdempotencyKey>,
    (answer, include): (AnswerForm, Include),
) -> StartTurn {
    let hash = |key| (key, request_hash(session_id.as_ref(), &prompt, content.as_deref(), &options));
    let idempotency = idempotency_key.map(hash);
    let title = match &content {
        Some(blocks) if prompt.is_empty() => title_of(blocks),
        _ => Title::from_prompt(&prompt),
    };
    StartTurn { session_id, prompt, content, title, options, idempotency, answer, include }
}

/// The refusal of a prompt.
fn prompt_too_large() -> ApiError {
    ApiError::new(Code::PromptTooLarge, "A prompt has at most 1 MiB (1048576 bytes of UTF-8).")
}

/// The refusal of a body that is longer than any allowed one.
pub(super) fn body_too_large() -> ApiError {
    let detail = "A prompt has at most 1 MiB (1048576 bytes of UTF-8), and a body 6.25 MiB. \
         Upload larger attachments with PUT /conversations/{session_id}/files/{path}, and name the files.";
    ApiError::new(Code::PromptTooLarge, detail)
}

/// What makes two requests the same for an idempotency key: all that decides what the agent does.
pub(super) fn request_hash(
    session_id: Option<&SessionId>,
    prompt: &str,
    content: Option<&[Block]>,
    options: &TurnOptions,
) -> String {
    let what = match content {
        None => serde_json::to_string(&(session_id, prompt, options)),
        Some(blocks) => {
            serde_json::to_string(&(session_id, prompt, options, content::hash(blocks, REQUEST_HASH_BYTES)))
        }
    };
    digest::hex(what.unwrap_or_default(), REQUEST_HASH_BYTES)
}

#[cfg(test)]
mod tests;
