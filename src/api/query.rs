//! A URL cut into its parts, and the parameters of its query. Read by hand: the `url` crate costs a third of the WASM.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

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

    /// The first parameter of that name, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.query
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .find(|(key, _)| *key == name || decode(key) == name)
            .map(|(_, value)| decode(value).into_owned())
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaces = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaces).decode_utf8_lossy().into_owned())
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
        let target = Target::of("http://h/p?a=1&accountId=Zo%C3%AB+%26+co&b&a=2");
        assert_eq!(target.parameter("accountId").as_deref(), Some("Zoë & co"));
        assert_eq!(target.parameter("a").as_deref(), Some("1"));
        assert_eq!(target.parameter("b").as_deref(), Some(""));
        assert_eq!(target.parameter("c"), None);
    }
}
