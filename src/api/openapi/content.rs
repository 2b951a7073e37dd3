//! Schemas of content blocks, which are read by hand.

use schemars::JsonSchema;

use crate::domain::FilePath;
use crate::domain::content::Citations;

/// What the user says and shows.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "a schema")]
pub(super) enum QueryContent {
    /// The prompt.
    Text(#[schemars(regex(pattern = "[^\\s\\u0085]"))] String),
    /// Blocks, with at least one that is not words alone or words that say something.
    Blocks(#[schemars(length(min = 1, max = 64))] Vec<ContentBlock>),
}

/// A content block. Unknown fields are ignored.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
pub(super) enum ContentBlock {
    /// Words.
    Text {
        /// The words, at most 1 MiB of all blocks together.
        #[schemars(regex(pattern = "[^\\s\\u0085]"))]
        text: String,
    },
    /// An image: PNG, JPEG, GIF or WebP.
    Image {
        /// Where its bytes are.
        source: ImageSource,
        /// Its title, which conversations tell and the model does not see.
        #[schemars(length(max = 1024))]
        title: Option<String>,
    },
    /// A PDF of at most 100 pages, or a text.
    Document {
        /// Where its bytes are.
        source: DocumentSource,
        /// Its title.
        #[schemars(length(max = 1024))]
        title: Option<String>,
        /// What the model is told about it.
        #[schemars(length(max = 16384))]
        context: Option<String>,
        /// Whether the model cites it.
        citations: Option<Citations>,
    },
}

/// RFC 4648, section 4: with padding, and without bits that say nothing.
const BASE64: &str = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$";

/// An HTTPS URL in ASCII without a user name.
const ATTACHED_URL: &str = r#"^https://[!-"$-.0->A-\[\]-~]+([/?#][!-~]*)?$"#;

/// Where the bytes of an image are. Its type must be that of its bytes.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
pub(super) enum ImageSource {
    /// In the request, as base64 with padding: at most 4 MiB of base64 in one request.
    Base64 {
        /// What they are.
        #[schemars(extend("enum" = ["image/png", "image/jpeg", "image/gif", "image/webp"]))]
        media_type: String,
        /// The bytes.
        #[schemars(regex(pattern = BASE64), extend("contentEncoding" = "base64"))]
        data: String,
    },
    /// In a file of the conversation, saved or uploaded.
    File {
        /// Its path.
        path: FilePath,
    },
    /// Where the model's API fetches them, if the deployment has access to the internet.
    Url {
        /// The address, without a user name or a password.
        #[schemars(length(max = 8192), regex(pattern = ATTACHED_URL))]
        url: String,
    },
}

/// Where the bytes of a document are.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
#[expect(dead_code, reason = "a schema")]
pub(super) enum DocumentSource {
    /// A PDF in the request, as base64 with padding: at most 4 MiB of base64 in one request.
    Base64 {
        /// What they are.
        #[schemars(extend("const" = "application/pdf"))]
        media_type: String,
        /// The bytes.
        #[schemars(regex(pattern = BASE64), extend("contentEncoding" = "base64"))]
        data: String,
    },
    /// A text in the request.
    Text {
        /// What it is.
        #[schemars(extend("const" = "text/plain"))]
        media_type: String,
        /// The text, at most 1 MiB of all documents together.
        #[schemars(regex(pattern = "[^\\s\\u0085]"))]
        data: String,
    },
    /// A PDF or a text in UTF-8 in a file of the conversation, saved or uploaded.
    File {
        /// Its path.
        path: FilePath,
    },
    /// A PDF that the model's API fetches, if the deployment has access to the internet.
    Url {
        /// The address, without a user name or a password.
        #[schemars(length(max = 8192), regex(pattern = ATTACHED_URL))]
        url: String,
    },
}
