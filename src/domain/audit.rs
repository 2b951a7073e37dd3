//! The audit: who changed what of accounts. It holds no content.

use serde::{Deserialize, Serialize};

use super::{AccountId, Millis, RequestId};

/// A change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum AuditAction {
    /// `PATCH /accounts/{id}`
    ChangeAccount,
    /// `DELETE /accounts/{id}` and `DELETE /account`
    EraseAccount,
    /// `POST /import`
    ImportAccount,
    /// `POST /tokens`
    MakeToken,
    /// `POST /purge-runs`
    StartPurgeRun,
}

impl AuditAction {
    const ALL: [(Self, &str); 5] = [
        (Self::ChangeAccount, "change_account"),
        (Self::EraseAccount, "erase_account"),
        (Self::ImportAccount, "import_account"),
        (Self::MakeToken, "make_token"),
        (Self::StartPurgeRun, "start_purge_run"),
    ];

    /// The word that is stored and sent.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(action, _)| *action == self).map_or("", |(_, word)| word)
    }

    /// Reads the stored word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(action, _)| *action)
    }
}

/// Who asked for what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct AuditEntry {
    /// When.
    pub at: Millis,
    /// `key:<name or digest>`, `token:<account>`, or `nobody` where no credential is asked for.
    pub actor: String,
    /// What.
    pub action: AuditAction,
    /// The account that it is about; null for all of them.
    pub target: Option<AccountId>,
    /// Its request.
    pub request_id: RequestId,
}
