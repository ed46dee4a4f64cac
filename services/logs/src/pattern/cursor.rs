//! A place in the text of a pattern.

use super::{PatternError, REGEX_BYTES_MAX, REGEXES_MAX};

pub(super) struct Cursor<'t> {
    text: &'t str,
    at: usize,
    regexes: usize,
}

impl<'t> Cursor<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Cursor { text, at: 0, regexes: 0 }
    }

    pub(super) fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    pub(super) fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    pub(super) fn skip_spaces(&mut self) {
        self.take_while(char::is_whitespace);
    }

    /// Takes `token` if it comes next, after spaces.
    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Takes a character if it comes next, without spaces before it.
    pub(super) fn eat_here(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.bump();
        }
        found
    }

    /// Takes a word such as `EXISTS`, in any case, that ends where the word ends.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        self.skip_spaces();
        let found = self.rest().get(..word.len()).is_some_and(|next| next.eq_ignore_ascii_case(word))
            && !self.rest()[word.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        if found {
            self.at += word.len();
        }
        found
    }

    pub(super) fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), PatternError> {
        if self.eat(token) { Ok(()) } else { Err(self.expected(expected)) }
    }

    pub(super) fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !wanted(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    pub(super) fn expected(&self, expected: &'static str) -> PatternError {
        PatternError::Expected { expected, at: self.text[..self.at].chars().count() }
    }

    /// A text between two `quote`s, the first of which comes next. A backslash keeps a quote or a backslash as it is.
    pub(super) fn quoted(&mut self, quote: char, closing: &'static str) -> Result<String, PatternError> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump().ok_or_else(|| self.expected(closing))? {
                c if c == quote => return Ok(text),
                '\\' => match self.peek() {
                    Some(c) if c == quote || c == '\\' => text.extend(self.bump()),
                    _ => text.push('\\'),
                },
                c => text.push(c),
            }
        }
    }

    /// A regular expression between percent signs, the first of which comes next.
    pub(super) fn regex(&mut self) -> Result<regex::Regex, PatternError> {
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump().ok_or_else(|| self.expected("a closing %"))? {
                '%' => break,
                '\\' if self.peek() == Some('%') => text.extend(self.bump()),
                // Whatever else is escaped is escaped for the expression.
                '\\' => {
                    text.push('\\');
                    text.extend(self.bump());
                }
                c => text.push(c),
            }
        }
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return Err(PatternError::TooManyRegexes);
        }
        let built = regex::RegexBuilder::new(&text).size_limit(REGEX_BYTES_MAX).build();
        built.map_err(|_| PatternError::Regex(text))
    }
}
