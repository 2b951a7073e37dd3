//! The model gateway: what a call that comes out of a container becomes on its way to the model's API.
//! Only interception reaches it; the credential is put in here and is nowhere else.

use crate::account::command::Refusal;
use crate::config::{Config, Credential};
use crate::error::{ApiError, Code};

/// The host that the container knows the model's API by.
pub const MODEL_HOST: &str = "model.internal";

/// Paths of the model's API that the SDK uses.
const PATHS: &[&str] = &["/v1/messages", "/v1/messages/count_tokens"];

/// Headers of a call that stay behind: credentials, what the connection sets itself, and what tells where it came from.
const DROPPED: &[&str] = &[
    "authorization",
    "x-api-key",
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "cookie",
    "proxy-authorization",
    "proxy-connection",
    "accept-encoding",
];

/// Where a call goes.
///
/// # Errors
/// 404 for what is not the model's, 500 `token_not_set` without a credential.
pub fn destination(config: &Config, method: &str, path: &str, query: &str) -> Result<String, ApiError> {
    if method != "POST" || !PATHS.contains(&path) {
        return Err(ApiError::new(
            Code::NotFound,
            "The gateway passes POST /v1/messages and /v1/messages/count_tokens only.",
        ));
    }
    let question = if query.is_empty() { "" } else { "?" };
    Ok(format!("{}{path}{question}{query}", config.model_api_url))
}

/// The header that carries the credential.
///
/// # Errors
/// 500 `token_not_set`.
pub fn credential_header(config: &Config) -> Result<(&'static str, String), ApiError> {
    match &config.credential {
        Some(Credential::ApiKey(key)) => Ok(("x-api-key", key.clone())),
        Some(Credential::OauthToken(token)) => Ok(("authorization", format!("Bearer {token}"))),
        None => Err(ApiError::token_not_set()),
    }
}

/// Whether a header of a call goes on to the model's API.
#[must_use]
pub fn passes(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !DROPPED.contains(&name.as_str()) && !name.starts_with("cf-") && !name.starts_with("x-forwarded-")
}

/// The header by which the CLI names its session in each call.
const SESSION_HEADER: &str = "x-claude-code-session-id";

/// What the account is told of a refused call: `asked` and `told` look into the headers of the call and of its refusal.
pub fn refusal(status: u16, asked: impl Fn(&str) -> Option<String>, told: impl Fn(&str) -> Option<String>) -> Refusal {
    Refusal {
        agent_session: asked(SESSION_HEADER).and_then(|id| id.try_into().ok()),
        status,
        retry_after_s: told("retry-after").and_then(|seconds| seconds.trim().parse().ok()),
    }
}

/// Whether the agent may have an answer of this status. A redirect would lead it, with what was said, past the gateway.
#[must_use]
pub const fn passes_back(status: u16) -> bool {
    !matches!(status, 300..=399)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(|name| (name == "ANTHROPIC_API_KEY").then(|| "k".to_owned())).unwrap()
    }

    #[test]
    fn only_the_models_own_calls_pass() {
        let url = destination(&config(), "POST", "/v1/messages", "beta=true").unwrap();
        assert_eq!(url, "https://api.anthropic.com/v1/messages?beta=true");
        for (method, path) in [
            ("GET", "/v1/messages"),
            ("POST", "/v1/models"),
            ("POST", "/v1/messages/"),
            ("POST", "/v1/messages/../files"),
            ("POST", "/query"),
        ] {
            assert_eq!(destination(&config(), method, path, "").unwrap_err().code, Code::NotFound, "{method} {path}");
        }
    }

    #[test]
    fn whatever_credential_comes_stays_behind() {
        for name in ["Authorization", "x-api-key", "X-Api-Key", "Cookie", "Host", "CF-Worker", "X-Forwarded-For"] {
            assert!(!passes(name), "{name}");
        }
        for name in ["anthropic-version", "anthropic-beta", "content-type", "user-agent", "x-stainless-lang"] {
            assert!(passes(name), "{name}");
        }
    }

    #[test]
    fn only_redirects_stay_here() {
        assert!([200, 400, 429, 500, 529].into_iter().all(passes_back));
        assert!(![300, 301, 302, 303, 307, 308].into_iter().any(passes_back));
    }

    #[test]
    fn the_account_is_told_what_the_headers_say_and_nothing_that_is_malformed() {
        let session = "0f1b1d9c-6a55-4f0e-9a53-0d9b1b9f2b11";
        let told = refusal(429, |_| Some(session.to_owned()), |_| Some("61".to_owned()));
        assert_eq!((told.agent_session.unwrap().as_str(), told.status, told.retry_after_s), (session, 429, Some(61)));
        let odd = refusal(500, |_| Some("me".to_owned()), |_| Some("Wed, 21 Oct 2026 07:28:00 GMT".to_owned()));
        assert_eq!(odd, Refusal { agent_session: None, status: 500, retry_after_s: None });
    }

    #[test]
    fn each_kind_of_credential_has_its_header() {
        assert_eq!(credential_header(&config()).unwrap(), ("x-api-key", "k".to_owned()));
        let oauth = Config { credential: Some(Credential::OauthToken("t".into())), ..config() };
        assert_eq!(credential_header(&oauth).unwrap(), ("authorization", "Bearer t".to_owned()));
        let none = Config { credential: None, ..config() };
        assert_eq!(credential_header(&none).unwrap_err().code, Code::TokenNotSet);
    }
}
