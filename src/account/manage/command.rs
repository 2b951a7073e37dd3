//! What is asked of an account as a whole: what it has used, may use and is.

use serde::{Deserialize, Serialize};

use crate::domain::account::{AccountChange, ErasureStep, Overview};
use crate::domain::ledger::{Day, Group, UsageSum};
use crate::domain::transfer::{ExportPlace, ObjectOf};
use crate::domain::{ErasureId, SessionId};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ManageCommand {
    /// What the account has used.
    Usage(UsageAsk),
    /// The account as a whole.
    Overview,
    /// Change what is set of it.
    Change(Box<AccountChange>),
    /// Say whether it is active: one that is suspended may not erase itself.
    CheckActive,
    /// A page of its conversations as lines; the first if there is no place.
    Export(Option<ExportPlace>),
    /// Store conversations out of lines.
    Import(Box<ImportBatch>),
    /// Make a key for an object that a line stands for, or store that line when the object is there.
    ImportObject(Box<ImportObject>),
    /// Drop what is not whole of an import that goes on no more.
    DropImport,
    /// Erase what there is of it, for the directory.
    Erase {
        /// Whether the account itself stays: what is set of it and what it has used.
        keep_account: bool,
        /// Whether it is stored what there is to erase.
        counted: bool,
        /// The erasure, for the event that tells of it.
        #[serde(default)]
        erasure_id: Option<ErasureId>,
    },
}

impl ManageCommand {
    /// Whether it holds a user's content.
    pub(in crate::account) const fn has_content(&self) -> bool {
        match self {
            // A place may have the name of a file.
            Self::Change(_) | Self::Import(_) | Self::ImportObject(_) | Self::Export(_) => true,
            Self::Usage(_) | Self::Overview | Self::CheckActive | Self::Erase { .. } | Self::DropImport => false,
        }
    }

    /// Whether a suspended account may not do it.
    pub(in crate::account) const fn needs_active_account(&self) -> bool {
        matches!(self, Self::Import(_) | Self::ImportObject(_))
    }

    /// Whether it may be sent again if no response came. A line that was stored is not stored twice.
    pub(in crate::account) const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Import(_) | Self::ImportObject(_))
    }
}

/// Some lines of an export.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportBatch {
    /// They, each with its line feed.
    pub lines: String,
    /// The number of the first, counted from 1.
    pub first_line: u64,
    /// Whether none follows.
    pub is_last: bool,
    /// Whether an operator sends them.
    #[serde(default)]
    pub by_operator: bool,
    /// Whether conversations that are there are passed over, and what is not whole at the end stays for the next request.
    #[serde(default)]
    pub resume: bool,
}

/// A line of an export that stands for an object of the bucket.
#[derive(Debug, Serialize, Deserialize)]
pub struct ImportObject {
    /// The line.
    pub line: String,
    /// Its number, counted from 1.
    pub line_no: u64,
    /// The object, when its bytes are there.
    pub stored: Option<ObjectOf>,
    /// As in [`ImportBatch`].
    #[serde(default)]
    pub resume: bool,
}

/// Which usage is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageAsk {
    /// By what it is summed.
    pub group: Group,
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// Only conversations behind this one, in the order of their ids.
    pub after: Option<SessionId>,
    /// At most so many rows.
    pub limit: u32,
    /// Whether it is wanted as CSV.
    pub csv: bool,
}

/// What comes back.
pub enum ManageReply {
    /// What the account has used.
    Usage {
        /// What was asked for.
        ask: UsageAsk,
        /// A sum for each group.
        rows: Vec<UsageSum>,
        /// The sum over all of these days, whatever the rows are.
        total: UsageSum,
        /// Whether there are rows behind these.
        more: bool,
    },
    /// The account as a whole.
    Overview(Box<Overview>),
    /// The account is active.
    Active,
    /// A page of lines, and where the next one begins.
    Exported {
        /// They.
        text: String,
        /// Where it goes on; none at the end.
        next: Option<ExportPlace>,
    },
    /// The batch is stored.
    Imported {
        /// How many conversations are whole with it.
        conversations: u64,
    },
    /// Where the bytes of an object are to be put.
    Object(ObjectOf),
    /// The bytes of an object are wanted no more.
    PassedOver,
    /// There is nothing unfinished.
    Dropped,
    /// How far the erasure has come.
    Erased(ErasureStep),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_an_export_which_may_name_a_file_travels_in_the_body() {
        let place = ExportPlace { files: true, ..ExportPlace::default() };
        assert!(ManageCommand::Export(Some(place)).has_content());
    }
}
