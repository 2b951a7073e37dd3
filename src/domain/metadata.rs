//! A conversation's metadata: the caller's own keys, and the merge patch (RFC 7396) that changes them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most keys of one conversation.
pub const MAX_METADATA_KEYS: usize = 16;
/// Longest key, in characters.
pub const MAX_METADATA_KEY_CHARS: usize = 64;
/// Longest value, in characters.
pub const MAX_METADATA_VALUE_CHARS: usize = 512;
/// Longest metadata of one conversation, in bytes of JSON: all keys and values full of characters of four bytes,
/// so that a page of the list has a bound in bytes.
pub const MAX_METADATA_BYTES: usize = 37_500;
/// The key that answers add to the caller's own.
pub const RESERVED_KEY: &str = "message_count";

/// Metadata that is not what it must be; the sentence says what that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMetadata(&'static str);

/// A checked change of metadata: a text sets its key, null removes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetadataPatch {
    /// Whether what was there before goes.
    clears: bool,
    entries: Map<String, Value>,
}

impl TryFrom<Value> for MetadataPatch {
    type Error = BadMetadata;
    fn try_from(patch: Value) -> Result<Self, BadMetadata> {
        let entries = match patch {
            Value::Null => return Ok(Self { clears: true, entries: Map::new() }),
            Value::Object(entries) => entries,
            _ => return Err(BadMetadata("an object, or null to remove all of it")),
        };
        for (key, value) in &entries {
            if key.is_empty() || key.chars().count() > MAX_METADATA_KEY_CHARS {
                return Err(BadMetadata("a key has 1 to 64 characters"));
            }
            if key == RESERVED_KEY {
                return Err(BadMetadata("message_count is counted by the service"));
            }
            let fits = match value {
                Value::Null => true,
                Value::String(text) => text.chars().count() <= MAX_METADATA_VALUE_CHARS,
                _ => false,
            };
            if !fits {
                return Err(BadMetadata("a value is a string of at most 512 characters, or null to remove its key"));
            }
        }
        Ok(Self { clears: false, entries })
    }
}

impl MetadataPatch {
    /// The metadata that was `before`, changed, as JSON.
    ///
    /// # Errors
    /// [`BadMetadata`] if the result has too many keys or bytes.
    pub fn apply(self, before: Map<String, Value>) -> Result<String, BadMetadata> {
        let mut metadata = if self.clears { Map::new() } else { before };
        for (key, value) in self.entries {
            if value.is_null() {
                metadata.remove(&key);
            } else {
                metadata.insert(key, value);
            }
        }
        if metadata.len() > MAX_METADATA_KEYS {
            return Err(BadMetadata("at most 16 keys"));
        }
        let json = Value::Object(metadata).to_string();
        if json.len() > MAX_METADATA_BYTES { Err(BadMetadata("at most 37500 bytes of JSON")) } else { Ok(json) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(before: &Value, patch: Value) -> Result<Value, String> {
        let patch = MetadataPatch::try_from(patch).map_err(|e| e.to_string())?;
        let json = patch.apply(before.as_object().cloned().unwrap_or_default()).map_err(|e| e.to_string())?;
        Ok(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn a_patch_sets_replaces_and_removes() {
        let before = json!({"kept": "1", "replaced": "2", "removed": "3"});
        let after = patched(&before, json!({"replaced": "two", "removed": null, "new": "4", "absent": null}));
        assert_eq!(after, Ok(json!({"kept": "1", "replaced": "two", "new": "4"})));
    }

    #[test]
    fn null_removes_everything_and_an_empty_patch_nothing() {
        assert_eq!(patched(&json!({"a": "1"}), json!(null)), Ok(json!({})));
        assert_eq!(patched(&json!({"a": "1"}), json!({})), Ok(json!({"a": "1"})));
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for bad in [
            json!([]),
            json!("text"),
            json!({"": "empty"}),
            json!({"n": 7}),
            json!({"nested": {"a": "b"}}),
            json!({"message_count": "9"}),
            json!({"é".repeat(65): "long key"}),
            json!({"long value": "é".repeat(513)}),
        ] {
            assert!(patched(&json!({}), bad.clone()).is_err(), "{bad}");
        }
        assert!(patched(&json!({}), json!({"é".repeat(64): "é".repeat(512)})).is_ok());
    }

    #[test]
    fn the_bound_on_keys_is_for_what_results() {
        let of = |keys: std::ops::Range<u32>, value: &Value| {
            Value::Object(keys.map(|key| (format!("k{key}"), value.clone())).collect())
        };
        let full = of(0..16, &json!("v"));
        assert!(patched(&json!({}), full.clone()).is_ok());
        assert!(patched(&full, json!({"one more": "v"})).is_err());
        assert!(patched(&full, json!({"one more": "v", "k0": null})).is_ok());
        assert_eq!(patched(&full, of(0..40, &json!(null))), Ok(json!({})));
    }

    #[test]
    fn full_metadata_fits_unless_it_is_escaped_throughout() {
        let full = |text: &str| Value::Object((0..16).map(|n| (format!("{n:064}"), json!(text.repeat(512)))).collect());
        assert!(patched(&json!({}), full("\u{1f600}")).is_ok());
        assert!(patched(&json!({}), full("\u{1}")).is_err());
    }

    #[test]
    fn a_patch_survives_the_way_to_its_object() {
        for patch in [json!(null), json!({}), json!({"a": "1", "b": null})] {
            let patch = Some(MetadataPatch::try_from(patch).unwrap());
            let sent = serde_json::to_string(&patch).unwrap();
            assert_eq!(serde_json::from_str::<Option<MetadataPatch>>(&sent).unwrap(), patch);
        }
    }
}
