//! The trace that a request belongs to (W3C Trace Context).

use serde::{Deserialize, Serialize};

/// Bytes of a `traceparent` of version 00: `00-<32 digits>-<16 digits>-<2 digits>`.
const LENGTH: usize = 55;

/// A `traceparent`, in the form of version 00.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceParent(String);

impl TraceParent {
    /// Reads the header. One that breaks the rules counts as absent, as the specification says; what a later version appends is left out.
    #[must_use]
    pub fn read(header: &str) -> Option<Self> {
        let (version, rest) = header.split_once('-')?;
        let value = header.get(..LENGTH)?;
        let tail = header.get(LENGTH..)?;
        let is_digits = |text: &str, length| {
            text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        let mut fields = value.split('-').skip(1);
        let (trace, parent, flags) = (fields.next()?, fields.next()?, fields.next()?);
        let is_version = is_digits(version, 2)
            && version != "ff"
            && if version == "00" { tail.is_empty() } else { tail.is_empty() || tail.starts_with('-') };
        let is_some = |text: &str| text.bytes().any(|byte| byte != b'0');
        let fits = is_version
            && fields.next().is_none()
            && is_digits(trace, 32)
            && is_some(trace)
            && is_digits(parent, 16)
            && is_some(parent)
            && is_digits(flags, 2);
        fits.then(|| Self(format!("00-{}", rest.get(..LENGTH - 3).unwrap_or_default())))
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_header_of_the_specification_is_read_and_every_other_one_is_absent() {
        let read = TraceParent::read(GOOD).unwrap();
        assert_eq!((read.as_str(), read.trace_id()), (GOOD, "4bf92f3577b34da6a3ce929d0e0e4736"));
        let later = TraceParent::read(&GOOD.replacen("00", "cc", 1)).unwrap();
        assert_eq!(later.as_str(), GOOD);
        assert_eq!(TraceParent::read(&format!("{}-more", GOOD.replacen("00", "cc", 1))), Some(later));
        for bad in [
            String::new(),
            "00".to_owned(),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            format!("{GOOD}-more"),
            format!("{GOOD}0"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace('f', "g"),
            GOOD.replace("-01", "-é"),
            GOOD.replace("-01", "01-"),
        ] {
            assert_eq!(TraceParent::read(&bad), None, "{bad}");
        }
    }
}
