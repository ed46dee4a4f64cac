//! Characters into tokens, one at a time: whether `/` divides or begins a regular expression only the parser knows.

use regex::{Regex, RegexBuilder};

use crate::error::MalformedQuery;
use crate::limits::REGEX_BYTES_MAX;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// In backticks: never a word of the language.
    Quoted(String),
    Text(String),
    Number(f64),
    /// `5m`: a number and its unit.
    Period(f64, String),
    Symbol(&'static str),
    End,
}

/// The longer ones first.
const SYMBOLS: [&str; 20] =
    ["!=", "<>", "<=", ">=", "==", "=~", "=", "<", ">", "+", "-", "*", "/", "%", "^", "(", ")", "[", "]", "|"];

pub(crate) struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// Where the last token began, in bytes.
    began: usize,
    peeked: Option<(Token, usize, usize)>,
}

impl<'t> Scanner<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Scanner { text, at: 0, began: 0, peeked: None }
    }

    pub(crate) fn peek(&mut self) -> Result<&Token, MalformedQuery> {
        if self.peeked.is_none() {
            let before = self.at;
            self.skip_blanks();
            let start = self.at;
            let token = self.scan()?;
            self.peeked = Some((token, start, self.at));
            self.at = before;
        }
        Ok(self.peeked.as_ref().map_or(&Token::End, |(token, ..)| token))
    }

    pub(crate) fn next(&mut self) -> Result<Token, MalformedQuery> {
        self.peek()?;
        let (token, start, end) = self.peeked.take().unwrap_or((Token::End, self.at, self.at));
        (self.began, self.at) = (start, end);
        Ok(token)
    }

    /// Takes the symbol if it comes next.
    pub(crate) fn eat(&mut self, symbol: &str) -> Result<bool, MalformedQuery> {
        let found = matches!(self.peek()?, Token::Symbol(next) if *next == symbol);
        if found {
            self.next()?;
        }
        Ok(found)
    }

    /// Takes the word if it comes next, in any case.
    pub(crate) fn eat_word(&mut self, word: &str) -> Result<bool, MalformedQuery> {
        let found = matches!(self.peek()?, Token::Name(next) if next.eq_ignore_ascii_case(word));
        if found {
            self.next()?;
        }
        Ok(found)
    }

    pub(crate) fn expect(&mut self, symbol: &str) -> Result<(), MalformedQuery> {
        if self.eat(symbol)? { Ok(()) } else { Err(self.unexpected()) }
    }

    /// A regular expression between slashes, if one comes next.
    pub(crate) fn regex(&mut self) -> Result<Option<Regex>, MalformedQuery> {
        self.peeked = None;
        self.skip_blanks();
        if !self.rest().starts_with('/') {
            return Ok(None);
        }
        self.began = self.at;
        let mut source = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        let mut in_class = false;
        let end = loop {
            let Some((at, c)) = characters.next() else {
                return Err(self.error("unterminated regular expression", self.at, self.text.len()));
            };
            match c {
                '/' if !in_class => break at + 1,
                '\\' => match characters.next() {
                    Some((_, '/')) => source.push('/'),
                    Some((_, other)) => source.extend(['\\', other]),
                    None => return Err(self.error("unterminated regular expression", self.at, self.text.len())),
                },
                c => {
                    in_class = if in_class { c != ']' } else { c == '[' };
                    source.push(c);
                }
            }
        };
        self.at += end;
        let built = RegexBuilder::new(&source).size_limit(REGEX_BYTES_MAX).build();
        built.map(Some).map_err(|_| self.refused(format!("invalid regular expression: {source}")))
    }

    /// Where the next token begins, in bytes.
    pub(crate) fn next_place(&mut self) -> Result<usize, MalformedQuery> {
        self.peek()?;
        Ok(self.peeked.as_ref().map_or(self.at, |(_, start, _)| *start))
    }

    /// What was written from a place to the end of the last token, with single blanks.
    pub(crate) fn written_since(&self, place: usize) -> String {
        self.text[place.min(self.at)..self.at].split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The next token may not stand here.
    pub(crate) fn unexpected(&mut self) -> MalformedQuery {
        match self.peek() {
            Err(error) => error,
            Ok(_) => {
                let (start, end) = self.peeked.as_ref().map_or((self.at, self.at), |(_, start, end)| (*start, *end));
                match &self.text[start..end] {
                    "" => self.error("unexpected end of query", start, end),
                    token => self.error(&format!("unexpected symbol found {token}"), start, end),
                }
            }
        }
    }

    /// The last token may not stand where it stands.
    pub(crate) fn refused(&self, message: impl AsRef<str>) -> MalformedQuery {
        self.error(message.as_ref(), self.began, self.at)
    }

    /// All from a place to the end of the last token may not stand there.
    pub(crate) fn refused_since(&self, place: usize, message: impl AsRef<str>) -> MalformedQuery {
        self.error(message.as_ref(), place, self.at)
    }

    fn error(&self, message: &str, start: usize, end: usize) -> MalformedQuery {
        let before = &self.text[..start];
        let count = |text: &str| text.chars().count();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        MalformedQuery {
            message: message.to_owned(),
            start: count(before),
            end: count(&self.text[..end.max(start)]),
            line: before.matches('\n').count() + 1,
            column: count(&before[line_start..]) + 1,
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Blanks, and comments from `#` to the end of a line.
    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn scan(&mut self) -> Result<Token, MalformedQuery> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if first.is_ascii_digit() || (first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit())) {
            return self.number();
        }
        if is_name(first) {
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            self.at += end;
            return Ok(Token::Name(rest[..end].to_owned()));
        }
        if let '"' | '\'' | '`' = first {
            let text = self.quoted(first)?;
            return Ok(if first == '`' { Token::Quoted(text) } else { Token::Text(text) });
        }
        if first == ',' {
            self.at += 1;
            return Ok(Token::Symbol(","));
        }
        match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
            Some(symbol) => {
                self.at += symbol.len();
                Ok(Token::Symbol(symbol))
            }
            None => Err(self.error(&format!("unexpected symbol found {first}"), self.at, self.at + first.len_utf8())),
        }
    }

    fn number(&mut self) -> Result<Token, MalformedQuery> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let mut end = digits(0);
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if let Some(b'e' | b'E') = bytes.get(end) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
                end = digits(end + 1 + sign);
            }
        }
        let value: f64 = rest[..end].parse().unwrap_or(f64::INFINITY);
        let unit_end = rest[end..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rest.len(), |at| end + at);
        self.at += unit_end;
        match &rest[end..unit_end] {
            "" if value.is_finite() => Ok(Token::Number(value)),
            "" => Err(self.error("a number is too large", self.at - unit_end, self.at)),
            unit if value.is_finite() => Ok(Token::Period(value, unit.to_owned())),
            _ => Err(self.error("a number is too large", self.at - unit_end, self.at)),
        }
    }

    /// A backslash keeps a quotation mark or a backslash as it is, and makes the usual control characters.
    fn quoted(&mut self, quote: char) -> Result<String, MalformedQuery> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices().skip(1);
        while let Some((at, c)) = characters.next() {
            match c {
                c if c == quote => {
                    self.at += at + c.len_utf8();
                    return Ok(text);
                }
                '\\' => match characters.next() {
                    Some((_, c)) if c == quote || c == '\\' => text.push(c),
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, c)) => text.extend(['\\', c]),
                    None => break,
                },
                c => text.push(c),
            }
        }
        Err(self.error("unterminated string", self.at, self.text.len()))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '@' | '.' | '$')
}
