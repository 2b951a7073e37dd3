//! What a reader of a turn's events wants to hear beside those that every reader hears.

use serde::{Deserialize, Serialize};

/// The words of a request, each with its bit.
const WORDS: [(&str, Include); 5] = [
    ("thinking", Include::THINKING),
    ("tool_input", Include::TOOL_INPUT),
    ("tool_result", Include::TOOL_RESULT),
    ("subagents", Include::SUBAGENTS),
    ("usage", Include::USAGE),
];

/// A set of words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Include(u8);

impl Include {
    /// Nothing beside the default events.
    pub const NOTHING: Self = Self(0);
    /// The model's thinking.
    pub const THINKING: Self = Self(1);
    /// The inputs of tool calls: piece by piece, and whole.
    pub const TOOL_INPUT: Self = Self(2);
    /// The results of tool calls.
    pub const TOOL_RESULT: Self = Self(4);
    /// The text, the thinking and the inputs of subagents.
    pub const SUBAGENTS: Self = Self(8);
    /// What each call of the model used.
    pub const USAGE: Self = Self(16);
    /// Everything.
    pub const ALL: Self = Self(31);

    /// The words that there are.
    pub fn words() -> impl Iterator<Item = &'static str> {
        WORDS.iter().map(|(word, _)| *word)
    }

    /// Reads words; none if one of them is unknown.
    #[must_use]
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        words.into_iter().try_fold(Self::NOTHING, |set, word| {
            WORDS.iter().find(|(known, _)| *known == word).map(|(_, one)| set.and(*one))
        })
    }

    /// This and the other.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This, and the other if so.
    #[must_use]
    pub const fn and_if(self, condition: bool, other: Self) -> Self {
        if condition { self.and(other) } else { self }
    }

    /// Whether all of the other is in this.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "it is what serde calls")]
    pub(crate) const fn is_nothing(&self) -> bool {
        self.0 == 0
    }
}

/// Sets of words: those that the readers of several events must have asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Includes(u32);

impl Includes {
    /// Adds a set.
    pub const fn add(&mut self, needs: Include) {
        self.0 |= 1 << (needs.0 & Include::ALL.0);
    }

    /// Adds all of the other's.
    pub const fn add_all(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether a reader of `include` hears any of them.
    #[must_use]
    pub fn any_within(self, include: Include) -> bool {
        (0..=Include::ALL.0).any(|needs| self.0 & (1 << needs) != 0 && include.has(Include(needs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_make_a_set_and_an_unknown_one_makes_none() {
        assert_eq!(Include::of([]), Some(Include::NOTHING));
        assert_eq!(Include::of(["usage", "thinking", "usage"]), Some(Include::THINKING.and(Include::USAGE)));
        assert_eq!(Include::of(Include::words()), Some(Include::ALL));
        for unknown in ["", "Thinking", "items", "thinking "] {
            assert_eq!(Include::of(["usage", unknown]), None, "{unknown:?}");
        }
    }

    #[test]
    fn several_events_are_heard_by_whoever_hears_one_of_them() {
        let mut needs = Includes::default();
        assert!(!needs.any_within(Include::ALL));
        needs.add(Include::THINKING.and(Include::SUBAGENTS));
        assert!(!needs.any_within(Include::THINKING) && needs.any_within(Include::ALL));
        needs.add(Include::NOTHING);
        assert!(needs.any_within(Include::NOTHING));
    }
}
