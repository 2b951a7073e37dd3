//! Which route a method and a path are.

use percent_encoding::percent_decode_str;

use super::problem::{ApiError, Code};
use crate::domain::{SessionId, TurnId};

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
    /// Reads a method and a path that starts with `/`. `HEAD` is the `GET` of the same path: only who sends the answer tells them apart.
    ///
    /// # Errors
    /// 404 for an unknown path, 405 with `Allow` for another method than the path has, 400 for an id that is none.
    pub fn parse(method: &str, path: &str) -> Result<Self, ApiError> {
        let method = if method == "HEAD" { "GET" } else { method };
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let allow = methods(&segments).ok_or_else(ApiError::not_found)?;
        match (method, segments.as_slice()) {
            ("GET", ["health"]) => Ok(Self::Health),
            ("POST", ["query"]) => Ok(Self::Query),
            ("GET", ["conversations"]) => Ok(Self::ListConversations),
            ("GET", ["conversations", id]) => session(id).map(Self::ReadConversation),
            ("PATCH", ["conversations", id]) => session(id).map(Self::UpdateConversation),
            ("DELETE", ["conversations", id]) => session(id).map(Self::DeleteConversation),
            ("POST", ["conversations", id, "cancel"]) => session(id).map(Self::CancelConversation),
            ("GET", ["conversations", id, "events"]) => session(id).map(Self::FollowConversation),
            ("GET", ["turns", id]) => turn(id).map(Self::ReadTurn),
            ("GET", ["storage-stats"]) => Ok(Self::StorageStats),
            ("POST", ["prewarm"]) => Ok(Self::Prewarm),
            ("POST", ["purge"]) => Ok(Self::Purge),
            ("POST", ["purge-runs"]) => Ok(Self::StartPurgeRun),
            ("GET", ["purge-runs"]) => Ok(Self::ListPurgeRuns),
            _ => {
                let detail = format!("This path answers {allow} only");
                Err(ApiError { allow: Some(allow), ..ApiError::new(Code::MethodNotAllowed, detail) })
            }
        }
    }

    /// The methods of a path, as `Allow` says them.
    ///
    /// # Errors
    /// 404 for an unknown path.
    pub fn allow(path: &str) -> Result<&'static str, ApiError> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        methods(&segments).ok_or_else(ApiError::not_found)
    }
}

/// The methods of a path, whatever the ids in it are; none for a path that is no route's.
fn methods(segments: &[&str]) -> Option<&'static str> {
    Some(match segments {
        ["conversations" | "turns", ""] => return None,
        ["health" | "conversations" | "storage-stats"] | ["turns", _] | ["conversations", _, "events"] => {
            "GET, HEAD, OPTIONS"
        }
        ["query" | "prewarm" | "purge"] | ["conversations", _, "cancel"] => "POST, OPTIONS",
        ["conversations", _] => "GET, HEAD, PATCH, DELETE, OPTIONS",
        ["purge-runs"] => "GET, HEAD, POST, OPTIONS",
        _ => return None,
    })
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
        assert_eq!((refused.code, refused.allow), (Code::MethodNotAllowed, Some("GET, HEAD, PATCH, DELETE, OPTIONS")));
        assert_eq!(code("GET", "/query"), Code::MethodNotAllowed);
        assert_eq!(code("POST", "/health"), Code::MethodNotAllowed);
    }

    #[test]
    fn purges_have_their_routes() {
        assert_eq!(Route::parse("POST", "/purge"), Ok(Route::Purge));
        assert_eq!(Route::parse("POST", "/purge-runs"), Ok(Route::StartPurgeRun));
        assert_eq!(Route::parse("GET", "/purge-runs"), Ok(Route::ListPurgeRuns));
        assert_eq!(Route::parse("DELETE", "/purge-runs").unwrap_err().allow, Some("GET, HEAD, POST, OPTIONS"));
    }

    #[test]
    fn prewarming_is_asked_for_by_post() {
        assert_eq!(Route::parse("POST", "/prewarm"), Ok(Route::Prewarm));
        assert_eq!(Route::parse("GET", "/prewarm").unwrap_err().allow, Some("POST, OPTIONS"));
    }

    #[test]
    fn what_is_read_may_be_asked_for_without_its_body() {
        for path in [
            "/health",
            "/conversations",
            "/conversations/a",
            "/conversations/a/events",
            "/storage-stats",
            "/purge-runs",
        ] {
            assert_eq!(Route::parse("HEAD", path), Route::parse("GET", path), "{path}");
            assert!(Route::allow(path).unwrap().starts_with("GET, HEAD"), "{path}");
        }
        assert_eq!(Route::parse("HEAD", "/query").unwrap_err().allow, Some("POST, OPTIONS"));
    }

    #[test]
    fn every_path_says_its_methods_and_answers_these_and_no_others() {
        const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PATCH", "DELETE", "PUT"];
        for path in [
            "/health",
            "/query",
            "/conversations",
            "/conversations/a",
            "/conversations/a/cancel",
            "/conversations/a/events",
            "/turns/turn_0123456789abcdef0123456789abcdef",
            "/storage-stats",
            "/prewarm",
            "/purge",
            "/purge-runs",
        ] {
            let allow = Route::allow(path).unwrap();
            let answered = METHODS.iter().filter(|method| Route::parse(method, path).is_ok());
            let told: Vec<&str> = answered.copied().chain(["OPTIONS"]).collect();
            assert_eq!(told.join(", "), allow, "{path}");
        }
        for path in ["/", "/nope", "/conversations/", "/turns/", "/conversations/a/b", "/health/x"] {
            assert_eq!(Route::allow(path).unwrap_err().code, Code::NotFound, "{path}");
        }
    }

    #[test]
    fn a_bad_session_id_is_named() {
        for id in ["-a", "a%20b", "%00", "a%2Fb", "é", "%ff"] {
            assert_eq!(code("GET", &format!("/conversations/{id}")), Code::InvalidSessionId, "{id}");
        }
    }
}
