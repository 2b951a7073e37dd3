//! The refusals of the public contract: each code with its HTTP status, and the problem document (RFC 9457) that carries it.
//! No other file knows a status of an error. A private detail never gets in here: it is logged where it happens.

use serde::Serialize;

use crate::domain::{Failure, FailureCode, RequestId};

/// A refusal, as the caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The stable code.
    pub code: Code,
    /// What is wrong and how to mend it.
    pub detail: String,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// `Allow`, for [`Code::MethodNotAllowed`].
    pub allow: Option<&'static str>,
}

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal;)*) => {
        /// Every code of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`, ", stringify!($status))] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The code as it is sent.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// Its HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What kind of problem it is, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    InvalidJson 400 "invalid_json" "The body is not the JSON it should be";
    NoPrompt 400 "no_prompt" "No prompt";
    InvalidAccount 400 "invalid_account" "Not an account id";
    InvalidSessionId 400 "invalid_session_id" "Not a session id";
    InvalidParameter 400 "invalid_parameter" "A parameter is out of range";
    Unauthorized 401 "unauthorized" "Not authenticated";
    WrongAccount 403 "wrong_account" "Not your account";
    OperatorOnly 403 "operator_only" "For operators";
    AuthNotConfigured 403 "auth_not_configured" "Authentication is not configured";
    NotFound 404 "not_found" "Not found";
    MethodNotAllowed 405 "method_not_allowed" "Method not allowed";
    TurnCancelled 409 "turn_cancelled" "The turn was cancelled";
    PromptTooLarge 413 "prompt_too_large" "The prompt is too large";
    UnsupportedMediaType 415 "unsupported_media_type" "Not JSON";
    IdempotencyKeyReused 422 "idempotency_key_reused" "The idempotency key was used for another request";
    QueueFull 429 "queue_full" "Too many turns are waiting";
    ModelRateLimited 429 "model_rate_limited" "The model asks for fewer requests";
    Internal 500 "internal" "Internal error";
    TokenNotSet 500 "token_not_set" "No model credential is configured";
    AgentFailed 502 "agent_failed" "The agent failed";
    ModelAuthFailed 502 "model_auth_failed" "The model refused the credential";
    ModelFailed 502 "model_failed" "The model failed";
    ContainerUnavailable 503 "container_unavailable" "No container";
    TurnInterrupted 503 "turn_interrupted" "The turn was interrupted";
    TurnTimeout 504 "turn_timeout" "The turn took too long";
}

/// `Retry-After` of a refusal that sending again can mend, where nothing better is known.
const RETRY_AFTER_S: u64 = 5;

impl ApiError {
    /// A refusal with its sentence.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = match code {
            Code::QueueFull | Code::ContainerUnavailable | Code::TurnInterrupted => Some(RETRY_AFTER_S),
            _ => None,
        };
        Self { code, detail: detail.into(), retry_after_s, allow: None }
    }

    /// Something of ours broke; the log says what.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on our side. The log has the details under this request_id.")
    }

    /// There is no such route or thing.
    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "Not found")
    }

    /// Neither credential is configured.
    #[must_use]
    pub fn token_not_set() -> Self {
        Self::new(
            Code::TokenNotSet,
            "CLAUDE_CODE_OAUTH_TOKEN not set. Run `npx wrangler secret put ANTHROPIC_API_KEY` (or CLAUDE_CODE_OAUTH_TOKEN); \
             for `wrangler dev`, put it into .dev.vars.",
        )
    }

    /// A parameter that is not what it must be.
    #[must_use]
    pub fn parameter(name: &str, rule: &str) -> Self {
        Self::new(Code::InvalidParameter, format!("{name}: {rule}"))
    }

    /// The problem document.
    #[must_use]
    pub fn problem<'a>(&'a self, request_id: &'a RequestId) -> Problem<'a> {
        Problem {
            kind: "about:blank",
            title: self.code.title(),
            status: self.code.status(),
            detail: &self.detail,
            code: self.code.as_str(),
            error: &self.detail,
            request_id,
        }
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let code = match failure.code {
            FailureCode::AgentFailed => Code::AgentFailed,
            FailureCode::ContainerUnavailable => Code::ContainerUnavailable,
            FailureCode::ModelAuthFailed => Code::ModelAuthFailed,
            FailureCode::ModelFailed => Code::ModelFailed,
            FailureCode::ModelRateLimited => Code::ModelRateLimited,
            FailureCode::TurnCancelled => Code::TurnCancelled,
            FailureCode::TurnInterrupted => Code::TurnInterrupted,
            FailureCode::TurnTimeout => Code::TurnTimeout,
        };
        let error = Self::new(code, failure.detail.clone());
        Self { retry_after_s: failure.retry_after_s.or(error.retry_after_s), ..error }
    }
}

/// The problem document, as it is sent.
#[derive(Debug, Serialize)]
pub struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    error: &'a str,
    request_id: &'a RequestId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_problem_document_is_pinned() {
        let id: RequestId = "req_0123456789abcdef0123456789abcdef".parse().unwrap();
        let json = serde_json::to_string(&ApiError::not_found().problem(&id)).unwrap();
        assert_eq!(
            json,
            r#"{"type":"about:blank","title":"Not found","status":404,"detail":"Not found","code":"not_found","error":"Not found","request_id":"req_0123456789abcdef0123456789abcdef"}"#
        );
    }

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        for (i, code) in Code::ALL.iter().enumerate() {
            assert!((400..600).contains(&code.status()));
            assert!(Code::ALL.iter().skip(i + 1).all(|other| other.as_str() != code.as_str()));
        }
    }
}
