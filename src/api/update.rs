//! `PATCH /conversations/{id}`: a change of title and metadata.

use serde_json::{Map, Value};

use super::auth::Principal;
use super::body::{Fields, Head, is_deeper, need_json, not_json};
use super::problem::{ApiError, Code};
use crate::account::command::Command;
use crate::domain::conversation::MAX_TITLE_CHARS;
use crate::domain::{AccountId, MetadataPatch, SessionId, Title};

/// Longest change, in bytes: metadata and title at their largest, each character escaped to twelve bytes, and room for keys to remove.
pub const MAX_CHANGE_BYTES: usize = 256 * 1024;

/// The fields of a change.
const FIELDS: &[&str] = &["accountId", "title", "metadata"];
const MAX_TITLE_BYTES: usize = 4 * MAX_TITLE_CHARS;

/// A change without its body.
#[derive(Debug)]
pub struct UpdateHead {
    principal: Principal,
    named: Option<AccountId>,
    session_id: SessionId,
}

impl UpdateHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn parse(
        head: &Head<'_>,
        principal: Principal,
        named: Option<AccountId>,
        session_id: SessionId,
    ) -> Result<Self, ApiError> {
        need_json(head)?;
        Ok(Self { principal, named, session_id })
    }

    /// Parses the body and makes the command of it.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "A change has at most 262144 bytes.");
        let body = body.filter(|body| body.len() <= MAX_CHANGE_BYTES).ok_or_else(too_large)?;
        let fields = Fields::of(body, FIELDS)?;
        let account_id = self.principal.account(fields.account(self.named)?)?;
        let title = fields
            .text("title", MAX_TITLE_BYTES, Code::InvalidParameter)?
            .map(|title| Title::try_from(title).map_err(|rule| ApiError::parameter("title", rule)))
            .transpose()?;
        let metadata = fields.written("metadata").map(metadata).transpose()?;
        Ok((account_id, Command::UpdateConversation { session_id: self.session_id, title, metadata }))
    }
}

/// A change of metadata as it is written. Only what can be one is decoded: other values would take many times their bytes.
pub(super) fn metadata(raw: &str) -> Result<MetadataPatch, ApiError> {
    let patch = if raw == "null" || (raw.starts_with('{') && !is_deeper(raw, 1)) {
        serde_json::from_str(raw).map_err(|e| not_json(&e))?
    } else if raw.starts_with('{') {
        // Refused for the value, as what is nested is.
        let mut nested = Map::new();
        nested.insert("nested".to_owned(), Value::Bool(true));
        Value::Object(nested)
    } else {
        Value::Bool(true)
    };
    MetadataPatch::try_from(patch).map_err(|e| ApiError::parameter("metadata", &e.to_string()))
}
