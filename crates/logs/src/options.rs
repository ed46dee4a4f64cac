//! Log options as Docker reads them: which ones all drivers have, and how their values are written.

use std::collections::BTreeMap;

use runtime::{Ring, WhenFull};

use crate::limits::{BUFFER_BYTES, BUFFER_BYTES_MAX};

/// An option that Docker refuses when it creates a container, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    #[error("unknown log opt '{key}' for {driver} log driver")]
    Unknown { driver: &'static str, key: String },
    #[error("must specify a value for log opt '{key}'")]
    Missing { key: &'static str },
    #[error("must specify valid value for log opt '{key}': {flag}")]
    Flag { key: &'static str, flag: NotFlag },
    #[error("must specify a positive integer for log opt '{key}': {value}")]
    NotPositive { key: &'static str, value: String },
    #[error("you cannot configure log opt 'awslogs-datetime-format' and 'awslogs-multiline-pattern' at the same time")]
    TwoPatterns,
    #[error(
        "you cannot configure log opt 'awslogs-datetime-format' or 'awslogs-multiline-pattern' when log opt 'awslogs-format' is set to 'json/emf'"
    )]
    PatternOfMetrics,
    #[error("unsupported log format '{0}'")]
    Format(String),
    #[error("logger: logging mode not supported: {0}")]
    Mode(String),
    #[error("logger: max-buffer-size option is only supported with 'mode=non-blocking'")]
    BufferOfBlocking,
    #[error("error parsing option max-buffer-size: invalid size: '{0}'")]
    BufferSize(String),
    #[error("{0}")]
    Syslog(crate::syslog::SyslogError),
    #[error("{0}")]
    Gelf(crate::gelf::GelfError),
    #[error("{0}")]
    Fluentd(crate::fluentd::FluentdError),
}

/// A value that is neither true nor false.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("strconv.ParseBool: parsing {0:?}: invalid syntax")]
pub struct NotFlag(pub String);

/// Whether a start waits for the log stream, and a container for the delivery of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Blocking,
    NonBlocking { buffer_bytes: u64 },
}

impl Mode {
    pub fn ring(self) -> Ring {
        match self {
            Mode::Blocking => Ring { full: WhenFull::Wait, ..Ring::default() },
            Mode::NonBlocking { buffer_bytes } => Ring { bytes: buffer_bytes, full: WhenFull::Drop },
        }
    }
}

const MODE: &str = "mode";
const BUFFER_SIZE: &str = "max-buffer-size";

/// Takes the options that every driver has out of the others.
pub(crate) fn common(options: &mut BTreeMap<String, String>) -> Result<Mode, OptionError> {
    let is_blocking = match options.remove(MODE).as_deref() {
        None | Some("" | "blocking") => true,
        Some("non-blocking") => false,
        Some(other) => return Err(OptionError::Mode(other.to_owned())),
    };
    match (is_blocking, options.remove(BUFFER_SIZE)) {
        (true, None) => Ok(Mode::Blocking),
        (true, Some(_)) => Err(OptionError::BufferOfBlocking),
        (false, None) => Ok(Mode::NonBlocking { buffer_bytes: BUFFER_BYTES }),
        (false, Some(text)) => {
            let bytes = size(&text, Unit::Binary).ok_or(OptionError::BufferSize(text))?;
            Ok(Mode::NonBlocking { buffer_bytes: bytes.min(BUFFER_BYTES_MAX) })
        }
    }
}

pub(crate) fn refuse_unknown(
    driver: &'static str,
    known: &[&str],
    options: &BTreeMap<String, String>,
) -> Result<(), OptionError> {
    match options.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(OptionError::Unknown { driver, key: key.clone() }),
        None => Ok(()),
    }
}

/// A flag that may be absent or empty.
pub(crate) fn checked_flag(options: &BTreeMap<String, String>, key: &'static str) -> Result<Option<bool>, OptionError> {
    match options.get(key).filter(|value| !value.is_empty()) {
        Some(value) => flag(value).map(Some).map_err(|flag| OptionError::Flag { key, flag }),
        None => Ok(None),
    }
}

/// As Go reads a bool.
pub(crate) fn flag(value: &str) -> Result<bool, NotFlag> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        other => Err(NotFlag(other.to_owned())),
    }
}

/// A positive number that may be absent or empty.
pub(crate) fn positive(options: &BTreeMap<String, String>, key: &'static str) -> Result<Option<u64>, OptionError> {
    let Some(value) = options.get(key).filter(|value| !value.is_empty()) else { return Ok(None) };
    match value.parse::<i64>() {
        Ok(number) if number > 0 => Ok(Some(number.unsigned_abs())),
        _ => Err(OptionError::NotPositive { key, value: value.clone() }),
    }
}

/// What a `k` is. Docker counts memory in 1024s and files in 1000s.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    Binary,
    Decimal,
}

/// `10m`, `1.5 GiB`, `4096`. Source: Docker's go-units, where the case of the letters means nothing.
pub(crate) fn size(text: &str, unit: Unit) -> Option<u64> {
    let end = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    if !number.starts_with(|first: char| first.is_ascii_digit()) || number.ends_with('.') {
        return None;
    }
    let number: f64 = number.parse().ok()?;
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_ascii_lowercase();
    let letter = suffix.strip_suffix('b').unwrap_or(&suffix);
    let letter = letter.strip_suffix('i').unwrap_or(letter);
    let power = match letter {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let base: f64 = match unit {
        Unit::Binary => 1024.0,
        Unit::Decimal => 1000.0,
    };
    Some((number * base.powi(power)) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, binary, decimal) in [
            ("4096", Some(4096), Some(4096)),
            ("0", Some(0), Some(0)),
            ("10m", Some(10 << 20), Some(10_000_000)),
            ("1.5 GiB", Some(3 << 29), Some(1_500_000_000)),
            ("2KB", Some(2048), Some(2000)),
            ("7b", Some(7), Some(7)),
            ("", None, None),
            ("m", None, None),
            ("-1", None, None),
            (".5m", None, None),
            ("5.m", None, None),
            ("1.2.3", None, None),
            ("10x", None, None),
            ("10  m", None, None),
            ("ten", None, None),
        ] {
            assert_eq!((size(text, Unit::Binary), size(text, Unit::Decimal)), (binary, decimal), "{text:?}");
        }
    }

    fn check(options: &[(&str, &str)], expected: Result<Mode, &str>) {
        let mut options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mode = common(&mut options).map_err(|error| error.to_string());
        assert_eq!(mode.as_ref().map_err(String::as_str), expected.as_ref().map_err(|text| *text));
        assert!(mode.is_err() || !options.contains_key("mode") && !options.contains_key("max-buffer-size"));
    }

    #[test]
    fn options_of_every_driver() {
        check(&[("other", "x")], Ok(Mode::Blocking));
        check(&[("mode", "blocking")], Ok(Mode::Blocking));
        let non_blocking = |buffer_bytes| Ok(Mode::NonBlocking { buffer_bytes });
        check(&[("mode", "non-blocking"), ("max-buffer-size", "4m")], non_blocking(4 << 20));
        check(&[("mode", "non-blocking")], non_blocking(10 << 20));
        check(&[("mode", "non-blocking"), ("max-buffer-size", "7t")], non_blocking(1 << 30));
        check(&[("mode", "eager")], Err("logger: logging mode not supported: eager"));
        let only = "logger: max-buffer-size option is only supported with 'mode=non-blocking'";
        check(&[("max-buffer-size", "4m")], Err(only));
        let size = "error parsing option max-buffer-size: invalid size: 'big'";
        check(&[("mode", "non-blocking"), ("max-buffer-size", "big")], Err(size));
    }
}
