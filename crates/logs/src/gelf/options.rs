//! What a log configuration says to the `gelf` driver.

use std::collections::BTreeMap;

use flate2::Compression;

use crate::options::OptionError;
use crate::subject::ATTRIBUTE_OPTIONS;

const ADDRESS: &str = "gelf-address";
const LEVEL: &str = "gelf-compression-level";
const TYPE: &str = "gelf-compression-type";
const MAX_RECONNECT: &str = "gelf-tcp-max-reconnect";
const RECONNECT_DELAY: &str = "gelf-tcp-reconnect-delay";

#[derive(Clone, Debug)]
pub(crate) enum GelfOptions {
    Udp { address: String, packing: Packing },
    Tcp { address: String },
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Packing {
    Gzip(Compression),
    Zlib(Compression),
    Plain,
}

/// In Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GelfError {
    #[error("gelf-address is a required parameter")]
    NoAddress,
    #[error("gelf-address should be in form proto://address, got {0}")]
    Form(String),
    #[error("gelf: endpoint needs to be TCP or UDP")]
    Protocol,
    #[error("gelf: please provide gelf-address as proto://host:port")]
    Port,
    #[error("compression is only supported on UDP")]
    Compression,
    #[error("{0:?} is only valid for TCP")]
    OnlyTcp(&'static str),
    #[error("{0:?} must be a positive integer")]
    NotPositive(&'static str),
    #[error("unknown value {value:?} for log opt {key:?} for gelf log driver")]
    Value { key: &'static str, value: String },
    #[error("unknown log opt {0:?} for gelf log driver")]
    Unknown(String),
}

impl GelfOptions {
    pub fn parse(options: &BTreeMap<String, String>) -> Result<GelfOptions, OptionError> {
        parse(options).map_err(OptionError::Gelf)
    }
}

fn parse(options: &BTreeMap<String, String>) -> Result<GelfOptions, GelfError> {
    let (is_udp, address) = address(options.get(ADDRESS).map_or("", String::as_str))?;
    let (mut level, mut kind) = (Compression::fast(), "gzip");
    for (key, value) in options {
        let unknown = |key| GelfError::Value { key, value: value.clone() };
        match key.as_str() {
            ADDRESS => {}
            key if ATTRIBUTE_OPTIONS.contains(&key) => {}
            LEVEL | TYPE if !is_udp => return Err(GelfError::Compression),
            LEVEL => {
                level = match value.parse::<i32>() {
                    Ok(-1) => Compression::default(),
                    Ok(level @ 0..=9) => Compression::new(level.unsigned_abs()),
                    _ => return Err(unknown(LEVEL)),
                };
            }
            TYPE => match value.as_str() {
                "gzip" | "zlib" | "none" => kind = value,
                _ => return Err(unknown(TYPE)),
            },
            // Reconnecting is the same for all drivers here: again and again, and nothing is lost meanwhile.
            MAX_RECONNECT | RECONNECT_DELAY => {
                let key = if key == MAX_RECONNECT { MAX_RECONNECT } else { RECONNECT_DELAY };
                if is_udp {
                    return Err(GelfError::OnlyTcp(key));
                }
                value.parse::<u32>().map_err(|_| GelfError::NotPositive(key))?;
            }
            other => return Err(GelfError::Unknown(other.to_owned())),
        }
    }
    let packing = match kind {
        "zlib" => Packing::Zlib(level),
        "none" => Packing::Plain,
        _ => Packing::Gzip(level),
    };
    Ok(if is_udp { GelfOptions::Udp { address, packing } } else { GelfOptions::Tcp { address } })
}

fn address(text: &str) -> Result<(bool, String), GelfError> {
    if text.is_empty() {
        return Err(GelfError::NoAddress);
    }
    let form = || GelfError::Form(text.to_owned());
    let (protocol, rest) = text.split_once("://").ok_or_else(form)?;
    let is_udp = match protocol {
        "udp" => true,
        "tcp" => false,
        "tcp+tls" | "unix" | "unixgram" => return Err(GelfError::Protocol),
        _ => return Err(form()),
    };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => Ok((is_udp, host.to_owned())),
        _ => Err(GelfError::Port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &[(&str, &str)], expected: Result<&str, &str>) {
        let options = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let found = GelfOptions::parse(&options).map_err(|error| error.to_string());
        let found = found.map(|options| match options {
            GelfOptions::Tcp { address } => format!("tcp {address}"),
            GelfOptions::Udp { address, packing: Packing::Plain } => format!("udp {address} plain"),
            GelfOptions::Udp { address, packing: Packing::Gzip(level) } => {
                format!("udp {address} gzip {}", level.level())
            }
            GelfOptions::Udp { address, packing: Packing::Zlib(level) } => {
                format!("udp {address} zlib {}", level.level())
            }
        });
        assert_eq!(found.as_deref().map_err(String::as_str), expected, "{given:?}");
    }

    #[test]
    fn options() {
        let (udp, tcp) = ((ADDRESS, "udp://h:12201"), (ADDRESS, "tcp://h:12201"));
        check(&[udp, ("tag", "t"), ("labels", "a")], Ok("udp h:12201 gzip 1"));
        check(&[udp, (TYPE, "none"), (LEVEL, "9")], Ok("udp h:12201 plain"));
        check(&[udp, (TYPE, "zlib"), (LEVEL, "-1")], Ok("udp h:12201 zlib 6"));
        check(&[tcp, (MAX_RECONNECT, "3"), (RECONNECT_DELAY, "0")], Ok("tcp h:12201"));
        check(&[], Err("gelf-address is a required parameter"));
        check(&[(ADDRESS, "h:1")], Err("gelf-address should be in form proto://address, got h:1"));
        check(&[(ADDRESS, "unix:///x")], Err("gelf: endpoint needs to be TCP or UDP"));
        check(&[(ADDRESS, "udp://h")], Err("gelf: please provide gelf-address as proto://host:port"));
        check(&[tcp, (TYPE, "gzip")], Err("compression is only supported on UDP"));
        check(
            &[udp, (LEVEL, "10")],
            Err("unknown value \"10\" for log opt \"gelf-compression-level\" for gelf log driver"),
        );
        check(
            &[udp, (TYPE, "lz4")],
            Err("unknown value \"lz4\" for log opt \"gelf-compression-type\" for gelf log driver"),
        );
        check(&[udp, (MAX_RECONNECT, "1")], Err("\"gelf-tcp-max-reconnect\" is only valid for TCP"));
        check(&[tcp, (RECONNECT_DELAY, "-1")], Err("\"gelf-tcp-reconnect-delay\" must be a positive integer"));
        check(&[tcp, ("max-size", "1")], Err("unknown log opt \"max-size\" for gelf log driver"));
    }
}
