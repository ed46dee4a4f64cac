//! Periods, and the buckets of time that they make: `bin(5m)`, `datefloor(@timestamp, 1h)`.

use stdx::Timestamp;
use stdx::time::civil;

const DAY_MS: i64 = 86_400_000;

/// A period of time: some milliseconds, or some months, which differ in length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Period {
    Millis(i64),
    Months(i64),
}

impl Period {
    /// `5`, `m`. Source: User Guide, "bin", with its abbreviations.
    pub(crate) fn of(count: f64, unit: &str) -> Option<Period> {
        if count < 1.0 || count.fract() != 0.0 || count > 1e9 {
            return None;
        }
        let count = count as i64;
        let millis = |each: i64| count.checked_mul(each).map(Period::Millis);
        match unit {
            "ms" | "msec" | "millisecond" | "milliseconds" => millis(1),
            "s" | "sec" | "second" | "seconds" => millis(1000),
            "m" | "min" | "minute" | "minutes" => millis(60_000),
            "h" | "hr" | "hour" | "hours" => millis(3_600_000),
            "d" | "day" | "days" => millis(DAY_MS),
            "w" | "week" | "weeks" => millis(7 * DAY_MS),
            "mo" | "mon" | "month" | "months" => Some(Period::Months(count)),
            "q" | "qtr" | "quarter" | "quarters" => count.checked_mul(3).map(Period::Months),
            "y" | "yr" | "year" | "years" => count.checked_mul(12).map(Period::Months),
            _ => None,
        }
    }

    /// The beginning of the bucket in which a time lies.
    pub(crate) fn floor(self, millis: i64) -> i64 {
        match self {
            // Weeks begin on Mondays, and 1970 began on a Thursday.
            Period::Millis(each) if each % (7 * DAY_MS) == 0 => {
                let monday = -3 * DAY_MS;
                monday + (millis - monday).div_euclid(each) * each
            }
            Period::Millis(each) => millis.div_euclid(each) * each,
            Period::Months(each) => start_of_month(month_of(millis).div_euclid(each) * each),
        }
    }

    /// The beginning of the next bucket, or the time itself when a bucket begins with it.
    pub(crate) fn ceiling(self, millis: i64) -> i64 {
        let floor = self.floor(millis);
        match self {
            _ if floor == millis => millis,
            Period::Millis(each) => floor.saturating_add(each),
            Period::Months(each) => start_of_month(month_of(floor) + each),
        }
    }
}

/// Months since the year 0.
fn month_of(millis: i64) -> i64 {
    let (year, month, ..) = civil(Timestamp::from_millis(millis));
    year * 12 + i64::from(month) - 1
}

/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`, for the first of a month.
fn start_of_month(months: i64) -> i64 {
    let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468).saturating_mul(DAY_MS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn check(count: f64, unit: &str, at: i64, floor: &str, ceiling: &str) {
        let period = Period::of(count, unit).unwrap();
        let shown = |millis| Value::Time(millis).shown().unwrap().into_owned();
        assert_eq!((shown(period.floor(at)), shown(period.ceiling(at))), (floor.to_owned(), ceiling.to_owned()));
    }

    #[test]
    fn buckets() {
        // Sunday, 2026-11-22 21:52:09.148.
        let at = 1_795_384_329_148;
        check(100.0, "ms", at, "2026-11-22 21:52:09.100", "2026-11-22 21:52:09.200");
        check(30.0, "s", at, "2026-11-22 21:52:00.000", "2026-11-22 21:52:30.000");
        check(5.0, "m", at, "2026-11-22 21:50:00.000", "2026-11-22 21:55:00.000");
        check(1.0, "h", at, "2026-11-22 21:00:00.000", "2026-11-22 22:00:00.000");
        check(1.0, "d", at, "2026-11-22 00:00:00.000", "2026-11-23 00:00:00.000");
        check(1.0, "w", at, "2026-11-16 00:00:00.000", "2026-11-23 00:00:00.000");
        check(1.0, "mo", at, "2026-11-01 00:00:00.000", "2026-12-01 00:00:00.000");
        check(1.0, "q", at, "2026-10-01 00:00:00.000", "2027-01-01 00:00:00.000");
        check(1.0, "y", at, "2026-01-01 00:00:00.000", "2027-01-01 00:00:00.000");
        check(1.0, "h", 3_600_000, "1970-01-01 01:00:00.000", "1970-01-01 01:00:00.000");
        for (count, unit) in [(0.0, "m"), (1.5, "m"), (1.0, "fortnight"), (1e12, "y")] {
            assert_eq!(Period::of(count, unit), None, "{count}{unit}");
        }
    }
}
