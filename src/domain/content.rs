//! Content blocks: what a query holds beside its words. Their types by the bytes, their bounds, and what is told of them later.
//! As JSON they are the Messages API's own blocks, with a source more: a file of the conversation's workspace.

pub mod bounds;
mod media;
mod summary;

use serde::{Deserialize, Serialize};

pub use bounds::{TooLarge, check, sent_bytes};
pub use media::{Bytes, MediaType, SNIFFED_BYTES};
#[cfg(test)]
pub use summary::Summary;
pub use summary::{prompt_of, summaries, title_of};

use super::FilePath;

/// Most blocks of one query.
pub const MAX_BLOCKS: usize = 64;
/// Folder of a workspace that data in a query's body is put into.
const UPLOADS: &str = "uploads";

/// One block of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Block {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// An image.
    Image(Attachment),
    /// A PDF or a text.
    Document(Attachment),
}

/// An image or a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Where its bytes are.
    pub source: Source,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub title: Option<String>,
    /// What the model is told about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub context: Option<String>,
    /// Whether the model cites it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub citations: Option<Citations>,
}

/// Whether the model cites a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Citations {
    /// Whether it does.
    pub enabled: bool,
}

/// Where the bytes of an attachment are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Source {
    /// In the query, as base64.
    Base64 {
        /// What they are.
        media_type: MediaType,
        /// The bytes.
        data: Bytes,
    },
    /// In the query, as text.
    Text {
        /// Always `text/plain`.
        media_type: MediaType,
        /// The text.
        data: String,
    },
    /// Where the API fetches them itself.
    Url {
        /// The address.
        url: String,
    },
    /// In a file of the conversation's workspace.
    File {
        /// Its path.
        path: FilePath,
        /// What it is; absent as long as nobody has looked.
        #[serde(flatten, skip_serializing_if = "Option::is_none", default)]
        found: Option<FoundFile>,
    },
}

/// A file of a workspace, as it was when the query came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundFile {
    /// What its bytes are.
    pub media_type: MediaType,
    /// Its size in bytes.
    pub size: u64,
    /// The first 128 bits of its SHA-256, in hexadecimal.
    pub etag: String,
}

impl Source {
    /// What the bytes are, if that is known.
    #[must_use]
    pub const fn media_type(&self) -> Option<MediaType> {
        match self {
            Self::Base64 { media_type, .. }
            | Self::Text { media_type, .. }
            | Self::File { found: Some(FoundFile { media_type, .. }), .. } => Some(*media_type),
            Self::Url { .. } | Self::File { found: None, .. } => None,
        }
    }

    /// The size, if it is known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        let length = |length| u64::try_from(length).ok();
        match self {
            Self::Base64 { data, .. } => length(data.0.len()),
            Self::Text { data, .. } => length(data.len()),
            Self::File { found, .. } => found.as_ref().map(|found| found.size),
            Self::Url { .. } => None,
        }
    }
}

impl Block {
    /// The attachment, if it is one.
    #[must_use]
    pub const fn attachment(&self) -> Option<&Attachment> {
        match self {
            Self::Text { .. } => None,
            Self::Image(attachment) | Self::Document(attachment) => Some(attachment),
        }
    }

    /// Whether a file of this type can be its source.
    #[must_use]
    pub const fn takes(&self, kind: MediaType) -> bool {
        match self {
            Self::Text { .. } => false,
            Self::Image(_) => kind.is_image(),
            Self::Document(_) => !kind.is_image(),
        }
    }
}

/// The path of data in a query's body: named by its digest, of which `etag` is the beginning.
#[must_use]
pub fn path_of(media_type: MediaType, etag: &str) -> Option<FilePath> {
    format!("{UPLOADS}/{etag}.{}", media_type.extension()).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn image(source: Source) -> Block {
        Block::Image(Attachment { source, title: None, context: None, citations: None })
    }

    pub(super) fn document(source: Source) -> Block {
        Block::Document(Attachment { source, title: None, context: None, citations: None })
    }

    pub(super) fn file(path: &str, media_type: MediaType, size: u64) -> Source {
        let found = Some(FoundFile { media_type, size, etag: "e".to_owned() });
        Source::File { path: path.parse().unwrap(), found }
    }

    #[test]
    fn a_block_is_pinned_as_the_container_and_storage_have_it() {
        let found = image(file("uploads/a.png", MediaType::Png, 4));
        let json = r#"{"type":"image","source":{"type":"file","path":"uploads/a.png","media_type":"image/png","size":4,"etag":"e"}}"#;
        let inline = Block::Document(Attachment {
            source: Source::Base64 { media_type: MediaType::Pdf, data: Bytes(b"%PDF-".to_vec()) },
            title: Some("T".to_owned()),
            context: Some("C".to_owned()),
            citations: Some(Citations { enabled: true }),
        });
        let inline_json = r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"T","context":"C","citations":{"enabled":true}}"#;
        let unseen = image(Source::File { path: "a".parse().unwrap(), found: None });
        for (block, json) in [
            (Block::Text { text: "x".to_owned() }, r#"{"type":"text","text":"x"}"#),
            (found, json),
            (inline, inline_json),
            (unseen, r#"{"type":"image","source":{"type":"file","path":"a"}}"#),
            (
                image(Source::Url { url: "https://a".to_owned() }),
                r#"{"type":"image","source":{"type":"url","url":"https://a"}}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&block).unwrap(), json);
            assert_eq!(serde_json::from_str::<Block>(json).unwrap(), block);
        }
    }
}
