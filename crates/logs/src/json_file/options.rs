//! What a log configuration says to the `json-file` driver.

use std::collections::BTreeMap;

use crate::options::{NotFlag, OptionError, Unit, flag, refuse_unknown, size};

const DRIVER: &str = "json-file";
const MAX_SIZE: &str = "max-size";
const MAX_FILE: &str = "max-file";
const COMPRESS: &str = "compress";
const KNOWN: [&str; 8] = [MAX_SIZE, MAX_FILE, COMPRESS, "labels", "labels-regex", "env", "env-regex", "tag"];

/// When a file is full, how many there are, and whether the old ones are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonFileOptions {
    /// Without it, one file grows for ever, as in Docker.
    pub bytes_max: Option<u64>,
    pub files_max: usize,
    pub compress: bool,
}

/// A value that Docker refuses when it starts a container, in its words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonFileError {
    #[error("invalid size: '{0}'")]
    Size(String),
    #[error("max-size must be a positive number")]
    SizeNotPositive,
    #[error("strconv.Atoi: parsing {0:?}: invalid syntax")]
    Files(String),
    #[error("max-file cannot be less than 1")]
    NoFiles,
    #[error("{0}")]
    Compress(NotFlag),
    #[error("compress cannot be true when max-file is less than 2 or max-size is not set")]
    NothingToCompress,
}

impl JsonFileOptions {
    /// What Docker checks when it creates a container.
    pub fn check(options: &BTreeMap<String, String>) -> Result<(), OptionError> {
        refuse_unknown(DRIVER, &KNOWN, options)
    }

    pub fn parse(options: &BTreeMap<String, String>) -> Result<JsonFileOptions, JsonFileError> {
        let bytes_max = match options.get(MAX_SIZE) {
            None => None,
            Some(text) => match size(text, Unit::Decimal).ok_or_else(|| JsonFileError::Size(text.clone()))? {
                0 => return Err(JsonFileError::SizeNotPositive),
                bytes => Some(bytes),
            },
        };
        let files_max = match options.get(MAX_FILE) {
            None => 1,
            Some(text) => match text.parse::<i64>().map_err(|_| JsonFileError::Files(text.clone()))? {
                ..1 => return Err(JsonFileError::NoFiles),
                files => usize::try_from(files).unwrap_or(usize::MAX),
            },
        };
        let compress = options.get(COMPRESS).map_or(Ok(false), |text| flag(text)).map_err(JsonFileError::Compress)?;
        if compress && (files_max == 1 || bytes_max.is_none()) {
            return Err(JsonFileError::NothingToCompress);
        }
        Ok(JsonFileOptions { bytes_max, files_max, compress })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &[(&str, &str)], expected: Result<(Option<u64>, usize, bool), &str>) {
        let options = options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let parsed = match JsonFileOptions::check(&options) {
            Err(error) => Err(error.to_string()),
            Ok(()) => JsonFileOptions::parse(&options).map_err(|error| error.to_string()),
        };
        let parsed = parsed.map(|parsed| (parsed.bytes_max, parsed.files_max, parsed.compress));
        assert_eq!(parsed, expected.map_err(str::to_owned), "{options:?}");
    }

    #[test]
    fn options() {
        check(&[], Ok((None, 1, false)));
        check(&[("max-size", "10m"), ("max-file", "3"), ("compress", "true")], Ok((Some(10_000_000), 3, true)));
        check(&[("labels", "a,b"), ("env", "A"), ("tag", "{{.Name}}"), ("compress", "false")], Ok((None, 1, false)));
        check(&[("awslogs-group", "g")], Err("unknown log opt 'awslogs-group' for json-file log driver"));
        check(&[("max-size", "big")], Err("invalid size: 'big'"));
        check(&[("max-size", "0")], Err("max-size must be a positive number"));
        check(&[("max-file", "few")], Err("strconv.Atoi: parsing \"few\": invalid syntax"));
        check(&[("max-file", "0")], Err("max-file cannot be less than 1"));
        check(&[("compress", "maybe")], Err("strconv.ParseBool: parsing \"maybe\": invalid syntax"));
        let nothing = "compress cannot be true when max-file is less than 2 or max-size is not set";
        check(&[("compress", "true"), ("max-size", "1m")], Err(nothing));
        check(&[("compress", "true"), ("max-file", "2")], Err(nothing));
    }
}
