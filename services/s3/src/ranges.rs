//! `Range: bytes=0-99`.

use std::ops::Range;

/// What a range means for an object of this size. `Ok(None)` is the whole object: a range that is none is passed over.
///
/// Source: RFC 9110, "Range"; Amazon S3 API Reference, GetObject: one range, not several.
pub(crate) fn parse(text: &str, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let Some(range) = text.trim().strip_prefix("bytes=") else { return Ok(None) };
    let Some((first, last)) = range.split_once('-') else { return Ok(None) };
    let number = |text: &str| match text.trim() {
        "" => Some(None),
        text if text.bytes().all(|byte| byte.is_ascii_digit()) => Some(Some(text.parse().unwrap_or(u64::MAX))),
        _ => None,
    };
    let (Some(first), Some(last)) = (number(first), number(last)) else { return Ok(None) };
    match (first, last) {
        (None, None) => Ok(None),
        (None, Some(0)) => Err(Unsatisfiable),
        (None, Some(_)) if size == 0 => Err(Unsatisfiable),
        (None, Some(count)) => Ok(Some(size.saturating_sub(count)..size)),
        (Some(first), Some(last)) if last < first => Ok(None),
        (Some(first), _) if first >= size => Err(Unsatisfiable),
        (Some(first), last) => Ok(Some(first..last.unwrap_or(u64::MAX).saturating_add(1).min(size))),
    }
}

/// It begins behind the end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsatisfiable;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        for (text, expected) in [
            ("bytes=0-0", Ok(Some(0..1))),
            ("bytes=2-", Ok(Some(2..10))),
            ("bytes=2-99", Ok(Some(2..10))),
            ("bytes=2-99999999999999999999", Ok(Some(2..10))),
            ("bytes=-3", Ok(Some(7..10))),
            ("bytes=-99", Ok(Some(0..10))),
            ("bytes=10-", Err(Unsatisfiable)),
            ("bytes=-0", Err(Unsatisfiable)),
            ("bytes=3-2", Ok(None)),
            ("bytes=0-1,3-4", Ok(None)),
            ("bytes=-", Ok(None)),
            ("lines=1-2", Ok(None)),
        ] {
            assert_eq!(parse(text, 10), expected, "{text}");
        }
        assert_eq!(parse("bytes=0-", 0), Err(Unsatisfiable));
        assert_eq!(parse("bytes=-1", 0), Err(Unsatisfiable));
    }
}
