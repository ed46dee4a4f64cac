//! What a log configuration says to the `syslog` driver.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dial::with_port;
use crate::options::{OptionError, refuse_unknown};
use crate::subject::ATTRIBUTE_OPTIONS;
use crate::tls::TlsOptions;

const DRIVER: &str = "syslog";
const ADDRESS: &str = "syslog-address";
const FACILITY: &str = "syslog-facility";
const FORMAT: &str = "syslog-format";
const CA: &str = "syslog-tls-ca-cert";
const CERTIFICATE: &str = "syslog-tls-cert";
const KEY: &str = "syslog-tls-key";
const SKIP_VERIFY: &str = "syslog-tls-skip-verify";
const KNOWN: [&str; 7] = [ADDRESS, FACILITY, FORMAT, CA, CERTIFICATE, KEY, SKIP_VERIFY];

const PORT: u16 = 514;

/// By their number.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "", "", "",
    "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const DAEMON: u8 = 3;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyslogOptions {
    pub address: Address,
    pub facility: u8,
    pub format: Format,
    pub tls: TlsOptions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// The machine's own.
    Local,
    Udp(String),
    Tcp(String),
    Tls(String),
    Unix(PathBuf),
    Unixgram(PathBuf),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As programs write to the machine's own.
    Unix,
    Rfc3164,
    Rfc5424,
    /// With microseconds.
    Rfc5424Micro,
}

/// In Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyslogError {
    #[error("syslog-address should be in form proto://address, got {0}")]
    Form(String),
    #[error("stat {0}: no such file or directory")]
    NoSocket(String),
    #[error("{0}")]
    Port(String),
    #[error("invalid syslog facility")]
    Facility,
    #[error("invalid syslog format")]
    Format,
}

impl SyslogOptions {
    pub fn parse(options: &BTreeMap<String, String>) -> Result<SyslogOptions, OptionError> {
        refuse_unknown(DRIVER, &[&KNOWN[..], &ATTRIBUTE_OPTIONS].concat(), options)?;
        let file = |key| options.get(key).filter(|path| !path.is_empty()).map(PathBuf::from);
        let parse = || {
            Ok(SyslogOptions {
                address: address(options.get(ADDRESS).map_or("", String::as_str))?,
                facility: facility(options.get(FACILITY).map_or("", String::as_str))?,
                format: format(options.get(FORMAT).map_or("", String::as_str))?,
                // That it is there is enough for Docker.
                tls: TlsOptions {
                    ca: file(CA),
                    certificate: file(CERTIFICATE),
                    key: file(KEY),
                    skip_verify: options.contains_key(SKIP_VERIFY),
                },
            })
        };
        parse().map_err(OptionError::Syslog)
    }
}

fn address(text: &str) -> Result<Address, SyslogError> {
    if text.is_empty() {
        return Ok(Address::Local);
    }
    let form = || SyslogError::Form(text.to_owned());
    let (protocol, rest) = text.split_once("://").ok_or_else(form)?;
    let socket = || match std::path::Path::new(rest).exists() {
        true => Ok(PathBuf::from(rest)),
        false => Err(SyslogError::NoSocket(rest.to_owned())),
    };
    let host = rest.split('/').next().unwrap_or_default();
    let host = || with_port(host, PORT).map_err(SyslogError::Port);
    match protocol {
        "unix" => socket().map(Address::Unix),
        "unixgram" => socket().map(Address::Unixgram),
        "udp" => host().map(Address::Udp),
        "tcp" => host().map(Address::Tcp),
        "tcp+tls" => host().map(Address::Tls),
        _ => Err(form()),
    }
}

fn facility(text: &str) -> Result<u8, SyslogError> {
    if text.is_empty() {
        return Ok(DAEMON);
    }
    let number = match FACILITIES.iter().position(|name| *name == text) {
        Some(number) => Some(number),
        None => text.parse::<usize>().ok().filter(|number| *number < FACILITIES.len()),
    };
    number.and_then(|number| u8::try_from(number).ok()).ok_or(SyslogError::Facility)
}

fn format(text: &str) -> Result<Format, SyslogError> {
    match text {
        "" => Ok(Format::Unix),
        "rfc3164" => Ok(Format::Rfc3164),
        "rfc5424" => Ok(Format::Rfc5424),
        "rfc5424micro" => Ok(Format::Rfc5424Micro),
        _ => Err(SyslogError::Format),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[(&str, &str)], expected: Result<(Address, u8, Format), &str>) {
        let options = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let found = SyslogOptions::parse(&options).map_err(|error| error.to_string());
        let found = found.map(|options| (options.address, options.facility, options.format));
        assert_eq!(found, expected.map_err(str::to_owned), "{given:?}");
    }

    #[test]
    fn options() {
        check(&[], Ok((Address::Local, 3, Format::Unix)));
        let udp = |host: &str| Ok((Address::Udp(host.to_owned()), 3, Format::Unix));
        check(&[(ADDRESS, "udp://h")], udp("h:514"));
        check(&[(ADDRESS, "udp://h:1"), ("tag", "x"), ("labels", "a"), ("env-regex", "x")], udp("h:1"));
        check(
            &[(ADDRESS, "tcp+tls://h:6514"), (FACILITY, "local7"), (FORMAT, "rfc5424micro")],
            Ok((Address::Tls("h:6514".into()), 23, Format::Rfc5424Micro)),
        );
        check(&[(FACILITY, "16"), (FORMAT, "rfc3164")], Ok((Address::Local, 16, Format::Rfc3164)));
        check(&[(ADDRESS, "unixgram:///dev/null")], Ok((Address::Unixgram("/dev/null".into()), 3, Format::Unix)));
        check(&[(ADDRESS, "h:1")], Err("syslog-address should be in form proto://address, got h:1"));
        check(&[(ADDRESS, "http://h")], Err("syslog-address should be in form proto://address, got http://h"));
        check(&[(ADDRESS, "unix:///nonexistent")], Err("stat /nonexistent: no such file or directory"));
        check(&[(ADDRESS, "tcp://h:x")], Err("invalid port \":x\" after host"));
        check(&[(FACILITY, "24")], Err("invalid syslog facility"));
        check(&[(FACILITY, "local9")], Err("invalid syslog facility"));
        check(&[(FORMAT, "rfc")], Err("invalid syslog format"));
        check(&[("max-size", "1m")], Err("unknown log opt 'max-size' for syslog log driver"));
    }
}
