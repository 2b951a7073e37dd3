//! What the operator allows of conversations' files.

use std::rc::Rc;

use super::BadConfig;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Most files of one workspace that may be set: their index still fits [`MAX_INDEX_BYTES`](crate::domain::file::MAX_INDEX_BYTES).
pub const MAX_WORKSPACE_FILES: u32 = 100_000;
/// Most patterns of `WORKSPACE_EXCLUDE`, and the longest, in bytes.
pub const MAX_EXCLUDES: usize = 100;
const MAX_EXCLUDE_BYTES: usize = 255;

/// Limits of conversations' files.
#[derive(Debug, Clone)]
pub struct FilesPolicy {
    /// `WORKSPACE_MAX_BYTES`: of one conversation's files, uncompressed.
    pub workspace_max_bytes: u64,
    /// `WORKSPACE_MAX_FILES`: of one conversation.
    pub workspace_max_files: u32,
    /// `ACCOUNT_FILES_BYTES`: of an account in the bucket.
    pub account_bytes: u64,
    /// `WORKSPACE_EXCLUDE`: what is not saved.
    pub exclude: Rc<[String]>,
    /// `MAX_UPLOAD_BYTES`: of one upload.
    pub max_upload_bytes: u64,
}

impl FilesPolicy {
    pub(super) fn parse(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, BadConfig> {
        let size = |name, default, range: std::ops::RangeInclusive<u64>, rule| match get(name) {
            None => Ok(default),
            Some(text) => parse_size(&text).filter(|n| range.contains(n)).ok_or(BadConfig { name, rule }),
        };
        let files = match get("WORKSPACE_MAX_FILES") {
            None => 50_000,
            Some(text) => {
                let rule = "a number from 1 to 100000";
                let parsed = text.parse().ok().filter(|n| (1..=MAX_WORKSPACE_FILES).contains(n));
                parsed.ok_or(BadConfig { name: "WORKSPACE_MAX_FILES", rule })?
            }
        };
        Ok(Self {
            workspace_max_bytes: size("WORKSPACE_MAX_BYTES", GIB, MIB..=10 * GIB, "a size from 1MiB to 10GiB")?,
            workspace_max_files: files,
            account_bytes: size("ACCOUNT_FILES_BYTES", 10 * GIB, MIB..=1_024 * GIB, "a size from 1MiB to 1024GiB")?,
            exclude: exclude(get)?,
            max_upload_bytes: size("MAX_UPLOAD_BYTES", 95 * MIB, 1..=500 * MIB, "a size from 1 byte to 500MiB")?,
        })
    }
}

fn exclude(get: &dyn Fn(&str) -> Option<String>) -> Result<Rc<[String]>, BadConfig> {
    let text = get("WORKSPACE_EXCLUDE").unwrap_or_default();
    let patterns: Rc<[String]> =
        text.split(',').map(str::trim).filter(|pattern| !pattern.is_empty()).map(str::to_owned).collect();
    let is_pattern = |pattern: &String| pattern.len() <= MAX_EXCLUDE_BYTES && !pattern.contains(char::is_control);
    if patterns.len() > MAX_EXCLUDES || !patterns.iter().all(is_pattern) {
        let rule = "at most 100 patterns as of .gitignore, each of at most 255 bytes, separated by commas";
        return Err(BadConfig { name: "WORKSPACE_EXCLUDE", rule });
    }
    Ok(patterns)
}

/// Reads a size: a number of bytes, or one with `KiB`, `MiB` or `GiB` behind it.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim_start() {
        "" => 1,
        "KiB" => KIB,
        "MiB" => MIB,
        "GiB" => GIB,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(vars: &[(&str, &str)]) -> Result<FilesPolicy, BadConfig> {
        let get = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        FilesPolicy::parse(&get)
    }

    #[test]
    fn nothing_set_gives_the_defaults() {
        let policy = parse(&[]).unwrap();
        assert_eq!((policy.workspace_max_bytes, policy.workspace_max_files), (1_073_741_824, 50_000));
        assert_eq!((policy.account_bytes, policy.max_upload_bytes), (10_737_418_240, 99_614_720));
        assert!(policy.exclude.is_empty());
    }

    #[test]
    fn sizes_have_units_and_patterns_have_commas() {
        let vars =
            [("ACCOUNT_FILES_BYTES", "20GiB"), ("MAX_UPLOAD_BYTES", "1000"), ("WORKSPACE_EXCLUDE", "a/, *.log,")];
        let policy = parse(&vars).unwrap();
        assert_eq!((policy.account_bytes, policy.max_upload_bytes), (21_474_836_480, 1_000));
        assert_eq!(*policy.exclude, ["a/".to_owned(), "*.log".to_owned()]);
    }

    #[test]
    fn a_wrong_var_is_named() {
        let many = vec!["x"; MAX_EXCLUDES + 1].join(",");
        for (name, value) in [
            ("WORKSPACE_MAX_BYTES", "1023KiB"),
            ("WORKSPACE_MAX_BYTES", "11GiB"),
            ("WORKSPACE_MAX_BYTES", "1 GB"),
            ("WORKSPACE_MAX_FILES", "0"),
            ("WORKSPACE_MAX_FILES", "100001"),
            ("ACCOUNT_FILES_BYTES", "-1"),
            ("ACCOUNT_FILES_BYTES", "99999999999999999999GiB"),
            ("MAX_UPLOAD_BYTES", "0"),
            ("MAX_UPLOAD_BYTES", "501MiB"),
            ("WORKSPACE_EXCLUDE", "a\u{7}b"),
            ("WORKSPACE_EXCLUDE", many.as_str()),
        ] {
            let refused = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(refused.contains(name), "{refused}");
        }
    }
}
