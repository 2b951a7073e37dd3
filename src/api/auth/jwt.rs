//! Tokens (RFC 7519) that speak for one account: HS256 alone, signed with `JWT_SECRET`, always with an end.
//! Nothing that a token says is believed before its signature was checked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

use crate::config::Jwt;
use crate::domain::{AccountId, Millis};

/// Longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How far ahead a token's end may be, in seconds: no token is taken back but by a new secret. What is further is no date,
/// such as one in milliseconds.
pub const MAX_LIFETIME_S: f64 = 366.0 * 86_400.0;

/// Why a token does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// It is no token, is of another algorithm, or was not signed with this secret.
    NotValid,
    /// It has no end.
    NoEnd,
    /// Its end is too far.
    TooLong,
    /// Its end has come.
    Expired,
    /// Its time has not come.
    NotYetValid,
    /// Somebody else issued it.
    WrongIssuer,
    /// It is meant for somebody else.
    WrongAudience,
    /// Its `sub` is no account.
    NoAccount,
    /// Its `sub` is the account of the operator's requests that name none.
    Reserved,
}

impl BadToken {
    /// What its caller is told.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::NotValid => "This key or token is not valid.",
            Self::NoEnd => "This token has no `exp`, a number of seconds.",
            Self::TooLong => {
                "The `exp` of this token is more than 366 days ahead. It is a number of seconds, not milliseconds."
            }
            Self::Expired => "This token has expired.",
            Self::NotYetValid => "This token is not valid yet.",
            Self::WrongIssuer => "This token is from another issuer (`iss`).",
            Self::WrongAudience => "This token is for another audience (`aud`).",
            Self::Reserved => {
                "The `sub` of this token is `default`, which no token speaks for. Choose another account id."
            }
            Self::NoAccount => "The `sub` of this token is not an account id.",
        }
    }
}

/// The account that a token speaks for, `now`.
///
/// # Errors
/// Why it speaks for none.
pub fn account_of(token: &str, rules: &Jwt, now: Millis) -> Result<AccountId, BadToken> {
    let claims = signed_claims(token, rules.secret.as_bytes()).ok_or(BadToken::NotValid)?;
    let expires_s = claims.get("exp").and_then(Value::as_f64).ok_or(BadToken::NoEnd)?;
    let now_s = seconds(now);
    if now_s >= expires_s {
        return Err(BadToken::Expired);
    }
    if expires_s - now_s > MAX_LIFETIME_S {
        return Err(BadToken::TooLong);
    }
    if claims.get("nbf").is_some_and(|from| from.as_f64().is_none_or(|from_s| now_s < from_s)) {
        return Err(BadToken::NotYetValid);
    }
    if rules.issuer.as_ref().is_some_and(|wanted| text(&claims, "iss") != Some(wanted)) {
        return Err(BadToken::WrongIssuer);
    }
    if rules.audience.as_ref().is_some_and(|wanted| !is_for(claims.get("aud"), wanted)) {
        return Err(BadToken::WrongAudience);
    }
    let account: AccountId = text(&claims, "sub").and_then(|sub| sub.parse().ok()).ok_or(BadToken::NoAccount)?;
    if account == AccountId::unnamed() { Err(BadToken::Reserved) } else { Ok(account) }
}

/// A token that speaks for an account for so many seconds from `now`.
#[must_use]
pub fn token_for(account_id: &AccountId, rules: &Jwt, now: Millis, expires_in_s: u32) -> (String, Millis) {
    let now_s = now.get().div_euclid(1_000);
    let expires_s = now_s.saturating_add(i64::from(expires_in_s));
    let mut claims = serde_json::json!({"sub": account_id, "iat": now_s, "exp": expires_s});
    if let Some(claims) = claims.as_object_mut() {
        claims.extend(rules.issuer.as_ref().map(|issuer| ("iss".to_owned(), issuer.as_str().into())));
        claims.extend(rules.audience.as_ref().map(|audience| ("aud".to_owned(), audience.as_str().into())));
    }
    let encoded = |part: &str| URL_SAFE_NO_PAD.encode(part);
    let signed = format!("{}.{}", encoded(r#"{"alg":"HS256","typ":"JWT"}"#), encoded(&claims.to_string()));
    // HMAC takes keys of any length.
    let signature = Hmac::<Sha256>::new_from_slice(rules.secret.as_bytes()).map(|mut mac| {
        mac.update(signed.as_bytes());
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    });
    (format!("{signed}.{}", signature.unwrap_or_default()), Millis::new(expires_s.saturating_mul(1_000)))
}

/// The claims of a token that was signed with `secret` by HS256.
fn signed_claims(token: &str, secret: &[u8]) -> Option<Value> {
    if token.len() > MAX_TOKEN_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    mac.update(signed.as_bytes());
    mac.verify_slice(&decoded(signature)?).ok()?;
    let header = json(header)?;
    // RFC 7515, 4.1.11: what must be understood and is not, is refused.
    if text(&header, "alg") != Some("HS256") || header.get("crit").is_some() {
        return None;
    }
    json(payload).filter(Value::is_object)
}

/// The JSON that a part is. Read as text, as all JSON here is: a parser for bytes besides would take 7 KB of the WASM.
fn json(part: &str) -> Option<Value> {
    serde_json::from_str(std::str::from_utf8(&decoded(part)?).ok()?).ok()
}

fn decoded(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

fn text<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn is_for(audience: Option<&Value>, wanted: &str) -> bool {
    match audience {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(several)) => several.iter().any(|one| one.as_str() == Some(wanted)),
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "whole milliseconds below 2^53")]
fn seconds(moment: Millis) -> f64 {
    moment.get() as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW_S: i64 = 1_795_330_108;
    const NOW: Millis = Millis::new(NOW_S * 1_000);

    fn rules() -> Jwt {
        Jwt { secret: "an example of a secret, 32 bytes+".to_owned(), issuer: None, audience: None }
    }

    fn signed(header: &Value, claims: &Value, secret: &str) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    fn token(claims: &Value) -> String {
        signed(&json!({"alg": "HS256", "typ": "JWT"}), claims, &rules().secret)
    }

    fn read(claims: &Value, rules: &Jwt) -> Result<String, BadToken> {
        account_of(&token(claims), rules, NOW).map(String::from)
    }

    #[test]
    fn the_example_of_rfc_7515_is_signed_right_and_has_no_account() {
        // Appendix A.1; its key is 64 bytes that are no text, so its signature is checked one layer down.
        let key = URL_SAFE_NO_PAD
            .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
            .unwrap();
        let token = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        let claims = signed_claims(token, &key).unwrap();
        assert_eq!(text(&claims, "iss"), Some("joe"));
        assert_eq!(signed_claims(token, b"another key"), None);
    }

    #[test]
    fn a_token_speaks_for_the_account_in_sub() {
        assert_eq!(read(&json!({"sub": "acme", "exp": NOW_S + 1}), &rules()).as_deref(), Ok("acme"));
        assert_eq!(read(&json!({"sub": "Zoë & co", "exp": 1.8e9}), &rules()).as_deref(), Ok("Zoë & co"));
        for sub in [json!(null), json!(""), json!(7), json!("a\u{0}b"), json!("x".repeat(129))] {
            assert_eq!(read(&json!({"sub": sub, "exp": NOW_S + 1}), &rules()), Err(BadToken::NoAccount), "{sub}");
        }
    }

    #[test]
    fn a_token_ends_at_its_exp_and_must_have_one() {
        assert_eq!(read(&json!({"sub": "a", "exp": NOW_S}), &rules()), Err(BadToken::Expired));
        assert_eq!(read(&json!({"sub": "a", "exp": -1}), &rules()), Err(BadToken::Expired));
        assert_eq!(read(&json!({"sub": "a"}), &rules()), Err(BadToken::NoEnd));
        assert_eq!(read(&json!({"sub": "a", "exp": "9999999999"}), &rules()), Err(BadToken::NoEnd));
    }

    #[test]
    fn a_token_ends_within_a_year() {
        let until = |exp: Value| read(&json!({"sub": "a", "exp": exp}), &rules());
        assert!(until(json!(NOW_S + 366 * 86_400)).is_ok());
        for far in [json!(NOW_S + 366 * 86_400 + 1), json!((NOW_S + 60) * 1_000), json!(1e308)] {
            assert_eq!(until(far.clone()), Err(BadToken::TooLong), "{far}");
        }
    }

    #[test]
    fn no_token_speaks_for_the_account_of_those_that_name_none() {
        assert_eq!(read(&json!({"sub": "default", "exp": NOW_S + 9}), &rules()), Err(BadToken::Reserved));
    }

    #[test]
    fn a_token_begins_at_its_nbf() {
        let from = |nbf: Value| read(&json!({"sub": "a", "exp": NOW_S + 9, "nbf": nbf}), &rules());
        assert!(from(json!(NOW_S)).is_ok());
        for later in [json!(NOW_S + 1), json!("soon"), json!(null)] {
            assert_eq!(from(later), Err(BadToken::NotYetValid));
        }
    }

    #[test]
    fn issuer_and_audience_are_checked_where_they_are_set() {
        let rules = Jwt { issuer: Some("us".to_owned()), audience: Some("agents".to_owned()), ..rules() };
        let of = |iss: Value, aud: Value| read(&json!({"sub": "a", "exp": NOW_S + 9, "iss": iss, "aud": aud}), &rules);
        assert!(of(json!("us"), json!("agents")).is_ok());
        assert!(of(json!("us"), json!(["others", "agents"])).is_ok());
        for iss in [json!("them"), json!(null), json!(["us"])] {
            assert_eq!(of(iss, json!("agents")), Err(BadToken::WrongIssuer));
        }
        for aud in [json!("others"), json!([]), json!(null), json!({"agents": true}), json!([["agents"]])] {
            assert_eq!(of(json!("us"), aud), Err(BadToken::WrongAudience));
        }
    }

    #[test]
    fn only_hs256_is_accepted_whatever_the_header_says() {
        let claims = json!({"sub": "a", "exp": NOW_S + 9});
        for header in [
            json!({"alg": "none"}),
            json!({"alg": "HS512"}),
            json!({"alg": "RS256"}),
            json!({"alg": "hs256"}),
            json!({"alg": ["HS256"]}),
            json!({}),
            json!({"alg": "HS256", "crit": ["exp"]}),
            json!("HS256"),
        ] {
            let token = signed(&header, &claims, &rules().secret);
            assert_eq!(account_of(&token, &rules(), NOW), Err(BadToken::NotValid), "{header}");
        }
    }

    #[test]
    fn what_was_not_signed_with_the_secret_is_not_valid() {
        let claims = json!({"sub": "a", "exp": NOW_S + 9});
        let good = token(&claims);
        let (signed_part, signature) = good.rsplit_once('.').unwrap();
        let other = signed(&json!({"alg": "HS256"}), &claims, "another secret of thirty-two bytes");
        let forged = URL_SAFE_NO_PAD.encode(json!({"sub": "b", "exp": NOW_S + 9}).to_string());
        let (header, _) = good.split_once('.').unwrap();
        for bad in [
            other,
            format!("{signed_part}."),
            signed_part.to_owned(),
            format!("{signed_part}.{}", &signature[..signature.len() - 2]),
            format!("{header}.{forged}.{signature}"),
            format!("{good}.{signature}"),
            format!("{good}="),
            format!(".{good}"),
            "..".to_owned(),
            String::new(),
            format!("{good}{}", "A".repeat(MAX_TOKEN_BYTES)),
        ] {
            assert_eq!(account_of(&bad, &rules(), NOW), Err(BadToken::NotValid), "{bad}");
        }
        assert!(account_of(&good, &rules(), NOW).is_ok());
    }

    #[test]
    fn a_token_over_the_limit_is_not_read() {
        let claims = json!({"sub": "a", "exp": NOW_S + 9, "padding": "x".repeat(MAX_TOKEN_BYTES)});
        assert_eq!(read(&claims, &rules()), Err(BadToken::NotValid));
    }

    #[test]
    fn claims_that_are_no_object_are_not_valid() {
        for claims in [json!([]), json!("acme"), json!(null)] {
            assert_eq!(read(&claims, &rules()), Err(BadToken::NotValid));
        }
    }
}
