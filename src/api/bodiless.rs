//! What changes something of an account and needs no body. One that is there counts all the same: it may name the account, and whoever
//! names one must not be answered for another. What is done to a conversation may say more in it.

use super::auth::Principal;
use super::body::{Fields, Head, need_json};
use super::on_conversation::OnConversation;
use super::problem::{ApiError, Code};
use crate::account::command::Command;
use crate::domain::AccountId;

/// Longest body, in bytes: many times an account's name.
pub const MAX_BODY_BYTES: usize = 64 * 1024;
/// The fields of a body.
const FIELDS: &[&str] = &["accountId"];

/// What is to be done.
#[derive(Debug)]
enum What {
    Command(Command),
    OnConversation(OnConversation),
}

/// A command whose body, if it has one, is yet to be read.
#[derive(Debug)]
pub struct BodilessHead {
    principal: Principal,
    named: Option<AccountId>,
    what: What,
    /// What is wrong with a body that is not empty.
    kind: Result<(), ApiError>,
}

impl BodilessHead {
    /// What is known of `command` without the body.
    #[must_use]
    pub fn parse(head: &Head<'_>, principal: Principal, named: Option<AccountId>, command: Command) -> Self {
        Self { principal, named, what: What::Command(command), kind: need_json(head) }
    }

    /// What is known of what is done to a conversation, without the body.
    #[must_use]
    pub(super) fn on_conversation(
        head: &Head<'_>,
        principal: Principal,
        named: Option<AccountId>,
        what: OnConversation,
    ) -> Self {
        Self { principal, named, what: What::OnConversation(what), kind: need_json(head) }
    }

    /// Parses the body, where there is one, and says whose command it is.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(self, body: Option<&[u8]>) -> Result<(AccountId, Command), ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "The body of this request has at most 65536 bytes.");
        let body = body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(too_large)?;
        let known = match &self.what {
            What::Command(_) => FIELDS,
            What::OnConversation(what) => what.fields(),
        };
        let fields = if body.is_empty() {
            None
        } else {
            self.kind?;
            Some(Fields::of(body, known)?)
        };
        let named = match &fields {
            Some(fields) => fields.account(self.named)?,
            None => self.named,
        };
        let account_id = self.principal.account(named)?;
        let command = match self.what {
            What::Command(command) => command,
            What::OnConversation(what) => what.command(fields.as_ref())?,
        };
        Ok((account_id, command))
    }
}
