//! What is asked of one subject.

use std::cmp::Ordering;

use regex::Regex;
use stdx::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Comparison {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
        }
    }
}

/// A check of a text that may be absent.
#[derive(Clone, Debug)]
pub(super) enum Text {
    Exists,
    NotExists,
    Compare(Comparison, String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Matches(Regex),
    NotMatches(Regex),
}

impl Text {
    pub fn holds(&self, value: Option<&str>) -> bool {
        match self {
            Text::Exists => value.is_some(),
            Text::NotExists => value.is_none(),
            Text::Compare(Comparison::Equal, wanted) => value == Some(wanted),
            Text::Compare(Comparison::NotEqual, wanted) => value != Some(wanted),
            Text::Compare(comparison, wanted) => value.is_some_and(|value| comparison.accepts(order(value, wanted))),
            Text::In(wanted) => value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Text::NotIn(wanted) => !value.is_some_and(|value| wanted.iter().any(|one| one == value)),
            Text::Matches(pattern) => value.is_some_and(|value| pattern.is_match(value)),
            Text::NotMatches(pattern) => !value.is_some_and(|value| pattern.is_match(value)),
        }
    }

    /// True when it says what the text must not be.
    pub fn is_negative(&self) -> bool {
        use Comparison::NotEqual;
        matches!(self, Text::NotExists | Text::Compare(NotEqual, _) | Text::NotIn(_) | Text::NotMatches(_))
    }
}

/// Numbers as numbers, everything else as text.
fn order(value: &str, wanted: &str) -> Ordering {
    match (value.parse::<f64>(), wanted.parse::<f64>()) {
        (Ok(value), Ok(wanted)) => value.total_cmp(&wanted),
        _ => value.cmp(wanted),
    }
}

#[derive(Clone, Debug)]
pub(super) struct Versioned(pub Comparison, pub Version);

impl Versioned {
    /// An agent that has not said its version is of no version.
    pub fn holds(&self, version: &str) -> bool {
        match Version::parse(version) {
            Some(version) => self.0.accepts(version.cmp(&self.1)),
            None => self.0 == Comparison::NotEqual,
        }
    }
}

/// `1.105.1`: part by part as numbers, whatever follows a hyphen left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(Vec<u64>);

impl Version {
    pub fn parse(text: &str) -> Option<Version> {
        let number = text.split('-').next().unwrap_or_default();
        let mut parts = number.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u64>>>()?;
        // 1.105 is 1.105.0.
        while parts.last() == Some(&0) {
            parts.pop();
        }
        Some(Version(parts))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Dated(pub Comparison, pub Timestamp);

impl Dated {
    /// The language knows whole seconds.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.0.accepts(at.as_millis().div_euclid(1000).cmp(&self.1.as_millis().div_euclid(1000)))
    }
}

/// `2018-06-18T22:28:28+00:00`, `2018-06-18T22:28:28Z`, `2018-06-18T22:28:28`, `2018-06-18`.
pub(super) fn date(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once('T').unwrap_or((text, "00:00:00"));
    let (time, offset) = match time.find(['Z', '+', '-']) {
        None => (time, 0),
        Some(at) if &time[at..] == "Z" => (&time[..at], 0),
        Some(at) => {
            let [hours, minutes] = numbers(&time[at + 1..], ':', [2, 2])?;
            let minutes = hours * 60 + minutes;
            (&time[..at], if time[at..].starts_with('-') { -minutes } else { minutes })
        }
    };
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let [hours, minutes, seconds] = numbers(time, ':', [2, 2, 2])?;
    let fits = (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    if !fits || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hours) * 60 + minutes - offset) * 60 + seconds;
    Some(Timestamp::from_millis(seconds * 1000))
}

/// As many numbers as there are widths, each so many digits wide.
fn numbers<const N: usize>(text: &str, between: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, width) in numbers.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(numbers)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Since 1970. Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let shifted = (month + 9) % 12;
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[derive(Clone, Debug)]
pub(super) struct Number(pub Comparison, pub u32);

impl Number {
    pub fn holds(&self, number: u32) -> bool {
        self.0.accepts(number.cmp(&self.1))
    }
}
