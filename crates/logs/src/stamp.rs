//! Times as protocols write them, all in UTC.

use stdx::Timestamp;
use stdx::time::civil;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

fn at(nanos: u64) -> (i64, u32, u32, u32, u32, u32) {
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or_default();
    let (year, month, day, hour, minute, second, _) = civil(Timestamp::from_millis(seconds * 1000));
    (year, month, day, hour, minute, second)
}

/// `Dec  2 08:40:59`
pub(crate) fn short(nanos: u64) -> String {
    let (_, month, day, hour, minute, second) = at(nanos);
    let month = MONTHS.get(month as usize - 1).copied().unwrap_or_default();
    format!("{month} {day:>2} {hour:02}:{minute:02}:{second:02}")
}

/// `2026-12-02T08:40:59.123Z`, with so many digits of a second, at most nine.
pub(crate) fn rfc3339(nanos: u64, digits: usize) -> String {
    let (year, month, day, hour, minute, second) = at(nanos);
    let fraction = format!(".{:09}", nanos % 1_000_000_000);
    let fraction = if digits == 0 { "" } else { &fraction[..=digits.min(9)] };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// With as many digits as it takes, as Go writes it.
pub(crate) fn rfc3339_nano(nanos: u64) -> String {
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    rfc3339(nanos, fraction.trim_end_matches('0').len())
}

/// Seconds since 1970 with so many digits behind the point.
pub(crate) fn seconds(nanos: u64, digits: usize) -> String {
    let fraction = format!("{:09}", nanos % 1_000_000_000);
    format!("{}.{}", nanos / 1_000_000_000, &fraction[..digits.min(9)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let nanos = 1_795_543_559_120_000_000;
        assert_eq!(short(nanos), "Nov 24 18:05:59");
        assert_eq!(short(1_767_225_600_000_000_000), "Jan  1 00:00:00");
        assert_eq!(rfc3339(nanos, 0), "2026-11-24T18:05:59Z");
        assert_eq!(rfc3339(nanos, 6), "2026-11-24T18:05:59.120000Z");
        assert_eq!(rfc3339_nano(nanos), "2026-11-24T18:05:59.12Z");
        assert_eq!(rfc3339_nano(nanos - 120_000_000), "2026-11-24T18:05:59Z");
        assert_eq!(rfc3339_nano(nanos + 1), "2026-11-24T18:05:59.120000001Z");
        assert_eq!(seconds(nanos, 6), "1795543559.120000");
    }
}
