//! The form in which the caller of a turn wants its response: `stream`, `Accept` and `Prefer: respond-async`; and `Idempotency-Key`.

use super::body::{Fields, Head};
use super::problem::ApiError;
use crate::account::command::AnswerForm;
use crate::domain::IdempotencyKey;

/// What a request's headers say of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Preference {
    wants_events: bool,
    respond_async: bool,
}

impl Preference {
    pub(super) fn of(head: &Head<'_>) -> Self {
        let wants_events = (head.header)("accept").is_some_and(|accept| prefers_events(&accept));
        let respond_async = (head.header)("prefer").is_some_and(|prefer| {
            prefer.split([',', ';']).any(|token| token.trim().eq_ignore_ascii_case("respond-async"))
        });
        Self { wants_events, respond_async }
    }

    /// The form, with the field `stream` of the body, which counts more than `Accept`.
    pub(super) fn form(self, fields: Option<&Fields<'_>>) -> Result<AnswerForm, ApiError> {
        let streams = match fields.and_then(|fields| fields.raw("stream")) {
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

/// The caller's key, under which a request that is sent twice makes one turn.
pub(super) fn idempotency_key(head: &Head<'_>) -> Result<Option<IdempotencyKey>, ApiError> {
    let key = (head.header)("idempotency-key");
    key.map(|key| key.try_into().map_err(|e| ApiError::parameter("Idempotency-Key", &format!("{e}")))).transpose()
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
