//! SHA-256 as text: for what must be told apart, not for what must be kept secret.

use sha2::{Digest, Sha256};

/// The first `bytes` bytes of the digest of `text`, in lower-case hexadecimal.
#[must_use]
pub fn hex(text: &str, bytes: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0'));
    Sha256::digest(text).iter().take(bytes).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_digest_is_sha_256_in_hexadecimal() {
        assert_eq!(super::hex("abc", 4), "ba7816bf");
        assert_eq!(super::hex("", 99).len(), 64);
    }
}
