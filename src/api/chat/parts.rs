//! The parts of a user's UI message as content blocks: words, and files as data, as a URL, or as a file of the conversation.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::value::RawValue;

use super::super::body::Fields;
use super::super::content::{MAX_TITLE_BYTES, Place, from_url, in_base64, media_type, too_large};
use super::super::problem::{ApiError, Code};
use super::super::start_turn::{MAX_BODY_BYTES, MAX_PROMPT_BYTES};
use crate::domain::content::{Attachment, Bytes, MAX_BLOCKS, MediaType, Source, check};
use crate::domain::{Block, FilePath, SessionId};

const PDF: &str = "application/pdf";
/// The URL of a file whose data came with its message, and is nowhere else.
pub(super) const NO_DATA: &str = "data:,";

/// The fields of a part that are read.
const FIELDS: &[&str] = &["type", "text", "url", "mediaType", "filename"];
/// Longest word of a part: a type.
const MAX_WORD_BYTES: usize = 128;

/// Reads the parts. `internet` says whether the model's API may fetch what a URL names.
/// `replaces` says whether the files of the conversation may be gone with the message whose place this one takes.
pub(super) fn blocks(
    parts: &[&RawValue],
    session_id: &SessionId,
    internet: bool,
    replaces: bool,
) -> Result<Vec<Block>, ApiError> {
    let mut blocks = Vec::new();
    for (index, raw) in parts.iter().enumerate() {
        let at = Place(format!("parts[{index}]"));
        let part = Fields::of(raw.get().as_bytes(), FIELDS).map_err(|_| at.refused("a part of a UI message"))?;
        let text = |name, most| part.text(name, most, Code::InvalidParameter);
        let block = match text("type", MAX_WORD_BYTES)?.unwrap_or_default().as_str() {
            "text" => {
                text("text", MAX_PROMPT_BYTES)?.filter(|text| !text.trim().is_empty()).map(|text| Block::Text { text })
            }
            "file" => Some(file(&at, &part, (session_id, replaces), internet)?),
            _ => None,
        };
        blocks.extend(block);
        if blocks.len() > MAX_BLOCKS {
            return Err(ApiError::parameter(
                "messages",
                &format!("at most {MAX_BLOCKS} parts that say or show something"),
            ));
        }
    }
    check(&blocks, 0).map_err(|error| too_large(&error))?;
    Ok(blocks)
}

fn file(
    at: &Place,
    part: &Fields<'_>,
    (session_id, replaces): (&SessionId, bool),
    internet: bool,
) -> Result<Block, ApiError> {
    let text = |name, most| part.text(name, most, Code::InvalidParameter);
    let url = text("url", MAX_BODY_BYTES)?.ok_or_else(|| at.of("url").refused("a string"))?;
    let told = text("mediaType", MAX_WORD_BYTES)?.unwrap_or_default();
    let title = text("filename", MAX_TITLE_BYTES)?.filter(|name| !name.is_empty() && name.len() <= MAX_TITLE_BYTES);
    let at = at.of("url");
    if url == NO_DATA {
        return Err(gone(&at));
    }
    let (source, is_image) = match url.strip_prefix("data:").map(|rest| rest.split_once(',')) {
        Some(Some((head, data))) => data_url(&at, head, data, &told)?,
        Some(None) => return Err(at.refused("a data URL with a comma before its data")),
        None => {
            let is_image = told == "image" || told.starts_with("image/");
            match of_conversation(&url, session_id) {
                Some(_) if replaces => return Err(gone(&at)),
                Some(path) => (Source::File { path, found: None }, is_image),
                None => (from_url(&at, url.into(), internet)?, is_image),
            }
        }
    };
    let attachment = Attachment { source, title, context: None, citations: None };
    Ok(if is_image { Block::Image(attachment) } else { Block::Document(attachment) })
}

/// The refusal of a file that was a message's and went with it.
fn gone(at: &Place) -> ApiError {
    ApiError::new(Code::AttachmentNotFound, format!("{}: its data went with the message; attach it again", at.0))
}

/// What a data URL (RFC 2397) holds, and whether it is an image. What is neither an image nor a PDF has to be text.
fn data_url(at: &Place, head: &str, data: &str, told: &str) -> Result<(Source, bool), ApiError> {
    let (head, is_base64) = head.strip_suffix(";base64").map_or((head, false), |head| (head, true));
    let named = head.split(';').next().filter(|named| !named.is_empty()).unwrap_or(told);
    let is_image = named.starts_with("image/");
    if is_base64 && (is_image || named == PDF) {
        return Ok((in_base64(at, media_type(at, named, is_image)?, data)?, is_image));
    }
    let unsupported = || {
        at.unsupported(
            "an image, a PDF, or text in UTF-8; upload other files with PUT /conversations/{id}/files/{path}",
        )
    };
    let bytes = if is_base64 {
        Bytes::decode(data).ok_or_else(|| at.refused("base64 (RFC 4648, section 4) with its padding"))?.0
    } else {
        percent_decode_str(data).collect()
    };
    let text =
        String::from_utf8(bytes).ok().filter(|text| MediaType::of(text.as_bytes(), true) == Some(MediaType::Text));
    Ok((Source::Text { media_type: MediaType::Text, data: text.ok_or_else(unsupported)? }, false))
}

/// The path of a file of this conversation, as the messages of a chat name it.
fn of_conversation(url: &str, session_id: &SessionId) -> Option<FilePath> {
    let (id, path) = url.strip_prefix("/conversations/")?.split_once("/files/")?;
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(Cow::into_owned);
    FilePath::try_from(decoded(path)?).ok().filter(|_| decoded(id).is_some_and(|id| id == session_id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    fn read(parts: &str) -> Result<Vec<Block>, ApiError> {
        let raw: Vec<&RawValue> = serde_json::from_str(parts).unwrap();
        blocks(&raw, &"s:1".parse().unwrap(), true, false)
    }

    fn source(part: &str) -> Result<(bool, Source), Code> {
        let block = read(&format!("[{part}]")).map_err(|error| error.code)?.remove(0);
        let is_image = matches!(block, Block::Image(_));
        Ok((is_image, block.attachment().unwrap().source.clone()))
    }

    #[test]
    fn words_and_files_are_blocks_and_what_else_a_client_keeps_is_nothing() {
        let parts = format!(
            r#"[{{"type":"file","mediaType":"image","filename":"dot.png","url":"data:image/png;base64,{PNG}"}},
                {{"type":"text","text":"  "}},{{"type":"data-mine","data":1}},{{"type":"text","text":"What is it?"}}]"#
        );
        let read = read(&parts).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].attachment().unwrap().title.as_deref(), Some("dot.png"));
        assert_eq!(read[1], Block::Text { text: "What is it?".to_owned() });
    }

    #[test]
    fn data_is_an_image_a_pdf_or_text() {
        let (is_image, found) = source(&format!(r#"{{"type":"file","url":"data:image/png;base64,{PNG}"}}"#)).unwrap();
        assert_eq!((is_image, found.media_type()), (true, Some(MediaType::Png)));
        let csv = source(r#"{"type":"file","mediaType":"text/csv","url":"data:;base64,YSxiCg=="}"#).unwrap();
        assert_eq!(csv, (false, Source::Text { media_type: MediaType::Text, data: "a,b\n".to_owned() }));
        let plain = source(r#"{"type":"file","url":"data:text/plain;charset=utf-8,a%2Cb"}"#).unwrap();
        assert_eq!(plain, (false, Source::Text { media_type: MediaType::Text, data: "a,b".to_owned() }));
        for (url, code) in [
            ("data:application/zip;base64,UEsDBAD/", Code::UnsupportedAttachment),
            ("data:image/png;base64,YSxiCg==", Code::UnsupportedAttachment),
            ("data:image/svg+xml;base64,YSxiCg==", Code::UnsupportedAttachment),
            ("data:text/plain;base64,a", Code::InvalidParameter),
            ("data:text/plain", Code::InvalidParameter),
            (NO_DATA, Code::AttachmentNotFound),
            ("http://example.com/a.png", Code::InvalidParameter),
            ("/conversations/other/files/a.png", Code::InvalidParameter),
        ] {
            assert_eq!(source(&format!(r#"{{"type":"file","url":"{url}"}}"#)), Err(code), "{url}");
        }
    }

    #[test]
    fn a_url_is_fetched_by_the_model_and_a_file_of_the_conversation_is_named() {
        let (is_image, found) =
            source(r#"{"type":"file","mediaType":"image/png","url":"https://example.com/a.png"}"#).unwrap();
        assert_eq!((is_image, found), (true, Source::Url { url: "https://example.com/a.png".to_owned() }));
        let url = "/conversations/s%3A1/files/uploads/a%20b.txt";
        let (is_image, found) =
            source(&format!(r#"{{"type":"file","mediaType":"text/plain","url":"{url}"}}"#)).unwrap();
        let path = "uploads/a b.txt".to_owned().try_into().unwrap();
        assert_eq!((is_image, found), (false, Source::File { path, found: None }));
        let part = RawValue::from_string(format!(r#"{{"type":"file","url":"{url}"}}"#)).unwrap();
        let refused = blocks(&[&*part], &"s:1".parse().unwrap(), true, true).unwrap_err();
        assert_eq!(refused.code, Code::AttachmentNotFound, "it goes with the message that is replaced");
    }

    #[test]
    fn there_are_no_more_blocks_than_in_a_query() {
        let part = r#"{"type":"text","text":"x"}"#;
        assert!(read(&format!("[{}]", vec![part; MAX_BLOCKS].join(","))).is_ok());
        assert!(read(&format!("[{}]", vec![part; MAX_BLOCKS + 1].join(","))).is_err());
    }
}
