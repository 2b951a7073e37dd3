//! How large attachments may be. Bytes are counted as base64, as the API counts them, but for those of texts.

use super::media::MediaType;
use super::{Attachment, Block, Source};

/// Most data in the bodies of one query's blocks, in bytes as they are sent.
pub const MAX_INLINE_BYTES: u64 = 4 * MIB;
/// Largest image, in bytes of base64: the API refuses a larger one.
pub const MAX_IMAGE_BYTES: u64 = 5 * MIB;
/// Largest PDF, in bytes of base64.
pub const MAX_PDF_BYTES: u64 = 32 * MIB;
/// Most text in the documents of one query, in bytes: as much as a prompt may have.
pub const MAX_TEXT_BYTES: u64 = MIB;
/// Most attachments of one query, in bytes of base64.
pub const MAX_TURN_BYTES: u64 = 20 * MIB;
/// Most attachments of one conversation, in bytes of base64: every turn sends them all again, and the API takes 32 MB.
pub const MAX_CONVERSATION_BYTES: u64 = 24 * MIB;
const MIB: u64 = 1024 * 1024;

/// An attachment, or all of them, with more bytes than there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct TooLarge {
    /// The block, if one alone is too large.
    pub index: Option<usize>,
    /// The bound.
    pub rule: &'static str,
}

impl Source {
    /// The bytes that a request to the model takes for it; 0 if they are not known or not sent.
    fn sent_bytes(&self) -> u64 {
        self.media_type().zip(self.size()).map_or(0, |(kind, size)| kind.sent_bytes(size))
    }

    /// The same for what is in the query's own body.
    fn inline_bytes(&self) -> u64 {
        if matches!(self, Self::Base64 { .. } | Self::Text { .. }) { self.sent_bytes() } else { 0 }
    }
}

/// The bytes that a request to the model takes for the attachments among these blocks.
#[must_use]
pub fn sent_bytes(blocks: &[Block]) -> u64 {
    sources(blocks).map(Source::sent_bytes).sum()
}

fn sources(blocks: &[Block]) -> impl Iterator<Item = &Source> {
    blocks.iter().filter_map(Block::attachment).map(|attachment| &attachment.source)
}

/// Holds the blocks to their bounds, in a conversation whose turns have sent `held` bytes of attachments.
///
/// # Errors
/// The first bound that they break.
pub fn check(blocks: &[Block], held: u64) -> Result<(), TooLarge> {
    let all = |rule| TooLarge { index: None, rule };
    for (index, block) in blocks.iter().enumerate() {
        let Some(Attachment { source, .. }) = block.attachment() else { continue };
        let (most, rule) = match source.media_type() {
            Some(MediaType::Pdf) => (MAX_PDF_BYTES, "a PDF has at most 32 MiB as base64"),
            Some(MediaType::Text) => (MAX_TEXT_BYTES, "a text has at most 1 MiB"),
            Some(_) => (MAX_IMAGE_BYTES, "an image has at most 5 MiB as base64"),
            None => continue,
        };
        if source.sent_bytes() > most {
            return Err(TooLarge { index: Some(index), rule });
        }
    }
    let sum = |of: fn(&Source) -> u64| sources(blocks).map(of).sum::<u64>();
    if sum(Source::inline_bytes) > MAX_INLINE_BYTES {
        let rule = "data in the body has at most 4 MiB as base64; upload it with PUT …/files/{path} and name the file";
        return Err(all(rule));
    }
    let texts = sources(blocks).filter(|source| source.media_type() == Some(MediaType::Text));
    if texts.map(Source::sent_bytes).sum::<u64>() > MAX_TEXT_BYTES {
        return Err(all("the texts of a query have at most 1 MiB together"));
    }
    let sent = sum(Source::sent_bytes);
    if sent > MAX_TURN_BYTES {
        return Err(all("the attachments of a query have at most 20 MiB as base64 together"));
    }
    if sent > 0 && sent.saturating_add(held) > MAX_CONVERSATION_BYTES {
        let rule =
            "the attachments of a conversation have at most 24 MiB as base64 together; begin another conversation";
        return Err(all(rule));
    }
    Ok(())
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
    fn every_bound_is_counted_in_base64() {
        let fits = |blocks: &[Block], held| check(blocks, held).map_err(|error| error.index);
        // Three bytes are four of base64.
        let of = |base64: u64| base64 / 4 * 3;
        let png = |bytes| image(file("a", MediaType::Png, bytes));
        let pdf = |bytes| document(file("a", MediaType::Pdf, bytes));
        let text = |bytes| document(file("a", MediaType::Text, bytes));
        assert_eq!(fits(&[pdf(1), png(of(MAX_IMAGE_BYTES))], 0), Ok(()));
        assert_eq!(fits(&[pdf(1), png(of(MAX_IMAGE_BYTES) + 1)], 0), Err(Some(1)));
        assert_eq!(fits(&[pdf(of(MAX_PDF_BYTES) + 1)], 0), Err(Some(0)));
        assert_eq!(fits(&[pdf(of(MAX_TURN_BYTES))], 0), Ok(()));
        assert_eq!(fits(&[pdf(of(MAX_TURN_BYTES) - 2), png(1)], 0), Err(None));
        assert_eq!(fits(&[pdf(of(MAX_TURN_BYTES))], MAX_CONVERSATION_BYTES - MAX_TURN_BYTES), Ok(()));
        assert_eq!(fits(&[pdf(of(MAX_TURN_BYTES))], MAX_CONVERSATION_BYTES - MAX_TURN_BYTES + 1), Err(None));
        assert_eq!(fits(&[text(MAX_TEXT_BYTES)], 0), Ok(()));
        assert_eq!(fits(&[text(MAX_TEXT_BYTES + 1)], 0), Err(Some(0)));
        assert_eq!(fits(&[text(MAX_TEXT_BYTES / 2), text(MAX_TEXT_BYTES / 2 + 1)], 0), Err(None));
        let most = usize::try_from(of(MAX_INLINE_BYTES)).unwrap();
        assert_eq!(fits(&[image(base64(MediaType::Png, most))], 0), Ok(()));
        assert_eq!(fits(&[image(base64(MediaType::Png, most - 2)), document(base64(MediaType::Pdf, 1))], 0), Err(None));
        let link = image(Source::Url { url: "https://a".to_owned() });
        assert_eq!(fits(&[link], u64::MAX), Ok(()), "what the API fetches is not counted");
    }
}
