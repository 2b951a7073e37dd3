//! Who may speak for an account: `AUTH`, keys, tokens, and the pages of other sites that may ask.

use super::BadConfig;

/// The pages of other sites that may ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Origins {
    /// None.
    #[default]
    None,
    /// Those of every site.
    Any,
    /// Those of these origins, each as a browser writes it.
    These(Vec<String>),
}

/// Who may speak for an account. Prints no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// `AUTH = "none"`: everyone may.
    pub open: bool,
    /// `API_KEYS`: each speaks for any account and for the operator.
    pub api_keys: Vec<ApiKey>,
    /// `JWT_SECRET`: signs tokens that speak for the account in `sub`.
    pub jwt: Option<Jwt>,
    /// `ALLOWED_ORIGINS`: whose pages may ask, with a key or a token like everybody.
    pub origins: Origins,
}

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// The operator's name for it, if it has one.
    pub name: Option<String>,
    /// What is sent.
    pub key: String,
    /// The whole entry, where a key without a name may have the form of one with a name: it is the key as well.
    pub whole: Option<String>,
}

impl ApiKey {
    /// Reads an entry: `name:key`, or a key alone.
    #[must_use]
    pub fn parse(entry: &str) -> Self {
        let is_name = |name: &str| {
            (1..=MAX_KEY_NAME_BYTES).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        match entry.split_once(':').filter(|(name, key)| is_name(name) && key.len() >= MIN_API_KEY_BYTES) {
            Some((name, key)) => {
                Self { name: Some(name.to_owned()), key: key.to_owned(), whole: Some(entry.to_owned()) }
            }
            None => Self { name: None, key: entry.to_owned(), whole: None },
        }
    }
}

/// Longest name of a key, in bytes.
const MAX_KEY_NAME_BYTES: usize = 64;

/// How tokens are checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Jwt {
    /// The HS256 key, at least [`MIN_JWT_SECRET_BYTES`].
    pub secret: String,
    /// What `iss` must be, if it is set.
    pub issuer: Option<String>,
    /// What `aud` must hold, if it is set.
    pub audience: Option<String>,
}

impl std::fmt::Debug for Jwt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Jwt(…)")
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (open, keys, jwt, origins) = (self.open, self.api_keys.len(), self.jwt.is_some(), &self.origins);
        write!(f, "Auth {{ open: {open}, api_keys: {keys}, jwt: {jwt}, origins: {origins:?} }}")
    }
}

impl Auth {
    /// Reads the vars that `get` knows by name.
    ///
    /// # Errors
    /// [`BadConfig`] for the first var that breaks its rule.
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let open = match get("AUTH").as_deref() {
            None => false,
            Some("none") => true,
            Some(_) => return Err(BadConfig { name: "AUTH", rule: "\"none\", or not set" }),
        };
        let api_keys: Vec<ApiKey> = get("API_KEYS")
            .map(|keys| keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(ApiKey::parse).collect())
            .unwrap_or_default();
        let jwt =
            get("JWT_SECRET").map(|secret| Jwt { secret, issuer: get("JWT_ISSUER"), audience: get("JWT_AUDIENCE") });
        if jwt.as_ref().is_some_and(|jwt| jwt.secret.len() < MIN_JWT_SECRET_BYTES) {
            return Err(BadConfig { name: "JWT_SECRET", rule: "at least 32 bytes" });
        }
        let is_key = |key: &ApiKey| key.key.len() >= MIN_API_KEY_BYTES && !key.key.contains(char::is_whitespace);
        if !api_keys.iter().all(is_key) {
            let rule = "keys of at least 24 characters without white space, each with a name and a colon before it or without, separated by commas";
            return Err(BadConfig { name: "API_KEYS", rule });
        }
        if jwt.as_ref().is_some_and(|jwt| api_keys.iter().any(|key| key.key == jwt.secret)) {
            return Err(BadConfig { name: "API_KEYS", rule: "none of them the same as JWT_SECRET" });
        }
        Ok(Self { open, api_keys, jwt, origins: origins(get)? })
    }

    /// Whether anything says who may speak for an account.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.open || !self.api_keys.is_empty() || self.jwt.is_some()
    }
}

/// Shortest of `API_KEYS`, in bytes: one that is no guess.
pub const MIN_API_KEY_BYTES: usize = 24;
/// RFC 7518, 3.2: an HS256 key has at least the size of the hash.
pub const MIN_JWT_SECRET_BYTES: usize = 32;

fn origins(get: &dyn Fn(&str) -> Option<String>) -> Result<Origins, BadConfig> {
    let Some(text) = get("ALLOWED_ORIGINS") else { return Ok(Origins::None) };
    if text == "*" {
        return Ok(Origins::Any);
    }
    let origins: Vec<String> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
    if origins.iter().all(|origin| is_origin(origin)) {
        Ok(Origins::These(origins))
    } else {
        let rule = "\"*\", or origins as browsers write them, such as https://app.example.com, separated by commas";
        Err(BadConfig { name: "ALLOWED_ORIGINS", rule })
    }
}

/// Whether a text can be what a browser's `Origin` says of a page: a scheme, a host in lower case, a port that is not the scheme's own.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-._+:[]".contains(&byte);
    let own_port = (scheme == "https" && host.ends_with(":443")) || (scheme == "http" && host.ends_with(":80"));
    [scheme, host].iter().all(|part| !part.is_empty() && part.bytes().all(plain)) && !own_port
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const KEY: &str = "0123456789abcdef01234567";

    fn auth(vars: &[(&str, &str)]) -> Result<Auth, BadConfig> {
        Config::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
            .map(|config| config.auth)
    }

    #[test]
    fn the_origins_of_pages_are_all_or_those_that_are_named() {
        let origins = |value| auth(&[("ALLOWED_ORIGINS", value)]).unwrap().origins;
        assert_eq!(origins(""), Origins::None);
        assert_eq!(origins(" * "), Origins::Any);
        let these = ["https://app.example.com", "http://localhost:5173", "http://[::1]:8080", "capacitor://localhost"];
        assert_eq!(origins(&these.join(" , ")), Origins::These(these.map(str::to_owned).to_vec()));
    }

    #[test]
    fn a_key_may_have_a_name_and_one_that_only_looks_so_is_the_key_it_was() {
        let named = ApiKey::parse(&format!("billing:{KEY}"));
        assert_eq!((named.name.as_deref(), named.key.as_str()), (Some("billing"), KEY));
        assert_eq!(named.whole, Some(format!("billing:{KEY}")));
        for bare in [KEY.to_owned(), format!("{KEY}:short"), format!("no name:{KEY}"), format!(":{KEY}")] {
            let read = ApiKey::parse(&bare);
            assert_eq!((read.name, read.key, read.whole), (None, bare, None));
        }
        assert!(auth(&[("API_KEYS", "billing:too-short")]).is_err());
    }

    #[test]
    fn a_key_is_not_the_secret_of_tokens() {
        let secret = "s".repeat(32);
        let error = auth(&[("JWT_SECRET", &secret), ("API_KEYS", &format!("{KEY},{secret}"))]).unwrap_err();
        assert_eq!(error.to_string(), "the var API_KEYS is wrong: none of them the same as JWT_SECRET");
        assert!(auth(&[("JWT_SECRET", &secret), ("API_KEYS", KEY)]).is_ok());
    }
}
