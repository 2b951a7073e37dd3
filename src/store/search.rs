//! The list of the conversations that hold some words: a scan, because a row of an index costs a thousand that are read.
//! One page scans no more than its bounds; if they end it early, the next page goes on from there.

use super::conversations::unreadable;
use super::reads::{Listing, item, position, start};
use super::sql::{Row, Sql, Value};
use super::{Store, StoreError};
use crate::domain::search::MAX_CASE_PAIRS;
use crate::domain::{Page, Position, SearchTerms};

/// Most conversations that one page scans.
pub const MAX_SCANNED_CONVERSATIONS: u32 = 10_000;
/// Most bytes of messages that one page scans; a conversation that is larger is scanned whole. A search holds up the account's other
/// requests: about a tenth of a second for one word, some seconds at worst (eight words of many letters, all of them late).
pub const MAX_SCANNED_BYTES: i64 = 8 * 1024 * 1024;

/// Bound values of [`MATCHES`] before those of the letters.
const FIRST_CASE_PAIR: usize = 6;

/// `$text` in lower case: ASCII by SQLite, then [`MAX_CASE_PAIRS`] pairs of letters, those from ?7 on. An empty letter changes nothing.
macro_rules! folded {
    ($text:literal) => {
        concat!(
            "replace(replace(replace(replace(replace(replace(replace(replace(",
            "replace(replace(replace(replace(replace(replace(replace(replace(lower(",
            $text,
            "),?7,?8),?9,?10),?11,?12),?13,?14),?15,?16),?17,?18),?19,?20),?21,?22)",
            ",?23,?24),?25,?26),?27,?28),?29,?30),?31,?32),?33,?34),?35,?36),?37,?38)"
        )
    };
}

macro_rules! matches {
    ($title:expr, $content:expr) => {
        concat!(
            "select last_accessed_at, session_id from conversations where (last_accessed_at, session_id) < (?2, ?3) \
             and (last_accessed_at, session_id) >= (?4, ?5) and not exists (select 1 from json_each(?1) as word where instr(",
            $title,
            ", word.value) = 0 and not exists (select 1 from messages \
             where messages.session_id = conversations.session_id and instr(",
            $content,
            ", word.value) > 0)) order by last_accessed_at desc, session_id desc limit +?6"
        )
    };
}

impl<S: Sql> Store<S> {
    /// One page of the conversations whose title and messages hold all the words, newest access first, at most `limit` of them.
    /// It may hold fewer, and still have a next page.
    ///
    /// # Errors
    /// [`StoreError::Sql`] if SQLite rejects the statement.
    pub fn search(&self, words: &SearchTerms, limit: u32, page: &Page) -> Result<Listing<S::Json>, StoreError> {
        const LIST: &str = concat!(
            "select ",
            item!(),
            " from conversations where session_id in (select value from json_each(?1)) \
             order by last_accessed_at desc, session_id desc"
        );
        let (mut found, mut next) = (Vec::new(), None);
        if let Some(end) = self.scan_end(page)? {
            let most = u64::from(page.skip) + u64::from(limit) + 1;
            let rows = self.matches(words, page, &end, most)?;
            let (count, skip) = (rows.len(), page.skip as usize);
            for mut row in rows.into_iter().skip(skip) {
                found.push(position(&mut row)?);
            }
            next = if found.len() > limit as usize {
                found.truncate(limit as usize);
                found.last().map(|last| Page { after: Some(last.clone()), skip: 0 })
            } else {
                let skip = u32::try_from(skip.saturating_sub(count)).unwrap_or(u32::MAX);
                let rest = Page { after: Some(end), skip };
                self.scan_end(&rest)?.is_some().then_some(rest)
            };
        }
        let ids: Vec<&str> = found.iter().map(|place| place.session_id.as_str()).collect();
        let ids = serde_json::to_string(&ids).map_err(|e| unreadable("ids", &e))?;
        Ok(Listing { json: self.joined(LIST, &[Value::Text(&ids)])?, next })
    }

    /// The last conversation that a page scans; none if there is nothing left to scan.
    fn scan_end(&self, page: &Page) -> Result<Option<Position>, StoreError> {
        const END: &str = "select last_accessed_at, session_id from (select last_accessed_at, session_id, \
             sum(message_bytes) over (order by last_accessed_at desc, session_id desc) - message_bytes as before \
             from (select last_accessed_at, session_id, message_bytes from conversations \
             where (last_accessed_at, session_id) < (?1, ?2) order by last_accessed_at desc, session_id desc limit +?3)) \
             where before < ?4 order by last_accessed_at, session_id limit 1";
        let [ms, id] = start(page);
        let bounds = [ms, id, Value::Integer(i64::from(MAX_SCANNED_CONVERSATIONS)), Value::Integer(MAX_SCANNED_BYTES)];
        self.sql.first(END, &bounds)?.map(|mut row| position(&mut row)).transpose()
    }

    /// The first `most` matches after the page's start and up to `end`.
    fn matches(&self, words: &SearchTerms, page: &Page, end: &Position, most: u64) -> Result<Vec<Row>, StoreError> {
        const MATCHES: &str = matches!("lower(title)", "lower(content)");
        const FOLDED_MATCHES: &str = matches!(folded!("title"), folded!("content"));
        let all: Vec<&str> = words.iter().collect();
        let all = serde_json::to_string(&all).map_err(|e| unreadable("words", &e))?;
        let [ms, id] = start(page);
        let mut values = vec![
            Value::Text(&all),
            ms,
            id,
            Value::Integer(end.last_accessed_at.get()),
            Value::Text(end.session_id.as_str()),
            Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)),
        ];
        let letters: Vec<String> =
            words.case_pairs().iter().flat_map(|(upper, lower)| [upper.to_string(), lower.to_string()]).collect();
        if letters.is_empty() {
            return Ok(self.sql.query(MATCHES, &values)?);
        }
        values.extend(letters.iter().map(|letter| Value::Text(letter)));
        values.resize(FIRST_CASE_PAIR + 2 * MAX_CASE_PAIRS, Value::Text(""));
        Ok(self.sql.query(FOLDED_MATCHES, &values)?)
    }
}
