//! What a log configuration says to the `splunk` driver.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flate2::Compression;
use http::Uri;

use crate::options::{NotFlag, OptionError, flag, refuse_unknown};
use crate::subject::ATTRIBUTE_OPTIONS;
use crate::tls::TlsOptions;

const DRIVER: &str = "splunk";
const URL: &str = "splunk-url";
const TOKEN: &str = "splunk-token";
const SOURCE: &str = "splunk-source";
const SOURCETYPE: &str = "splunk-sourcetype";
const INDEX: &str = "splunk-index";
const CA_PATH: &str = "splunk-capath";
const CA_NAME: &str = "splunk-caname";
const SKIP_VERIFY: &str = "splunk-insecureskipverify";
const FORMAT: &str = "splunk-format";
const VERIFY_CONNECTION: &str = "splunk-verify-connection";
const GZIP: &str = "splunk-gzip";
const GZIP_LEVEL: &str = "splunk-gzip-level";
const ACKNOWLEDGMENT: &str = "splunk-index-acknowledgment";
const KNOWN: [&str; 13] = [
    URL,
    TOKEN,
    SOURCE,
    SOURCETYPE,
    INDEX,
    CA_PATH,
    CA_NAME,
    SKIP_VERIFY,
    FORMAT,
    VERIFY_CONNECTION,
    GZIP,
    GZIP_LEVEL,
    ACKNOWLEDGMENT,
];

const COLLECTOR: &str = "services/collector/event/1.0";

#[derive(Clone, Debug)]
pub(crate) struct SplunkOptions {
    /// Of the HTTP Event Collector.
    pub url: Uri,
    pub token: String,
    pub source: Option<String>,
    pub sourcetype: Option<String>,
    pub index: Option<String>,
    pub format: Format,
    pub verify_connection: bool,
    pub gzip: Option<Compression>,
    pub acknowledgment: bool,
    pub tls: TlsOptions,
    /// The name in the peer's certificate.
    pub server_name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Inline,
    Json,
    Raw,
}

/// What Docker finds when it starts a container, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SplunkError {
    #[error("splunk: {0} is expected")]
    Missing(&'static str),
    #[error("splunk: expected format scheme://dns_name_or_ip:port for {URL}")]
    Url,
    #[error("splunk: unknown format specified {0}, supported formats are inline, json and raw")]
    Format(String),
    #[error("not supported level '{0}' for {GZIP_LEVEL} (supported values between -1 and 9)")]
    Level(String),
    #[error("{0}")]
    Flag(NotFlag),
}

impl SplunkOptions {
    /// What Docker checks when it creates a container.
    pub fn check(options: &BTreeMap<String, String>) -> Result<(), OptionError> {
        refuse_unknown(DRIVER, &[&KNOWN[..], &ATTRIBUTE_OPTIONS].concat(), options)
    }

    pub fn parse(options: &BTreeMap<String, String>) -> Result<SplunkOptions, SplunkError> {
        let given = |key: &str| options.get(key).map(String::as_str).filter(|value| !value.is_empty());
        let switch = |key, default| given(key).map_or(Ok(default), |text| flag(text).map_err(SplunkError::Flag));
        let text = |key| given(key).map(str::to_owned);
        let url = given(URL).ok_or(SplunkError::Missing(URL))?;
        let format = match given(FORMAT) {
            None | Some("inline") => Format::Inline,
            Some("json") => Format::Json,
            Some("raw") => Format::Raw,
            Some(other) => return Err(SplunkError::Format(other.to_owned())),
        };
        let level = match given(GZIP_LEVEL) {
            None => Compression::default(),
            Some(text) => level(text).ok_or_else(|| SplunkError::Level(text.to_owned()))?,
        };
        Ok(SplunkOptions {
            url: collector(url).ok_or(SplunkError::Url)?,
            token: text(TOKEN).ok_or(SplunkError::Missing(TOKEN))?,
            source: text(SOURCE),
            sourcetype: text(SOURCETYPE),
            index: text(INDEX),
            format,
            verify_connection: switch(VERIFY_CONNECTION, true)?,
            gzip: switch(GZIP, false)?.then_some(level),
            acknowledgment: switch(ACKNOWLEDGMENT, false)?,
            tls: TlsOptions {
                ca: given(CA_PATH).map(PathBuf::from),
                skip_verify: switch(SKIP_VERIFY, false)?,
                ..TlsOptions::default()
            },
            server_name: text(CA_NAME),
        })
    }
}

fn level(text: &str) -> Option<Compression> {
    match text.parse::<i32>().ok()? {
        -1 => Some(Compression::default()),
        level @ 0..=9 => Some(Compression::new(level.unsigned_abs())),
        _ => None,
    }
}

fn collector(text: &str) -> Option<Uri> {
    let (scheme, host) = text.split_once("://")?;
    let host = host.strip_suffix('/').unwrap_or(host);
    let is_plain = !host.is_empty() && !host.contains(['/', '?', '#']);
    let url = format!("{scheme}://{host}/{COLLECTOR}");
    matches!(scheme, "http" | "https").then_some(()).filter(|()| is_plain)?;
    url.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(given: &[(&str, &str)]) -> Result<SplunkOptions, String> {
        let options = given.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        SplunkOptions::check(&options).map_err(|error| error.to_string())?;
        SplunkOptions::parse(&options).map_err(|error| error.to_string())
    }

    #[test]
    fn options() {
        let base = [(URL, "https://h:8088/"), (TOKEN, "t")];
        let plain = parsed(&base).unwrap();
        assert_eq!(plain.url.to_string(), "https://h:8088/services/collector/event/1.0");
        assert_eq!((plain.format, plain.verify_connection, plain.gzip.is_some()), (Format::Inline, true, false));
        let refused = |more: &[(&str, &str)], expected: &str| {
            let error = parsed(&[&base[..], more].concat()).unwrap_err();
            assert_eq!(error, expected, "{more:?}");
        };
        refused(&[("max-size", "1")], "unknown log opt 'max-size' for splunk log driver");
        refused(&[(URL, "")], "splunk: splunk-url is expected");
        refused(&[(TOKEN, "")], "splunk: splunk-token is expected");
        for url in ["h:8088", "https://h/x", "https://h?x", "ftp://h", "https://"] {
            refused(&[(URL, url)], "splunk: expected format scheme://dns_name_or_ip:port for splunk-url");
        }
        refused(&[(FORMAT, "xml")], "splunk: unknown format specified xml, supported formats are inline, json and raw");
        refused(
            &[(GZIP_LEVEL, "10")],
            "not supported level '10' for splunk-gzip-level (supported values between -1 and 9)",
        );
        refused(&[(GZIP, "x")], "strconv.ParseBool: parsing \"x\": invalid syntax");
        let all =
            parsed(&[&base[..], &[(GZIP, "true"), (GZIP_LEVEL, "9"), (INDEX, "i"), (CA_NAME, "n")]].concat()).unwrap();
        assert_eq!((all.gzip.unwrap().level(), all.index.as_deref()), (9, Some("i")));
    }
}
