//! Time zones without a runtime: those of the IANA's database.

use chrono::{Offset, TimeZone};
use chrono_tz::Tz;
use claude_agent_service::domain::Millis;

/// How many seconds clocks in a zone are ahead of UTC at a moment; none if there is no such zone.
pub fn utc_offset_s(zone: &str, at: Millis) -> Option<i32> {
    let zone: Tz = zone.parse().ok()?;
    Some(zone.timestamp_millis_opt(at.get()).single()?.offset().fix().local_minus_utc())
}
