//! A URL cut into its parts, and the parameters of its query. Read by hand: the `url` crate costs a third of the WASM.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Why a parameter is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadParameter {
    /// What it decodes to is no UTF-8.
    NotUtf8,
    /// It is there more than once.
    Twice,
}

impl BadParameter {
    /// What it must be instead.
    #[must_use]
    pub const fn rule(self) -> &'static str {
        match self {
            Self::NotUtf8 => "percent-encoded UTF-8",
            Self::Twice => "given once",
        }
    }
}

/// The parts of an absolute URL that routing needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// Host without port; an IPv6 address in its brackets.
    pub host: &'a str,
    /// The path, from its first `/`.
    pub path: &'a str,
    /// The query without its `?`.
    pub query: &'a str,
}

impl<'a> Target<'a> {
    /// Cuts a URL as the runtime gives it: absolute, with an ASCII path.
    #[must_use]
    pub fn of(url: &'a str) -> Self {
        let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
        let rest = rest.split('#').next().unwrap_or(rest);
        let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match before_query.find('/') {
            Some(slash) => before_query.split_at(slash),
            None => (before_query, "/"),
        };
        let host = if authority.starts_with('[') {
            authority.split_inclusive(']').next().unwrap_or(authority)
        } else {
            authority.split(':').next().unwrap_or(authority)
        };
        Self { host, path, query }
    }

    /// The only parameter of that name, decoded.
    ///
    /// # Errors
    /// [`BadParameter::NotUtf8`]: two values that are not UTF-8 are never taken for the same text. [`BadParameter::Twice`], whatever else
    /// reads the same URL may take.
    pub fn parameter(&self, name: &str) -> Result<Option<String>, BadParameter> {
        let mut values = self.values(name);
        let first = values.next().transpose()?;
        if values.next().is_some() { Err(BadParameter::Twice) } else { Ok(first) }
    }

    fn values(&self, name: &str) -> impl Iterator<Item = Result<String, BadParameter>> {
        self.query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .filter(move |(key, _)| *key == name || decode(key).is_some_and(|key| key == name))
            .map(|(_, value)| decode(value).map(Cow::into_owned).ok_or(BadParameter::NotUtf8))
    }
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let spaces = text.replace('+', " ");
    percent_decode_str(&spaces).decode_utf8().ok().map(|decoded| Cow::Owned(decoded.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_cut_into_host_path_and_query() {
        let target = Target::of("http://localhost:8787/conversations/a?limit=5#x");
        assert_eq!(target, Target { host: "localhost", path: "/conversations/a", query: "limit=5" });
        assert_eq!(Target::of("https://[::1]:80/").host, "[::1]");
        assert_eq!(Target::of("https://a.b").path, "/");
        assert_eq!(Target::of("https://a.b?x=/y"), Target { host: "a.b", path: "/", query: "x=/y" });
    }

    #[test]
    fn parameters_are_decoded() {
        let target = Target::of("http://h/p?a=1&accountId=Zo%C3%AB+%26+co&b");
        let parameter = |name| target.parameter(name).unwrap();
        assert_eq!(parameter("accountId").as_deref(), Some("Zoë & co"));
        assert_eq!(parameter("a").as_deref(), Some("1"));
        assert_eq!(parameter("b").as_deref(), Some(""));
        assert_eq!(parameter("c"), None);
    }

    #[test]
    fn what_is_not_utf8_is_refused_and_not_mended() {
        let target = Target::of("http://h/p?M%FC=1&accountId=M%FCller&b=%c3");
        assert_eq!(target.parameter("accountId"), Err(BadParameter::NotUtf8));
        assert_eq!(target.parameter("b"), Err(BadParameter::NotUtf8));
        assert_eq!(target.parameter("M\u{fffd}"), Ok(None));
    }

    #[test]
    fn a_parameter_may_be_there_once_and_is_found_under_each_of_its_spellings() {
        let only = |query: &str| Target::of(&format!("http://h/p?{query}")).parameter("accountId");
        assert_eq!(only("accountId=a&b=1"), Ok(Some("a".to_owned())));
        assert_eq!(only("accountid=a"), Ok(None));
        for twice in ["accountId=a&accountId=a", "accountId=a&b&%61ccountId=b", "accountId&accountId=%ff"] {
            assert_eq!(only(twice), Err(BadParameter::Twice), "{twice}");
        }
    }
}
