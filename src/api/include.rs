//! `include`: what a caller wants beside what everyone gets. An unknown word is refused, so that a misspelt one is not taken for nothing.

use super::problem::ApiError;
use crate::domain::Include;

/// Longest `include` of a body, in bytes of JSON: every word, and room for some of them twice.
const MAX_INCLUDE_BYTES: usize = 512;

/// What a stream's URL says: a list with commas in between.
///
/// # Errors
/// 400 `invalid_parameter`.
pub(super) fn of_stream(words: Option<String>) -> Result<Include, ApiError> {
    let words = words.unwrap_or_default();
    Include::of(words.split(',').filter(|word| !word.is_empty())).ok_or_else(unknown)
}

/// What a query's body says: an array of strings.
///
/// # Errors
/// 400 `invalid_parameter`.
pub(super) fn of_body(raw: Option<&str>) -> Result<Include, ApiError> {
    let Some(raw) = raw else { return Ok(Include::NOTHING) };
    let words = Some(raw).filter(|raw| raw.len() <= MAX_INCLUDE_BYTES);
    let words: Option<Vec<String>> = words.and_then(|raw| serde_json::from_str(raw).ok());
    words.and_then(|words| Include::of(words.iter().map(String::as_str))).ok_or_else(unknown)
}

/// Whether a document's URL says `items`, which is its only word.
///
/// # Errors
/// 400 `invalid_parameter`.
pub(super) fn of_document(words: Option<&str>) -> Result<bool, ApiError> {
    match words {
        None | Some("") => Ok(false),
        Some("items") => Ok(true),
        Some(_) => Err(ApiError::parameter("include", "items")),
    }
}

fn unknown() -> ApiError {
    let words: Vec<&str> = Include::words().collect();
    ApiError::parameter("include", &format!("any of {}", words.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: &str = "include: any of thinking, tool_input, tool_result, subagents, usage";

    #[test]
    fn a_stream_takes_a_list_and_a_body_an_array() {
        let both = Include::THINKING.and(Include::USAGE);
        let url = |words: &str| of_stream(Some(words.to_owned()));
        assert_eq!(
            (of_stream(None), url(""), url("usage,thinking,")),
            (Ok(Include::NOTHING), Ok(Include::NOTHING), Ok(both))
        );
        let body = |raw| of_body(Some(raw));
        assert_eq!(
            (of_body(None), body("[]"), body(r#"["usage", "thinking"]"#)),
            (Ok(Include::NOTHING), Ok(Include::NOTHING), Ok(both))
        );
        for unknown in ["items", "Usage", "usage thinking", "usage, thinking"] {
            assert_eq!(url(unknown).unwrap_err().detail, RULE, "{unknown}");
        }
        let long = format!("[{}]", vec!["\"usage\""; 100].join(","));
        for unknown in ["\"usage\"", "[7]", "{}", r#"["items"]"#, r#"["usage",null]"#, &long] {
            assert_eq!(body(unknown).unwrap_err().detail, RULE, "{unknown}");
        }
    }

    #[test]
    fn a_document_has_one_word() {
        let of = |words| of_document(Some(words));
        assert_eq!((of_document(None), of(""), of("items")), (Ok(false), Ok(false), Ok(true)));
        assert_eq!(of("items,usage").unwrap_err().detail, "include: items");
    }
}
