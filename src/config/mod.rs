//! The operator's vars and secrets, parsed once into a value. It reads no environment itself.

pub mod accounts;
mod auth;
pub mod files;
pub mod policy;
pub mod webhook;

use std::rc::Rc;
use std::time::Duration;

use accounts::AccountsPolicy;
pub use auth::{ApiKey, Auth, Jwt, Origins};
use files::FilesPolicy;
use policy::AgentPolicy;
use webhook::OperatorWebhook;

use crate::domain::time::{DAY, parse_duration};

/// The credential of the model's API. It prints as its kind only.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// `ANTHROPIC_API_KEY`, sent as `x-api-key`.
    ApiKey(String),
    /// `CLAUDE_CODE_OAUTH_TOKEN`, sent as `Authorization: Bearer`.
    OauthToken(String),
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ApiKey(_) => "ApiKey(…)",
            Self::OauthToken(_) => "OauthToken(…)",
        })
    }
}

/// The longest turn: the agent server ends one after 60 minutes by itself, and then tells another reason.
pub const MAX_TURN_TIMEOUT: Duration = Duration::from_mins(55);
/// The longest time that a container may idle: the platform ends one after 6 hours by itself, and its object looks a little before.
pub const MAX_CONTAINER_IDLE: Duration = Duration::from_hours(5);
/// The kinds of instances that Cloudflare has.
pub const INSTANCE_TYPES: [&str; 6] = ["lite", "basic", "standard-1", "standard-2", "standard-3", "standard-4"];
const INSTANCE_TYPE_RULE: &str = "lite, basic, standard-1, standard-2, standard-3 or standard-4";
/// Most turns of one account that run at once; each takes a process of the container.
pub const MAX_ACCOUNT_CONCURRENCY: u32 = 8;
/// Most live processes in one container: more do not fit the largest instance.
pub const MAX_WARM_SESSIONS: u32 = 64;
/// The longest time that a turn that waits for somebody keeps its process.
pub const MAX_ACTION_HOLD: Duration = Duration::from_hours(1);
/// The shortest and the longest time that somebody may have to decide.
const MIN_ACTION_TTL: Duration = Duration::from_mins(1);
const MAX_ACTION_TTL: Duration = Duration::from_hours(720);
/// Shortest time that may be set.
const MIN_TIME: Duration = Duration::from_secs(1);
/// Most shards of the directory.
pub const MAX_DIRECTORY_SHARDS: u32 = 1_024;

/// Where Cloudflare keeps an object and runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Jurisdiction {
    /// In the European Union.
    Eu,
    /// In data centers that `FedRAMP` has authorised.
    FedRamp,
}

impl Jurisdiction {
    /// Cloudflare's name of it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eu => "eu",
            Self::FedRamp => "fedramp",
        }
    }
}

/// Everything that the operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// `ANTHROPIC_API_KEY` or `CLAUDE_CODE_OAUTH_TOKEN`; both set: the API key.
    pub credential: Option<Credential>,
    /// `MODEL_API_URL`: where the model's API is, without a slash at its end.
    pub model_api_url: String,
    /// `AUTH`, `API_KEYS`, `JWT_SECRET`, `JWT_ISSUER`, `JWT_AUDIENCE`, `ALLOWED_ORIGINS`.
    pub auth: Auth,
    /// `ACCOUNT_CONCURRENCY`: turns of one account that run at once.
    pub account_concurrency: u32,
    /// `MAX_QUEUED_TURNS`: turns of one account that may wait.
    pub max_queued_turns: u32,
    /// `TURN_TIMEOUT`: how long a turn may run.
    pub turn_timeout: Duration,
    /// `ACTION_HOLD`: how long a turn that waits for somebody keeps its process.
    pub action_hold: Duration,
    /// `ACTION_TTL`: how long somebody has to decide.
    pub action_ttl: Duration,
    /// `MAX_PENDING_ACTIONS`: decisions of one account that may be waited for.
    pub max_pending_actions: u32,
    /// `CONTAINER_IDLE`: how long a container stays after the last turn.
    pub container_idle: Duration,
    /// `PREWARM`: whether opening a conversation starts its container.
    pub prewarm: bool,
    /// `INSTANCE_TYPE`: the kind of instance that `wrangler.toml` gives to containers, one of [`INSTANCE_TYPES`].
    pub instance_type: &'static str,
    /// `JURISDICTION`: where the accounts' objects are kept.
    pub jurisdiction: Option<Jurisdiction>,
    /// `CONTAINER_INTERNET`: whether the agent reaches the rest of the internet.
    pub container_internet: bool,
    /// `WARM_SESSIONS`: live processes kept in one container.
    pub warm_sessions: u32,
    /// `RETENTION_DAYS`: how long an untouched conversation is kept.
    pub retention: Duration,
    /// `DIRECTORY_SHARDS`: objects over which the directory is split.
    pub directory_shards: u32,
    /// `MODEL`, `SYSTEM_PROMPT`, `ALLOWED_TOOLS` and the like: what turns run with, and what their callers may ask for.
    pub agent: Rc<AgentPolicy>,
    /// `WORKSPACE_MAX_BYTES`, `ACCOUNT_FILES_BYTES` and the like: limits of conversations' files.
    pub files: FilesPolicy,
    /// `USAGE_DAYS`, `MODEL_PRICES` and the like: what accounts use and may use.
    pub accounts: Rc<AccountsPolicy>,
    /// `WEBHOOK_URL`, `WEBHOOK_SECRET`: where the events of every account are sent.
    pub webhook: OperatorWebhook,
    /// `SCHEDULE_MIN_INTERVAL`: how far apart a schedule's due times are at least.
    pub schedule_min_interval: Duration,
}

/// A var that is not what it must be. Names the var, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the var {name} is wrong: {rule}")]
pub struct BadConfig {
    name: &'static str,
    rule: &'static str,
}

impl Config {
    /// Reads the vars and secrets that `get` knows by name. Empty ones count as not set.
    ///
    /// # Errors
    /// The first var that is not what it must be.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let whole = |name, default, range: std::ops::RangeInclusive<u32>, rule| match get(name) {
            None => Ok(default),
            Some(text) => text.parse().ok().filter(|n| range.contains(n)).ok_or(BadConfig { name, rule }),
        };
        let duration = |name, default, most, rule| match get(name) {
            None => Ok(default),
            Some(text) => {
                let parsed = parse_duration(&text).filter(|time| (MIN_TIME..=most).contains(time));
                parsed.ok_or(BadConfig { name, rule })
            }
        };
        let credential = get("ANTHROPIC_API_KEY")
            .map(Credential::ApiKey)
            .or_else(|| get("CLAUDE_CODE_OAUTH_TOKEN").map(Credential::OauthToken));
        let model_api_url = get("MODEL_API_URL").unwrap_or_else(|| "https://api.anthropic.com".to_owned());
        if !(model_api_url.starts_with("https://") || model_api_url.starts_with("http://")) {
            return Err(BadConfig { name: "MODEL_API_URL", rule: "a URL that starts with https:// or http://" });
        }
        Ok(Self {
            credential,
            model_api_url: model_api_url.trim_end_matches('/').to_owned(),
            auth: Auth::parse(&get)?,
            account_concurrency: whole("ACCOUNT_CONCURRENCY", 1, 1..=MAX_ACCOUNT_CONCURRENCY, "a number from 1 to 8")?,
            max_queued_turns: whole("MAX_QUEUED_TURNS", 32, 1..=1_000, "a number from 1 to 1000")?,
            turn_timeout: duration(
                "TURN_TIMEOUT",
                Duration::from_mins(10),
                MAX_TURN_TIMEOUT,
                "a duration from 1s to 55m, such as 90s, 10m or plain seconds",
            )?,
            action_hold: duration(
                "ACTION_HOLD",
                Duration::from_mins(5),
                MAX_ACTION_HOLD,
                "a duration from 1s to 1h, such as 90s, 5m or plain seconds",
            )?,
            action_ttl: match duration(
                "ACTION_TTL",
                DAY,
                MAX_ACTION_TTL,
                "a duration from 1m to 720h, such as 10m, 24h or plain seconds",
            )? {
                ttl if ttl >= MIN_ACTION_TTL => ttl,
                _ => return Err(BadConfig { name: "ACTION_TTL", rule: "a duration from 1m to 720h" }),
            },
            max_pending_actions: whole("MAX_PENDING_ACTIONS", 64, 1..=1_000, "a number from 1 to 1000")?,
            container_idle: duration(
                "CONTAINER_IDLE",
                Duration::from_mins(20),
                MAX_CONTAINER_IDLE,
                "a duration from 1s to 5h, such as 90s, 10m, 2h or plain seconds",
            )?,
            prewarm: on_off(&get, "PREWARM", true)?,
            instance_type: one_of(&get, "INSTANCE_TYPE", INSTANCE_TYPE_RULE, &INSTANCE_TYPES)?.unwrap_or("standard-2"),
            jurisdiction: match one_of(&get, "JURISDICTION", "eu or fedramp", &["eu", "fedramp"])? {
                None => None,
                Some("eu") => Some(Jurisdiction::Eu),
                Some(_) => Some(Jurisdiction::FedRamp),
            },
            container_internet: on_off(&get, "CONTAINER_INTERNET", true)?,
            warm_sessions: whole("WARM_SESSIONS", 16, 1..=MAX_WARM_SESSIONS, "a number from 1 to 64")?,
            retention: whole("RETENTION_DAYS", 30, 1..=36_500, "a number of days from 1 to 36500")? * DAY,
            directory_shards: whole("DIRECTORY_SHARDS", 8, 1..=MAX_DIRECTORY_SHARDS, "a number from 1 to 1024")?,
            agent: Rc::new(AgentPolicy::parse(&get)?),
            files: FilesPolicy::parse(&get)?,
            accounts: Rc::new(AccountsPolicy::parse(&get)?),
            webhook: OperatorWebhook::parse(&get)?,
            schedule_min_interval: duration(
                "SCHEDULE_MIN_INTERVAL",
                Duration::from_mins(5),
                DAY,
                "a duration from 1s to 1d, such as 1m, 15m or 1h",
            )?,
        })
    }
}

fn on_off(get: &dyn Fn(&str) -> Option<String>, name: &'static str, default: bool) -> Result<bool, BadConfig> {
    Ok(one_of(get, name, "on or off", &["on", "off"])?.map_or(default, |word| word == "on"))
}

/// Which of these words a var is; none if it is not set.
fn one_of(
    get: &dyn Fn(&str) -> Option<String>,
    name: &'static str,
    rule: &'static str,
    words: &[&'static str],
) -> Result<Option<&'static str>, BadConfig> {
    let Some(text) = get(name) else { return Ok(None) };
    words.iter().find(|word| **word == text).map(|word| Some(*word)).ok_or(BadConfig { name, rule })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdef01234567";

    fn config(vars: &[(&str, &str)]) -> Result<Config, BadConfig> {
        Config::parse(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let config = config(&[]).unwrap();
        assert_eq!(config.credential, None);
        assert_eq!(config.model_api_url, "https://api.anthropic.com");
        assert!(!config.auth.is_configured());
        assert_eq!((config.account_concurrency, config.max_queued_turns, config.directory_shards), (1, 32, 8));
        assert_eq!((config.turn_timeout, config.container_idle), (Duration::from_mins(10), Duration::from_mins(20)));
        assert_eq!((config.retention, config.container_internet), (30 * DAY, true));
    }

    #[test]
    fn the_api_key_comes_before_the_oauth_token() {
        let both = config(&[("CLAUDE_CODE_OAUTH_TOKEN", "t"), ("ANTHROPIC_API_KEY", "k")]).unwrap();
        assert_eq!(both.credential, Some(Credential::ApiKey("k".to_owned())));
        let token = config(&[("CLAUDE_CODE_OAUTH_TOKEN", "t"), ("ANTHROPIC_API_KEY", " ")]).unwrap();
        assert_eq!(token.credential, Some(Credential::OauthToken("t".to_owned())));
    }

    #[test]
    fn a_wrong_var_is_named_and_its_value_is_not_told() {
        for (name, value) in [
            ("TURN_TIMEOUT", "in-a-while"),
            ("CONTAINER_IDLE", "-77"),
            ("RETENTION_DAYS", "-7"),
            ("ACCOUNT_CONCURRENCY", "99"),
            ("MAX_QUEUED_TURNS", "many"),
            ("DIRECTORY_SHARDS", "-8"),
            ("CONTAINER_INTERNET", "maybe"),
            ("MODEL_API_URL", "ftp://x"),
            ("JWT_SECRET", "short-secret"),
            ("AUTH", "basic"),
            ("WARM_SESSIONS", "-3"),
            ("TURN_TIMEOUT", "56m"),
            ("TURN_TIMEOUT", "999ms"),
            ("TURN_TIMEOUT", "00s"),
            ("CONTAINER_IDLE", "301m"),
            ("CONTAINER_IDLE", "99999999999999999d"),
            ("PREWARM", "yes"),
            ("INSTANCE_TYPE", "standard-7"),
            ("JURISDICTION", "mars"),
            ("API_KEYS", "short-key"),
            ("API_KEYS", "0123456789abcdef01234567,short-key"),
            ("API_KEYS", "0123456789 abcdef01234567"),
            ("ALLOWED_ORIGINS", "shop.test"),
            ("ALLOWED_ORIGINS", "https://shop.test/"),
            ("ALLOWED_ORIGINS", "https://Shop.test"),
            ("ALLOWED_ORIGINS", "https://*.shop.test"),
            ("ALLOWED_ORIGINS", "https://shop.test:443"),
            ("ALLOWED_ORIGINS", "https://one.example,,https://two.example"),
            ("ALLOWED_ORIGINS", "https://one.example,*"),
            ("ALLOWED_ORIGINS", "null"),
        ] {
            let error = config(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains(value), "{error}");
        }
    }

    #[test]
    fn times_may_be_as_long_as_the_platform_lets_them() {
        let longest = config(&[("TURN_TIMEOUT", "55m"), ("CONTAINER_IDLE", "5h")]).unwrap();
        assert_eq!((longest.turn_timeout, longest.container_idle), (MAX_TURN_TIMEOUT, MAX_CONTAINER_IDLE));
    }

    #[test]
    fn where_and_on_what_containers_run_is_set_by_name() {
        let nothing = config(&[]).unwrap();
        assert_eq!((nothing.prewarm, nothing.instance_type, nothing.jurisdiction), (true, "standard-2", None));
        for kind in INSTANCE_TYPES {
            assert_eq!(config(&[("INSTANCE_TYPE", kind)]).unwrap().instance_type, kind);
        }
        for (name, place) in [("eu", Jurisdiction::Eu), ("fedramp", Jurisdiction::FedRamp)] {
            assert_eq!(config(&[("JURISDICTION", name)]).unwrap().jurisdiction, Some(place));
        }
        assert!(!config(&[("PREWARM", "off")]).unwrap().prewarm);
    }

    #[test]
    fn secrets_do_not_print() {
        let config = config(&[
            ("API_KEYS", &format!("k1{KEY}, k2{KEY},")),
            ("ANTHROPIC_API_KEY", "hush"),
            ("JWT_SECRET", &"s3cret".repeat(6)),
        ]);
        let printed = format!("{:?}", config.unwrap());
        assert!(
            !printed.contains("k1")
                && !printed.contains(KEY)
                && !printed.contains("hush")
                && !printed.contains("s3cret"),
            "{printed}"
        );
        assert!(printed.contains("api_keys: 2"));
    }
}
