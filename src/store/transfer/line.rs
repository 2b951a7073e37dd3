//! A line of an import as it comes: read into a bounded number of values, whatever it holds.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::IDS_PER_LINE;
use crate::domain::SessionId;
use crate::store::StoreError;

/// Most fields of a line: several times what an export writes, since a later version may write more.
const MAX_FIELDS: usize = 256;

/// Why a line is not read.
#[derive(Debug, thiserror::Error)]
pub enum BadLine {
    /// It is not what an export writes.
    #[error("{0}")]
    Bad(String),
    /// Conversations with these ids are there already.
    #[error("there are conversations with these ids already")]
    Conflicts(Vec<SessionId>),
    /// Storage failed. The detail is for the log.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<crate::store::sql::SqlError> for BadLine {
    fn from(error: crate::store::sql::SqlError) -> Self {
        Self::Store(error.into())
    }
}

pub(super) fn bad(why: impl Into<String>) -> BadLine {
    BadLine::Bad(why.into())
}

/// The fields of a line, each as it is written.
pub(super) type Fields<'a> = BTreeMap<&'a str, &'a RawValue>;

/// The fields of a line.
pub(super) fn read_fields(line: &str) -> Result<Fields<'_>, BadLine> {
    let Ok(Bounded(fields)) = serde_json::from_str(line) else {
        return Err(bad("not a JSON object of at most 256 fields"));
    };
    Ok(fields)
}

struct Bounded<'a>(Fields<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Bounded<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Bounded<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Fields::new();
                while let Some((name, value)) = map.next_entry()? {
                    if fields.len() == MAX_FIELDS {
                        return Err(A::Error::custom("too many"));
                    }
                    fields.insert(name, value);
                }
                Ok(Bounded(fields))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

/// The ids of conversations that a line lists.
pub(super) struct Ids(pub(super) Vec<SessionId>);

impl<'de> Deserialize<'de> for Ids {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Ids;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut ids = Vec::new();
                while let Some(id) = list.next_element()? {
                    if ids.len() == IDS_PER_LINE {
                        return Err(A::Error::custom("too many"));
                    }
                    ids.push(id);
                }
                Ok(Ids(ids))
            }
        }
        deserializer.deserialize_seq(List)
    }
}
