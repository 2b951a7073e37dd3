//! What a search looks for: a few words, all of which a conversation holds somewhere, whatever their case.

use serde::{Deserialize, Serialize};

/// Most words of one search.
pub const MAX_SEARCH_WORDS: usize = 8;
/// Longest search, in characters.
pub const MAX_SEARCH_CHARS: usize = 200;
/// Most different letters beyond ASCII that have two cases. SQLite knows ASCII's only; each of these is one more replacement.
pub const MAX_CASE_PAIRS: usize = 16;

/// A text that is no search; the sentence says what is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadSearch(&'static str);

/// Words in lower case, separated by single spaces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SearchTerms(String);

impl TryFrom<String> for SearchTerms {
    type Error = BadSearch;
    fn try_from(text: String) -> Result<Self, BadSearch> {
        if text.chars().count() > MAX_SEARCH_CHARS {
            return Err(BadSearch("at most 200 characters"));
        }
        let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
        if !(1..=MAX_SEARCH_WORDS).contains(&words.len()) {
            return Err(BadSearch("1 to 8 words"));
        }
        let words = Self(words.join(" "));
        if words.case_pairs().len() > MAX_CASE_PAIRS {
            return Err(BadSearch("at most 16 different letters beyond ASCII"));
        }
        Ok(words)
    }
}

impl From<SearchTerms> for String {
    fn from(words: SearchTerms) -> Self {
        words.0
    }
}

impl SearchTerms {
    /// All of them, separated by single spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ')
    }

    /// The letters beyond ASCII in them that have an upper case of one letter, as upper and lower case.
    #[must_use]
    pub fn case_pairs(&self) -> Vec<(char, char)> {
        let mut case_pairs: Vec<(char, char)> = Vec::new();
        for lower in self.0.chars().filter(|c| !c.is_ascii()) {
            let mut upper = lower.to_uppercase();
            if let (Some(one), None) = (upper.next(), upper.next())
                && one != lower
                && !case_pairs.contains(&(one, lower))
            {
                case_pairs.push((one, lower));
            }
        }
        case_pairs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Result<SearchTerms, BadSearch> {
        SearchTerms::try_from(text.to_owned())
    }

    #[test]
    fn words_are_what_white_space_separates_in_lower_case() {
        let words = words("  Größe\tÉCOLE \n x ").unwrap();
        assert_eq!(words.iter().collect::<Vec<_>>(), ["größe", "école", "x"]);
        assert_eq!(words.case_pairs(), [('Ö', 'ö'), ('É', 'é')]);
    }

    #[test]
    fn a_search_has_its_bounds() {
        assert!(words("").is_err() && words(" \t").is_err());
        assert!(words("a b c d e f g h").is_ok() && words("a b c d e f g h i").is_err());
        assert!(words(&"é".repeat(200)).is_ok() && words(&"é".repeat(201)).is_err());
        let alphabet: String = ('а'..='я').collect();
        assert!(words(alphabet.get(..32).unwrap()).is_ok() && words(&alphabet).is_err());
    }

    #[test]
    fn letters_of_one_case_need_no_replacement() {
        assert_eq!(words("日本語 ß 😀").unwrap().case_pairs(), []);
    }
}
