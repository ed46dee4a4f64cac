//! Where an event of several lines begins: `awslogs-multiline-pattern`, and `awslogs-datetime-format` as a pattern.

use regex::bytes::{Regex, RegexBuilder};

use crate::limits::PATTERN_BYTES_MAX;

/// The pattern is not one. Docker's wording; the problem itself is told by another library of regular expressions.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("awslogs could not parse multiline pattern key {pattern:?}: error parsing regexp: {problem}")]
pub struct PatternError {
    pattern: String,
    problem: String,
}

/// Compiles a pattern. Docker's are Go's: the same language as ours but for rarities such as `\Q..\E`.
pub(crate) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build().map_err(|error| {
        // A syntax error is several lines, of which the last one says what is wrong.
        let text = error.to_string();
        let problem = text.lines().last().unwrap_or_default();
        let problem = problem.trim().strip_prefix("error: ").unwrap_or(problem).to_owned();
        PatternError { pattern: pattern.to_owned(), problem }
    })
}

/// The pattern that a `strftime` format means: what stands between the sequences is a regular expression already, and
/// an unknown sequence is nothing, both as in Docker.
///
/// Source: Docker's documentation of `awslogs-datetime-format`.
pub(crate) fn of_datetime_format(format: &str) -> String {
    let mut pattern = String::with_capacity(format.len() * 4);
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        match (character, characters.as_str().chars().next()) {
            ('%', Some(sequence)) => {
                characters.next();
                pattern.push_str(sequence_pattern(sequence));
            }
            _ => pattern.push(character),
        }
    }
    pattern
}

fn sequence_pattern(sequence: char) -> &'static str {
    match sequence {
        'a' => "(?:Sun|Mon|Tue|Wed|Thu|Fri|Sat)",
        'A' => "(?:Sun|Mon|Tues|Wednes|Thurs|Fri|Satur)day",
        'w' => "[0-6]",
        'd' => "(?:0[1-9]|[12][0-9]|3[01])",
        'b' => "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
        'B' => "(?:January|February|March|April|May|June|July|August|September|October|November|December)",
        'm' => "(?:0[1-9]|1[0-2])",
        'Y' => "[0-9]{4}",
        'y' => "[0-9]{2}",
        'H' => "(?:[01][0-9]|2[0-3])",
        'I' => "(?:0[0-9]|1[0-2])",
        'p' => "[AP]M",
        'M' | 'S' => "[0-5][0-9]",
        'f' => "[0-9]{6}",
        'z' => "[+-][0-9]{4}",
        'Z' => "[A-Z]{1,4}T",
        'j' => "(?:[0-2][0-9]{2}|3[0-5][0-9]|36[0-6])",
        'L' => r"\.[0-9]{3}",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, line: &str, matches: bool) {
        let pattern = of_datetime_format(format);
        assert_eq!(compile(&pattern).unwrap().is_match(line.as_bytes()), matches, "{format} as {pattern} on {line}");
    }

    #[test]
    fn datetime_formats() {
        check("%Y-%m-%d %H:%M:%S", "2026-11-24 18:05:59 started", true);
        check("%Y-%m-%d %H:%M:%S", "  at line 2026", false);
        check("%Y-%m-%d", "2026-13-01", false);
        check(r"\[%b %d, %Y %H:%M:%S\]", "[May 01, 2017 19:00:01] A message was logged", true);
        check(r"\[%b %d, %Y %H:%M:%S\]", "Another multi-line message", false);
        check("%a %A %w %p %I", "Wed Wednesday 3 PM 07", true);
        check("%y %B %f %z %Z %j%L", "26 November 123456 +0100 CET 328.250", true);
        check("^%H", "24", false);
        // Sequences that strftime has and Docker has not, and a lonely percent sign.
        check("%Q100%", "100%", true);
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        let error = compile("([a-z").unwrap_err().to_string();
        let expected = r#"awslogs could not parse multiline pattern key "([a-z": error parsing regexp: "#;
        assert!(error.starts_with(expected) && !error.contains('\n'), "{error}");
        assert!(compile("(?:a{1000}){1000}").is_err(), "a pattern must not take all memory");
    }

    #[test]
    fn lines_need_not_be_utf_8() {
        assert!(compile("^ERROR").unwrap().is_match(b"ERROR \xff\xfe"));
    }
}
