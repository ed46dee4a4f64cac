//! `ERROR "out of memory" -DEBUG`, and `?ERROR ?WARN`: words that a message has, or has not.

use log_store::Needles;

use super::PatternError;
use super::cursor::Cursor;

#[derive(Debug, Default)]
pub(super) struct Terms {
    required: Vec<Term>,
    excluded: Vec<Term>,
    /// One of these is enough.
    optional: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(regex::Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Term::Text(text) => message.contains(text.as_str()),
            Term::Regex(regex) => regex.is_match(message),
        }
    }
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Terms, PatternError> {
    let mut terms = Terms::default();
    loop {
        cursor.skip_spaces();
        let list = match cursor.peek() {
            None => return Ok(terms),
            Some('?') => &mut terms.optional,
            Some('-') => &mut terms.excluded,
            Some(_) => &mut terms.required,
        };
        if let Some('?' | '-') = cursor.peek() {
            cursor.bump();
        }
        list.push(term(cursor)?);
    }
}

fn term(cursor: &mut Cursor<'_>) -> Result<Term, PatternError> {
    match cursor.peek() {
        Some('"') => cursor.quoted('"', "a closing quotation mark").map(Term::Text),
        Some('%') => cursor.regex().map(Term::Regex),
        _ => {
            let word = cursor.take_while(|c| !c.is_whitespace());
            // "Terms with characters other than alphanumeric and underscore must be in double quotation marks."
            match !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || c == '_') {
                true => Ok(Term::Text(word.to_owned())),
                false => Err(PatternError::Term(word.to_owned())),
            }
        }
    }
}

impl Terms {
    /// Texts that a message must have which matches, as far as they are plain.
    pub(super) fn needles(&self) -> Needles {
        let text = |term: &Term| match term {
            Term::Text(text) => Some(text.clone()),
            Term::Regex(_) => None,
        };
        let alone = self.required.is_empty() && self.excluded.is_empty();
        let any = if alone { self.optional.iter().map(text).collect() } else { None };
        Needles { all: self.required.iter().filter_map(text).collect(), any: any.unwrap_or_default() }
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        // AWS ignores the terms with a question mark when there are any others; see quirks.rs.
        let alone = self.required.is_empty() && self.excluded.is_empty();
        self.required.iter().all(|term| term.is_in(message))
            && !self.excluded.iter().any(|term| term.is_in(message))
            && (!alone || self.optional.iter().any(|term| term.is_in(message)))
    }
}
