//! Ids as types: each has a private field and one checked constructor, so that a value of the type is proof of the check.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use uuid::Uuid;

use super::Millis;

/// Longest account id, in characters.
pub const MAX_ACCOUNT_CHARS: usize = 128;
/// Longest session id, in bytes (its alphabet is ASCII).
pub const MAX_SESSION_BYTES: usize = 128;
/// Longest name of a webhook or a schedule, in bytes (its alphabet is ASCII).
pub const MAX_NAME_BYTES: usize = 64;
/// Longest idempotency key, in bytes (its alphabet is ASCII).
pub const MAX_IDEMPOTENCY_KEY_BYTES: usize = 128;

/// Longest id of a chat client's message, in bytes (its alphabet is ASCII).
pub const MAX_CHAT_MESSAGE_BYTES: usize = 128;

/// A text that is not the id it should be; the sentence says what it must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BadId(&'static str);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $check:expr, $pattern:literal, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                let valid: fn(&str) -> bool = $check;
                if valid(&text) { Ok(Self(text)) } else { Err(BadId($rule)) }
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::try_from(text.to_owned())
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "pattern": $pattern, "description": $rule})
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// Names a tenant; one Durable Object, one container and one queue belong to it.
    AccountId,
    |s| (1..=MAX_ACCOUNT_CHARS).contains(&s.chars().count()) && !s.chars().any(char::is_control),
    "^[^\\u0000-\\u001f\\u007f-\\u009f]{1,128}$",
    "an account id has 1 to 128 characters, none of them a control character"
);

text_id!(
    /// Names a conversation within its account.
    SessionId,
    |s| {
        s.len() <= MAX_SESSION_BYTES
            && s.starts_with(|c: char| c.is_ascii_alphanumeric())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:-".contains(&b))
    },
    "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
    "a session id has 1 to 128 characters of A-Z a-z 0-9 . _ : - and starts with a letter or digit"
);

text_id!(
    /// Names a turn: `turn_` and the 32 hexadecimal digits of a UUID.
    TurnId,
    |s| s.strip_prefix("turn_").is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }),
    "^turn_[0-9a-f]{32}$",
    "a turn id is turn_ and 32 hexadecimal digits"
);

text_id!(
    /// Names an action: `act_` and the 32 hexadecimal digits of a UUID.
    ActionId,
    |s| s.strip_prefix("act_").is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }),
    "^act_[0-9a-f]{32}$",
    "an action id is act_ and 32 hexadecimal digits"
);

text_id!(
    /// The Claude Agent SDK's own session id, a UUID.
    SdkSession,
    |s| s.len() == 36 && Uuid::try_parse(s).is_ok(),
    "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
    "an SDK session is a hyphenated UUID"
);

text_id!(
    /// The caller's name for one request, so that sending it twice runs it once.
    IdempotencyKey,
    |s| (1..=MAX_IDEMPOTENCY_KEY_BYTES).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic()),
    "^[!-~]{1,128}$",
    "an Idempotency-Key has 1 to 128 visible ASCII characters"
);

text_id!(
    /// A chat client's name for a message of a user.
    ChatMessageId,
    |s| (1..=MAX_CHAT_MESSAGE_BYTES).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_graphic()),
    "^[!-~]{1,128}$",
    "a message's id has 1 to 128 visible ASCII characters"
);

text_id!(
    /// Names one HTTP request in its answer and in the logs: `req_` and 32 hexadecimal digits.
    RequestId,
    |s| s.strip_prefix("req_").is_some_and(|hex| hex.len() == 32),
    "^req_.{32}$",
    "a request id is req_ and 32 hexadecimal digits"
);

text_id!(
    /// Names one purge run: `run_` and 32 hexadecimal digits, ordered by time.
    RunId,
    |s| s.strip_prefix("run_").is_some_and(|hex| hex.len() == 32),
    "^run_.{32}$",
    "a run id is run_ and 32 hexadecimal digits"
);

text_id!(
    /// Names an erasure: `erasure_` and the 32 hexadecimal digits of a UUID.
    ErasureId,
    |s| s.strip_prefix("erasure_").is_some_and(|hex| hex.len() == 32),
    "^erasure_.{32}$",
    "an erasure id is erasure_ and 32 hexadecimal digits"
);

text_id!(
    /// Names a webhook or a schedule within its account.
    ResourceName,
    |s| {
        s.len() <= MAX_NAME_BYTES
            && s.starts_with(|c: char| c.is_ascii_alphanumeric())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    },
    "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
    "a name has 1 to 64 characters of A-Z a-z 0-9 . _ - and starts with a letter or digit"
);

text_id!(
    /// Names an event that webhooks are told of: `evt_` and 32 hexadecimal digits. It is the same for every attempt and every webhook.
    WebhookEventId,
    |s| s.strip_prefix("evt_").is_some_and(|hex| {
        hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    }),
    "^evt_[0-9a-f]{32}$",
    "an event id is evt_ and 32 hexadecimal digits"
);

impl AccountId {
    /// The account of a request that names none.
    #[must_use]
    pub fn unnamed() -> Self {
        Self("default".to_owned())
    }
}

impl SessionId {
    /// An id for a conversation whose caller gave none: `session_<ms>_<random>`.
    #[must_use]
    pub fn generate(now: Millis, random: Uuid) -> Self {
        let hex = random.simple().to_string();
        let tail = hex.get(20..).unwrap_or_default();
        Self(format!("session_{}_{tail}", now.get()))
    }
}

impl TurnId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("turn_{}", random.simple()))
    }
}

impl WebhookEventId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("evt_{}", random.simple()))
    }

    /// The id of the event that a turn's end is: a turn has one.
    #[must_use]
    pub fn of_turn(turn_id: &TurnId) -> Self {
        Self(turn_id.as_str().replacen("turn_", "evt_", 1))
    }

    /// The id of the event that an action is, or that its expiry is: an action has one of each.
    #[must_use]
    pub fn of_action(action_id: &ActionId, expired: bool) -> Self {
        let mut id = action_id.as_str().replacen("act_", "evt_", 1);
        if expired {
            // The digit that in an action's id is the version of its UUID.
            id.replace_range(16..17, "e");
        }
        Self(id)
    }

    /// The id of another event of a turn, of which there is one of each `kind`: the digit that in a turn's id is the version of its UUID.
    #[must_use]
    pub fn beside_turn(turn_id: &TurnId, kind: char) -> Self {
        let mut id = Self::of_turn(turn_id).0;
        id.replace_range(16..17, kind.encode_utf8(&mut [0; 4]));
        Self(id)
    }
}

impl ActionId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("act_{}", random.simple()))
    }
}

impl RequestId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("req_{}", random.simple()))
    }
}

impl RunId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("run_{}", random.simple()))
    }
}

impl ErasureId {
    /// The id made of a fresh UUID.
    #[must_use]
    pub fn new(random: Uuid) -> Self {
        Self(format!("erasure_{}", random.simple()))
    }
}

/// The id of a server-sent event: `<turn_id>:<n>`, `n` being the number of the container frame that it tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventId {
    /// The turn whose event it is.
    pub turn_id: TurnId,
    /// 0 for the turn's announcement, else the frame's number.
    pub n: u64,
}

impl FromStr for EventId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let parsed = text
            .rsplit_once(':')
            .and_then(|(turn_id, n)| Some(Self { turn_id: turn_id.parse().ok()?, n: n.parse().ok()? }));
        parsed.ok_or(BadId("a Last-Event-ID is <turn_id>:<n>"))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.turn_id, self.n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_ids_hold_any_text_without_control_characters() {
        for good in ["default", "a", "Zoë & søn / 7", &"x".repeat(128), &"é".repeat(128)] {
            assert!(good.parse::<AccountId>().is_ok(), "{good}");
        }
        for bad in ["", "a\nb", "\0", "\u{7f}", &"x".repeat(129)] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn session_ids_keep_to_their_alphabet() {
        for good in ["a", "7", "A.b_c:d-e", "session_1795330108184_abc", &"x".repeat(128)] {
            assert!(good.parse::<SessionId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "_a", ":a", "a b", "a/b", "é", "a%20b", &"x".repeat(129)] {
            assert!(bad.parse::<SessionId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_generated_session_id_is_a_session_id() {
        let id = SessionId::generate(Millis::new(1_795_330_108_184), Uuid::from_u128(7));
        assert_eq!(id.as_str(), "session_1795330108184_000000000007");
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn event_ids_survive_the_round_trip() {
        let id = EventId { turn_id: TurnId::new(Uuid::from_u128(9)), n: 41 };
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("turn_x:1".parse::<EventId>().is_err());
        assert!("nonsense".parse::<EventId>().is_err());
    }

    #[test]
    fn a_bad_id_is_refused_when_it_is_deserialised() {
        assert!(serde_json::from_str::<SessionId>("\"../x\"").is_err());
        assert!(serde_json::from_str::<TurnId>("\"turn_1\"").is_err());
    }
}
