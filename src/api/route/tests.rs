//! What the table finds.

use super::*;

/// The route for those who may use it.
fn parse(method: &str, path: &str) -> Result<Route, ApiError> {
    Route::find(method, path)?.route
}

fn code(method: &str, path: &str) -> Code {
    parse(method, path).unwrap_err().code
}

#[test]
fn ids_are_read_percent_encoded_or_not() {
    let id: SessionId = "a.b_c:d-e".parse().unwrap();
    assert_eq!(parse("GET", "/conversations/a.b_c:d-e"), Ok(Route::ReadConversation(id.clone())));
    assert_eq!(parse("DELETE", "/conversations/a%2Eb%5fc%3Ad-e"), Ok(Route::DeleteConversation(id.clone())));
    assert_eq!(parse("PATCH", "/conversations/a.b_c%3Ad%2de"), Ok(Route::UpdateConversation(id.clone())));
    assert_eq!(parse("POST", "/conversations/a.b_c%3ad-e/cancel"), Ok(Route::CancelConversation(id.clone())));
    assert_eq!(parse("GET", "/conversations/%61.b_c%3ad-e/events"), Ok(Route::FollowConversation(id)));
    let turn: TurnId = "turn_0123456789abcdef0123456789abcdef".parse().unwrap();
    assert_eq!(parse("GET", "/turns/turn%5F0123456789abcdef0123456789abcdef"), Ok(Route::ReadTurn(turn)));
}

#[test]
fn what_is_not_a_route_is_not_found() {
    for path in ["/", "", "/nope", "/query/", "/conversations/", "/conversations/a/b", "/turns/turn_1", "/health/x"] {
        assert_eq!(code("GET", path), Code::NotFound, "{path}");
    }
}

#[test]
fn another_method_is_refused_with_those_that_are_allowed() {
    let refused = parse("PUT", "/conversations/a").unwrap_err();
    assert_eq!((refused.code, refused.allow), (Code::MethodNotAllowed, Some("GET, HEAD, PATCH, DELETE, OPTIONS")));
    assert_eq!(code("GET", "/query"), Code::MethodNotAllowed);
    assert_eq!(code("POST", "/health"), Code::MethodNotAllowed);
}

#[test]
fn purges_have_their_routes() {
    assert_eq!(parse("POST", "/purge"), Ok(Route::Purge));
    assert_eq!(parse("POST", "/purge-runs"), Ok(Route::StartPurgeRun));
    assert_eq!(parse("GET", "/purge-runs"), Ok(Route::ListPurgeRuns));
    assert_eq!(parse("DELETE", "/purge-runs").unwrap_err().allow, Some("GET, HEAD, POST, OPTIONS"));
}

#[test]
fn prewarming_is_asked_for_by_post() {
    assert_eq!(parse("POST", "/prewarm"), Ok(Route::Prewarm));
    assert_eq!(parse("GET", "/prewarm").unwrap_err().allow, Some("POST, OPTIONS"));
}

#[test]
fn what_is_read_may_be_asked_for_without_its_body() {
    for path in
        ["/health", "/conversations", "/conversations/a", "/conversations/a/events", "/storage-stats", "/purge-runs"]
    {
        assert_eq!(parse("HEAD", path), parse("GET", path), "{path}");
        assert!(Route::allow(path).unwrap().starts_with("GET, HEAD"), "{path}");
    }
    assert_eq!(parse("HEAD", "/query").unwrap_err().allow, Some("POST, OPTIONS"));
}

#[test]
fn every_path_says_its_methods_and_answers_these_and_no_others() {
    const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
    for (path, _) in TABLE {
        let path = path
            .replace("{session_id}", "a")
            .replace("{path}", "a/b")
            .replace("{account_id}", "a")
            .replace("{erasure_id}", "erasure_0123456789abcdef0123456789abcdef")
            .replace("{name}", "a")
            .replace("{event_id}", "evt_0123456789abcdef0123456789abcdef")
            .replace("{action_id}", "act_0123456789abcdef0123456789abcdef")
            .replace("{turn_id}", "turn_0123456789abcdef0123456789abcdef");
        let path = path.as_str();
        let allow = Route::allow(path).unwrap();
        let answered = METHODS.iter().filter(|method| parse(method, path).is_ok());
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

#[test]
fn who_may_use_a_route_is_known_before_its_ids_are_read() {
    let access = |method, path| Route::find(method, path).unwrap().access;
    assert_eq!(access("GET", "/conversations/-a"), Access::Account);
    assert_eq!(access("HEAD", "/health"), Access::Open);
    assert_eq!(access("POST", "/purge-runs"), Access::Operator);
}
