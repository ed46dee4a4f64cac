//! When a container's program said its first word: proof that it ran, with the clock of whoever took it down.

use std::time::{Duration, SystemTime};

/// From the call to the moment in a text such as `2026-11-24T20:23:26.123456789Z`; both clocks are this machine's.
///
/// # Panics
///
/// When the text is not of that form.
pub fn since(called: SystemTime, text: &str) -> Duration {
    moment(text).duration_since(called).expect("nothing is said before it is asked for")
}

fn moment(text: &str) -> SystemTime {
    let number = |range: std::ops::Range<usize>| -> u64 {
        text.get(range).and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{text} is no moment"))
    };
    let (year, month, day) = (number(0..4), number(5..7), number(8..10));
    // Days since 1970 in the Gregorian calendar, whose years are taken to begin in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 719_469;
    let seconds = days * 86_400 + number(11..13) * 3600 + number(14..16) * 60 + number(17..19);
    let fraction = text[19..].trim_start_matches('.').trim_end_matches('Z');
    let nanos: u32 = format!("{fraction:0<9}").parse().unwrap_or_else(|_| panic!("{text} is no moment"));
    SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let at = |seconds, nanos| SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
        assert_eq!(moment("1970-01-01T00:00:00Z"), at(0, 0));
        assert_eq!(moment("2024-02-29T12:34:56.5Z"), at(1_709_210_096, 500_000_000));
        assert_eq!(moment("2026-11-24T20:23:26.000000789Z"), at(1_795_551_806, 789));
    }
}
