//! Words, signs and brackets of an expression, taken from its beginning.

use super::Invalid;

/// What ends a word that is not in quotation marks.
const ENDS: &[char] = &['(', ')', '[', ']', ',', '=', '!', '<', '>', '~', '&', '|', '"', '\''];
const SIGNS: &[char] = &['=', '!', '<', '>', '~', '&', '|'];
/// How much of a text an error quotes.
const QUOTED_CHARS: usize = 20;

pub(super) struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Scanner { rest: text }
    }

    pub fn is_at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    /// Takes the sign or bracket when it comes next.
    pub fn sign(&mut self, sign: &str) -> bool {
        if self.is_at_end() {
            return false;
        }
        let Some(rest) = self.rest.strip_prefix(sign) else { return false };
        // `!` is not the beginning of `!=`.
        let found = sign != "!" || !rest.starts_with(['=', '~']);
        if found {
            self.rest = rest;
        }
        found
    }

    /// Takes the word, in whatever case it is written, when it comes next.
    pub fn word(&mut self, word: &str) -> bool {
        if self.is_at_end() {
            return false;
        }
        let run = self.rest.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(self.rest.len());
        let found = self.rest[..run].eq_ignore_ascii_case(word);
        if found {
            self.rest = &self.rest[run..];
        }
        found
    }

    /// The next operator: a run of signs, a word, or a word behind an exclamation mark.
    pub fn operator(&mut self) -> Result<&'a str, Invalid> {
        self.ends("an operator")?;
        let signs = self.rest.find(|c| !SIGNS.contains(&c)).unwrap_or(self.rest.len());
        let run = match &self.rest[..signs] {
            "" | "!" => {
                let tail = &self.rest[signs..];
                signs + tail.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(tail.len())
            }
            _ => signs,
        };
        if run == 0 {
            return Err(self.unexpected("an operator"));
        }
        let (operator, rest) = self.rest.split_at(run);
        self.rest = rest;
        Ok(operator)
    }

    /// The next word: up to white space, a sign or a bracket, or whatever stands between quotation marks.
    pub fn text(&mut self, wanted: &'static str) -> Result<&'a str, Invalid> {
        self.ends(wanted)?;
        if let Some(quoted) = self.quoted()? {
            return Ok(quoted);
        }
        let run = self.rest.find(|c: char| c.is_whitespace() || ENDS.contains(&c)).unwrap_or(self.rest.len());
        if run == 0 {
            return Err(self.unexpected(wanted));
        }
        let (word, rest) = self.rest.split_at(run);
        self.rest = rest;
        Ok(word)
    }

    /// The next regular expression: up to white space, or to a bracket that it has not opened.
    pub fn pattern(&mut self) -> Result<&'a str, Invalid> {
        self.ends("a regular expression")?;
        if let Some(quoted) = self.quoted()? {
            return Ok(quoted);
        }
        let (mut depth, mut escaped) = (0i32, false);
        let run = self.rest.find(|c: char| {
            if escaped {
                escaped = false;
                return false;
            }
            escaped = c == '\\';
            depth += match c {
                '(' | '[' | '{' => 1,
                ')' | ']' | '}' => -1,
                _ => 0,
            };
            depth < 0 || c.is_whitespace()
        });
        let (pattern, rest) = self.rest.split_at(run.unwrap_or(self.rest.len()));
        if pattern.is_empty() {
            return Err(self.unexpected("a regular expression"));
        }
        self.rest = rest;
        Ok(pattern)
    }

    fn quoted(&mut self) -> Result<Option<&'a str>, Invalid> {
        let Some(mark) = self.rest.chars().next().filter(|c| ['"', '\''].contains(c)) else { return Ok(None) };
        let (quoted, rest) = self.rest[1..].split_once(mark).ok_or(Invalid::OpenQuote)?;
        self.rest = rest;
        Ok(Some(quoted))
    }

    fn ends(&mut self, wanted: &'static str) -> Result<(), Invalid> {
        if self.is_at_end() { Err(Invalid::Ends(wanted)) } else { Ok(()) }
    }

    pub fn unexpected(&mut self, wanted: &'static str) -> Invalid {
        if self.is_at_end() {
            return Invalid::Ends(wanted);
        }
        Invalid::Unexpected { wanted, found: self.rest.chars().take(QUOTED_CHARS).collect() }
    }
}
