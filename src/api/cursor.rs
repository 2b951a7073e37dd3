//! The opaque cursor of a list: the place after which the next page starts.

use crate::domain::{Millis, Position};

/// Writes a place as `<ms>.<session_id>`; both parts are of the URL's unreserved alphabet but for `:`.
#[must_use]
pub fn encode(position: &Position) -> String {
    format!("{:x}.{}", position.last_accessed_at.get(), position.session_id)
}

/// Reads what [`encode`] wrote.
#[must_use]
pub fn decode(cursor: &str) -> Option<Position> {
    let (ms, session_id) = cursor.split_once('.')?;
    Some(Position {
        last_accessed_at: Millis::new(i64::from_str_radix(ms, 16).ok().filter(|ms| *ms >= 0)?),
        session_id: session_id.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        let position =
            Position { last_accessed_at: Millis::new(1_795_330_108_184), session_id: "a.b:c".parse().unwrap() };
        assert_eq!(decode(&encode(&position)), Some(position));
        for bad in ["", ".", "1", "x.a", "1.", "-1.a", "1.-"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
