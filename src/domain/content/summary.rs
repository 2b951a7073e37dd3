//! What is told of content blocks beside the model: the prompt that they say, a title, and a line for each attachment.

use serde::Serialize;

use super::media::MediaType;
use super::{Attachment, Block, Source};
use crate::domain::{FilePath, Title};

/// What the user says in these blocks.
#[must_use]
pub fn prompt_of(blocks: &[Block]) -> String {
    let texts = blocks.iter().filter_map(|block| match block {
        Block::Text { text } => Some(text.as_str()),
        Block::Image(_) | Block::Document(_) => None,
    });
    texts.collect::<Vec<_>>().join("\n\n")
}

/// The title of a conversation that begins with these blocks, which say nothing in words.
#[must_use]
pub fn title_of(blocks: &[Block]) -> Title {
    let name = blocks.iter().find_map(Block::attachment).map_or("", |attachment| {
        match (&attachment.title, &attachment.source) {
            (Some(title), _) => title.as_str(),
            (None, Source::File { path, .. }) => last_segment(path.as_str()),
            (None, Source::Url { url }) => last_segment(url.split(['?', '#']).next().unwrap_or(url)),
            (None, Source::Base64 { media_type, .. } | Source::Text { media_type, .. }) => media_type.as_str(),
        }
    });
    Title::from_prompt(name)
}

fn last_segment(path: &str) -> &str {
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// What a conversation tells of an attachment of one of its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "MessageAttachment"))]
pub struct Summary<'a> {
    /// Whether it is an image or a document.
    #[serde(rename = "type")]
    pub kind: SummaryKind,
    /// What its bytes are; absent for a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "MediaType"))]
    pub media_type: Option<MediaType>,
    /// Its path among the conversation's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "FilePath"))]
    pub path: Option<&'a FilePath>,
    /// Where the model's API fetched it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub url: Option<&'a str>,
    /// Its size in bytes; absent for a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub size: Option<u64>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub title: Option<&'a str>,
}

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum SummaryKind {
    /// An image.
    Image,
    /// A PDF or a text.
    Document,
}

/// What a conversation tells of these blocks.
#[must_use]
pub fn summaries(blocks: &[Block]) -> Vec<Summary<'_>> {
    blocks.iter().filter_map(summary).collect()
}

fn summary(block: &Block) -> Option<Summary<'_>> {
    let (kind, Attachment { source, title, .. }) = match block {
        Block::Text { .. } => return None,
        Block::Image(attachment) => (SummaryKind::Image, attachment),
        Block::Document(attachment) => (SummaryKind::Document, attachment),
    };
    let path = if let Source::File { path, .. } = source { Some(path) } else { None };
    let url = if let Source::Url { url } = source { Some(url.as_str()) } else { None };
    let (media_type, size) = (source.media_type(), source.size());
    Some(Summary { kind, media_type, path, url, size, title: title.as_deref() })
}

#[cfg(test)]
mod tests {
    use super::super::Bytes;
    use super::super::tests::{document, file, image};
    use super::*;

    fn base64(media_type: MediaType, bytes: usize) -> Source {
        Source::Base64 { media_type, data: Bytes(vec![0; bytes]) }
    }

    #[test]
    fn a_title_is_the_name_of_the_first_attachment() {
        let title = |block| title_of(&[block]).as_str().to_owned();
        assert_eq!(title(document(file("in/report.pdf", MediaType::Pdf, 1))), "report.pdf");
        assert_eq!(title(image(Source::Url { url: "https://a.example/b/cat.png?s=1#x".to_owned() })), "cat.png");
        assert_eq!(title(image(Source::Url { url: "https://a.example/b/".to_owned() })), "b");
        assert_eq!(title(image(base64(MediaType::Gif, 1))), "image/gif");
        let source = base64(MediaType::Pdf, 1);
        let titled = Attachment { source, title: Some("Minutes".to_owned()), context: None, citations: None };
        assert_eq!(title(Block::Document(titled)), "Minutes");
    }

    #[test]
    fn what_a_message_tells_of_its_attachments_is_pinned() {
        let blocks = [
            Block::Text { text: "x".to_owned() },
            image(file("a.png", MediaType::Png, 4)),
            document(Source::Url { url: "https://a".to_owned() }),
            document(Source::Text { media_type: MediaType::Text, data: "abc".to_owned() }),
        ];
        assert_eq!(
            serde_json::to_string(&summaries(&blocks)).unwrap(),
            r#"[{"type":"image","media_type":"image/png","path":"a.png","size":4},{"type":"document","url":"https://a"},{"type":"document","media_type":"text/plain","size":3}]"#
        );
        assert_eq!(prompt_of(&[blocks[0].clone(), blocks[1].clone(), blocks[0].clone()]), "x\n\nx");
    }
}
