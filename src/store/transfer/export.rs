//! Writes conversations as lines, a page at a time. A page is written in one go; a conversation that takes several is begun again if it
//! changes in between, so that what stands between its first line and its `end` is one state of it.

use super::tables::{CONVERSATION, PACK, ROWS, TAIL, UPLOAD};
use super::{IDS_PER_LINE, Kind, Table, VERSION};
use crate::domain::transfer::{ExportPlace, ObjectOf, Within};
use crate::domain::{AccountId, Millis};
use crate::store::conversations::unreadable;
use crate::store::sql::{Cell, Row, Sql, Value};
use crate::store::{Store, StoreError, json};

/// Bytes of a page, beyond which no other row is added to it.
const PAGE_BYTES: usize = 512 * 1024;
/// How often a conversation is begun again that changes while it is written.
pub const MAX_RESTARTS: u32 = 16;

/// The first line of an export.
///
/// # Errors
/// [`StoreError::Unreadable`] if the account's id is no JSON, which every id is.
pub fn first_line(account_id: &AccountId, now: Millis) -> Result<String, StoreError> {
    let account = json(&account_id)?;
    Ok(format!(
        "{{\"type\":\"export\",\"version\":{VERSION},\"account_id\":{account},\"exported_at\":{}}}\n",
        now.get()
    ))
}

impl<S: Sql> Store<S> {
    /// The lines before the conversations: which account it is, and which conversations there are.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn export_head(&self, account_id: &AccountId, now: Millis) -> Result<String, StoreError> {
        const IDS: &str = "select session_id from conversations where session_id > ?1 order by session_id limit +?2";
        let mut text = first_line(account_id, now)?;
        let mut after = String::new();
        loop {
            let rows = self
                .sql
                .query(IDS, &[Value::Text(&after), Value::Integer(i64::try_from(IDS_PER_LINE).unwrap_or(i64::MAX))])?;
            let ids: Vec<String> = rows.into_iter().map(|mut row| row.text(0)).collect::<Result<_, _>>()?;
            let Some(last) = ids.last() else { return Ok(text) };
            for part in ["{\"type\":\"conversations\",\"session_ids\":", &json(&ids)?, "}\n"] {
                text.push_str(part);
            }
            last.clone_into(&mut after);
        }
    }

    /// The next page of conversations, and where the one after it begins; none if no conversation is left. An error if a conversation was begun
    /// again too often.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn export_page(&self, mut place: ExportPlace) -> Result<(String, Option<ExportPlace>), StoreError> {
        let mut text = String::new();
        place.object = None;
        if let Some(within) = place.within.take_if(|within| !within.session_id.is_empty()) {
            let mark = self.mark(&within.session_id)?;
            place.within = match mark {
                Some(mark) if mark == within.mark => Some(within),
                // It is begun again, if it is still there.
                _ if within.restarts < MAX_RESTARTS => {
                    Some(self.begin(&place.after, within.restarts + 1, &mut text)?)
                }
                _ => return Err(unreadable("conversation", &"it changes faster than it is exported")),
            };
        }
        loop {
            let mut within = match place.within.take() {
                Some(within) => within,
                None => self.begin(&place.after, 0, &mut text)?,
            };
            let tables = tables_of(&within.session_id);
            if let Some(table) = tables.get(within.table) {
                let is_written = place.files || table.line != PACK.line;
                let row = if is_written { self.next_row(table, &within.session_id, &within.place)? } else { None };
                if let Some(mut row) = row {
                    if place.files && has_object(table) {
                        place.object = Some(object_of(table, &mut row)?);
                    }
                    within.place = write(table, row, &mut text)?;
                } else {
                    (within.table, within.place) = (within.table + 1, first_place(tables, within.table + 1));
                }
                place.within = Some(within);
                if place.object.is_some() {
                    return Ok((text, Some(place)));
                }
            } else if within.session_id.is_empty() {
                return Ok((text, None));
            } else {
                for part in ["{\"type\":\"end\",\"session_id\":", &json(&within.session_id)?, "}\n"] {
                    text.push_str(part);
                }
                place.after = within.session_id;
            }
            if text.len() >= PAGE_BYTES {
                return Ok((text, Some(place)));
            }
        }
    }

    /// Writes the conversation behind `after`; if there is none, what belongs to no conversation is next.
    fn begin(&self, after: &str, restarts: u32, text: &mut String) -> Result<Within, StoreError> {
        let (session_id, mark) = match self.next_row(&CONVERSATION, "", &(after.to_owned(), 0))? {
            Some(row) => {
                let (session_id, _) = write(&CONVERSATION, row, text)?;
                let mark = self.mark(&session_id)?.unwrap_or_default();
                (session_id, mark)
            }
            None => (String::new(), String::new()),
        };
        let place = first_place(tables_of(&session_id), 0);
        Ok(Within { session_id, table: 0, place, mark, restarts })
    }

    fn next_row(&self, table: &Table, session_id: &str, place: &(String, i64)) -> Result<Option<Row>, StoreError> {
        let first =
            if table.has_text_place { Value::Text(&place.0) } else { Value::Integer(place.0.parse().unwrap_or(-1)) };
        Ok(self.sql.first(table.next, &[Value::Text(session_id), first, Value::Integer(place.1)])?)
    }

    /// What changes with each change of a conversation; none if it is gone.
    fn mark(&self, session_id: &str) -> Result<Option<String>, StoreError> {
        const MARK: &str = "select printf('%d %d %d %d %d %d %d', next_seq, message_count, message_bytes, last_accessed_at, version, \
             inbox_seq, oldest) from conversations left join workspaces using (session_id) where session_id = +?1";
        let row = self.sql.first(MARK, &[Value::Text(session_id)])?;
        Ok(row.map(|mut row| row.text(0)).transpose()?)
    }
}

/// What is written of a conversation, or behind all of them.
fn tables_of(session_id: &str) -> &'static [Table] {
    if session_id.is_empty() { TAIL } else { ROWS }
}

/// Whether a table's rows stand for objects of the bucket.
fn has_object(table: &Table) -> bool {
    [PACK.line, UPLOAD.line].contains(&table.line)
}

/// The object that a row stands for.
fn object_of(table: &Table, row: &mut Row) -> Result<ObjectOf, StoreError> {
    let size = table.columns.iter().position(|(name, _)| *name == "size").unwrap_or_default();
    Ok(ObjectOf { size: row.count(size)?, key: row.text(table.columns.len() + 2)? })
}

/// Before the first row of a table.
fn first_place(tables: &[Table], table: usize) -> (String, i64) {
    let is_text = tables.get(table).is_some_and(|table| table.has_text_place);
    (if is_text { String::new() } else { "-1".to_owned() }, if is_text || table == 0 { -1 } else { 0 })
}

/// Writes a row as a line; returns its place.
fn write(table: &Table, mut row: Row, text: &mut String) -> Result<(String, i64), StoreError> {
    text.push_str("{\"type\":\"");
    text.push_str(table.line);
    text.push('"');
    for (at, (name, kind)) in table.columns.iter().enumerate() {
        let cell = row.0.get_mut(at).map_or(Cell::Null, |cell| std::mem::replace(cell, Cell::Null));
        let value = match cell {
            Cell::Null => continue,
            Cell::Integer(integer) => integer.to_string(),
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole; stored integers stay below 2^53")]
            Cell::Real(real) if *kind != Kind::Real && real.fract() == 0.0 => (real as i64).to_string(),
            Cell::Real(real) => json(&real)?,
            Cell::Text(text) if *kind == Kind::Json => text,
            Cell::Text(text) => json(&text)?,
        };
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        text.push_str(&value);
    }
    text.push_str("}\n");
    let columns = table.columns.len();
    let first = if table.has_text_place { row.text(columns)? } else { row.integer(columns)?.to_string() };
    Ok((first, row.integer(columns + 1)?))
}
