//! The model gateway: what a call out of a container becomes on its way to the model's API, and what of the answer goes back.
//! Only interception reaches it. The credential is put in here and is nowhere else; what is spent is counted here and nowhere else.

pub mod body;
pub mod headers;
pub mod meter;

use crate::config::{Config, Credential};

/// The host that the container knows the model's API by.
pub const MODEL_HOST: &str = "model.internal";

/// The path that costs money.
const MESSAGES: &str = "/v1/messages";
/// Paths of the model's API that the SDK uses.
const PATHS: &[&str] = &[MESSAGES, "/v1/messages/count_tokens"];

/// A call that the gateway answers itself, in the shape of the model's API so that the CLI can read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// `error.type` of the model's API.
    pub kind: &'static str,
    /// What is wrong, for whoever reads the agent's output.
    pub message: String,
}

impl Refused {
    /// A refusal with its sentence.
    pub fn new(status: u16, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into() }
    }

    /// No turn of the account is running: nothing of it may call the model.
    #[must_use]
    pub fn no_turn() -> Self {
        Self::new(
            403,
            "permission_error",
            "No turn of this account is running: only a running turn may call the model.",
        )
    }

    /// A budget leaves no room for the call.
    #[must_use]
    pub fn no_budget() -> Self {
        Self::new(403, "permission_error", "This account, or this turn, has spent what it may on the model.")
    }

    /// As many calls are open as may be.
    #[must_use]
    pub fn too_many_calls() -> Self {
        Self::new(429, "rate_limit_error", "This turn has too many model calls open. Try again later.")
    }

    /// The account's object did not say whether a turn is running.
    #[must_use]
    pub fn no_word() -> Self {
        Self::new(503, "overloaded_error", "The account's object cannot be reached. Try again.")
    }

    /// The model's API did not answer, or not as an API does.
    #[must_use]
    pub fn unreachable() -> Self {
        Self::new(502, "api_error", "The model's API cannot be reached.")
    }

    /// The body of the answer.
    #[must_use]
    pub fn body(&self) -> String {
        // A text is always JSON.
        let message = serde_json::to_string(&self.message).unwrap_or_default();
        format!(r#"{{"type":"error","error":{{"type":"{}","message":{message}}}}}"#, self.kind)
    }
}

/// Where a call goes.
///
/// # Errors
/// 404 for a host, method or path that is not the model's.
pub fn destination(config: &Config, method: &str, host: &str, path: &str, query: &str) -> Result<String, Refused> {
    if host != MODEL_HOST || method != "POST" || !PATHS.contains(&path) {
        return Err(Refused::new(
            404,
            "not_found_error",
            "The gateway passes POST /v1/messages and /v1/messages/count_tokens of http://model.internal only.",
        ));
    }
    let question = if query.is_empty() { "" } else { "?" };
    Ok(format!("{}{path}{question}{query}", config.model_api_url))
}

/// Whether a call of this path is answered by the model, and paid for.
#[must_use]
pub fn is_model_call(path: &str) -> bool {
    path == MESSAGES
}

/// The header that carries the credential.
///
/// # Errors
/// 500 if none is configured.
pub fn credential_header(config: &Config) -> Result<(&'static str, String), Refused> {
    match &config.credential {
        Some(Credential::ApiKey(key)) => Ok(("x-api-key", key.clone())),
        Some(Credential::OauthToken(token)) => Ok(("authorization", format!("Bearer {token}"))),
        None => Err(Refused::new(500, "api_error", "No credential of the model is configured.")),
    }
}

/// Whether the agent may have an answer of this status. A redirect would lead it, with what was said, past the gateway.
#[must_use]
pub const fn may_return_status(status: u16) -> bool {
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
        let url = destination(&config(), "POST", MODEL_HOST, "/v1/messages", "beta=true").unwrap();
        assert_eq!(url, "https://api.anthropic.com/v1/messages?beta=true");
        for (method, host, path) in [
            ("GET", MODEL_HOST, "/v1/messages"),
            ("POST", MODEL_HOST, "/v1/models"),
            ("POST", MODEL_HOST, "/v1/messages/"),
            ("POST", MODEL_HOST, "/v1/messages/../files"),
            ("POST", MODEL_HOST, "/query"),
            ("POST", "model.internal.", "/v1/messages"),
            ("POST", "x.model.internal", "/v1/messages"),
            ("POST", "localhost", "/v1/messages"),
            ("POST", "agents.example.com", "/query"),
        ] {
            let refused = destination(&config(), method, host, path, "").unwrap_err();
            assert_eq!(refused.status, 404, "{method} {host} {path}");
        }
    }

    #[test]
    fn only_redirects_stay_here() {
        assert!([200, 400, 429, 500, 529].into_iter().all(may_return_status));
        assert!(![300, 301, 302, 303, 307, 308].into_iter().any(may_return_status));
    }

    #[test]
    fn each_kind_of_credential_has_its_header() {
        assert_eq!(credential_header(&config()).unwrap(), ("x-api-key", "k".to_owned()));
        let oauth = Config { credential: Some(Credential::OauthToken("t".into())), ..config() };
        assert_eq!(credential_header(&oauth).unwrap(), ("authorization", "Bearer t".to_owned()));
        let none = Config { credential: None, ..config() };
        assert_eq!(credential_header(&none).unwrap_err().status, 500);
    }

    #[test]
    fn a_refusal_has_the_shape_of_the_models_api() {
        let body = r#"{"type":"error","error":{"type":"api_error","message":"say \"no\""}}"#;
        assert_eq!(Refused::new(500, "api_error", "say \"no\"").body(), body);
    }
}
