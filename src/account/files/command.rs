//! What users ask of a conversation's files. Bytes never pass the object: it answers with keys and ranges, and the Worker reads and writes the
//! bucket itself.

use serde::{Deserialize, Serialize};

use crate::domain::file::Target;
use crate::domain::{FilePath, FilesPage, StoredFile, Title, TurnId};

/// What may be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesCommand {
    /// One page of the files.
    List {
        /// What their paths begin with.
        prefix: String,
        /// They come behind this path; at the first where absent.
        after: Option<String>,
        /// At most so many.
        limit: u32,
        /// Whether it tells where their bytes are.
        content: bool,
    },
    /// One file, and where its bytes are.
    Find {
        /// Its path.
        path: FilePath,
        /// The turn at whose end it is read; now if absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        at: Option<TurnId>,
    },
    /// Make a key for an upload, under which the Worker then puts it.
    BeginUpload {
        /// Its path.
        path: FilePath,
        /// Its size in bytes.
        size: u64,
        /// What must hold of the file that is there.
        precondition: Precondition,
    },
    /// The upload is in the bucket. It is found by the conversation's next turn.
    CommitUpload {
        /// Its path.
        path: FilePath,
        /// Its key.
        key: String,
        /// Its size in bytes.
        size: u64,
        /// Its entity tag, without quotes.
        etag: String,
        /// What must hold of the file that is there.
        precondition: Precondition,
        /// The title of the conversation, if the upload begins it; the file's path if absent.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        title: Option<Title>,
    },
    /// Delete a file, a folder or everything.
    Delete {
        /// Which.
        target: Target,
        /// What must hold of the file that is there.
        precondition: Precondition,
    },
}

impl FilesCommand {
    /// Whether it changes something.
    pub(in crate::account) const fn changes(&self) -> bool {
        !matches!(self, Self::List { .. } | Self::Find { .. })
    }

    /// Whether it stores something where nothing is stored.
    pub(in crate::account) const fn stores(&self) -> bool {
        matches!(self, Self::BeginUpload { .. } | Self::CommitUpload { .. })
    }
}

/// What must hold of a file before it is changed (RFC 9110, 13).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-Match`: it has one of these entity tags, without quotes; any where one is `*`.
    Matches(Vec<String>),
    /// `If-None-Match: *`: there is none.
    Absent,
}

impl Precondition {
    /// Whether it holds of a file with this entity tag, or of none.
    #[must_use]
    pub fn holds(&self, etag: Option<&str>) -> bool {
        match self {
            Self::None => true,
            Self::Matches(tags) => etag.is_some_and(|etag| tags.iter().any(|tag| tag == "*" || tag == etag)),
            Self::Absent => etag.is_none(),
        }
    }
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FilesReply {
    /// One page.
    Page(FilesPage),
    /// One file.
    File(StoredFile),
    /// What is known before a turn with attachments.
    Found {
        /// The files that were asked for, in that order.
        files: Vec<Option<StoredFile>>,
        /// Bytes of attachments that the conversation's turns have sent.
        attachment_bytes: u64,
    },
    /// The key under which the upload is to be put.
    Upload {
        /// It.
        key: String,
    },
    /// The upload is stored.
    Uploaded {
        /// Its path.
        path: FilePath,
        /// Its size in bytes.
        size: u64,
        /// Its entity tag, without quotes.
        etag: String,
    },
    /// It is gone.
    Deleted,
}

/// Why it was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilesRefusal {
    /// There is no bucket.
    #[error("files are not configured")]
    NotConfigured,
    /// The account would hold more than `ACCOUNT_FILES_BYTES`.
    #[error("the account has no room for more files")]
    StorageFull,
    /// As many uploads and deletions wait as may.
    #[error("too many uploads and deletions wait for the conversation's next turn")]
    InboxFull,
    /// The upload is larger than `MAX_UPLOAD_BYTES`.
    #[error("the upload is too large")]
    UploadTooLarge,
    /// The precondition does not hold.
    #[error("the precondition does not hold")]
    PreconditionFailed,
    /// The upload came too late, or twice: its object is deleted.
    #[error("the upload took too long")]
    UploadExpired,
    /// The turn's version of the files has no such file.
    #[error("the file was not there at the end of the turn")]
    NotThen,
    /// The turn's version of the files is kept no longer.
    #[error("the files of the turn are kept no longer")]
    VersionGone,
    /// A key or an entity tag is none.
    #[error("not an upload of this account")]
    BadUpload,
}
