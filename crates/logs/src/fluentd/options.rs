//! What a log configuration says to the `fluentd` driver.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::dial::with_port;
use crate::options::{NotFlag, OptionError, Unit, flag, refuse_unknown, size};
use crate::subject::ATTRIBUTE_OPTIONS;

const DRIVER: &str = "fluentd";
const ADDRESS: &str = "fluentd-address";
const ASYNC: &str = "fluentd-async";
/// Its old name.
const ASYNC_CONNECT: &str = "fluentd-async-connect";
const RECONNECT: &str = "fluentd-async-reconnect-interval";
const BUFFER_LIMIT: &str = "fluentd-buffer-limit";
const RETRY_WAIT: &str = "fluentd-retry-wait";
const MAX_RETRIES: &str = "fluentd-max-retries";
const PRECISION: &str = "fluentd-sub-second-precision";
const REQUEST_ACK: &str = "fluentd-request-ack";
const READ_TIMEOUT: &str = "fluentd-read-timeout";
const WRITE_TIMEOUT: &str = "fluentd-write-timeout";
const KNOWN: [&str; 11] = [
    ADDRESS,
    ASYNC,
    ASYNC_CONNECT,
    RECONNECT,
    BUFFER_LIMIT,
    RETRY_WAIT,
    MAX_RETRIES,
    PRECISION,
    REQUEST_ACK,
    READ_TIMEOUT,
    WRITE_TIMEOUT,
];

const PORT: u16 = 24224;
const RECONNECT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FluentdOptions {
    pub address: Address,
    /// The container starts without its peer, and does not wait for it.
    pub is_async: bool,
    /// How much is kept for the peer of an async container, where it is said.
    pub buffer_limit: Option<u64>,
    pub sub_second: bool,
    pub request_ack: bool,
    pub write_timeout: Option<Duration>,
    /// For the answer to a batch.
    pub read_timeout: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
}

/// In Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FluentdError {
    #[error("invalid fluentd-address ({address}): {problem}")]
    Address { address: String, problem: String },
    #[error("invalid size: '{0}'")]
    Size(String),
    #[error("time: invalid duration {0:?}")]
    Duration(String),
    #[error("strconv.ParseUint: parsing {0:?}: invalid syntax")]
    Retries(String),
    #[error("{0}")]
    Flag(NotFlag),
    #[error("conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect'")]
    TwoAsync,
    #[error("invalid value for {RECONNECT}: value ({0}) must be between 100ms and 10s")]
    Reconnect(String),
}

impl FluentdOptions {
    pub fn parse(options: &BTreeMap<String, String>) -> Result<FluentdOptions, OptionError> {
        refuse_unknown(DRIVER, &[&KNOWN[..], &ATTRIBUTE_OPTIONS].concat(), options)?;
        parse(options).map_err(OptionError::Fluentd)
    }
}

fn parse(options: &BTreeMap<String, String>) -> Result<FluentdOptions, FluentdError> {
    let given = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
    let switch = |key| given(key).map_or(Ok(false), |text| flag(text).map_err(FluentdError::Flag));
    let time = |key| match given(key) {
        Some(text) => duration(text).map(Some).ok_or_else(|| FluentdError::Duration(text.to_owned())),
        None => Ok(None),
    };
    let positive = |key| match time(key)? {
        Some(Duration::ZERO) => Ok(None),
        other => Ok(other),
    };
    if given(ASYNC).is_some() && given(ASYNC_CONNECT).is_some() {
        return Err(FluentdError::TwoAsync);
    }
    let buffer_limit = match given(BUFFER_LIMIT) {
        Some(text) => Some(size(text, Unit::Binary).ok_or_else(|| FluentdError::Size(text.to_owned()))?),
        None => None,
    };
    // Trying again is the same for all drivers here: as long as it takes, and nothing is lost meanwhile.
    time(RETRY_WAIT)?;
    if let Some(text) = given(MAX_RETRIES) {
        text.parse::<u64>().map_err(|_| FluentdError::Retries(text.to_owned()))?;
    }
    if let (Some(interval), Some(text)) = (time(RECONNECT)?, given(RECONNECT))
        && !(RECONNECT_MIN..=RECONNECT_MAX).contains(&interval)
    {
        return Err(FluentdError::Reconnect(text.to_owned()));
    }
    Ok(FluentdOptions {
        address: address(given(ADDRESS).unwrap_or_default())?,
        is_async: switch(ASYNC)? || switch(ASYNC_CONNECT)?,
        buffer_limit,
        sub_second: switch(PRECISION)?,
        request_ack: switch(REQUEST_ACK)?,
        write_timeout: positive(WRITE_TIMEOUT)?,
        read_timeout: positive(READ_TIMEOUT)?,
    })
}

fn address(text: &str) -> Result<Address, FluentdError> {
    if text.is_empty() {
        return Ok(Address::Tcp(format!("127.0.0.1:{PORT}")));
    }
    let failed = |problem: String| FluentdError::Address { address: text.to_owned(), problem };
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    let host = || {
        if rest.contains('/') {
            return Err(failed("should not contain a path element".to_owned()));
        }
        with_port(if rest.is_empty() { "127.0.0.1" } else { rest }, PORT).map_err(failed)
    };
    match scheme {
        "unix" if rest.trim_matches('/').is_empty() => Err(failed("path is empty".to_owned())),
        "unix" => Ok(Address::Unix(PathBuf::from(rest))),
        "tcp" => host().map(Address::Tcp),
        "tls" => host().map(Address::Tls),
        other => Err(failed(format!("unsupported scheme: {other:?}"))),
    }
}

/// `1m30s`, `100ms`, `1.5h`, as Go reads it; no negative one.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = 0.0;
    while !rest.is_empty() {
        let unit_at = rest.find(|one: char| !one.is_ascii_digit() && one != '.')?;
        let number: f64 = rest[..unit_at].parse().ok()?;
        rest = &rest[unit_at..];
        let unit = &rest[..rest.find(|one: char| one.is_ascii_digit() || one == '.').unwrap_or(rest.len())];
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += number * seconds;
        rest = &rest[unit.len()..];
    }
    (!text.is_empty()).then(|| Duration::try_from_secs_f64(total).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &[(&str, &str)]) -> Result<FluentdOptions, String> {
        let options = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        FluentdOptions::parse(&options).map_err(|error| error.to_string())
    }

    fn refused(key: &str, value: &str, expected: &str) {
        assert_eq!(parsed(&[(key, value)]).unwrap_err(), expected, "{key}={value}");
    }

    #[test]
    fn options() {
        let plain = parsed(&[]).unwrap();
        assert_eq!((plain.address, plain.is_async), (Address::Tcp("127.0.0.1:24224".into()), false));
        let all = parsed(&[
            (ADDRESS, "unix:///var/run/fluent.sock"),
            (ASYNC, "true"),
            (BUFFER_LIMIT, "2MB"),
            (RETRY_WAIT, "1s"),
            (MAX_RETRIES, "7"),
            (PRECISION, "true"),
            (REQUEST_ACK, "1"),
            (WRITE_TIMEOUT, "1.5s"),
            (RECONNECT, "100ms"),
            ("tag", "x"),
            ("env-regex", "y"),
        ]);
        let expected = FluentdOptions {
            address: Address::Unix("/var/run/fluent.sock".into()),
            is_async: true,
            buffer_limit: Some(2 << 20),
            sub_second: true,
            request_ack: true,
            write_timeout: Some(Duration::from_millis(1500)),
            read_timeout: None,
        };
        assert_eq!(all, Ok(expected));
        let address = |text| parsed(&[(ADDRESS, text)]).unwrap().address;
        assert_eq!(address("h:1"), Address::Tcp("h:1".into()));
        assert_eq!(address("tls://h"), Address::Tls("h:24224".into()));
        assert!(parsed(&[(ASYNC_CONNECT, "true")]).unwrap().is_async);
    }

    #[test]
    fn refusals_in_dockers_words() {
        refused("fluentd-x", "1", "unknown log opt 'fluentd-x' for fluentd log driver");
        refused(ADDRESS, "udp://h", "invalid fluentd-address (udp://h): unsupported scheme: \"udp\"");
        refused(ADDRESS, "h:1/x", "invalid fluentd-address (h:1/x): should not contain a path element");
        refused(ADDRESS, "unix://", "invalid fluentd-address (unix://): path is empty");
        refused(ADDRESS, "h:x", "invalid fluentd-address (h:x): invalid port \":x\" after host");
        refused(BUFFER_LIMIT, "big", "invalid size: 'big'");
        refused(RETRY_WAIT, "soon", "time: invalid duration \"soon\"");
        refused(MAX_RETRIES, "-1", "strconv.ParseUint: parsing \"-1\": invalid syntax");
        refused(ASYNC, "maybe", "strconv.ParseBool: parsing \"maybe\": invalid syntax");
        let between = "invalid value for fluentd-async-reconnect-interval: value (11s) must be between 100ms and 10s";
        refused(RECONNECT, "11s", between);
        let error = parsed(&[(ASYNC, "true"), (ASYNC_CONNECT, "true")]).unwrap_err();
        assert_eq!(error, "conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect'");
    }

    #[test]
    fn durations() {
        let ms = |text| duration(text).map(|found| found.as_millis());
        assert_eq!(
            [ms("1m30s"), ms("100ms"), ms("1.5h"), ms("0")],
            [Some(90_000), Some(100), Some(5_400_000), Some(0)]
        );
        assert_eq!([ms(""), ms("5"), ms("-1s"), ms("s"), ms("1x"), ms("1..s")], [None; 6]);
    }
}
