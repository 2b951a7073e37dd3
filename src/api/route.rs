//! Which route a method and a path are.

use percent_encoding::percent_decode_str;

use crate::domain::{SessionId, TurnId};
use crate::error::{ApiError, Code};

/// A route of the contract with what its path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /health`
    Health,
    /// `POST /query`
    Query,
    /// `GET /conversations`
    ListConversations,
    /// `GET /conversations/{id}`
    ReadConversation(SessionId),
    /// `PATCH /conversations/{id}`
    UpdateConversation(SessionId),
    /// `DELETE /conversations/{id}`
    DeleteConversation(SessionId),
    /// `POST /conversations/{id}/cancel`
    CancelConversation(SessionId),
    /// `GET /conversations/{id}/events`
    FollowConversation(SessionId),
    /// `GET /turns/{turn_id}`
    ReadTurn(TurnId),
    /// `GET /storage-stats`
    StorageStats,
    /// `POST /prewarm`
    Prewarm,
    /// `POST /purge`
    Purge,
    /// `POST /purge-runs`
    StartPurgeRun,
    /// `GET /purge-runs`
    ListPurgeRuns,
}

impl Route {
    /// Reads a method and a path that starts with `/`.
    ///
    /// # Errors
    /// 404 for an unknown path, 405 with `Allow` for another method than the path has, 400 for an id that is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, ApiError> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match segments.as_slice() {
            ["health"] => only(method, "GET", || Ok(Self::Health)),
            ["query"] => only(method, "POST", || Ok(Self::Query)),
            ["conversations"] => only(method, "GET", || Ok(Self::ListConversations)),
            ["conversations", id] if !id.is_empty() => match method {
                "GET" => session(id).map(Self::ReadConversation),
                "PATCH" => session(id).map(Self::UpdateConversation),
                "DELETE" => session(id).map(Self::DeleteConversation),
                _ => Err(method_not_allowed("GET, PATCH, DELETE")),
            },
            ["conversations", id, "cancel"] => only(method, "POST", || session(id).map(Self::CancelConversation)),
            ["conversations", id, "events"] => only(method, "GET", || session(id).map(Self::FollowConversation)),
            ["turns", id] if !id.is_empty() => only(method, "GET", || turn(id).map(Self::ReadTurn)),
            ["storage-stats"] => only(method, "GET", || Ok(Self::StorageStats)),
            ["prewarm"] => only(method, "POST", || Ok(Self::Prewarm)),
            ["purge"] => only(method, "POST", || Ok(Self::Purge)),
            ["purge-runs"] => match method {
                "GET" => Ok(Self::ListPurgeRuns),
                "POST" => Ok(Self::StartPurgeRun),
                _ => Err(method_not_allowed("GET, POST")),
            },
            _ => Err(ApiError::not_found()),
        }
    }
}

fn only(method: &str, allow: &'static str, route: impl FnOnce() -> Result<Route, ApiError>) -> Result<Route, ApiError> {
    if method == allow { route() } else { Err(method_not_allowed(allow)) }
}

fn method_not_allowed(allow: &'static str) -> ApiError {
    let detail = format!("This path answers {allow} only");
    ApiError { allow: Some(allow), ..ApiError::new(Code::MethodNotAllowed, detail) }
}

fn session(segment: &str) -> Result<SessionId, ApiError> {
    decoded(segment)
        .try_into()
        .map_err(|e: crate::domain::id::BadId| ApiError::new(Code::InvalidSessionId, e.to_string()))
}

/// A turn id that is none names no turn.
fn turn(segment: &str) -> Result<TurnId, ApiError> {
    decoded(segment).try_into().map_err(|_| ApiError::not_found())
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(method: &str, path: &str) -> Code {
        Route::parse(method, path).unwrap_err().code
    }

    #[test]
    fn ids_are_read_percent_encoded_or_not() {
        let id: SessionId = "a.b_c:d-e".parse().unwrap();
        assert_eq!(Route::parse("GET", "/conversations/a.b_c:d-e"), Ok(Route::ReadConversation(id.clone())));
        assert_eq!(Route::parse("DELETE", "/conversations/a%2Eb%5fc%3Ad-e"), Ok(Route::DeleteConversation(id.clone())));
        assert_eq!(Route::parse("PATCH", "/conversations/a.b_c%3Ad%2de"), Ok(Route::UpdateConversation(id.clone())));
        assert_eq!(
            Route::parse("POST", "/conversations/a.b_c%3ad-e/cancel"),
            Ok(Route::CancelConversation(id.clone()))
        );
        assert_eq!(Route::parse("GET", "/conversations/%61.b_c%3ad-e/events"), Ok(Route::FollowConversation(id)));
        let turn: TurnId = "turn_0123456789abcdef0123456789abcdef".parse().unwrap();
        assert_eq!(Route::parse("GET", "/turns/turn%5F0123456789abcdef0123456789abcdef"), Ok(Route::ReadTurn(turn)));
    }

    #[test]
    fn what_is_not_a_route_is_not_found() {
        for path in ["/", "", "/nope", "/query/", "/conversations/", "/conversations/a/b", "/turns/turn_1", "/health/x"]
        {
            assert_eq!(code("GET", path), Code::NotFound, "{path}");
        }
    }

    #[test]
    fn another_method_is_refused_with_those_that_are_allowed() {
        let refused = Route::parse("PUT", "/conversations/a").unwrap_err();
        assert_eq!((refused.code, refused.allow), (Code::MethodNotAllowed, Some("GET, PATCH, DELETE")));
        assert_eq!(code("GET", "/query"), Code::MethodNotAllowed);
        assert_eq!(code("POST", "/health"), Code::MethodNotAllowed);
    }

    #[test]
    fn purges_have_their_routes() {
        assert_eq!(Route::parse("POST", "/purge"), Ok(Route::Purge));
        assert_eq!(Route::parse("POST", "/purge-runs"), Ok(Route::StartPurgeRun));
        assert_eq!(Route::parse("GET", "/purge-runs"), Ok(Route::ListPurgeRuns));
        assert_eq!(Route::parse("DELETE", "/purge-runs").unwrap_err().allow, Some("GET, POST"));
    }

    #[test]
    fn prewarming_is_asked_for_by_post() {
        assert_eq!(Route::parse("POST", "/prewarm"), Ok(Route::Prewarm));
        assert_eq!(Route::parse("GET", "/prewarm").unwrap_err().allow, Some("POST"));
    }

    #[test]
    fn a_bad_session_id_is_named() {
        for id in ["-a", "a%20b", "%00", "a%2Fb", "é", "%ff"] {
            assert_eq!(code("GET", &format!("/conversations/{id}")), Code::InvalidSessionId, "{id}");
        }
    }
}
