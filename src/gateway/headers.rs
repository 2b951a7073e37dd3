//! Which headers pass the gateway, both ways. What is not listed stays behind: credentials, whatever tells where a call came from,
//! and whatever of the operator's organisation an answer tells.

/// Headers of a call that go on.
const OUT: &[&str] = &[
    "content-type",
    "accept",
    "user-agent",
    "anthropic-version",
    "anthropic-beta",
    "anthropic-dangerous-direct-browser-access",
    "x-app",
    SESSION_HEADER,
];
const OUT_PREFIX: &str = "x-stainless-";

/// Headers of an answer that go back.
const BACK: &[&str] = &["content-type", "request-id", RETRY_AFTER, "x-should-retry"];
const BACK_PREFIX: &str = "anthropic-ratelimit-unified-";

/// The header by which the CLI names its session in each call.
pub const SESSION_HEADER: &str = "x-claude-code-session-id";
/// The header by which the model's API says how long it wants to be left alone, in seconds.
pub const RETRY_AFTER: &str = "retry-after";

/// Whether a header of a call goes on to the model's API. `name` is in lower case, as `Headers` gives it.
#[must_use]
pub fn forwards_header(name: &str) -> bool {
    OUT.contains(&name) || name.starts_with(OUT_PREFIX)
}

/// Whether a header of an answer goes back to the agent.
#[must_use]
pub fn may_return_header(name: &str) -> bool {
    BACK.contains(&name) || name.starts_with(BACK_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cli_sends_passes_and_nothing_else() {
        for name in ["anthropic-version", "anthropic-beta", "content-type", "user-agent", "x-stainless-lang", "x-app"] {
            assert!(forwards_header(name), "{name}");
        }
        for name in [
            "authorization",
            "x-api-key",
            "cookie",
            "host",
            "cf-worker",
            "x-forwarded-for",
            "forwarded",
            "true-client-ip",
            "x-real-ip",
            "via",
            "origin",
            "referer",
            "anthropic-workspace-id",
            "content-encoding",
            "content-length",
            "proxy-authorization",
        ] {
            assert!(!forwards_header(name), "{name}");
        }
    }

    #[test]
    fn what_the_cli_needs_of_an_answer_goes_back_and_nothing_else() {
        for name in ["content-type", "request-id", "retry-after", "anthropic-ratelimit-unified-status"] {
            assert!(may_return_header(name), "{name}");
        }
        for name in [
            "anthropic-organization-id",
            "set-cookie",
            "cf-ray",
            "server",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-tokens-limit",
            "content-length",
            "content-encoding",
            "location",
        ] {
            assert!(!may_return_header(name), "{name}");
        }
    }
}
