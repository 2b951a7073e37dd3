//! The field `content` of a query: a string, or content blocks. Every refusal names the block, and the field in it.
//! Base64 is decoded once, out of the body; nothing else of an attachment is copied.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::body::not_json;
use super::problem::{ApiError, Code};
use crate::digest;
use crate::domain::content::{Attachment, Bytes, Citations, MAX_BLOCKS, MediaType, Source, TooLarge, check};
use crate::domain::file::{BadPath, MAX_PATH_BYTES};
use crate::domain::{Block, FilePath};

/// Longest title of an attachment, in bytes.
pub const MAX_TITLE_BYTES: usize = 1_024;
/// Longest context of a document, in bytes.
pub const MAX_CONTEXT_BYTES: usize = 16 * 1024;
/// Longest URL, in bytes.
pub const MAX_URL_BYTES: usize = 8 * 1024;
/// Longest word of a block that is one of a few.
const MAX_WORD_BYTES: usize = 64;

const IMAGES: &str = "image/png, image/jpeg, image/gif or image/webp";

/// What a query's `content` says.
#[derive(Debug, PartialEq, Eq)]
pub enum Content {
    /// The prompt.
    Text(String),
    /// Blocks.
    Blocks(Vec<Block>),
}

/// Reads the field as it is written.
///
/// # Errors
/// 400 `invalid_parameter` or `invalid_json`, 413 `attachment_too_large`, 415 `unsupported_attachment`.
pub fn parse(raw: &str, internet: bool) -> Result<Content, ApiError> {
    if raw.starts_with('"') {
        return serde_json::from_str(raw).map(Content::Text).map_err(|e| not_json(&e));
    }
    if !raw.starts_with('[') {
        return Err(ApiError::parameter("content", "a string or a list of content blocks"));
    }
    let Elements(elements) = serde_json::from_str(raw)
        .map_err(|_| ApiError::parameter("content", &format!("at most {MAX_BLOCKS} blocks")))?;
    let blocks = elements.iter().enumerate();
    let blocks: Vec<Block> = blocks
        .map(|(index, raw)| block(&Place(format!("content[{index}]")), raw, internet))
        .collect::<Result<_, _>>()?;
    check(&blocks, 0).map_err(|error| too_large(&error))?;
    Ok(Content::Blocks(blocks))
}

/// The refusal of attachments that break a bound.
#[must_use]
pub fn too_large(error: &TooLarge) -> ApiError {
    let at = error.index.map_or_else(|| "content".to_owned(), |index| format!("content[{index}].source"));
    ApiError::new(Code::AttachmentTooLarge, format!("{at}: {}", error.rule))
}

/// What is wrong with a file that a block names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadFile {
    /// There is none.
    NotThere,
    /// Its bytes are of no type that the block takes.
    Unsupported,
}

/// The refusal of a block whose file is not there, or is of the wrong type.
#[must_use]
pub fn bad_file(index: usize, block: &Block, why: BadFile) -> ApiError {
    let at = format!("content[{index}].source.path");
    match why {
        BadFile::NotThere => {
            ApiError::new(Code::AttachmentNotFound, format!("{at}: the conversation has no such file"))
        }
        BadFile::Unsupported => ApiError::new(Code::UnsupportedAttachment, format!("{at}: {}", rule_of(block))),
    }
}

fn rule_of(block: &Block) -> String {
    match block {
        Block::Image(_) => format!("a file whose bytes are {IMAGES}"),
        Block::Document(_) | Block::Text { .. } => "a file whose bytes are a PDF, or text in UTF-8".to_owned(),
    }
}

/// What stands for blocks in a query's hash: their digest, with nothing of them copied.
#[must_use]
pub fn hash(blocks: &[Block], bytes: usize) -> String {
    let mut hasher = Hashed(digest::Hasher::default());
    // A hasher takes everything, and blocks are JSON.
    let _ = serde_json::to_writer(&mut hasher, blocks);
    hasher.0.hex(bytes)
}

struct Hashed(digest::Hasher);

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The elements of a list as they are written, and never more of them than there may be.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Elements<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = list.next_element()? {
                    if elements.len() == MAX_BLOCKS {
                        return Err(A::Error::custom("too many"));
                    }
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(List)
    }
}

/// A block as it is written; its unknown fields are passed over.
#[derive(Deserialize)]
struct BlockJson<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    text: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    title: Option<&'a RawValue>,
    #[serde(borrow, default)]
    context: Option<&'a RawValue>,
    #[serde(borrow, default)]
    citations: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SourceJson<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Option<&'a RawValue>,
    #[serde(borrow, default)]
    media_type: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    url: Option<&'a RawValue>,
    #[serde(borrow, default)]
    path: Option<&'a RawValue>,
}

/// A place in the body, for what is refused there.
pub(super) struct Place(pub(super) String);

impl Place {
    pub(super) fn of(&self, name: &str) -> Self {
        Self(format!("{}.{name}", self.0))
    }

    pub(super) fn refused(&self, rule: &str) -> ApiError {
        ApiError::parameter(&self.0, rule)
    }

    pub(super) fn unsupported(&self, rule: &str) -> ApiError {
        ApiError::new(Code::UnsupportedAttachment, format!("{}: {rule}", self.0))
    }

    /// An object of this type.
    fn object<'a, T: Deserialize<'a>>(&self, raw: &'a RawValue, rule: &str) -> Result<T, ApiError> {
        if !raw.get().starts_with('{') {
            return Err(self.refused(rule));
        }
        serde_json::from_str(raw.get()).map_err(|error| self.refused(&error.to_string()))
    }

    /// A string, which is copied only where it has escapes.
    fn string<'a>(&self, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, ApiError> {
        let text = raw.map(RawValue::get).unwrap_or_default();
        let inner =
            text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(|| self.refused("a string"))?;
        if inner.contains('\\') {
            serde_json::from_str(text).map_err(|e| not_json(&e))
        } else {
            Ok(Cow::Borrowed(inner))
        }
    }

    /// A string of at most so many bytes.
    fn short<'a>(&self, raw: Option<&'a RawValue>, most: usize) -> Result<Cow<'a, str>, ApiError> {
        let text = self.string(raw)?;
        if text.len() > most { Err(self.refused(&format!("at most {most} bytes"))) } else { Ok(text) }
    }

    fn optional(&self, raw: Option<&RawValue>, most: usize) -> Result<Option<String>, ApiError> {
        let text = raw.filter(|raw| raw.get() != "null").map(|raw| self.short(Some(raw), most)).transpose()?;
        // The API takes none that is empty.
        Ok(text.filter(|text| !text.is_empty()).map(Cow::into_owned))
    }
}

fn block(at: &Place, raw: &RawValue, internet: bool) -> Result<Block, ApiError> {
    let json: BlockJson<'_> = at.object(raw, "a content block, which is an object")?;
    let kind = at.of("type").short(json.kind, MAX_WORD_BYTES)?;
    if kind == "text" {
        let place = at.of("text");
        let text = place.string(json.text)?;
        if text.trim().is_empty() {
            return Err(place.refused("text that says something"));
        }
        return Ok(Block::Text { text: text.into_owned() });
    }
    let is_image = match kind.as_ref() {
        "image" => true,
        "document" => false,
        _ => return Err(at.of("type").refused("text, image or document")),
    };
    let place = at.of("source");
    let written = json.source.ok_or_else(|| place.refused("an object"))?;
    let source = source(&place, &place.object(written, "an object")?, is_image, internet)?;
    let title = at.of("title").optional(json.title, MAX_TITLE_BYTES)?;
    let context = at.of("context").optional(json.context, MAX_CONTEXT_BYTES)?;
    let citations = json.citations.filter(|raw| raw.get() != "null");
    if is_image && (context.is_some() || citations.is_some()) {
        return Err(at.refused("`context` and `citations` are a document's"));
    }
    let citations = citations.map(|raw| {
        let read = serde_json::from_str::<Citations>(raw.get());
        read.map_err(|_| at.of("citations").refused("an object with `enabled`, true or false"))
    });
    let attachment = Attachment { source, title, context, citations: citations.transpose()? };
    Ok(if is_image { Block::Image(attachment) } else { Block::Document(attachment) })
}

fn source(at: &Place, json: &SourceJson<'_>, is_image: bool, internet: bool) -> Result<Source, ApiError> {
    let kind = at.of("type").short(json.kind, MAX_WORD_BYTES)?;
    match kind.as_ref() {
        "base64" => base64(at, json, is_image),
        "text" if !is_image => text(at, json),
        "url" => {
            let at = at.of("url");
            from_url(&at, at.short(json.url, MAX_URL_BYTES)?, internet)
        }
        "file" => {
            let at = at.of("path");
            let path = at.short(json.path, MAX_PATH_BYTES)?.into_owned();
            let path = FilePath::try_from(path).map_err(|error: BadPath| at.refused(&error.to_string()))?;
            Ok(Source::File { path, found: None })
        }
        _ if is_image => Err(at.of("type").refused("base64, file or url")),
        _ => Err(at.of("type").refused("base64, text, file or url")),
    }
}

/// What the model's API fetches itself.
pub(super) fn from_url(at: &Place, url: Cow<'_, str>, internet: bool) -> Result<Source, ApiError> {
    if !is_url(&url) {
        return Err(at.refused("an https URL without a user name or a password, in ASCII"));
    }
    if !internet {
        return Err(at.refused("not allowed: this deployment has no access to the internet"));
    }
    Ok(Source::Url { url: url.into_owned() })
}

fn base64(at: &Place, json: &SourceJson<'_>, is_image: bool) -> Result<Source, ApiError> {
    let place = at.of("media_type");
    let named = place.short(json.media_type, MAX_WORD_BYTES)?;
    let media_type = media_type(&place, &named, is_image)?;
    let at = at.of("data");
    in_base64(&at, media_type, &at.string(json.data)?)
}

/// The type that a caller names, if the block takes it.
pub(super) fn media_type(at: &Place, named: &str, is_image: bool) -> Result<MediaType, ApiError> {
    let types = if is_image { IMAGES } else { "application/pdf" };
    let found = MediaType::parse(named).filter(|kind| takes(is_image, *kind));
    found.ok_or_else(|| at.unsupported(types))
}

fn takes(is_image: bool, kind: MediaType) -> bool {
    if is_image { kind.is_image() } else { kind == MediaType::Pdf }
}

/// Bytes that are of this type.
pub(super) fn in_base64(at: &Place, media_type: MediaType, data: &str) -> Result<Source, ApiError> {
    let data = Bytes::decode(data).ok_or_else(|| at.refused("base64 (RFC 4648, section 4) with its padding"))?;
    match MediaType::of(&data.0, true) {
        Some(found) if found == media_type => Ok(Source::Base64 { media_type, data }),
        Some(found) if takes(media_type.is_image(), found) => {
            Err(at.unsupported(&format!("its bytes are {}", found.as_str())))
        }
        _ => Err(at.unsupported(&format!("its bytes are not {}", media_type.as_str()))),
    }
}

fn text(at: &Place, json: &SourceJson<'_>) -> Result<Source, ApiError> {
    let place = at.of("media_type");
    let media_type = MediaType::parse(&place.short(json.media_type, MAX_WORD_BYTES)?);
    let media_type =
        media_type.filter(|kind| *kind == MediaType::Text).ok_or_else(|| place.unsupported("text/plain"))?;
    let data = at.of("data").string(json.data)?;
    if data.trim().is_empty() {
        return Err(at.of("data").refused("text that says something"));
    }
    Ok(Source::Text { media_type, data: data.into_owned() })
}

/// Whether the model's API may be asked to fetch it.
fn is_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    url.bytes().all(|byte| byte.is_ascii_graphic()) && !host.is_empty() && !host.contains(['@', '\\'])
}

#[cfg(test)]
mod tests;
