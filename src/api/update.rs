//! `PATCH /conversations/{id}`: a change of title and metadata.

use std::collections::BTreeMap;

use serde_json::Value;

use super::auth::Principal;
use super::body::{Fields, Head, need_json, not_json};
use crate::account::command::Command;
use crate::domain::conversation::MAX_TITLE_CHARS;
use crate::domain::{AccountId, MetadataPatch, SessionId, Title};
use crate::error::{ApiError, Code};

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

/// A change of metadata as it is written. It is decoded as what it must be, so that no other value takes memory.
fn metadata(raw: &str) -> Result<MetadataPatch, ApiError> {
    let patch = match serde_json::from_str::<Option<BTreeMap<String, Option<String>>>>(raw) {
        Ok(Some(entries)) => Value::Object(entries.into_iter().map(|(key, value)| (key, value.into())).collect()),
        Ok(None) => Value::Null,
        // What is refused does not matter any more, only that it is.
        Err(error) if error.is_data() && raw.starts_with('{') => Value::from_iter([("value", false)]),
        Err(error) if error.is_data() => Value::Bool(false),
        Err(error) => return Err(not_json(&error)),
    };
    MetadataPatch::try_from(patch).map_err(|e| ApiError::parameter("metadata", &e.to_string()))
}
