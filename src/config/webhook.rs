//! The operator's own webhook, which is told of the events of every account.

use std::rc::Rc;

use super::BadConfig;
use crate::domain::webhook::secret_bytes;
use crate::domain::webhook_url;

/// Most secrets of `WEBHOOK_SECRET`: the new one and the old one of a rotation.
const MAX_SECRETS: usize = 2;

/// `WEBHOOK_URL` and `WEBHOOK_SECRET`. Prints no secret.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorWebhook {
    /// Where every account's events are sent; nowhere if absent.
    pub url: Option<Rc<str>>,
    /// What they are signed with: the new secret first.
    pub secrets: Rc<[String]>,
}

impl std::fmt::Debug for OperatorWebhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OperatorWebhook {{ url: {}, secrets: {} }}", self.url.is_some(), self.secrets.len())
    }
}

impl OperatorWebhook {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let (url, secrets) = (get("WEBHOOK_URL"), get("WEBHOOK_SECRET"));
        if url.as_ref().is_some_and(|url| webhook_url::check(url, None, true).is_err()) {
            return Err(BadConfig {
                name: "WEBHOOK_URL",
                rule: "a URL that starts with https:// and has a public name",
            });
        }
        let secrets: Rc<[String]> = secrets
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .filter(|s| !s.is_empty())
            .map(str::to_owned)
            .collect();
        let are_secrets = secrets.len() <= MAX_SECRETS && secrets.iter().all(|secret| secret_bytes(secret).is_some());
        if !are_secrets || (url.is_some() && secrets.is_empty()) {
            let rule =
                "whsec_ and the base64 of 24 to 64 random bytes; two of them during a rotation, separated by a comma";
            return Err(BadConfig { name: "WEBHOOK_SECRET", rule });
        }
        Ok(Self { url: url.map(Rc::from), secrets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::secret_of;

    fn parse(url: &str, secret: &str) -> Result<OperatorWebhook, String> {
        let get = |name: &str| {
            let value = if name == "WEBHOOK_URL" { url } else { secret };
            Some(value.to_owned()).filter(|value| !value.is_empty())
        };
        OperatorWebhook::parse(&get).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_needs_a_secret_and_neither_is_printed() {
        let secret = secret_of(&[7; 24]);
        let set = parse("https://hooks.acme.com/a", &format!("{secret}, {secret}")).unwrap();
        assert_eq!((set.url.as_deref(), set.secrets.len()), (Some("https://hooks.acme.com/a"), 2));
        assert!(!format!("{set:?}").contains(&secret) && !format!("{set:?}").contains("acme"));
        assert_eq!(parse("", "").unwrap().url, None);
        assert!(parse("https://hooks.acme.com/a", "").unwrap_err().contains("WEBHOOK_SECRET"));
        for bad in ["hunter2", "whsec_AAAA", &[secret.as_str(); 3].join(",")] {
            assert!(parse("https://hooks.acme.com/a", bad).unwrap_err().contains("WEBHOOK_SECRET"), "{bad}");
        }
        for bad in ["http://hooks.acme.com", "https://10.0.0.1", "hooks.acme.com"] {
            assert!(parse(bad, &secret).unwrap_err().contains("WEBHOOK_URL"), "{bad}");
        }
    }
}
