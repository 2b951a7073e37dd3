//! The frame that tells what became of a turn's files, after its result. Everything in it is the container's word and is bounded here; whether
//! the index keeps what the frame says is checked where the index is read.

use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::domain::TurnFiles;
use crate::domain::file::{ChangedFile, MAX_CHANGES_LISTED, MAX_INDEX_BYTES, MAX_PACK_BYTES, MAX_PACKS, Unsaved};

/// What an agent server that saves and restores workspaces names in its health.
pub const WORKSPACE_FEATURE: &str = "workspace";
/// What an agent server that knows content blocks, schemas, steering and compaction names in its health.
pub const TURNS_FEATURE: &str = "turns";
/// Above every count and size of a workspace, and exact in storage.
const MAX_COUNT: u64 = 1 << 50;

/// What a turn's files must be, and what may be saved of them.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct WantedWorkspace<'a> {
    /// The stored version; 0 if none is.
    pub version: u64,
    /// The last upload or deletion of the inbox; 0 if there is none.
    pub inbox: u64,
    /// Patterns of what is left out.
    pub exclude: &'a [String],
    /// Most files.
    pub max_files: u32,
    /// Most bytes of files.
    pub max_bytes: u64,
}

/// The version of a workspace that a container holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct BaseHeld {
    /// It.
    pub version: u64,
    /// The last upload or deletion of the inbox in it.
    pub inbox: u64,
}

/// See `FrameBody::Workspace`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkspaceFrame {
    /// The folder is as it was.
    Unchanged,
    /// A new version can be pulled.
    Save(Box<SaveOffer>),
    /// There is none, for this reason.
    Refused(Unsaved),
}

/// A pack of a save that is to be pulled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct OfferedPack {
    /// Its number, which no other pack of the workspace has or had.
    pub no: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A version of a workspace that the container has packed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SaveOffer {
    /// The version that it was made from.
    pub base: u64,
    /// Its own version.
    pub version: u64,
    /// The last upload or deletion of the inbox that it holds.
    #[serde(default)]
    pub inbox: u64,
    /// How many files it has.
    pub files: u64,
    /// Their size, in bytes.
    pub bytes: u64,
    /// The stored packs that it goes on using.
    pub keep: Vec<u64>,
    /// Its new packs.
    pub packs: Vec<OfferedPack>,
    /// The size of its index, in bytes.
    pub index_bytes: u64,
    /// Entries of the folder that cannot be saved.
    #[serde(default)]
    pub skipped: u64,
    /// What the turn changed.
    #[serde(default)]
    pub changed: Vec<ChangedFile>,
    /// How many files it changed.
    #[serde(default)]
    pub changed_total: u64,
}

impl SaveOffer {
    fn check(&self) -> Result<(), &'static str> {
        let rules = [
            (self.base < MAX_COUNT && self.version == self.base + 1, "its version does not follow its base"),
            (
                [self.inbox, self.files, self.bytes, self.skipped, self.changed_total].iter().all(|n| *n < MAX_COUNT),
                "a count is too large",
            ),
            (self.keep.len() + self.packs.len() <= MAX_PACKS, "it has too many packs"),
            (self.keep.iter().all(|no| *no < MAX_COUNT), "a pack's number is too large"),
            (
                self.packs.iter().all(|pack| pack.no < MAX_COUNT && (1..=MAX_PACK_BYTES).contains(&pack.bytes)),
                "a pack is empty or too large",
            ),
            ((1..=MAX_INDEX_BYTES).contains(&self.index_bytes), "its index is too large"),
            (self.changed.len() <= MAX_CHANGES_LISTED, "it names too many changes"),
        ];
        let mut numbers: Vec<u64> = self.keep.iter().copied().chain(self.packs.iter().map(|pack| pack.no)).collect();
        numbers.sort_unstable();
        if numbers.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err("two of its packs have one number");
        }
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, rule)| Err(*rule))
    }

    /// What the turn tells of its files once it is stored.
    #[must_use]
    pub fn files(&self) -> TurnFiles {
        let listed = u64::try_from(self.changed.len()).unwrap_or(u64::MAX);
        TurnFiles {
            changed: self.changed.clone(),
            changed_total: (self.changed_total > listed).then_some(self.changed_total),
            skipped: self.skipped,
            ..TurnFiles::unchanged(self.version)
        }
    }
}

impl WorkspaceFrame {
    /// Reads the frame's line. A refusal in a word that this version does not know is one all the same.
    ///
    /// # Errors
    /// For a line that is none of the three, or breaks a bound.
    pub fn parse(line: &str) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            unchanged: bool,
            #[serde(default)]
            save: Option<Box<SaveOffer>>,
            #[serde(default)]
            refused: Option<String>,
        }
        match serde_json::from_str(line)? {
            Wire { save: Some(offer), .. } => {
                offer.check().map_err(serde_json::Error::custom)?;
                Ok(Self::Save(offer))
            }
            Wire { refused: Some(word), .. } => Ok(Self::Refused(match word.as_str() {
                "too_large" => Unsaved::TooLarge,
                "too_many_files" | "too_many_links" => Unsaved::TooManyFiles,
                _ => Unsaved::ScanFailed,
            })),
            Wire { unchanged: true, .. } => Ok(Self::Unchanged),
            Wire { .. } => Err(serde_json::Error::custom("a workspace frame says nothing")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn offer(change: impl FnOnce(&mut Value)) -> Result<WorkspaceFrame, serde_json::Error> {
        let mut save = json!({
            "base": 3, "version": 4, "inbox": 0, "files": 2, "bytes": 10, "keep": [1], "packs": [{ "no": 2, "bytes": 9 }],
            "index_bytes": 80, "skipped": 0, "changed": [{ "path": "a", "change": "added", "size": 4 }], "changed_total": 1,
        });
        change(&mut save);
        WorkspaceFrame::parse(&json!({ "n": 9, "type": "workspace", "save": save }).to_string())
    }

    #[test]
    fn a_frame_is_a_save_a_refusal_or_says_that_nothing_changed() {
        let parse = |line: &str| WorkspaceFrame::parse(line).ok();
        assert_eq!(parse(r#"{"n":1,"type":"workspace","unchanged":true}"#), Some(WorkspaceFrame::Unchanged));
        let refused = |word: &str| parse(&format!(r#"{{"n":1,"type":"workspace","refused":"{word}","files":7}}"#));
        assert_eq!(refused("too_large"), Some(WorkspaceFrame::Refused(Unsaved::TooLarge)));
        assert_eq!(refused("too_many_files"), Some(WorkspaceFrame::Refused(Unsaved::TooManyFiles)));
        assert_eq!(refused("a word of later"), Some(WorkspaceFrame::Refused(Unsaved::ScanFailed)));
        assert_eq!(parse(r#"{"n":1,"type":"workspace"}"#), None);
        assert!(matches!(offer(|_| {}), Ok(WorkspaceFrame::Save(offer)) if offer.files().changed_total.is_none()));
    }

    #[test]
    fn a_save_that_breaks_a_bound_is_none() {
        type Lie = fn(&mut Value);
        let lies: &[Lie] = &[
            |save| save["version"] = json!(5),
            |save| save["base"] = json!(-1),
            |save| save["base"] = json!(u64::MAX),
            |save| save["keep"] = json!((0..128).map(|no| no + 10).collect::<Vec<u64>>()),
            |save| save["keep"] = json!([2]),
            |save| save["keep"] = json!([1, 1]),
            |save| save["packs"] = json!([{ "no": 2, "bytes": 0 }]),
            |save| save["packs"] = json!([{ "no": 2, "bytes": MAX_PACK_BYTES + 1 }]),
            |save| save["index_bytes"] = json!(MAX_INDEX_BYTES + 1),
            |save| save["files"] = json!(u64::MAX),
            |save| save["changed"] = json!([{ "path": "../a", "change": "added" }]),
            |save| save["changed"] = json!([{ "path": "a", "change": "eaten" }]),
            |save| save["changed"] = json!(vec![json!({ "path": "a", "change": "added" }); 101]),
        ];
        for (n, lie) in lies.iter().enumerate() {
            assert!(offer(lie).is_err(), "lie {n}");
        }
    }
}
