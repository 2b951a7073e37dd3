//! Parameters of a URL, checked.

use std::ops::RangeInclusive;

use super::problem::ApiError;
use super::query::Target;

/// A parameter of the URL.
pub(super) fn parameter(target: &Target<'_>, name: &str) -> Result<Option<String>, ApiError> {
    target.parameter(name).map_err(|e| ApiError::parameter(name, e.rule()))
}

/// A parameter of the URL that is a number.
pub(super) fn number(
    target: &Target<'_>,
    name: &str,
    default: u32,
    range: RangeInclusive<u32>,
    rule: &str,
) -> Result<u32, ApiError> {
    parameter(target, name)?.map_or(Ok(default), |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = text.parse().ok().filter(|number| digits && range.contains(number));
        parsed.ok_or_else(|| ApiError::parameter(name, rule))
    })
}
