//! The way to the console: its files are static assets under `/console/`, which the Worker is never asked for.

use super::answer::{Answer, Body};
use super::body::Head;

const CONSOLE: &str = "/console/";

/// Whether a browser asks for a page at the root. A client of the API asks for no HTML, and gets what it always got.
#[must_use]
pub(super) fn is_asked(head: &Head<'_>, path: &str) -> bool {
    let wants_html = || (head.header)("accept").is_some_and(|types| types.contains("text/html"));
    path == "/" && matches!(head.method, "GET" | "HEAD") && wants_html()
}

/// Sends a browser to the console.
#[must_use]
pub fn redirect<J>() -> Answer<J> {
    Answer::new(302, "", Body::Nothing).with("location", CONSOLE).with("vary", "accept")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Millis;

    const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

    fn asked(method: &str, path: &str, accept: Option<&str>) -> bool {
        let header = |name: &str| accept.filter(|_| name == "accept").map(str::to_owned);
        is_asked(&Head { method, url: "http://localhost/", header: &header, now: Millis::new(0) }, path)
    }

    #[test]
    fn only_a_browser_at_the_root_is_sent_to_the_console() {
        assert!(asked("GET", "/", Some(BROWSER)));
        assert!(asked("HEAD", "/", Some(BROWSER)));
        for (method, path, accept) in [
            ("GET", "/", None),
            ("GET", "/", Some("*/*")),
            ("GET", "/", Some("application/json")),
            ("GET", "/health", Some(BROWSER)),
            ("GET", "/console", Some(BROWSER)),
            ("POST", "/", Some(BROWSER)),
        ] {
            assert!(!asked(method, path, accept), "{method} {path} {accept:?}");
        }
    }

    #[test]
    fn the_answer_leads_there_and_depends_on_accept() {
        let answer: Answer<()> = redirect();
        assert_eq!(answer.status, 302);
        assert_eq!(answer.headers, [("location", "/console/".to_owned()), ("vary", "accept".to_owned())]);
    }
}
