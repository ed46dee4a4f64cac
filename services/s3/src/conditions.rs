//! `If-Match` and its like.

use api_s3::{Error, ErrorCode};
use model::Object;
use shape::Timestamp;

use crate::refusals::not_implemented;

/// What a request asks of an object before it reads or writes it.
#[derive(Debug, Default)]
pub(crate) struct Conditions<'a> {
    pub if_match: Option<&'a str>,
    pub if_none_match: Option<&'a str>,
    pub if_modified_since: Option<Timestamp>,
    pub if_unmodified_since: Option<Timestamp>,
}

impl Conditions<'_> {
    /// Errors: `PreconditionFailed`, or `NotModified`.
    ///
    /// Source: Amazon S3 API Reference, GetObject: what counts when two of them are given.
    pub fn read(&self, object: &Object) -> Result<(), Error> {
        match (self.if_match, self.if_unmodified_since) {
            (Some(tags), _) if !is_one_of(tags, &object.etag) => return Err(failed("If-Match")),
            (None, Some(since)) if seconds(object.modified_at) > seconds(since) => {
                return Err(failed("If-Unmodified-Since"));
            }
            _ => {}
        }
        match (self.if_none_match, self.if_modified_since) {
            (Some(tags), _) if is_one_of(tags, &object.etag) => Err(not_modified()),
            (None, Some(since)) if seconds(object.modified_at) <= seconds(since) => Err(not_modified()),
            _ => Ok(()),
        }
    }

    /// The same for what is about to be written where perhaps there is nothing.
    ///
    /// Source: Amazon S3 User Guide, "Add preconditions to S3 operations with conditional requests".
    pub fn write(&self, there: Option<&Object>, missing: impl FnOnce() -> Error) -> Result<(), Error> {
        match self.if_none_match {
            Some("*") if there.is_some() => return Err(failed("If-None-Match")),
            None | Some("*") => {}
            Some(_) => return Err(not_implemented("If-None-Match")),
        }
        match (self.if_match, there) {
            (None, _) => Ok(()),
            (Some(_), None) => Err(missing()),
            (Some(tags), Some(object)) if is_one_of(tags, &object.etag) => Ok(()),
            _ => Err(failed("If-Match")),
        }
    }
}

fn is_one_of(tags: &str, etag: &str) -> bool {
    tags.split(',').map(|tag| tag.trim().trim_matches('"')).any(|tag| tag == "*" || tag == etag)
}

/// Dates of HTTP have no fractions.
fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

fn failed(condition: &str) -> Error {
    let message = "At least one of the pre-conditions you specified did not hold";
    Error::new(ErrorCode::PreconditionFailed, message).with_member("Condition", condition.into())
}

fn not_modified() -> Error {
    Error::new(ErrorCode::NotModified, "Not Modified")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_readers_and_writers() {
        let object = Object {
            bucket: "b".into(),
            key: "k".into(),
            size: 0,
            etag: "abc".into(),
            modified_at: Timestamp::from_millis(10_500),
            content: Vec::new(),
            headers: Default::default(),
            checksum: None,
        };
        let at = |seconds: i64| Some(Timestamp::from_millis(seconds * 1000));
        let none = Conditions::default;
        for (conditions, expected) in [
            (none(), None),
            (Conditions { if_match: Some("\"x\", \"abc\""), ..none() }, None),
            (Conditions { if_match: Some("\"x\""), ..none() }, Some(ErrorCode::PreconditionFailed)),
            (Conditions { if_none_match: Some("*"), ..none() }, Some(ErrorCode::NotModified)),
            (Conditions { if_modified_since: at(10), ..none() }, Some(ErrorCode::NotModified)),
            (Conditions { if_modified_since: at(9), ..none() }, None),
            (Conditions { if_unmodified_since: at(9), ..none() }, Some(ErrorCode::PreconditionFailed)),
            (Conditions { if_unmodified_since: at(9), if_match: Some("abc"), ..none() }, None),
        ] {
            assert_eq!(conditions.read(&object).err().map(|error| error.code), expected, "{conditions:?}");
        }
        let missing = || Error::new(ErrorCode::NoSuchKey, "");
        let code = |conditions: &Conditions, there| conditions.write(there, missing).err().map(|error| error.code);
        let new = Conditions { if_none_match: Some("*"), ..none() };
        assert_eq!((code(&new, None), code(&new, Some(&object))), (None, Some(ErrorCode::PreconditionFailed)));
        let same = Conditions { if_match: Some("\"abc\""), ..none() };
        assert_eq!((code(&same, None), code(&same, Some(&object))), (Some(ErrorCode::NoSuchKey), None));
    }
}
