//! The signature of a delivery, as Standard Webhooks has it: HMAC-SHA256 over its id, its time and its body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::domain::webhook::secret_bytes;

/// `webhook-signature`: one signature for each secret, with a space in between. A secret that is none signs nothing.
pub(super) fn signatures<'a>(secrets: impl Iterator<Item = &'a str>, id: &str, seconds: i64, body: &str) -> String {
    let sign = |secret: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(&secret_bytes(secret)?).ok()?;
        for part in [id, ".", &seconds.to_string(), ".", body] {
            mac.update(part.as_bytes());
        }
        Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    };
    secrets.filter_map(sign).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Standard Webhooks' specification.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let (id, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "{\"test\": 2432232314}");
        let signed = signatures([secret].into_iter(), id, 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let two = signatures([secret, "whsec_nonsense", secret].into_iter(), id, 1_614_265_330, body);
        assert_eq!(two, format!("{signed} {signed}"));
    }
}
