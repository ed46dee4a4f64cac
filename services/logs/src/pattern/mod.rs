//! The filter pattern language of CloudWatch Logs: text in, a test for messages out. Pure.
//!
//! Three languages share one name. A pattern in braces looks into JSON messages, one in brackets looks at the words of a
//! line, and any other looks for terms. An empty pattern wants everything.
//! Source: CloudWatch Logs User Guide, "Filter pattern syntax for metric filters, subscription filters, filter log
//! events, and Live Tail".

mod cursor;
mod fields;
mod json;
mod operand;
mod terms;

use std::collections::BTreeMap;

use cursor::Cursor;

/// How deep parentheses may nest.
const DEPTH_MAX: usize = 64;
/// The most regular expressions in one pattern. Source: the same page, "Supported regular expressions syntax".
const REGEXES_MAX: usize = 2;
/// The most memory one regular expression may take when compiled, in bytes.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// Why a pattern means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("Invalid character(s) in term '{0}'")]
    Term(String),
    #[error("Invalid filter pattern: expected {expected} at character {at}")]
    Expected { expected: &'static str, at: usize },
    #[error("Invalid filter pattern: parentheses are nested too deep")]
    TooDeep,
    #[error("Invalid filter pattern: at most {REGEXES_MAX} regular expressions are allowed")]
    TooManyRegexes,
    #[error("Invalid filter pattern: '{0}' is not a regular expression")]
    Regex(String),
}

/// A pattern that has been understood.
#[derive(Debug)]
pub struct FilterPattern(Kind);

#[derive(Debug)]
enum Kind {
    Everything,
    Terms(terms::Terms),
    Json(json::Expression),
    Fields(fields::Fields),
}

impl FilterPattern {
    pub fn parse(text: &str) -> Result<FilterPattern, PatternError> {
        let text = text.trim();
        let mut cursor = Cursor::new(text);
        let kind = match text.chars().next() {
            None => Kind::Everything,
            Some('{') => Kind::Json(json::parse(&mut cursor)?),
            Some('[') => Kind::Fields(fields::parse(&mut cursor)?),
            Some(_) => Kind::Terms(terms::parse(&mut cursor)?),
        };
        Ok(FilterPattern(kind))
    }

    /// Whether nothing is left out, so that a caller need not look.
    pub fn wants_everything(&self) -> bool {
        matches!(self.0, Kind::Everything)
    }

    /// What a match takes out of a message, as TestMetricFilter shows it: the selectors of a JSON pattern, the words of a
    /// line by name or place. Terms take out nothing.
    pub fn values(&self, message: &str) -> BTreeMap<String, String> {
        match &self.0 {
            Kind::Everything | Kind::Terms(_) => BTreeMap::new(),
            Kind::Json(expression) => json::values(expression, message).into_iter().collect(),
            Kind::Fields(fields) => fields.values(message).into_iter().collect(),
        }
    }

    /// The value that a token such as `$.latency` or `$bytes` means in a message that matches.
    pub fn value(&self, token: &str, message: &str) -> Option<String> {
        match &self.0 {
            Kind::Fields(fields) => {
                fields.values(message).into_iter().find(|(name, _)| name == token).map(|(_, word)| word)
            }
            _ => json::value(&json::selector_of(token).ok()?, message),
        }
    }

    /// Whether [`value`](Self::value) could ever find something for a token.
    pub fn knows(&self, token: &str) -> bool {
        match &self.0 {
            Kind::Fields(_) => token.len() > 1 && token.starts_with('$'),
            _ => json::selector_of(token).is_ok(),
        }
    }

    /// What the log store may know before it reads a message.
    pub(crate) fn needles(&self) -> log_store::Needles {
        match &self.0 {
            Kind::Terms(terms) => terms.needles(),
            Kind::Everything | Kind::Json(_) | Kind::Fields(_) => log_store::Needles::default(),
        }
    }

    pub fn matches(&self, message: &str) -> bool {
        match &self.0 {
            Kind::Everything => true,
            Kind::Terms(terms) => terms.matches(message),
            Kind::Json(expression) => json::matches(expression, message),
            Kind::Fields(fields) => fields.matches(message),
        }
    }
}

#[cfg(test)]
mod tests;
