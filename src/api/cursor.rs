//! The opaque cursor of a list: where the next page starts.

use crate::domain::{Millis, Page, Position};

/// Writes a page as `<ms>.<session_id>`, or `<ms>-<skip>.<session_id>`; none for a page that starts at no conversation.
#[must_use]
pub fn encode(page: &Page) -> Option<String> {
    let Position { last_accessed_at, session_id } = page.after.as_ref()?;
    let ms = last_accessed_at.get();
    Some(match page.skip {
        0 => format!("{ms:x}.{session_id}"),
        skip => format!("{ms:x}-{skip:x}.{session_id}"),
    })
}

/// Reads what [`encode`] wrote, and nothing else.
#[must_use]
pub fn decode(cursor: &str) -> Option<Page> {
    let (numbers, session_id) = cursor.split_once('.')?;
    let (ms, skip) = numbers.split_once('-').unwrap_or((numbers, "0"));
    let last_accessed_at = Millis::new(i64::from_str_radix(ms, 16).ok().filter(|ms| *ms >= 0)?);
    let position = Position { last_accessed_at, session_id: session_id.parse().ok()? };
    let page = Page { after: Some(position), skip: u32::from_str_radix(skip, 16).ok()? };
    (encode(&page).as_deref() == Some(cursor)).then_some(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        let position =
            Position { last_accessed_at: Millis::new(1_795_330_108_184), session_id: "a.b:c-d".parse().unwrap() };
        for skip in [0, 7, u32::MAX] {
            let page = Page { after: Some(position.clone()), skip };
            assert_eq!(decode(&encode(&page).unwrap()), Some(page));
        }
    }

    #[test]
    fn what_no_page_wrote_is_no_cursor() {
        for bad in ["", ".", "1", "x.a", "1.", "-1.a", "1.-", "+1.a", "01.a", "A.a", "1-0.a", "1-.a", "1-100000000.a"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
