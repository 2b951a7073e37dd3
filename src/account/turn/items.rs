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
}

impl Items {
    /// Keeps an event, if it is of those that are kept.
    pub fn take(&mut self, n: u64, event: &EventKind) {
        let Some(item) = event.item(n) else { return };
        self.any = true;
        if self.is_cut {
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

    /// Whether the turn told anything that is kept.
    pub const fn any(&self) -> bool {
        self.any
    }

    /// What is stored of them, without the brackets around: all but the message with the number `told`, which is the answer and is stored as
    /// that. Empty if that was all.
    pub fn stored(&self, told: Option<u64>) -> String {
        let mut json = self.json.clone();
        if let Some((n, place)) = &self.last_message
            && told == Some(*n)
        {
            json.replace_range(place.clone(), "");
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
    let array = format!("[{stored}]");
    let items: Vec<&RawValue> = serde_json::from_str(&array).unwrap_or_default();
    let mut told: Vec<(u64, EventKind)> = items.iter().filter_map(|item| EventKind::of_item(item.get())).collect();
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
