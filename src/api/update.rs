//! `PATCH /conversations/{id}`: a change of title and metadata.

use serde_json::Value;

use super::auth::Principal;
use super::request::{Head, json_object, named_account, need_json, text_field};
use crate::account::command::Command;
use crate::domain::{AccountId, MetadataPatch, SessionId, Title};
use crate::error::{ApiError, Code};

/// Longest change, in bytes: metadata and title at their largest, each character escaped to twelve bytes, and room for keys to remove.
pub const MAX_CHANGE_BYTES: usize = 256 * 1024;

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
        let too_large = || ApiError::new(Code::InvalidJson, "A change has at most 262144 bytes.");
        let body = body.filter(|body| body.len() <= MAX_CHANGE_BYTES).ok_or_else(too_large)?;
        let mut body = json_object(body)?;
        let mut field = |name: &str| body.get_mut(name).map(Value::take);
        let account_id = self.principal.account(named_account(field("accountId"), self.named)?)?;
        let title = text_field("title", field("title"))?
            .map(|title| Title::try_from(title).map_err(|rule| ApiError::parameter("title", rule)))
            .transpose()?;
        let metadata = field("metadata")
            .map(|patch| MetadataPatch::try_from(patch).map_err(|e| ApiError::parameter("metadata", &e.to_string())))
            .transpose()?;
        Ok((account_id, Command::UpdateConversation { session_id: self.session_id, title, metadata }))
    }
}
