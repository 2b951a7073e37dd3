//! SHA-256 as text: for what must be told apart, not for what must be kept secret.

use sha2::{Digest, Sha256};

/// Bytes of the digest that stands for an account in the log.
const ACCOUNT_BYTES: usize = 6;

/// What stands for an account in the log.
#[must_use]
pub fn account(account_id: &str) -> String {
    hex(account_id, ACCOUNT_BYTES)
}

/// The first eight bytes of the digest of `text` as a number, the first byte the highest.
#[must_use]
pub fn number(text: &str) -> u64 {
    Sha256::digest(text).iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The first `bytes` bytes of the digest of `data`, in lower-case hexadecimal.
#[must_use]
pub fn hex(data: impl AsRef<[u8]>, bytes: usize) -> String {
    let mut hasher = Hasher::default();
    hasher.update(data.as_ref());
    hasher.hex(bytes)
}

/// A digest of data that comes piece by piece.
#[derive(Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The first `bytes` bytes of the digest, in lower-case hexadecimal.
    #[must_use]
    pub fn hex(self, bytes: usize) -> String {
        hexadecimal(self.0.finalize().iter().take(bytes))
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hexadecimal<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    bytes.into_iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_sha_256_in_hexadecimal() {
        assert_eq!(super::hex("abc", 4), "ba7816bf");
        let mut in_pieces = super::Hasher::default();
        for piece in ["a", "", "bc"] {
            in_pieces.update(piece.as_bytes());
        }
        assert_eq!(in_pieces.hex(4), "ba7816bf");
        assert_eq!(super::hex("", 99).len(), 64);
        assert_eq!(super::number("abc"), 0xba78_16bf_8f01_cfea);
    }
}
