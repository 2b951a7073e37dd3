//! Who is asking, and for which account they may. Keys are compared in constant time; `jwt` reads the tokens.

pub(super) mod jwt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::cors;
use super::query::Target;
use super::route::Access;
use crate::api::problem::{ApiError, Code};
use crate::config::{ApiKey, Auth, Origins};
use crate::digest;
use crate::domain::{AccountId, Millis};

/// Whom a request speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// Nobody: the route asks for no credential.
    Nobody,
    /// Any account, and the operator.
    Operator,
    /// One account.
    Account(AccountId),
}

impl Principal {
    /// Proof that the operator asks.
    ///
    /// # Errors
    /// 401 `unauthorized`, 403 `operator_only`.
    fn operator(&self) -> Result<(), ApiError> {
        match self {
            Self::Nobody => Err(no_credential()),
            Self::Operator => Ok(()),
            Self::Account(_) => {
                Err(ApiError::new(Code::OperatorOnly, "This route is for operators: send one of API_KEYS."))
            }
        }
    }

    /// The account that a request is about: the one it names, where it may; else its own.
    ///
    /// # Errors
    /// 401 `unauthorized`, 403 `wrong_account`.
    pub fn account(&self, named: Option<AccountId>) -> Result<AccountId, ApiError> {
        match (self, named) {
            (Self::Nobody, _) => Err(no_credential()),
            (Self::Operator, named) => Ok(named.unwrap_or_else(AccountId::unnamed)),
            (Self::Account(own), None) => Ok(own.clone()),
            (Self::Account(own), Some(named)) if *own == named => Ok(named),
            (Self::Account(_), Some(_)) => {
                Err(ApiError::new(Code::WrongAccount, "This token speaks for another account than the one named."))
            }
        }
    }
}

/// Whom a request to a route with this access speaks for, if it may use the route; see [`authenticate`].
///
/// # Errors
/// 401 `unauthorized`, 403 `auth_not_configured`, 403 `operator_only`.
pub fn permit(
    access: Access,
    auth: &Auth,
    host: &str,
    header: &dyn Fn(&str) -> Option<String>,
    now: Millis,
) -> Result<Principal, ApiError> {
    if access == Access::Open {
        return Ok(Principal::Nobody);
    }
    let principal = authenticate(auth, host, header, now)?;
    if access == Access::Operator {
        principal.operator()?;
    }
    Ok(principal)
}

/// Finds out whom a request to `host` with these headers speaks for, `now`. Only those that matter are asked for.
///
/// # Errors
/// 401 `unauthorized`, or 403 `auth_not_configured`.
fn authenticate(
    auth: &Auth,
    host: &str,
    header: &dyn Fn(&str) -> Option<String>,
    now: Millis,
) -> Result<Principal, ApiError> {
    if auth.open {
        return refuse_other_sites(header, &auth.origins, &|origin| origin.eq_ignore_ascii_case(host));
    }
    if !auth.is_configured() {
        return if is_loopback(host) {
            refuse_other_sites(header, &auth.origins, &is_loopback)
        } else {
            Err(ApiError::new(
                Code::AuthNotConfigured,
                "Authentication is not configured. Set API_KEYS or JWT_SECRET with `npx wrangler secret put`, \
                 or AUTH = \"none\" if something in front of the service authenticates.",
            ))
        };
    }
    let authorization = header("authorization");
    let token = authorization.as_deref().and_then(bearer).ok_or_else(no_credential)?;
    // Every key is compared, whichever fits.
    let digest = Sha256::digest(token);
    let fits = |text: &str| Sha256::digest(text).ct_eq(&digest);
    let texts = auth.api_keys.iter().flat_map(|key| [Some(&key.key), key.whole.as_ref()]).flatten();
    if texts.map(|text| fits(text)).fold(Choice::from(0), std::ops::BitOr::bitor).into() {
        return Ok(Principal::Operator);
    }
    let refused = |detail| ApiError::new(Code::Unauthorized, detail);
    match &auth.jwt {
        Some(rules) => jwt::account_of(token, rules, now).map(Principal::Account).map_err(|e| refused(e.sentence())),
        None => Err(refused("This key is not valid.")),
    }
}

/// Who asks, for the audit: the name of the key, or a digest of one that has none; or whom a token speaks for.
pub(super) fn actor(principal: &Principal, auth: &Auth, header: &dyn Fn(&str) -> Option<String>) -> String {
    if let Principal::Account(account_id) = principal {
        return format!("token:{account_id}");
    }
    let authorization = header("authorization");
    let Some(token) = authorization.as_deref().and_then(bearer).filter(|_| !auth.api_keys.is_empty()) else {
        return "nobody".to_owned();
    };
    let is_it = |key: &&ApiKey| key.key == token || key.whole.as_deref() == Some(token);
    // It was found to be a key in constant time: which one is no secret to whoever sent it.
    match auth.api_keys.iter().find(is_it).and_then(|key| key.name.as_deref()) {
        Some(name) => format!("key:{name}"),
        None => format!("key:{}", digest::account(token)),
    }
}

fn no_credential() -> ApiError {
    ApiError::new(Code::Unauthorized, "Send `Authorization: Bearer <key or token>`.")
}

fn is_loopback(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

/// Lets everybody in but another site's page: a browser sends what such a page asks for from inside the network, or past the proxy,
/// that is the only thing which keeps strangers out. `is_own` knows the hosts of pages that are no other site's, and the operator may name
/// origins; where any origin will do, none is named.
fn refuse_other_sites(
    header: &dyn Fn(&str) -> Option<String>,
    origins: &Origins,
    is_own: &dyn Fn(&str) -> bool,
) -> Result<Principal, ApiError> {
    let origin = header("origin");
    if origin.as_ref().is_some_and(|origin| cors::is_named(origins, origin)) {
        return Ok(Principal::Operator);
    }
    // A page without an origin of its own says `null`, which is nobody's host.
    let is_foreign = |origin: String| !is_own(Target::of(&origin).host);
    if origin.is_some_and(is_foreign) || header("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        return Err(ApiError::new(
            Code::AuthNotConfigured,
            "Requests from pages of other sites are refused while no credential is required (`Origin`, `Sec-Fetch-Site`). \
             Name the page's origin in ALLOWED_ORIGINS, or set API_KEYS or JWT_SECRET.",
        ));
    }
    Ok(Principal::Operator)
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
        Auth { api_keys: keys.iter().map(|key| ApiKey::parse(key)).collect(), ..Auth::default() }
    }

    fn ask(auth: &Auth, host: &str, headers: &[(&str, &str)]) -> Result<Principal, Code> {
        let header = |name: &str| headers.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        authenticate(auth, host, &header, NOW).map_err(|error| error.code)
    }

    #[test]
    fn without_configuration_only_this_machine_gets_in() {
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            assert_eq!(ask(&Auth::default(), host, &[]), Ok(Principal::Operator));
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1", ""] {
            assert_eq!(
                ask(&Auth::default(), host, &[("authorization", "Bearer x")]),
                Err(Code::AuthNotConfigured),
                "{host}"
            );
        }
    }

    #[test]
    fn without_configuration_no_page_from_elsewhere_gets_in() {
        for own in ["http://localhost:3000", "http://127.0.0.1", "https://[::1]:8787"] {
            assert_eq!(ask(&Auth::default(), "localhost", &[("origin", own)]), Ok(Principal::Operator), "{own}");
        }
        for foreign in
            ["http://rebind.example:8801", "null", "", "file://", "http://localhost.example", "https://x@localhost"]
        {
            let refused = ask(&Auth::default(), "localhost", &[("origin", foreign)]);
            assert_eq!(refused, Err(Code::AuthNotConfigured), "{foreign}");
        }
        for (site, allowed) in [("cross-site", false), ("same-site", true), ("same-origin", true), ("none", true)] {
            assert_eq!(ask(&Auth::default(), "localhost", &[("sec-fetch-site", site)]).is_ok(), allowed, "{site}");
        }
    }

    #[test]
    fn an_open_service_lets_in_its_own_pages_and_no_others() {
        let auth = Auth { open: true, ..Auth::default() };
        let from = |headers: &[(&str, &str)]| ask(&auth, "agents.example.com", headers);
        for own in ["https://agents.example.com", "https://AGENTS.example.com:444"] {
            assert_eq!(from(&[("origin", own)]), Ok(Principal::Operator), "{own}");
        }
        for foreign in ["https://evil.example", "https://example.com", "http://localhost", "null"] {
            assert_eq!(from(&[("origin", foreign)]), Err(Code::AuthNotConfigured), "{foreign}");
        }
        assert_eq!(from(&[("sec-fetch-site", "cross-site")]), Err(Code::AuthNotConfigured));
    }

    #[test]
    fn an_open_service_lets_in_the_pages_that_are_named_and_a_star_names_none() {
        let origins = Origins::These(vec!["https://app.example".to_owned()]);
        let headers = |origin| [("origin", origin), ("sec-fetch-site", "cross-site")];
        for auth in
            [Auth { open: true, origins: origins.clone(), ..Auth::default() }, Auth { origins, ..Auth::default() }]
        {
            assert_eq!(ask(&auth, "localhost", &headers("https://app.example")), Ok(Principal::Operator));
            let other = ask(&auth, "localhost", &headers("https://evil.example"));
            assert_eq!(other, Err(Code::AuthNotConfigured));
            assert_eq!(ask(&auth, "localhost", &[("sec-fetch-site", "cross-site")]), Err(Code::AuthNotConfigured));
        }
        let any = Auth { open: true, origins: Origins::Any, ..Auth::default() };
        assert_eq!(ask(&any, "localhost", &headers("https://app.example")), Err(Code::AuthNotConfigured));
    }

    #[test]
    fn with_a_key_a_page_may_be_from_anywhere() {
        let headers =
            [("authorization", "Bearer key"), ("origin", "https://app.example"), ("sec-fetch-site", "cross-site")];
        assert_eq!(ask(&keys(&["key"]), "agents.example.com", &headers), Ok(Principal::Operator));
    }

    #[test]
    fn any_of_the_keys_opens_and_nothing_else_does() {
        let auth = keys(&["old", "new"]);
        for good in ["Bearer old", "bearer new", "Bearer  new "] {
            assert_eq!(ask(&auth, "localhost", &[("authorization", good)]), Ok(Principal::Operator), "{good}");
        }
        assert_eq!(ask(&auth, "localhost", &[]), Err(Code::Unauthorized));
        for bad in ["Bearer", "Bearer ", "Basic old", "Bearer olde", "old"] {
            assert_eq!(ask(&auth, "localhost", &[("authorization", bad)]), Err(Code::Unauthorized), "{bad}");
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
        assert_eq!(ask(&auth, "localhost", &[("authorization", "Bearer key")]), Ok(Principal::Operator));
        assert_eq!(ask(&auth, "localhost", &[("authorization", "Bearer other")]), Err(Code::Unauthorized));
    }

    #[test]
    fn an_open_service_asks_nobody() {
        let auth = Auth { open: true, ..keys(&["key"]) };
        assert_eq!(ask(&auth, "agents.example.com", &[]), Ok(Principal::Operator));
    }
}
