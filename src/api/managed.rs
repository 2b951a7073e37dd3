//! Replies about an account as a whole, as documents.

use super::usage;
use crate::account::manage::command::ManageReply;
use crate::domain::AccountId;

/// A document on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// The status of its answer.
    pub(super) status: u16,
    /// Its media type.
    pub(super) content_type: &'static str,
    /// Its text.
    pub(super) text: String,
    /// Its `Link`.
    pub(super) link: Option<String>,
}

fn json(value: &impl serde::Serialize) -> Document {
    // Structs with text keys: serialising them does not fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    Document { status: 200, content_type: "application/json", text, link: None }
}

/// The document that carries a reply.
pub(super) fn document(reply: ManageReply, account_id: &AccountId) -> Document {
    match reply {
        ManageReply::Overview(overview) => json(&overview),
        ManageReply::Erased(step) => json(&step),
        ManageReply::Usage { ask, rows, total, more } => {
            let (content_type, text) = usage::report(&ask, &rows, &total);
            let link = usage::link(account_id, &ask, &rows, more);
            Document { status: 200, content_type, text, link }
        }
    }
}
