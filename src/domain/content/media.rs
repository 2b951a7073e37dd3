//! The types of attachments by their bytes, and bytes that are base64 in JSON.

use std::fmt;

use base64::Engine;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes at the beginning of a file that tell its type.
pub const SNIFFED_BYTES: u64 = 4 * 1024;

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum MediaType {
    /// A PNG image.
    #[serde(rename = "image/png")]
    Png,
    /// A JPEG image.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// A GIF image.
    #[serde(rename = "image/gif")]
    Gif,
    /// A WebP image.
    #[serde(rename = "image/webp")]
    Webp,
    /// A PDF document.
    #[serde(rename = "application/pdf")]
    Pdf,
    /// A document of plain text in UTF-8.
    #[serde(rename = "text/plain")]
    Text,
}

impl MediaType {
    const ALL: [Self; 6] = [Self::Png, Self::Jpeg, Self::Gif, Self::Webp, Self::Pdf, Self::Text];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Text => "text/plain",
        }
    }

    /// Reads its name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The type of a file that begins with these bytes; `whole` if it has no others.
    #[must_use]
    pub fn of(bytes: &[u8], whole: bool) -> Option<Self> {
        let begins = |signature: &[u8]| bytes.starts_with(signature);
        Some(match bytes {
            _ if begins(b"\x89PNG\r\n\x1a\n") => Self::Png,
            _ if begins(b"\xff\xd8\xff") => Self::Jpeg,
            _ if begins(b"GIF87a") || begins(b"GIF89a") => Self::Gif,
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Self::Webp,
            _ if begins(b"%PDF-") => Self::Pdf,
            [_, ..] if is_text(bytes, whole) => Self::Text,
            _ => return None,
        })
    }

    /// Whether it is an image, and no document.
    #[must_use]
    pub const fn is_image(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Gif | Self::Webp)
    }

    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Gif => "gif",
            Self::Webp => "webp",
            Self::Pdf => "pdf",
            Self::Text => "txt",
        }
    }

    /// The bytes that a request to the model takes for a file of this size.
    #[must_use]
    pub const fn sent_bytes(self, size: u64) -> u64 {
        if matches!(self, Self::Text) { size } else { base64_bytes(size) }
    }
}

/// Whether bytes are text; a character may be cut at the end of a part.
fn is_text(bytes: &[u8], whole: bool) -> bool {
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !whole && error.error_len().is_none(),
    };
    is_utf8 && !bytes.contains(&0)
}

/// The length of so many bytes in base64.
const fn base64_bytes(bytes: u64) -> u64 {
    bytes.div_ceil(3).saturating_mul(4)
}

/// Bytes that are base64 in JSON (RFC 4648, section 4, padded), and decoded in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Decodes base64; none if it is not exactly that.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(Self)
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;
        impl Visitor<'_> for Base64 {
            type Value = Bytes;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Bytes, E> {
                Bytes::decode(text).ok_or_else(|| E::custom("not base64"))
            }
        }
        deserializer.deserialize_str(Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_say_what_a_file_is() {
        let of = |bytes: &[u8]| MediaType::of(bytes, true);
        assert_eq!(of(b"\x89PNG\r\n\x1a\nrest"), Some(MediaType::Png));
        assert_eq!(of(b"\xff\xd8\xff\xe0rest"), Some(MediaType::Jpeg));
        assert_eq!(of(b"GIF89a"), Some(MediaType::Gif));
        assert_eq!(of(b"RIFF\x01\x02\x03\x04WEBPVP8 "), Some(MediaType::Webp));
        assert_eq!(of(b"%PDF-1.7\n\0\xff"), Some(MediaType::Pdf));
        assert_eq!(of("Grüße\n".as_bytes()), Some(MediaType::Text));
        for unknown in [&b""[..], b"\0", b"a\0b", b"\x7fELF\0", b"RIFF\0\0\0\0WAVE\0", b"\x89PNG", b"PK\x03\x04\0"] {
            assert_eq!(of(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_text_may_be_cut_within_a_character_where_it_goes_on() {
        let cut = "é".as_bytes().get(..1).unwrap();
        assert_eq!((MediaType::of(cut, false), MediaType::of(cut, true)), (Some(MediaType::Text), None));
        assert_eq!(MediaType::of(b"\xff\xffab", false), None);
    }

    #[test]
    fn base64_is_padded_and_of_the_standard_alphabet() {
        assert_eq!(Bytes::decode("_-8=").or(Bytes::decode("/+8")).or(Bytes::decode("/+8=\n")), None);
        assert_eq!(Bytes::decode("/+9="), None, "bits beyond the bytes are zero");
        assert_eq!(Bytes::decode("/+8="), Some(Bytes(vec![0xff, 0xef])));
    }
}
