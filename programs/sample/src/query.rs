//! The part of a URL behind the question mark, as far as it holds numbers.

/// The value of `name` as a number between 0 and `most`, `default` without it, or words for a bad one.
pub fn number(url: &str, name: &str, default: u64, most: u64) -> Result<u64, String> {
    let Some(text) = value(url, name) else { return Ok(default) };
    match text.parse::<u64>() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(format!("{name} must be a number from 0 to {most}, not `{text}`")),
    }
}

/// The last value of `name`: an empty one when it stands there alone.
pub fn value<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.rev().find(|(key, _)| *key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_default_and_a_limit() {
        assert_eq!(number("/slow", "ms", 1000, 5000), Ok(1000));
        assert_eq!(number("/slow?a=b&ms=20", "ms", 1000, 5000), Ok(20));
        assert_eq!(number("/slow?ms=1&ms=2", "ms", 1000, 5000), Ok(2));
        for bad in
            ["/slow?ms", "/slow?ms=", "/slow?ms=-1", "/slow?ms=5001", "/slow?ms=99999999999999999999", "/slow?ms=x"]
        {
            assert!(number(bad, "ms", 1000, 5000).is_err(), "{bad}");
        }
    }
}
