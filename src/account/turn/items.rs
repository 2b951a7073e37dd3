//! What a turn did, and not only what it said: its events as they are kept after its end. They are collected in memory while the turn runs;
//! an object that takes a turn up again collects them from its frames. Pieces of text and of inputs are not kept, what they add up to is.

use std::ops::Range;

use serde_json::value::RawValue;

use super::events::EventKind;
use crate::domain::Turn;
use crate::domain::event::Notice;
use crate::store::turns::LastEvents;

/// Bytes of items that one turn stores; a notice stands for the rest.
pub const MAX_ITEMS_BYTES: usize = 4 * 1024 * 1024;

/// The items of a running turn.
#[derive(Default)]
pub struct Items {
    /// JSON values with a comma before each.
    json: String,
    /// The number and the place of the last `message` of the turn itself.
    last_message: Option<(u64, Range<usize>)>,
    is_cut: bool,
    any: bool,
    /// So many bytes of them are stored already, and the number of the last of those.
    stored: usize,
    stored_n: u64,
}

impl Items {
    /// Keeps an event, if it is of those that are kept.
    pub fn take(&mut self, n: u64, event: &EventKind) {
        let Some(item) = event.item(n) else { return };
        self.any = true;
        if self.is_cut || n <= self.stored_n {
            return;
        }
        self.is_cut = self.json.len() + item.len() >= MAX_ITEMS_BYTES;
        let item = if self.is_cut { EventKind::Notice(Notice::items_cut()).item(n).unwrap_or_default() } else { item };
        self.json.push(',');
        let begins = self.json.len();
        self.json.push_str(&item);
        if let EventKind::Message(message) = event
            && message.parent.is_none()
            && !self.is_cut
        {
            self.last_message = Some((n, begins - 1..self.json.len()));
        }
    }

    /// Items of a turn of which those up to the `n`-th event are stored.
    pub fn behind(n: u64) -> Self {
        Self { any: n > 0, stored_n: n, ..Self::default() }
    }

    /// What is not stored yet, without the brackets around.
    pub fn unstored(&self) -> &str {
        self.json.get(self.stored + 1..).unwrap_or_default()
    }

    /// All of them are stored, the last of them as the `n`-th event.
    pub const fn set_stored(&mut self, n: u64) {
        self.stored = self.json.len();
        self.stored_n = n;
    }

    /// Whether an event is stored as an item already.
    pub const fn is_stored(&self, n: u64) -> bool {
        n <= self.stored_n
    }

    /// Whether the turn told anything that is kept.
    pub const fn any(&self) -> bool {
        self.any
    }

    /// What is stored of them, without the brackets around: all but the message with the number `told`, which is the answer and is stored as
    /// that. Empty if that was all.
    pub fn stored(&self, told: Option<u64>) -> String {
        let mut json = self.json.get(self.stored..).unwrap_or_default().to_owned();
        if let Some((n, place)) = &self.last_message
            && told == Some(*n)
            && place.start >= self.stored
        {
            json.replace_range(place.start - self.stored..place.end - self.stored, "");
        }
        json.get(1..).unwrap_or_default().to_owned()
    }
}

/// The numbers of the last events of a turn that ended before they were stored: above that of any frame.
const UNKNOWN_LAST_EVENTS: LastEvents = LastEvents { message: 1 << 52, end: (1 << 52) + 1 };

/// The numbers of a turn's last events, stored or not.
pub fn last_events(stored: Option<LastEvents>) -> LastEvents {
    stored.unwrap_or(UNKNOWN_LAST_EVENTS)
}

/// What is told of a turn that has ended: its stored items, its answer among them, and the files that it changed, in the order of their numbers.
pub fn told(turn: &Turn, last: LastEvents, stored: &str) -> Vec<(u64, EventKind)> {
    let mut told = events(stored);
    if let Some(response) = turn.response.as_ref().filter(|_| last.message > 0) {
        let place = told.partition_point(|(n, _)| *n < last.message);
        told.insert(place, (last.message, EventKind::said(response.clone())));
    }
    told.extend(files(turn, last));
    told
}

/// The events of the files that a turn changed: they have the numbers before that of its end.
pub fn files(turn: &Turn, last: LastEvents) -> impl Iterator<Item = (u64, EventKind)> {
    let changed = turn.files.as_ref().map(|files| files.changed.as_slice()).unwrap_or_default();
    let first = last.end.saturating_sub(u64::try_from(changed.len()).unwrap_or(u64::MAX));
    (first..).zip(changed).map(|(n, file)| (n, EventKind::File(file.clone())))
}

/// The events that stored items are of.
pub fn events(stored: &str) -> Vec<(u64, EventKind)> {
    let array = format!("[{stored}]");
    let items: Vec<&RawValue> = serde_json::from_str(&array).unwrap_or_default();
    items.iter().filter_map(|item| EventKind::of_item(item.get())).collect()
}

/// The turn's own text in what it told up to the `n`-th event.
pub fn text(stored: &str, n: u64) -> String {
    let said = events(stored).into_iter().filter_map(|(at, kind)| match kind {
        EventKind::Message(message) if message.parent.is_none() && at <= n => Some(message.content),
        _ => None,
    });
    said.collect::<Vec<_>>().join("\n\n")
}

/// The array of items that a caller gets.
pub fn array(told: &[(u64, EventKind)]) -> String {
    let items: Vec<String> = told.iter().filter_map(|(n, kind)| kind.item(*n)).collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;
    use crate::domain::event::{Delta, Message};

    fn said(text: &str) -> EventKind {
        EventKind::said(text.to_owned())
    }

    #[test]
    fn the_message_that_is_the_answer_is_stored_as_that_alone() {
        let mut items = Items::default();
        items.take(1, &EventKind::Delta(Delta { text: "x".into() }));
        assert!(!items.any());
        items.take(2, &said("4"));
        assert_eq!((items.any(), items.stored(Some(2)).as_str()), (true, ""));
        assert_eq!(items.stored(None), said("4").item(2).unwrap());
        items.take(3, &EventKind::Notice(Notice::events_dropped(1, 2)));
        assert_eq!(items.stored(Some(2)), EventKind::Notice(Notice::events_dropped(1, 2)).item(3).unwrap());
        let sub = Message { role: Role::Assistant, content: "sub".into(), parent: Some("p".into()) };
        items.take(4, &EventKind::Message(sub));
        assert!(!items.stored(Some(2)).contains("\"4\"") && items.stored(Some(4)).contains("\"4\""));
    }

    #[test]
    fn items_have_a_bound_and_a_notice_stands_for_the_rest() {
        let mut items = Items::default();
        for n in 1..=9 {
            items.take(n, &said(&"x".repeat(1024 * 1024)));
        }
        let stored = items.stored(Some(9));
        assert!(stored.len() <= MAX_ITEMS_BYTES, "{}", stored.len());
        let array = format!("[{stored}]");
        let items: Vec<&RawValue> = serde_json::from_str(&array).unwrap();
        assert_eq!(items.len(), 4);
        let last = items[3].get();
        assert!(last.starts_with(r#"{"n":4,"type":"notice","code":"items_cut""#), "{last}");
    }
}
