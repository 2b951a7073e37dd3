//! `POST /tokens`: a token for one account, so that a backend with a key needs no library that signs.

use serde::Serialize;

use super::auth::jwt;
use super::body::{Fields, Head, account, need_json};
use super::problem::{ApiError, Code};
use crate::config::{Config, Jwt};
use crate::domain::id::MAX_ACCOUNT_CHARS;
use crate::domain::{AccountId, Millis};

/// Longest and default life of a token, in seconds.
pub(super) const MAX_SECONDS: u32 = 86_400;
pub(super) const DEFAULT_SECONDS: u32 = 3_600;
/// Longest body, in bytes.
const MAX_BODY_BYTES: usize = 16 * 1024;
const FIELDS: &[&str] = &["account_id", "expires_in", "scope", "scopes"];

/// A token.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields, rename = "Token"))]
pub struct TokenJson {
    /// Sent as `Authorization: Bearer <token>`, it speaks for the account and for no other.
    pub token: String,
    /// The account.
    pub account_id: AccountId,
    /// When it ends.
    pub expires_at: Millis,
}

/// A request without its body.
#[derive(Debug)]
pub struct TokenHead {
    rules: Jwt,
    now: Millis,
}

impl TokenHead {
    /// Parses what can be parsed without the body.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub(super) fn parse(head: &Head<'_>, config: &Config) -> Result<Self, ApiError> {
        need_json(head)?;
        let detail = "Tokens are not configured: set JWT_SECRET with `npx wrangler secret put`.";
        let rules = config.auth.jwt.clone().ok_or_else(|| ApiError::new(Code::AuthNotConfigured, detail))?;
        Ok(Self { rules, now: head.now })
    }

    /// Makes the token that the body asks for.
    ///
    /// # Errors
    /// The refusals of the contract.
    pub fn with_body(&self, body: Option<&[u8]>) -> Result<TokenJson, ApiError> {
        let too_large = || ApiError::new(Code::BodyTooLarge, "The body of this request has at most 16384 bytes.");
        let fields = Fields::of(body.filter(|body| body.len() <= MAX_BODY_BYTES).ok_or_else(too_large)?, FIELDS)?;
        let named = fields.text("account_id", 4 * MAX_ACCOUNT_CHARS, Code::InvalidAccount)?;
        let named =
            named.ok_or_else(|| ApiError::new(Code::InvalidAccount, "account_id: whom the token speaks for"))?;
        let account_id = account(named)?;
        if account_id == AccountId::unnamed() {
            return Err(ApiError::new(Code::InvalidAccount, "account_id: no token speaks for `default`"));
        }
        // Ignored, they would make a token that may do more than its maker wants.
        for name in ["scope", "scopes"] {
            if fields.raw(name).is_some() {
                return Err(ApiError::parameter(name, "tokens have none: each may do all that its account may"));
            }
        }
        let expires_in = match fields.raw("expires_in") {
            None => DEFAULT_SECONDS,
            Some(raw) => {
                let seconds = raw.parse().ok().filter(|seconds| (1..=MAX_SECONDS).contains(seconds));
                seconds.ok_or_else(|| ApiError::parameter("expires_in", "a number of seconds from 1 to 86400"))?
            }
        };
        let (token, expires_at) = jwt::token_for(&account_id, &self.rules, self.now, expires_in);
        Ok(TokenJson { token, account_id, expires_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_795_330_108_184);

    fn head(vars: &[(&str, &str)]) -> Result<TokenHead, ApiError> {
        let config = Config::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unwrap();
        let header = |name: &str| (name == "content-type").then(|| "application/json".to_owned());
        let head = Head { method: "POST", url: "https://a.example/tokens", header: &header, now: NOW };
        TokenHead::parse(&head, &config)
    }

    #[test]
    fn a_token_speaks_for_its_account_until_its_end() {
        let secret = "s".repeat(32);
        let vars = [("JWT_SECRET", secret.as_str()), ("JWT_ISSUER", "us"), ("JWT_AUDIENCE", "agents")];
        let head = head(&vars).unwrap();
        let made = head.with_body(Some("{\"account_id\":\"zoë\",\"expires_in\":60}".as_bytes())).unwrap();
        assert_eq!(made.expires_at, Millis::new(1_795_330_168_000));
        let speaks_for = |at: i64| jwt::account_of(&made.token, &head.rules, Millis::new(at)).ok();
        assert_eq!(speaks_for(NOW.get()), Some("zoë".parse().unwrap()));
        assert_eq!(speaks_for(made.expires_at.get()), None);
    }

    #[test]
    fn a_token_is_for_an_account_that_is_named_and_for_a_day_at_most() {
        let secret = "s".repeat(32);
        let head = head(&[("JWT_SECRET", secret.as_str())]).unwrap();
        for (body, code) in [
            ("{}", Code::InvalidAccount),
            (r#"{"account_id":"default"}"#, Code::InvalidAccount),
            (r#"{"account_id":""}"#, Code::InvalidAccount),
            (r#"{"account_id":"a","expires_in":0}"#, Code::InvalidParameter),
            (r#"{"account_id":"a","expires_in":86401}"#, Code::InvalidParameter),
            (r#"{"account_id":"a","expires_in":"60"}"#, Code::InvalidParameter),
            (r#"{"account_id":"a","scopes":["read"]}"#, Code::InvalidParameter),
            (r#"{"account_id":"a","scopes":[]}"#, Code::InvalidParameter),
            (r#"{"account_id":"a","scope":"read"}"#, Code::InvalidParameter),
        ] {
            assert_eq!(head.with_body(Some(body.as_bytes())).unwrap_err().code, code, "{body}");
        }
        assert_eq!(head.with_body(None).unwrap_err().code, Code::BodyTooLarge);
        assert!(head.with_body(Some(br#"{"account_id":"a","scopes":null}"#)).is_ok());
    }

    #[test]
    fn without_a_secret_there_are_no_tokens() {
        assert_eq!(head(&[]).unwrap_err().code, Code::AuthNotConfigured);
    }
}
