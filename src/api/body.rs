//! What the requests with a body share: their head, and the known fields of the JSON object that a body is.
//! A body takes no memory besides its own: a field that is not known is skipped, a known one is decoded alone, when it is asked for and
//! only if its raw text is short enough for what it may hold.

use std::fmt;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::id::{BadId, MAX_ACCOUNT_CHARS};
use crate::domain::{AccountId, Millis};
use crate::error::{ApiError, Code};

/// Deepest nesting of a body: serde's own limit, which holds for what it decodes and not for what it skips.
const MAX_DEPTH: usize = 127;
/// Bytes of the longest escape of JSON, `\u0000`, which stands for one byte or more.
const ESCAPE_BYTES: usize = 6;
const MAX_ACCOUNT_BYTES: usize = 4 * MAX_ACCOUNT_CHARS;

/// A request before its body is read.
pub struct Head<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its absolute URL.
    pub url: &'a str,
    /// Its headers, by lower-case name.
    pub header: &'a dyn Fn(&str) -> Option<String>,
    /// When it came.
    pub now: Millis,
}

/// Refuses a body that does not say that it is JSON.
pub(super) fn need_json(head: &Head<'_>) -> Result<(), ApiError> {
    let content_type = (head.header)("content-type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(Code::UnsupportedMediaType, "Send the body with `Content-Type: application/json`."))
}

/// An account's id as a request names it.
pub(super) fn account(text: String) -> Result<AccountId, ApiError> {
    text.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidAccount, e.to_string()))
}

/// The known fields of a JSON object, each as it is written.
pub(super) struct Fields<'a>(Vec<(&'static str, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads a body whose known fields have these names.
    ///
    /// # Errors
    /// 400 `invalid_json` if it is no JSON object, is nested too deep, or has a known field twice.
    pub fn of(body: &'a [u8], names: &'static [&'static str]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| invalid("The body is not UTF-8."))?;
        if is_too_deep(body) {
            return Err(invalid("The body is nested more than 127 levels deep."));
        }
        let mut json = serde_json::Deserializer::from_str(text);
        if !text.trim_ascii_start().starts_with('{') {
            let no_object = |IgnoredAny| invalid("The body must be a JSON object.");
            return Err(serde_json::from_str(text).map_or_else(|e| not_json(&e), no_object));
        }
        let fields = json.deserialize_map(Known(names)).and_then(|fields| json.end().map(|()| fields));
        fields.map(Self).map_err(|error| {
            if error.is_data() { invalid(&format!("The body has a {error}.")) } else { not_json(&error) }
        })
    }

    /// A field as it is written; none if it is absent.
    pub fn written(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.get())
    }

    /// A field as it is written; none if it is absent or null.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.written(name).filter(|raw| *raw != "null")
    }

    /// A field that is a string, null or absent. It is not decoded where its raw text is longer than that of `most` bytes can be.
    ///
    /// # Errors
    /// `code` for what is no string or too long, 400 `invalid_json` for what is no Unicode.
    pub fn text(&self, name: &str, most: usize, code: Code) -> Result<Option<String>, ApiError> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        let refused = |rule: &str| ApiError { code, ..ApiError::parameter(name, rule) };
        if !raw.starts_with('"') {
            return Err(refused("a string"));
        }
        if raw.len() > ESCAPE_BYTES * most + 2 {
            return Err(refused(&format!("at most {most} bytes")));
        }
        serde_json::from_str(raw).map(Some).map_err(|e| not_json(&e))
    }

    /// The account that a request names in its body, in its URL, in both alike, or not at all.
    ///
    /// # Errors
    /// 400 `invalid_account`.
    pub fn account(&self, in_url: Option<AccountId>) -> Result<Option<AccountId>, ApiError> {
        let in_body = self.text("accountId", MAX_ACCOUNT_BYTES, Code::InvalidAccount)?.map(account).transpose()?;
        match (in_body, in_url) {
            (Some(a), Some(b)) if a != b => {
                Err(ApiError::new(Code::InvalidAccount, "accountId differs between the body and the URL."))
            }
            (a, b) => Ok(a.or(b)),
        }
    }
}

fn invalid(detail: &str) -> ApiError {
    ApiError::new(Code::InvalidJson, detail)
}

/// The refusal of a text that serde cannot read.
pub(super) fn not_json(error: &serde_json::Error) -> ApiError {
    invalid(&format!("The body is not JSON: {error}."))
}

/// Whether JSON is nested deeper than is read. Of a text that is no JSON it may say anything.
fn is_too_deep(json: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    json.iter().any(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = in_string,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

/// The fields of these names.
struct Known(&'static [&'static str]);

impl<'de> Visitor<'de> for Known {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::with_capacity(self.0.len());
        while let Some(key) = object.next_key::<&RawValue>()? {
            let Some(name) = self.0.iter().copied().find(|name| is_key(key.get(), name)) else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            if fields.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::duplicate_field(name));
            }
            fields.push((name, object.next_value()?));
        }
        Ok(fields)
    }
}

/// Whether a key, as it is written, is this name.
fn is_key(raw: &str, name: &str) -> bool {
    let inner = raw.trim_matches('"');
    if !inner.contains('\\') {
        return inner == name;
    }
    raw.len() <= ESCAPE_BYTES * name.len() + 2 && serde_json::from_str::<String>(raw).is_ok_and(|key| key == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "accountId"];

    fn refusal(body: &str) -> (Code, String) {
        let error = Fields::of(body.as_bytes(), NAMES).err().unwrap();
        (error.code, error.detail)
    }

    #[test]
    fn known_fields_are_kept_as_they_are_written_and_others_skipped() {
        let fields = Fields::of(br#" {"z":[{"a":1}],"a": {"b" : 1} ,"":null,"accountId":null} "#, NAMES).ok().unwrap();
        assert_eq!(fields.raw("a"), Some(r#"{"b" : 1}"#));
        assert_eq!(fields.raw("accountId"), None);
        assert_eq!(fields.0.len(), 2);
    }

    #[test]
    fn a_key_counts_however_it_is_escaped() {
        let fields = Fields::of(br#"{"\u0061ccountId":"zoe","\"a":1,"\u0000":2}"#, NAMES).ok().unwrap();
        assert_eq!(fields.account(None).unwrap().unwrap().as_str(), "zoe");
        assert_eq!(fields.raw("a"), None);
    }

    #[test]
    fn a_known_field_that_is_there_twice_is_refused_and_an_unknown_one_is_not() {
        assert!(Fields::of(br#"{"z":1,"z":2}"#, NAMES).is_ok());
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":null,"\u0061":1}"#] {
            let (code, detail) = refusal(twice);
            assert_eq!(code, Code::InvalidJson);
            assert!(detail.contains("duplicate field `a`"), "{detail}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, part) in [
            ("", "The body is not JSON"),
            ("{", "The body is not JSON"),
            ("[1", "The body is not JSON"),
            (r#"{"a":1}x"#, "The body is not JSON"),
            (r#"{a:1}"#, "The body is not JSON"),
            (r#"{"z":tru}"#, "The body is not JSON"),
            (r#"{"z":"\x"}"#, "The body is not JSON"),
            ("[]", "The body must be a JSON object."),
            (r#""{}""#, "The body must be a JSON object."),
            ("7", "The body must be a JSON object."),
        ] {
            let (code, detail) = refusal(body);
            assert!(code == Code::InvalidJson && detail.starts_with(part), "{body}: {detail}");
        }
        assert_eq!(Fields::of(b"{\"a\":\"\xff\"}", NAMES).err().unwrap().detail, "The body is not UTF-8.");
    }

    #[test]
    fn nesting_has_a_bound_wherever_it_is() {
        let nested = |depth: usize| format!("{{\"z\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(Fields::of(nested(MAX_DEPTH - 1).as_bytes(), NAMES).is_ok());
        assert_eq!(refusal(&nested(MAX_DEPTH)).0, Code::InvalidJson);
        let brackets_in_a_string = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(1_000));
        assert!(Fields::of(brackets_in_a_string.as_bytes(), NAMES).is_ok());
    }

    #[test]
    fn a_text_is_a_string_of_at_most_so_many_bytes() {
        let text = |value: &str| {
            let body = format!("{{\"a\":{value}}}");
            let fields = Fields::of(body.as_bytes(), NAMES)?;
            fields.text("a", 2, Code::InvalidParameter)
        };
        assert_eq!(text(r#""\u0061\u0062""#).unwrap().as_deref(), Some("ab"));
        assert_eq!(text("null").unwrap(), None);
        assert_eq!(text("7").unwrap_err().detail, "a: a string");
        assert_eq!(text(&format!("\"{}\"", "x".repeat(13))).unwrap_err().detail, "a: at most 2 bytes");
        assert_eq!(text(r#""\ud800""#).unwrap_err().code, Code::InvalidJson);
    }
}
