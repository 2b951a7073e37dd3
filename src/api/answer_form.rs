//! How the caller of a turn wants its answer, and the key under which it asks: what `POST /query` and `POST …/compact` share.

use super::body::Head;
use super::problem::ApiError;
use crate::account::command::AnswerForm;
use crate::domain::IdempotencyKey;

/// What the headers of a turn's request say.
#[derive(Debug)]
pub(super) struct Wanted {
    wants_events: bool,
    respond_async: bool,
    /// The caller's key.
    pub idempotency_key: Option<IdempotencyKey>,
}

impl Wanted {
    /// Reads the headers.
    ///
    /// # Errors
    /// 400 `invalid_parameter` for a key that is none.
    pub fn parse(head: &Head<'_>) -> Result<Self, ApiError> {
        let wants_events = (head.header)("accept").is_some_and(|accept| prefers_events(&accept));
        let respond_async = (head.header)("prefer").is_some_and(|prefer| {
            prefer.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("respond-async"))
        });
        let idempotency_key = (head.header)("idempotency-key")
            .map(|key| key.try_into().map_err(|e| ApiError::parameter("Idempotency-Key", &format!("{e}"))))
            .transpose()?;
        Ok(Self { wants_events, respond_async, idempotency_key })
    }

    /// The form of the answer; `stream` is the body's field as it is written.
    ///
    /// # Errors
    /// 400 `invalid_parameter` if that is neither true nor false.
    pub fn form(&self, stream: Option<&str>) -> Result<AnswerForm, ApiError> {
        let streams = match stream {
            None => self.wants_events,
            Some("true") => true,
            Some("false") => false,
            Some(_) => return Err(ApiError::parameter("stream", "true or false")),
        };
        Ok(match (self.respond_async, streams) {
            (true, _) => AnswerForm::Accepted,
            (false, true) => AnswerForm::Events,
            (false, false) => AnswerForm::Json,
        })
    }
}

/// Whether `Accept` asks for events, and not rather for a document.
fn prefers_events(accept: &str) -> bool {
    let events = weight(accept, "text/event-stream").filter(|weight| !weight.is_empty());
    events.is_some_and(|events| weight(accept, "application/json").is_none_or(|json| json <= events))
}

/// The weight (RFC 9110, 12.4.2) of a media type that `Accept` names. Without the zeros at its end, which makes that of 0 empty, it is
/// as much greater as its text is.
fn weight<'a>(accept: &'a str, kind: &str) -> Option<&'a str> {
    accept.split(',').find_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_kind = parts.next()?.eq_ignore_ascii_case(kind);
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        is_kind.then(|| weight.unwrap_or("1").trim_end_matches(['0', '.']))
    })
}
