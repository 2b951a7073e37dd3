//! What a page of another site may know (the Fetch standard's CORS protocol): nothing, unless the operator names its origin.

use super::answer::Answer;
use crate::config::Origins;

/// The headers of an answer that a page may read, besides those that every page may.
pub const EXPOSED_HEADERS: &str = "x-request-id, link, location, retry-after, server-timing, idempotent-replayed, ratelimit, ratelimit-policy, traceparent";
/// The headers of a request that a page may set, besides those that every page may.
const REQUEST_HEADERS: &str = "authorization, content-type, idempotency-key, last-event-id, prefer, traceparent";
/// How long a browser may remember an answer to a preflight, in seconds: as long as any browser does.
const MAX_AGE_S: &str = "7200";

/// What `Access-Control-Allow-Origin` says to a page of this origin; none where it may not ask.
#[must_use]
pub fn allowed<'a>(origins: &'a Origins, origin: &str) -> Option<&'a str> {
    match origins {
        Origins::None => None,
        Origins::Any => Some("*"),
        Origins::These(these) => these.iter().find(|known| *known == origin).map(String::as_str),
    }
}

/// Whether the operator names this very origin.
pub(super) fn is_named(origins: &Origins, origin: &str) -> bool {
    matches!(origins, Origins::These(_)) && allowed(origins, origin).is_some()
}

/// The answer to `OPTIONS` on a path with these methods; to a page that may ask, with what it may send.
#[must_use]
pub fn options<J>(allow: &'static str, to_page: bool) -> Answer<J> {
    let answer = Answer::empty().with("allow", allow);
    if to_page {
        answer
            .with("access-control-allow-methods", allow)
            .with("access-control-allow-headers", REQUEST_HEADERS)
            .with("access-control-max-age", MAX_AGE_S)
    } else {
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn these() -> Origins {
        Origins::These(vec!["https://app.example".to_owned(), "http://localhost:5173".to_owned()])
    }

    #[test]
    fn an_origin_is_allowed_exactly_or_not() {
        assert_eq!(allowed(&these(), "http://localhost:5173"), Some("http://localhost:5173"));
        for other in ["https://app.example:444", "http://app.example", "https://app.example.evil", "null", "", "*"] {
            assert_eq!(allowed(&these(), other), None, "{other}");
        }
        assert_eq!(allowed(&Origins::Any, "https://anywhere.example"), Some("*"));
        assert_eq!(allowed(&Origins::None, "https://app.example"), None);
    }

    #[test]
    fn an_origin_that_only_a_star_allows_is_not_named() {
        assert!(is_named(&these(), "https://app.example"));
        assert!(!is_named(&these(), "https://other.example"));
        assert!(!is_named(&Origins::Any, "https://app.example"));
    }

    #[test]
    fn a_preflight_is_told_what_a_page_may_send_and_others_only_the_methods() {
        let headers = |to_page| {
            let answer: Answer<()> = options("POST, OPTIONS", to_page);
            assert_eq!(answer.status, 204);
            answer.headers.into_iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        assert_eq!(headers(false), ["allow: POST, OPTIONS"]);
        let to_page = [
            "allow: POST, OPTIONS",
            "access-control-allow-methods: POST, OPTIONS",
            "access-control-allow-headers: authorization, content-type, idempotency-key, last-event-id, prefer, traceparent",
            "access-control-max-age: 7200",
        ];
        assert_eq!(headers(true), to_page);
    }
}
