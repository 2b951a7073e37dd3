//! The refusals of the public contract: each code with its HTTP status, and the problem document (RFC 9457) that carries it.
//! No other file knows a status of an error. A private detail never gets in here: it is logged where it happens.

use serde::Serialize;

use crate::account::branches::command::NoBranch;
use crate::account::files::command::FilesRefusal;
use crate::domain::limits::Exceeded;
use crate::domain::turn::shortened;
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
    /// The bytes of the file, for [`Code::RangeNotSatisfiable`].
    pub file_size: Option<u64>,
    /// The limit that is reached, of a refusal for that.
    pub exceeded: Option<Box<Exceeded>>,
}

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal;)*) => {
        /// Every code of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = concat!("`", $code, "`, ", stringify!($status))] $variant,)*
        }

        impl Code {
            /// Every code, for what checks and describes them all.
            #[cfg(not(target_arch = "wasm32"))]
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
    InvalidParameter 400 "invalid_parameter" "A parameter is not valid";
    Unauthorized 401 "unauthorized" "Not authenticated";
    WrongAccount 403 "wrong_account" "Not your account";
    OperatorOnly 403 "operator_only" "Operators only";
    AuthNotConfigured 403 "auth_not_configured" "Authentication is not configured";
    NotFound 404 "not_found" "Not found";
    MethodNotAllowed 405 "method_not_allowed" "Method not allowed";
    RequestTimeout 408 "request_timeout" "The body did not arrive in time";
    AttachmentNotFound 404 "attachment_not_found" "An attachment was not found";
    TurnCancelled 409 "turn_cancelled" "The turn was cancelled";
    PromptTooLarge 413 "prompt_too_large" "The prompt is too large";
    BodyTooLarge 413 "body_too_large" "The body is too large";
    AttachmentTooLarge 413 "attachment_too_large" "An attachment is too large";
    UnsupportedAttachment 415 "unsupported_attachment" "The model does not accept this attachment";
    UnsupportedMediaType 415 "unsupported_media_type" "Unsupported media type";
    IdempotencyKeyReused 422 "idempotency_key_reused" "The idempotency key was used for another request";
    QueueFull 429 "queue_full" "Too many turns are waiting";
    ModelRateLimited 429 "model_rate_limited" "The model asks for fewer requests";
    Internal 500 "internal" "Internal error";
    TokenNotSet 500 "token_not_set" "No model credential is configured";
    AgentFailed 502 "agent_failed" "The agent failed";
    ModelAuthFailed 502 "model_auth_failed" "The model refused the credential";
    ModelFailed 502 "model_failed" "The model failed";
    AtCapacity 503 "at_capacity" "No container is free";
    ContainerUnavailable 503 "container_unavailable" "The container is unavailable";
    ObjectReset 503 "object_reset" "The account is being updated";
    TurnInterrupted 503 "turn_interrupted" "The turn was interrupted";
    TurnTimeout 504 "turn_timeout" "The turn took too long";
    RangeNotSatisfiable 416 "range_not_satisfiable" "The file has no such bytes";
    LengthRequired 411 "length_required" "The body has no length";
    PreconditionFailed 412 "precondition_failed" "The file has changed";
    StorageFull 413 "storage_full" "No room for more files";
    WorkspaceDamaged 500 "workspace_damaged" "The files are damaged";
    FilesNotConfigured 501 "files_not_configured" "Files are not configured";
    WorkspaceUnavailable 503 "workspace_unavailable" "The files cannot be read";
    InvalidOutputSchema 400 "invalid_output_schema" "Not a usable JSON Schema";
    InvalidToolSchema 400 "invalid_tool_schema" "Not a usable JSON Schema";
    ConversationExists 409 "conversation_exists" "There is a conversation with this id";
    BranchUnavailable 409 "branch_unavailable" "The conversation cannot be branched there";
    ConversationBusy 409 "conversation_busy" "The conversation has an open turn";
    ActionPending 409 "action_pending" "The conversation's turn requires action";
    ActionResolved 409 "action_resolved" "The action has already been decided";
    BudgetExhausted 402 "budget_exhausted" "The budget is exhausted";
    AccountSuspended 403 "account_suspended" "The account is suspended";
    RateLimited 429 "rate_limited" "Too many requests";
    AccountFull 507 "storage_full" "The account's storage is full";
    OutputInvalid 502 "output_invalid" "The answer does not match the schema";
}

/// `Retry-After` of a refusal that sending again can mend, where nothing better is known.
const RETRY_AFTER_S: u64 = 5;
/// The same where a container must become free first: the shortest time that an instance takes to stop and another to start.
const CAPACITY_RETRY_AFTER_S: u64 = 30;
/// The same where a rate is counted anew: the shorter of the platform's two periods.
const RATE_RETRY_AFTER_S: u64 = 10;
/// The same where an object is made anew, which takes less than a second.
const RESET_RETRY_AFTER_S: u64 = 2;

impl ApiError {
    /// A refusal with its sentence.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let retry_after_s = match code {
            Code::AtCapacity => Some(CAPACITY_RETRY_AFTER_S),
            Code::ObjectReset => Some(RESET_RETRY_AFTER_S),
            Code::QueueFull | Code::ContainerUnavailable | Code::TurnInterrupted | Code::WorkspaceUnavailable => {
                Some(RETRY_AFTER_S)
            }
            _ => None,
        };
        Self { code, detail: shortened(detail.into()), retry_after_s, allow: None, file_size: None, exceeded: None }
    }

    /// Something of ours broke; the log says what.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(Code::Internal, "Something went wrong on our side. The log has the details under this request_id.")
    }

    /// The account's object was reset or is being updated.
    #[must_use]
    pub fn object_reset() -> Self {
        Self::new(
            Code::ObjectReset,
            "The account's object was reset or is being updated. \
             Send the request again; with the same Idempotency-Key, a query runs once.",
        )
    }

    /// The body did not come within the time that it has.
    #[must_use]
    pub fn request_timeout() -> Self {
        Self::new(Code::RequestTimeout, "The body did not arrive in full within 60 seconds.")
    }

    /// The account sends more queries than `QUERY_RATE` allows.
    #[must_use]
    pub fn rate_limited() -> Self {
        let retry_after_s = Some(RATE_RETRY_AFTER_S);
        let detail = "This account sends queries faster than QUERY_RATE allows. Try again later.";
        Self { retry_after_s, ..Self::new(Code::RateLimited, detail) }
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
            "CLAUDE_CODE_OAUTH_TOKEN not set, nor is ANTHROPIC_API_KEY. Run `npx wrangler secret put ANTHROPIC_API_KEY`; \
             for `npm run dev`, put it into .dev.vars.",
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
            exceeded: self.exceeded.as_deref(),
        }
    }
}

impl From<&Failure> for ApiError {
    fn from(failure: &Failure) -> Self {
        let code = match failure.code {
            FailureCode::AgentFailed => Code::AgentFailed,
            FailureCode::AtCapacity => Code::AtCapacity,
            FailureCode::AttachmentNotFound => Code::AttachmentNotFound,
            FailureCode::AttachmentTooLarge => Code::AttachmentTooLarge,
            FailureCode::ContainerUnavailable => Code::ContainerUnavailable,
            FailureCode::ModelAuthFailed => Code::ModelAuthFailed,
            FailureCode::ModelFailed => Code::ModelFailed,
            FailureCode::ModelRateLimited => Code::ModelRateLimited,
            FailureCode::TurnCancelled => Code::TurnCancelled,
            FailureCode::TurnInterrupted => Code::TurnInterrupted,
            FailureCode::TurnTimeout => Code::TurnTimeout,
            FailureCode::UnsupportedAttachment => Code::UnsupportedAttachment,
            FailureCode::BudgetExhausted => Code::BudgetExhausted,
            FailureCode::WorkspaceDamaged => Code::WorkspaceDamaged,
            FailureCode::WorkspaceUnavailable => Code::WorkspaceUnavailable,
            FailureCode::OutputInvalid => Code::OutputInvalid,
            FailureCode::InvalidOutputSchema => Code::InvalidOutputSchema,
            FailureCode::InvalidToolSchema => Code::InvalidToolSchema,
        };
        let error = Self::new(code, failure.detail.clone());
        Self { retry_after_s: failure.retry_after_s.or(error.retry_after_s), ..error }
    }
}

impl From<FilesRefusal> for ApiError {
    fn from(refusal: FilesRefusal) -> Self {
        let (code, detail) = match refusal {
            FilesRefusal::NotConfigured => {
                (Code::FilesNotConfigured, "This deployment has no bucket: files do not outlive their container.")
            }
            FilesRefusal::StorageFull => {
                (Code::StorageFull, "The account's files would take more than ACCOUNT_FILES_BYTES. Delete some first.")
            }
            FilesRefusal::InboxFull => (
                Code::StorageFull,
                "500 uploads and deletions wait for the conversation's next turn. Send a query first.",
            ),
            FilesRefusal::UploadTooLarge => (Code::BodyTooLarge, "The upload is larger than MAX_UPLOAD_BYTES."),
            FilesRefusal::PreconditionFailed => {
                (Code::PreconditionFailed, "The existing file does not satisfy If-Match or If-None-Match.")
            }
            FilesRefusal::UploadExpired => {
                (Code::RequestTimeout, "The upload took longer than 10 minutes. Send it again.")
            }
            FilesRefusal::NotThen => (Code::NotFound, "The file was not there at the end of this turn."),
            FilesRefusal::VersionGone => (Code::NotFound, "The files of this turn are kept no longer."),
            FilesRefusal::BadUpload => (Code::InvalidParameter, "Not an upload of this account."),
        };
        Self::new(code, detail)
    }
}

impl From<NoBranch> for ApiError {
    fn from(why: NoBranch) -> Self {
        let detail = match why {
            NoBranch::NoTurn => "No turn of this conversation has ended.",
            NoBranch::TranscriptUnknown => {
                "This turn ended before the service supported branches, so its state is unknown. Choose a later turn."
            }
            NoBranch::FilesGone => {
                "The files of that moment are kept no longer: 32 versions are kept, and none from before all files were deleted. Choose a later turn."
            }
            NoBranch::TooLarge => {
                "The conversation has more than 256 MiB of history up to that turn. Choose an earlier turn."
            }
        };
        Self::new(Code::BranchUnavailable, detail)
    }
}

/// The problem document, as it is sent.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    error: &'a str,
    request_id: &'a RequestId,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    exceeded: Option<&'a Exceeded>,
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
    fn what_may_be_sent_again_says_when() {
        let problem = |error: &ApiError| {
            let id: RequestId = "req_0123456789abcdef0123456789abcdef".parse().unwrap();
            let json = serde_json::to_value(error.problem(&id)).unwrap();
            (json["status"].as_u64(), json["code"].clone(), json["title"].clone(), error.retry_after_s)
        };
        let failed = Failure::new(FailureCode::AtCapacity, "No container is free at the moment.");
        let at_capacity = (Some(503), "at_capacity".into(), "No container is free".into(), Some(30));
        assert_eq!(problem(&ApiError::from(&failed)), at_capacity);
        let reset = (Some(503), "object_reset".into(), "The account is being updated".into(), Some(2));
        assert_eq!(problem(&ApiError::object_reset()), reset);
        let late = (Some(408), "request_timeout".into(), "The body did not arrive in time".into(), None);
        assert_eq!(problem(&ApiError::request_timeout()), late);
    }

    #[test]
    fn a_detail_has_a_bound() {
        assert_eq!(ApiError::new(Code::InvalidJson, "x".repeat(32 * 1024)).detail.chars().count(), 500);
    }

    #[test]
    fn codes_are_unique_and_statuses_are_errors() {
        for (i, code) in Code::ALL.iter().enumerate() {
            assert!((400..600).contains(&code.status()));
            let other = |other: &Code| (other.as_str(), other.status()) != (code.as_str(), code.status());
            assert!(Code::ALL.iter().skip(i + 1).all(other));
        }
    }
}
