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
        assert_eq!(super::number("abc"), 0xba78_16bf_8f01_cfea);
    }
}
