//! Reads conversations back from lines. They come from anywhere: a conversation counts only once its `end` was read and all of it reads back,
//! and what is counted is counted anew. Until then its id stands in `account.importing`.

use serde::de::IgnoredAny;

use super::line::{BadLine, Fields, Ids, bad, read_fields};
use super::tables::{CONVERSATION, PACK, ROWS, TAIL, UPLOAD};
use super::{Kind, Table, VERSION};
use crate::domain::account::{AccountSettings, MAX_REASON_CHARS, RETENTION_DAYS};
use crate::domain::{MetadataPatch, Millis, SessionId, Title, TurnId};
use crate::store::conversations::session_id;
use crate::store::sql::{Sql, Value};
use crate::store::{MAX_ROW_TEXT_BYTES, Store, StoreError};

/// Most items of a turn, in bytes: a few times what a turn stores.
const MAX_ITEMS_BYTES: u64 = 16 * 1024 * 1024;
/// Largest number of a line of the account's: what JSON's readers have exactly.
const MAX_NUMBER: i64 = 1 << 53;
/// Longest name of a model.
const MAX_MODEL_BYTES: usize = 256;
/// Turns that are read back at once.
const TURNS_AT_ONCE: u32 = 100;

/// How lines are taken.
#[derive(Clone, Copy)]
pub struct ImportRules {
    /// Whether an operator sends them. What the account has used and what is set of it is taken from operators only.
    pub by_operator: bool,
    /// Whether conversations that are there already are passed over, instead of refused.
    pub resume: bool,
    /// When they come.
    pub now: Millis,
    /// Conversations whose last access was before are due to be deleted.
    pub due_before: Millis,
}

impl<S: Sql> Store<S> {
    /// Stores what a line says. Returns a conversation that is whole with it. Belongs into a transaction.
    ///
    /// # Errors
    /// [`BadLine`].
    pub fn import_line(&self, line: &str, rules: &ImportRules) -> Result<Option<SessionId>, BadLine> {
        let fields = read_fields(line)?;
        let kind = text(&fields, "type")?;
        match kind.as_str() {
            "export" => match fields.get("version").map(|version| version.get().parse()) {
                Some(Ok(VERSION)) => {
                    if !rules.resume {
                        self.drop_unfinished_import()?;
                    }
                    Ok(None)
                }
                _ => Err(bad(format!("version: {VERSION} is the one that this service reads"))),
            },
            "conversations" => {
                let ids = fields.get("session_ids").map(|ids| serde_json::from_str(ids.get()));
                let Some(Ok(Ids(ids))) = ids else {
                    return Err(bad("session_ids: an array of at most 1000 ids of conversations"));
                };
                if !rules.resume {
                    self.refuse_conflicts(ids)?;
                }
                Ok(None)
            }
            "conversation" => {
                let id = session(&fields)?;
                if self.passes_over(&id, rules)? {
                    return Ok(None);
                }
                if self.importing()?.as_ref() == Some(&id) {
                    // It changed while it was exported, or its import is tried again: it begins anew.
                    self.drop_unfinished_import()?;
                }
                if self.importing()?.is_some() {
                    return Err(bad("the conversation before has no end"));
                }
                self.refuse_conflicts(vec![id.clone()])?;
                check_bounds(&fields)?;
                self.insert_line(&CONVERSATION, &fields, None)?;
                self.date_access(&id, &fields, rules)?;
                self.set_importing(Some(&id))?;
                Ok(None)
            }
            "end" => {
                let id = session(&fields)?;
                if self.passes_over(&id, rules)? {
                    return Ok(None);
                }
                self.need_importing(&id)?;
                self.end_import(&id)?;
                Ok(Some(id))
            }
            "done" if rules.resume && self.importing()?.is_some() => Err(bad("the conversation before has no end")),
            other => {
                // What a later version adds is passed over.
                if [PACK.line, UPLOAD.line, "bytes"].contains(&other) {
                    return Err(bad("not in the form in which an export writes it"));
                }
                if let Some(table) = ROWS.iter().find(|table| table.line == other) {
                    let id = session(&fields)?;
                    if !self.passes_over(&id, rules)? {
                        self.need_importing(&id)?;
                        self.insert_line(table, &fields, None)?;
                    }
                } else if let Some(table) = TAIL.iter().find(|table| table.line == other && rules.by_operator) {
                    check_tail(table, &fields)?;
                    self.insert_line(table, &fields, None)?;
                }
                Ok(None)
            }
        }
    }

    /// Whether lines of this conversation are passed over: it is there as a whole.
    pub(super) fn passes_over(&self, id: &SessionId, rules: &ImportRules) -> Result<bool, BadLine> {
        Ok(rules.resume && self.importing()?.as_ref() != Some(id) && self.conversation(id)?.is_some())
    }

    /// An access of the future would keep a conversation for good, and one that is long ago would delete it at once: both become one of now.
    fn date_access(&self, id: &SessionId, fields: &Fields<'_>, rules: &ImportRules) -> Result<(), BadLine> {
        const DATE: &str = "update conversations set last_accessed_at = ?2 where session_id = +?1";
        let told = fields.get("last_accessed_at").and_then(|raw| raw.get().parse().ok());
        if told.is_some_and(|told| (rules.due_before.get()..=rules.now.get()).contains(&told)) {
            return Ok(());
        }
        Ok(self.sql.execute(DATE, &[Value::Text(id.as_str()), Value::Integer(rules.now.get())])?)
    }

    /// Deletes the conversation whose import was not finished, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects a statement.
    pub fn drop_unfinished_import(&self) -> Result<(), StoreError> {
        const TURNS: &str = "delete from turns where session_id = +?1";
        let Some(id) = self.importing()? else { return Ok(()) };
        self.transaction(|| {
            self.sql.execute(TURNS, &[Value::Text(id.as_str())])?;
            self.delete_conversation(&id)?;
            self.cache.totals.set(None);
            self.set_importing(None)
        })
    }

    /// The conversation whose import is not finished.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn importing(&self) -> Result<Option<SessionId>, StoreError> {
        const READ: &str = "select importing from account where id = 1";
        let row = self.sql.first(READ, &[])?;
        row.map_or(Ok(None), |mut row| row.opt_text(0))?.map(session_id).transpose()
    }

    fn set_importing(&self, id: Option<&SessionId>) -> Result<(), StoreError> {
        const SET: &str = "update account set importing = ?1 where id = 1";
        Ok(self.sql.execute(SET, &[id.map(SessionId::as_str).into()])?)
    }

    pub(super) fn need_importing(&self, id: &SessionId) -> Result<(), BadLine> {
        let is_it = self.importing()?.as_ref() == Some(id);
        if is_it { Ok(()) } else { Err(bad("not of the conversation that was begun last")) }
    }

    fn refuse_conflicts(&self, ids: Vec<SessionId>) -> Result<(), BadLine> {
        let unfinished = self.importing()?;
        let mut there = Vec::new();
        for id in ids {
            if unfinished.as_ref() != Some(&id) && self.conversation(&id)?.is_some() {
                there.push(id);
            }
        }
        if there.is_empty() { Ok(()) } else { Err(BadLine::Conflicts(there)) }
    }

    pub(super) fn insert_line(&self, table: &Table, fields: &Fields<'_>, key: Option<&str>) -> Result<(), BadLine> {
        enum Read {
            Nothing,
            Integer(i64),
            Real(f64),
            Text(String),
        }
        let read = |(name, kind): &(&str, Kind)| -> Result<Read, BadLine> {
            let Some(raw) = fields.get(name).map(|raw| raw.get()).filter(|raw| *raw != "null") else {
                return Ok(Read::Nothing);
            };
            let wrong = |what: &str| bad(format!("{name}: {what}"));
            Ok(match kind {
                Kind::Integer => Read::Integer(raw.parse().map_err(|_| wrong("an integer"))?),
                Kind::Real => Read::Real(serde_json::from_str(raw).map_err(|_| wrong("a number"))?),
                Kind::Json => Read::Text(raw.to_owned()),
                Kind::Text => Read::Text(serde_json::from_str(raw).map_err(|_| wrong("a string"))?),
            })
        };
        let values: Vec<Read> = table.columns.iter().map(read).collect::<Result<_, _>>()?;
        if values.iter().any(|value| matches!(value, Read::Text(text) if text.len() > MAX_ROW_TEXT_BYTES)) {
            return Err(bad("a string is longer than a row may be"));
        }
        let mut bound: Vec<Value<'_>> = values
            .iter()
            .map(|value| match value {
                Read::Nothing => Value::Null,
                Read::Integer(integer) => Value::Integer(*integer),
                Read::Real(number) => Value::Real(*number),
                Read::Text(text) => Value::Text(text),
            })
            .collect();
        bound.extend(key.map(Value::Text));
        // What SQLite refuses is what the line says: a missing field, or a row that is there.
        self.sql.execute(table.insert, &bound).map_err(|_| bad("a field is missing or wrong, or the line came before"))
    }

    /// Items are JSON values with commas in between, and no more of them than a turn stores.
    fn check_items(&self, id: &SessionId, turn_id: &TurnId) -> Result<(), BadLine> {
        if self.items_bytes(id, turn_id)? > MAX_ITEMS_BYTES {
            return Err(bad("items: longer than a turn stores"));
        }
        let all = self.items_as_list(id, turn_id)?;
        serde_json::from_str::<IgnoredAny>(&all)
            .map(drop)
            .map_err(|_| bad("items: not JSON values with commas in between"))
    }

    /// Counts a conversation anew, and sees to it that all of it reads back.
    fn end_import(&self, id: &SessionId) -> Result<(), BadLine> {
        const COUNT: &str = "update conversations set \
             message_count = (select count(*) from messages where session_id = +?1 and part = 0), \
             message_bytes = (select coalesce(sum(length(cast(content as blob))), 0) from messages where session_id = +?1), \
             next_seq = max(next_seq, (select coalesce(max(seq), 0) + 1 from messages where session_id = +?1)) where session_id = +?1";
        const STRANGERS: &str = "select 1 from turns where session_id = +?1 and (finished_at is null \
             or status not in ('completed', 'failed', 'cancelled', 'interrupted') \
             or min(parked, first_n, items_n, waits_from, waited_ms) < 0 \
             or turn_id not in (select turn_id from messages where session_id = +?1)) union all \
             select 1 from actions where session_id = +?1 and (status = 'pending' \
             or turn_id not in (select turn_id from turns where session_id = +?1)) limit 1";
        let value = [Value::Text(id.as_str())];
        self.sql.execute(COUNT, &value)?;
        if self.sql.first(STRANGERS, &value)?.is_some() {
            return Err(bad("a turn that has not ended or has no message, or an action without such a turn"));
        }
        let unread = |error: StoreError| match error {
            StoreError::Unreadable { what, .. } => bad(format!("{what}: not what an export writes")),
            StoreError::Sql(_) => BadLine::Store(error),
        };
        self.conversation(id).map_err(unread)?;
        self.context(id).map_err(unread)?;
        self.grants_of(id).map_err(unread)?;
        let mut before = i64::MAX;
        loop {
            self.messages_before(id, before).map_err(unread)?;
            let page = self.turns_before(id, before, TURNS_AT_ONCE).map_err(unread)?;
            for turn in &page.turns {
                self.content_of(id, &turn.turn_id).map_err(unread)?;
                self.counted_of(&turn.turn_id).map_err(unread)?;
                self.actions_of(&turn.turn_id).map_err(unread)?;
                self.check_items(id, &turn.turn_id)?;
            }
            let last = page.turns.last().map(|turn| self.seq_of(id, &turn.turn_id)).transpose()?.flatten();
            match last.filter(|_| page.older) {
                Some(seq) => before = seq,
                None => break,
            }
        }
        self.end_files_of_import(id)?;
        self.cache.totals.set(None);
        Ok(self.set_importing(None)?)
    }
}

/// What operators set and what is counted, within the bounds that both have anyway.
fn check_tail(table: &Table, fields: &Fields<'_>) -> Result<(), BadLine> {
    for (name, kind) in table.columns {
        let Some(raw) = fields.get(name).map(|raw| raw.get()) else { continue };
        match kind {
            Kind::Json => check_settings(raw)?,
            Kind::Integer if !raw.parse().is_ok_and(|number: i64| (0..=MAX_NUMBER).contains(&number)) => {
                return Err(bad(format!("{name}: a number from 0 to 2^53")));
            }
            Kind::Text if raw.len() > MAX_MODEL_BYTES => {
                return Err(bad(format!("{name}: a string of at most 256 bytes")));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_settings(raw: &str) -> Result<(), BadLine> {
    let wrong = || bad("settings: not such as an account may have");
    let settings: AccountSettings = serde_json::from_str(raw).map_err(|_| wrong())?;
    let metadata = MetadataPatch::try_from(serde_json::Value::Object(settings.metadata));
    let fits = settings.limits.check().is_ok()
        && settings.reason.is_none_or(|reason| reason.chars().count() <= MAX_REASON_CHARS)
        && settings.retention_days.is_none_or(|days| RETENTION_DAYS.contains(&days))
        && metadata.is_ok_and(|metadata| metadata.apply(serde_json::Map::new()).is_ok());
    if fits { Ok(()) } else { Err(wrong()) }
}

/// A title and metadata as a user may set them.
fn check_bounds(fields: &Fields<'_>) -> Result<(), BadLine> {
    Title::try_from(text(fields, "title")?).map_err(|_| bad("title: not one that a conversation may have"))?;
    let metadata = fields.get("metadata").and_then(|raw| serde_json::from_str(raw.get()).ok());
    let patch = metadata.map(|metadata: serde_json::Value| MetadataPatch::try_from(metadata));
    match patch {
        Some(Ok(patch)) if patch.clone().apply(serde_json::Map::new()).is_ok() => Ok(()),
        _ => Err(bad("metadata: not such as a conversation may have")),
    }
}

pub(super) fn text(fields: &Fields<'_>, name: &str) -> Result<String, BadLine> {
    let read = fields.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok());
    read.ok_or_else(|| bad(format!("{name}: a string")))
}

pub(super) fn session(fields: &Fields<'_>) -> Result<SessionId, BadLine> {
    text(fields, "session_id")?.try_into().map_err(|_| bad("session_id: the id of a conversation"))
}
