//! The segments of a path, and the ids that are read of them.

use percent_encoding::percent_decode_str;

use super::super::files::target;
use super::super::problem::{ApiError, Code};
use crate::domain::file::Target;
use crate::domain::{ActionId, FilePath, ResourceName, SessionId, TurnId, WebhookEventId};

/// The segments of a path. Only behind these is one allowed to be empty: a file's path begins there, which has its own rules.
const FIXED_SEGMENTS: usize = 3;

pub(super) fn segments(path: &str) -> Result<Vec<&str>, ApiError> {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    if segments.iter().take(FIXED_SEGMENTS).any(|segment| segment.is_empty()) {
        return Err(ApiError::not_found());
    }
    Ok(segments)
}

pub(super) fn method_not_allowed(allow: &'static str) -> ApiError {
    let detail = format!("This path answers {allow} only");
    ApiError { allow: Some(allow), ..ApiError::new(Code::MethodNotAllowed, detail) }
}

pub(super) fn session(segment: &str) -> Result<SessionId, ApiError> {
    decoded(segment)
        .try_into()
        .map_err(|e: crate::domain::id::BadId| ApiError::new(Code::InvalidSessionId, e.to_string()))
}

pub(super) fn file(segments: &[&str]) -> Result<FilePath, ApiError> {
    match target(segments)? {
        Target::File(path) => Ok(path),
        Target::Folder(_) | Target::Everything => Err(ApiError::parameter("path", "a file's, without `/` at its end")),
    }
}

/// A turn id that is none names no turn.
pub(super) fn turn(segment: &str) -> Result<TurnId, ApiError> {
    decoded(segment).try_into().map_err(|_| ApiError::not_found())
}

pub(super) fn resource(segment: &str) -> Result<ResourceName, ApiError> {
    decoded(segment).try_into().map_err(|e: crate::domain::id::BadId| ApiError::parameter("name", &e.to_string()))
}

/// An action id that is none names no action.
pub(super) fn action(segment: &str) -> Result<ActionId, ApiError> {
    decoded(segment).try_into().map_err(|_| ApiError::not_found())
}

/// An event id that is none names no event.
pub(super) fn event(segment: &str) -> Result<WebhookEventId, ApiError> {
    decoded(segment).try_into().map_err(|_| ApiError::not_found())
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
