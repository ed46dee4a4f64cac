//! Points in time as AWS writes them.

use shape::Timestamp;
use stdx::time::civil;

/// `20261123T131534Z`, as in `X-Amz-Date`.
pub fn amz_date(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = civil(at);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Reads `20261123T131534Z`; None when it is anything else.
pub fn parse_amz_date(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| digits(text.get(from..to)?);
    point(number(0, 4)?, number(4, 6)?, number(6, 8)?, [number(9, 11)?, number(11, 13)?, number(13, 15)?], 0)
}

/// Reads `2026-11-23T13:15:34Z`, with or without a fraction; None when it is anything else.
pub(crate) fn parse_iso8601(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let bytes = whole.as_bytes();
    if bytes.len() != 19 || [bytes[4], bytes[7], bytes[10], bytes[13], bytes[16]] != *b"--T::" {
        return None;
    }
    let number = |from: usize, to: usize| digits(whole.get(from..to)?);
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis = digits(&format!("{fraction:0<3}")[..3])?;
    point(number(0, 4)?, number(5, 7)?, number(8, 10)?, [number(11, 13)?, number(14, 16)?, number(17, 19)?], millis)
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// `Mon, 23 Nov 2026 13:15:34 GMT`, as in `Last-Modified`.
pub fn http_date(at: Timestamp) -> String {
    let (year, month, day, hour, minute, second, _) = civil(at);
    let weekday = DAYS[at.as_millis().div_euclid(86_400_000).rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads `Mon, 23 Nov 2026 13:15:34 GMT`; None when it is anything else.
pub fn parse_http_date(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.split_once(", ")?;
    let mut words = rest.split(' ');
    let day = digits(words.next()?)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = digits(words.next()?)?;
    let mut time = words.next()?.split(':').map(digits);
    let mut next = || time.next()?;
    let time = [next()?, next()?, next()?];
    (words.next() == Some("GMT") && words.next().is_none() && year <= 9999).then(|| point(year, month, day, time, 0))?
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn point(year: i64, month: i64, day: i64, [hour, minute, second]: [i64; 3], millis: i64) -> Option<Timestamp> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(Timestamp::from_millis(seconds * 1000 + millis))
}

/// Days since 1970-01-01.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0i64..4_102_444_800, millis in 0i64..1000) {
            let whole = Timestamp::from_millis(seconds * 1000);
            prop_assert_eq!(parse_amz_date(&amz_date(whole)), Some(whole));
            let exact = Timestamp::from_millis(seconds * 1000 + millis);
            prop_assert_eq!(parse_iso8601(&exact.to_string()), Some(exact));
            prop_assert_eq!(parse_http_date(&http_date(whole)), Some(whole));
        }

        #[test]
        fn nothing_panics(text in ".*") {
            parse_amz_date(&text);
            parse_iso8601(&text);
            parse_http_date(&text);
        }
    }

    #[test]
    fn a_date_of_http() {
        assert_eq!(http_date(Timestamp::from_millis(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn what_is_no_date() {
        for text in ["", "20261123", "20261323T131534Z", "20261123T251534Z", "20261123 131534Z", "2026112éT13153Z"] {
            assert_eq!(parse_amz_date(text), None, "{text}");
        }
        for text in
            ["2026-11-23T13:15:34.éZ", "2026-11-23T13:15:34.ééZ", "2026-11-23T13:15:34.12xZ", "2026-11-23T13:15:34"]
        {
            assert_eq!(parse_iso8601(text), None, "{text}");
        }
        for (text, millis) in [(".", 0), (".1", 100), (".1234567890123456789012", 123)] {
            let at = parse_iso8601(&format!("1970-01-01T00:00:00{text}Z"));
            assert_eq!(at, Some(Timestamp::from_millis(millis)), "{text}");
        }
    }
}
