//! What the requests with a body share: their head, and the known fields of the JSON object that a body is.
//! A body takes no memory besides its own: a field that is not known is skipped, a known one is decoded alone, when it is asked for and
//! only if its raw text is short enough for what it may hold.

use serde::de::IgnoredAny;

use super::problem::{ApiError, Code};
use crate::domain::id::{BadId, MAX_ACCOUNT_CHARS};
use crate::domain::{AccountId, Millis};

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

/// Refuses a body under a coding.
pub(super) fn need_no_coding(head: &Head<'_>) -> Result<(), ApiError> {
    let coding = (head.header)("content-encoding").unwrap_or_default();
    if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let detail = "Send the body as it is, without `Content-Encoding`.";
    Err(ApiError::new(Code::UnsupportedMediaType, detail))
}

/// Refuses a body that does not say that it is JSON, or that it is JSON under a coding.
pub(super) fn need_json(head: &Head<'_>) -> Result<(), ApiError> {
    need_no_coding(head)?;
    let refused = |detail| Err(ApiError::new(Code::UnsupportedMediaType, detail));
    let content_type = (head.header)("content-type").unwrap_or_default();
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    if kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json")) {
        return Ok(());
    }
    refused("Send the body with `Content-Type: application/json`.")
}

/// An account's id as a request names it.
pub(super) fn account(text: String) -> Result<AccountId, ApiError> {
    text.try_into().map_err(|e: BadId| ApiError::new(Code::InvalidAccount, e.to_string()))
}

/// The known fields of a JSON object, each as it is written.
pub(super) struct Fields<'a>(Vec<(&'static str, &'a str)>);

impl<'a> Fields<'a> {
    /// Reads a body whose known fields have these names.
    ///
    /// # Errors
    /// 400 `invalid_json` if it is no JSON object, is nested too deep, or has a known field twice.
    pub fn of(body: &'a [u8], names: &'static [&'static str]) -> Result<Self, ApiError> {
        let text = std::str::from_utf8(body).map_err(|_| invalid("The body is not UTF-8."))?;
        if is_deeper(text, MAX_DEPTH) {
            return Err(invalid("The body is nested more than 127 levels deep."));
        }
        let IgnoredAny = serde_json::from_str(text).map_err(|e| not_json(&e))?;
        let inner = text.trim_ascii_start().strip_prefix('{');
        let mut rest = inner.ok_or_else(|| invalid("The body must be a JSON object."))?;
        let mut fields = Vec::with_capacity(names.len());
        loop {
            let (key, behind_key) = cut(rest);
            if key.is_empty() {
                return Ok(Self(fields));
            }
            let (value, behind_value) = cut(behind_key);
            rest = behind_value;
            let Some(name) = names.iter().find(|name| is_key(key, name)) else { continue };
            if fields.iter().any(|(known, _)| known == name) {
                return Err(invalid(&format!("The body has the field `{name}` twice.")));
            }
            fields.push((*name, value));
        }
    }

    /// A field as it is written; none if it is absent.
    pub fn written(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
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

/// A place in JSON, as far as brackets and strings go.
#[derive(Default)]
struct Place {
    depth: usize,
    in_string: bool,
    escaped: bool,
}

impl Place {
    fn pass(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = self.in_string,
            b'"' => self.in_string = !self.in_string,
            b'[' | b'{' if !self.in_string => self.depth += 1,
            b']' | b'}' if !self.in_string => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
    }
}

/// Whether JSON is nested deeper than that. Of a text that is no JSON it may say anything.
pub(super) fn is_deeper(json: &str, depth: usize) -> bool {
    let mut place = Place::default();
    json.bytes().any(|byte| {
        place.pass(byte);
        place.depth > depth
    })
}

/// Cuts the inside of an object at its next `:` or `,`, or at its end.
fn cut(json: &str) -> (&str, &str) {
    let mut place = Place::default();
    let end = json.bytes().position(|byte| {
        let ends = place.depth == 0 && !place.in_string && matches!(byte, b':' | b',' | b'}');
        place.pass(byte);
        ends
    });
    let (before, behind) = end.and_then(|end| json.split_at_checked(end)).unwrap_or((json, ""));
    (before.trim_ascii(), behind.get(1..).unwrap_or(""))
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
        let fields = Fields::of(br#"{"z":"a\":,}","a" :"}," , "y":-1e5}"#, NAMES).ok().unwrap();
        assert_eq!(fields.raw("a"), Some(r#""},""#));
        assert!(Fields::of(b" { } ", NAMES).ok().unwrap().0.is_empty());
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
            assert!(detail.contains("the field `a` twice"), "{detail}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for (body, part) in [
            ("", "The body is not JSON"),
            ("{", "The body is not JSON"),
            ("[1", "The body is not JSON"),
            (r#"{"a":1}x"#, "The body is not JSON"),
            ("{a:1}", "The body is not JSON"),
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
