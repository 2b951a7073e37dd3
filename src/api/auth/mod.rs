//! Who is asking, and for which account they may. Keys are compared in constant time; `jwt` reads the tokens.

mod jwt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::config::Auth;
use crate::domain::{AccountId, Millis};
use crate::error::{ApiError, Code};

/// Whom a request speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Any account, and the operator.
    Operator,
    /// One account.
    Account(AccountId),
}

impl Principal {
    /// Proof that the operator asks.
    ///
    /// # Errors
    /// 403 `operator_only`.
    pub fn operator(&self) -> Result<(), ApiError> {
        match self {
            Self::Operator => Ok(()),
            Self::Account(_) => {
                Err(ApiError::new(Code::OperatorOnly, "This route is for operators: send one of API_KEYS."))
            }
        }
    }

    /// The account that a request is about: the one it names, where it may; else its own.
    ///
    /// # Errors
    /// 403 `wrong_account`.
    pub fn account(&self, named: Option<AccountId>) -> Result<AccountId, ApiError> {
        match (self, named) {
            (Self::Operator, named) => Ok(named.unwrap_or_else(AccountId::unnamed)),
            (Self::Account(own), None) => Ok(own.clone()),
            (Self::Account(own), Some(named)) if *own == named => Ok(named),
            (Self::Account(_), Some(_)) => {
                Err(ApiError::new(Code::WrongAccount, "This token speaks for another account than the one named."))
            }
        }
    }
}

/// Whether a request's `Authorization` header matters.
#[must_use]
pub fn asks(auth: &Auth) -> bool {
    !auth.open && auth.is_configured()
}

/// Finds out whom a request to `host` with that `Authorization` header speaks for, `now`.
///
/// # Errors
/// 401 `unauthorized`, or 403 `auth_not_configured`.
pub fn authenticate(auth: &Auth, host: &str, authorization: Option<&str>, now: Millis) -> Result<Principal, ApiError> {
    if auth.open {
        return Ok(Principal::Operator);
    }
    if !auth.is_configured() {
        return if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            Ok(Principal::Operator)
        } else {
            Err(ApiError::new(
                Code::AuthNotConfigured,
                "Nobody has said who may ask. Set API_KEYS or JWT_SECRET with `npx wrangler secret put`, \
                 or the var AUTH = \"none\" behind something else that authenticates.",
            ))
        };
    }
    let token = authorization
        .and_then(bearer)
        .ok_or_else(|| ApiError::new(Code::Unauthorized, "Send `Authorization: Bearer <key or token>`."))?;
    // Every key is compared, whichever fits.
    let digest = Sha256::digest(token);
    let fits = |key: &String| Sha256::digest(key).ct_eq(&digest);
    if auth.api_keys.iter().map(fits).fold(Choice::from(0), std::ops::BitOr::bitor).into() {
        return Ok(Principal::Operator);
    }
    let refused = |detail| ApiError::new(Code::Unauthorized, detail);
    match &auth.jwt {
        Some(rules) => jwt::account_of(token, rules, now).map(Principal::Account).map_err(|e| refused(e.sentence())),
        None => Err(refused("This key is not valid.")),
    }
}

fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Jwt;

    const NOW: Millis = Millis::new(1_795_330_108_184);

    fn keys(keys: &[&str]) -> Auth {
        Auth { api_keys: keys.iter().map(|key| (*key).to_owned()).collect(), ..Auth::default() }
    }

    #[test]
    fn without_configuration_only_this_machine_gets_in() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(authenticate(&Auth::default(), host, None, NOW), Ok(Principal::Operator));
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", ""] {
            let refused = authenticate(&Auth::default(), host, Some("Bearer x"), NOW).unwrap_err();
            assert_eq!(refused.code, Code::AuthNotConfigured);
        }
    }

    #[test]
    fn any_of_the_keys_opens_and_nothing_else_does() {
        let auth = keys(&["old", "new"]);
        for good in ["Bearer old", "bearer new", "Bearer  new "] {
            assert_eq!(authenticate(&auth, "localhost", Some(good), NOW), Ok(Principal::Operator), "{good}");
        }
        for bad in [None, Some("Bearer"), Some("Bearer "), Some("Basic old"), Some("Bearer olde"), Some("old")] {
            assert_eq!(authenticate(&auth, "localhost", bad, NOW).unwrap_err().code, Code::Unauthorized, "{bad:?}");
        }
    }

    #[test]
    fn a_token_speaks_for_its_own_account_only() {
        let account = |id: &str| id.parse::<AccountId>().unwrap();
        let own = Principal::Account(account("a"));
        assert_eq!(own.account(None), Ok(account("a")));
        assert_eq!(own.account(Some(account("a"))), Ok(account("a")));
        assert_eq!(own.account(Some(account("b"))).unwrap_err().code, Code::WrongAccount);
        assert_eq!(Principal::Operator.account(None), Ok(account("default")));
    }

    #[test]
    fn an_operator_is_no_token() {
        assert_eq!(Principal::Operator.operator(), Ok(()));
        let token = Principal::Account("a".parse().unwrap());
        assert_eq!(token.operator().unwrap_err().code, Code::OperatorOnly);
    }

    #[test]
    fn keys_and_tokens_are_accepted_side_by_side() {
        let jwt = Jwt { secret: "s".repeat(32), issuer: None, audience: None };
        let auth = Auth { jwt: Some(jwt), ..keys(&["key"]) };
        assert_eq!(authenticate(&auth, "localhost", Some("Bearer key"), NOW), Ok(Principal::Operator));
        let refused = authenticate(&auth, "localhost", Some("Bearer other"), NOW).unwrap_err();
        assert_eq!(refused.code, Code::Unauthorized);
    }

    #[test]
    fn an_open_service_asks_nobody() {
        let auth = Auth { open: true, ..keys(&["key"]) };
        assert_eq!(authenticate(&auth, "agents.example.com", None, NOW), Ok(Principal::Operator));
    }
}
