//! The index of a save, as the container sends it: a line that heads it, then its parts, a line each. It is believed only where it keeps every
//! rule, and the sums that the container's frame said.

use serde::Deserialize;
use serde::de::{Deserializer as _, Error as _, SeqAccess, Visitor};

use super::entry::{Entry, Kind};
use crate::domain::file::{MAX_INDEX_BYTES, MAX_INDEX_PART_BYTES};

/// Most parts of an index: the container joins neighbours that have less than 128 KiB together.
pub const MAX_PARTS: usize = 512;
/// The compression of the packs, which the head names.
pub const CODEC: &str = "zstd";

/// An index that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("index: {0}")]
pub struct BadIndex(String);

fn bad(rule: &str) -> BadIndex {
    BadIndex(rule.to_owned())
}

/// A part of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The path of its first entry.
    pub first_path: String,
    /// The JSON array of its entries, as it came.
    pub entries: &'a str,
}

/// What the container said of the save that the index belongs to.
pub struct Said<'a> {
    /// Its version.
    pub version: u64,
    /// How many files it has.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// The sizes of its packs by their numbers: those that are kept, and the new ones.
    pub packs: &'a [(u64, u64)],
}

#[derive(Deserialize)]
struct Head {
    version: u64,
    codec: String,
}

/// What an entry adds to the sums.
#[derive(Default)]
struct Sums {
    last_path: String,
    files: u64,
    bytes: u64,
}

impl Sums {
    fn add(&mut self, entry: Entry, packs: &[(u64, u64)]) -> Result<(), &'static str> {
        if !self.last_path.is_empty() && entry.path.as_bytes() <= self.last_path.as_bytes() {
            return Err("its paths do not ascend");
        }
        if let Kind::File(file) = &entry.kind {
            self.files += 1;
            self.bytes = self.bytes.saturating_add(file.size);
            for segment in &file.segments {
                let pack = packs
                    .iter()
                    .find(|(no, _)| *no == segment.pack_no)
                    .ok_or("a segment lies in a pack that the save does not have")?;
                if segment.offset + segment.length > pack.1 {
                    return Err("a segment lies outside of its pack");
                }
            }
        }
        self.last_path = entry.path;
        Ok(())
    }
}

/// Reads an index and checks all of it.
///
/// # Errors
/// [`BadIndex`], for the first rule that it breaks.
pub fn read<'a>(text: &'a str, said: &Said<'_>) -> Result<Vec<Part<'a>>, BadIndex> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_INDEX_BYTES {
        return Err(bad("it is too long"));
    }
    let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
    let head: Head = lines.next().and_then(|line| serde_json::from_str(line).ok()).ok_or_else(|| bad("no head"))?;
    if head.version != said.version || head.codec != CODEC {
        return Err(bad("its head is of another save"));
    }
    let (mut parts, mut sums) = (Vec::new(), Sums::default());
    for entries in lines {
        if parts.len() == MAX_PARTS {
            return Err(bad("it has too many parts"));
        }
        if entries.len() > MAX_INDEX_PART_BYTES || entries.contains('\r') {
            return Err(bad("a part is too long or no line"));
        }
        let mut first_path = None;
        for_each(entries, |entry| {
            if first_path.is_none() {
                first_path = Some(entry.path.clone());
            }
            sums.add(entry, said.packs)
        })?;
        parts.push(Part { first_path: first_path.ok_or_else(|| bad("a part is empty"))?, entries });
    }
    if (sums.files, sums.bytes) != (said.files, said.bytes) {
        return Err(bad("its sums are not what the save says"));
    }
    Ok(parts)
}

/// Calls `each` with every entry of a part, in order, one at a time in memory.
///
/// # Errors
/// Where the part is no array of entries, or `each` refuses one.
pub fn for_each(entries: &str, each: impl FnMut(Entry) -> Result<(), &'static str>) -> Result<(), BadIndex> {
    let mut reader = serde_json::Deserializer::from_str(entries);
    let read = reader.deserialize_seq(Each(each)).and_then(|()| reader.end());
    // What the parser quotes is the user's.
    read.map_err(|error| bad(error.to_string().split(['"', '`']).next().unwrap_or_default()))
}

struct Each<F>(F);

impl<'de, F: FnMut(Entry) -> Result<(), &'static str>> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("entries")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut entries: A) -> Result<(), A::Error> {
        while let Some(entry) = entries.next_element()? {
            (self.0)(entry).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HASH: &str = "ungWv48Bz-pBQUDeXa4iIw";

    fn file(path: &str, size: u64, segments: &Value) -> Value {
        json!([path, 0o644, size, 1_795_330_108_184_u64, HASH, 3_632_233_996_u32, segments])
    }

    /// An index of two parts that keeps every rule.
    fn honest() -> Vec<Value> {
        vec![
            json!([["a", 0o755], file("a/b.txt", 10, &json!([[1, 0, 20, 0]])), file("a/c", 0, &json!([]))]),
            json!([["l", -1, "../a"], file("x", 1_048_577, &json!([[2, 0, 99, 0], [2, 99, 1, 0]]))]),
        ]
    }

    fn text(head: &Value, parts: &[Value]) -> String {
        [head].into_iter().chain(parts).map(|line| line.to_string() + "\n").collect()
    }

    fn check(parts: &[Value]) -> Result<Vec<String>, BadIndex> {
        check_text(&text(&json!({ "version": 4, "codec": "zstd" }), parts), 3, 1_048_587)
    }

    fn check_text(text: &str, files: u64, bytes: u64) -> Result<Vec<String>, BadIndex> {
        let packs = [(1, 20), (2, 100)];
        let parts = read(text, &Said { version: 4, files, bytes, packs: &packs })?;
        Ok(parts.into_iter().map(|part| part.first_path).collect())
    }

    #[test]
    fn an_index_that_keeps_every_rule_is_believed() {
        assert_eq!(check(&honest()).unwrap(), ["a", "l"]);
        assert_eq!(check_text("{\"version\":4,\"codec\":\"zstd\"}\n", 0, 0).unwrap(), [""; 0], "an empty folder");
    }

    #[test]
    fn an_index_that_lies_is_not() {
        type Lie = (&'static str, fn(&mut Vec<Value>));
        let lies: &[Lie] = &[
            ("paths of one part descend", |parts| parts[0].as_array_mut().unwrap().swap(0, 1)),
            ("paths of two parts descend", |parts| parts.swap(0, 1)),
            ("a path comes twice", |parts| parts[1][0][0] = json!("a/c")),
            ("bytes, not UTF-16, order paths", |parts| {
                parts[1] = json!([["\u{1F600}", 0o755], ["\u{FFFD}", 0o755], parts[1][1]]);
            }),
            ("a path leaves the folder", |parts| parts[0][1][0] = json!("a/../../b")),
            ("a path is absolute", |parts| parts[0][0][0] = json!("/a")),
            ("a path has a control character", |parts| parts[0][0][0] = json!("a\u{0}")),
            ("a mode is negative", |parts| parts[0][0][1] = json!(-2)),
            ("a mode has more bits", |parts| parts[0][1][1] = json!(0o4755)),
            ("a mode is no whole number", |parts| parts[0][1][1] = json!(1.5)),
            ("a size is negative", |parts| parts[0][1][2] = json!(-10)),
            ("a size is too large", |parts| parts[0][1][2] = json!(u64::MAX)),
            ("a time is too large", |parts| parts[0][1][3] = json!(u64::MAX)),
            ("a hash is too short", |parts| parts[0][1][4] = json!("abc")),
            ("a hash has another alphabet", |parts| parts[0][1][4] = json!("ungWv48Bz+pBQUDeXa4iIw")),
            ("a crc has 33 bits", |parts| parts[0][1][5] = json!(1_u64 << 32)),
            ("a file has no segment", |parts| parts[0][1][6] = json!([])),
            ("a file has a segment too many", |parts| parts[0][1][6] = json!([[1, 0, 10, 0], [1, 10, 10, 0]])),
            ("an empty file has a segment", |parts| parts[0][2][6] = json!([[1, 0, 10, 0]])),
            ("a segment has no length", |parts| parts[0][1][6] = json!([[1, 0, 0, 0]])),
            ("a segment begins before its pack", |parts| parts[0][1][6] = json!([[1, -1, 5, 0]])),
            ("a segment ends behind its pack", |parts| parts[0][1][6] = json!([[1, 1, 20, 0]])),
            ("a segment's end overflows", |parts| parts[0][1][6] = json!([[1, u64::MAX, 20, 0]])),
            ("a file ends behind its frame", |parts| parts[0][1][6] = json!([[1, 0, 20, 1_048_567]])),
            ("a segment lies in an unknown pack", |parts| parts[0][1][6] = json!([[3, 0, 20, 0]])),
            ("a segment has three columns", |parts| parts[0][1][6] = json!([[1, 0, 20]])),
            ("a segment has five columns", |parts| parts[0][1][6] = json!([[1, 0, 20, 0, 0]])),
            ("a link has no target", |parts| parts[1][0] = json!(["l", -1])),
            ("a link's target is empty", |parts| parts[1][0][2] = json!("")),
            ("a link has a column too many", |parts| parts[1][0] = json!(["l", -1, "a", 1])),
            ("a file has a column too many", |parts| parts[0][1].as_array_mut().unwrap().push(json!(1))),
            ("a file lacks a column", |parts| drop(parts[0][1].as_array_mut().unwrap().pop())),
            ("an entry is no array", |parts| parts[0][0] = json!({ "path": "a" })),
            ("a part is empty", |parts| parts[0] = json!([])),
            ("a part is no array", |parts| parts[0] = json!({})),
            ("a file more than it says", |parts| {
                parts[1].as_array_mut().unwrap().push(file("y", 0, &json!([])));
            }),
            ("a byte more than it says", |parts| parts[0][1][2] = json!(11)),
            ("a part is missing", |parts| drop(parts.pop())),
            ("a part is too long", |parts| parts[1][0][2] = json!("x".repeat(MAX_INDEX_PART_BYTES))),
        ];
        for (what, lie) in lies {
            let mut parts = honest();
            lie(&mut parts);
            assert!(check(&parts).is_err(), "{what}");
        }
    }

    #[test]
    fn an_index_has_a_head_and_bounds() {
        let head = |head: Value| check_text(&text(&head, &honest()), 3, 1_048_587);
        assert!(head(json!({ "version": 5, "codec": "zstd" })).is_err(), "another version");
        assert!(head(json!({ "version": 4, "codec": "br" })).is_err(), "another codec");
        assert!(head(json!([])).is_err() && check_text("", 0, 0).is_err(), "no head");
        let many: Vec<Value> = (0..=MAX_PARTS).map(|n| json!([[format!("{n:04}"), 0o755]])).collect();
        let said = json!({ "version": 4, "codec": "zstd" });
        assert!(check_text(&text(&said, &many[1..]), 0, 0).is_ok());
        assert!(check_text(&text(&said, &many), 0, 0).is_err(), "too many parts");
        let long = format!("{said}\n{}", " ".repeat(usize::try_from(MAX_INDEX_BYTES).unwrap()));
        assert!(check_text(&long, 0, 0).is_err(), "too long");
        let behind = format!("{said}\n[[\"a\",493]] x\n");
        assert!(check_text(&behind, 0, 0).is_err(), "something stands behind a part");
        let typed = check_text(&format!("{said}\n[[\"a\",\"a secret\"]]\n"), 0, 0).unwrap_err().to_string();
        assert!(!typed.contains("secret"), "{typed}");
    }
}
