//! Replies about an account as a whole, as documents.

use serde::Serialize;

use super::usage;
use crate::account::manage::command::ManageReply;
use crate::domain::AccountId;
use crate::domain::account::AccountStatus;

/// The media type of an export.
pub const NDJSON: &str = "application/x-ndjson";

/// How many conversations an import has stored.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Imported"))]
pub struct ImportedJson {
    /// How many.
    pub conversations: u64,
}

/// A document on its way out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    /// The status of its answer.
    pub(super) status: u16,
    /// Its media type.
    pub(super) content_type: &'static str,
    /// Its text.
    pub(super) text: String,
    /// Its `Link`; of a page of an export, where the next one begins, for the Worker.
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
        ManageReply::Active => json(&AccountStatus::Active),
        ManageReply::Erased(step) => json(&step),
        ManageReply::Imported { conversations } => json(&ImportedJson { conversations }),
        ManageReply::Object(object) => json(&object),
        ManageReply::Dropped | ManageReply::PassedOver => json(&ImportedJson { conversations: 0 }),
        ManageReply::Exported { text, next } => {
            // Structs with text keys: serialising them does not fail.
            let link = next.map(|next| serde_json::to_string(&next).unwrap_or_default());
            Document { status: 200, content_type: NDJSON, text, link }
        }
        ManageReply::Usage { ask, rows, total, more } => {
            let (content_type, text) = usage::report(&ask, &rows, &total);
            let link = usage::link(account_id, &ask, &rows, more);
            Document { status: 200, content_type, text, link }
        }
    }
}
