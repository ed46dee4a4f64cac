//! `[ip, user, ..., status = 4*, bytes > 1000]`: the words of a line, by their place.

use super::cursor::Cursor;
use super::operand::{Operand, Operator, operand, operator};
use super::{DEPTH_MAX, PatternError};

#[derive(Debug)]
pub(super) struct Fields {
    /// Before the ellipsis, or all of them when there is none.
    first: Vec<Field>,
    /// Behind the ellipsis.
    last: Option<Vec<Field>>,
}

#[derive(Debug, Default)]
struct Field {
    name: Option<String>,
    /// What the word must be; `None` when any word will do.
    condition: Option<Condition>,
}

#[derive(Debug)]
enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Compare(Operator, Operand),
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Fields, PatternError> {
    cursor.expect("[", "[")?;
    let mut fields = Fields { first: Vec::new(), last: None };
    loop {
        if cursor.eat("...") {
            if fields.last.is_some() {
                return Err(cursor.expected("only one ellipsis"));
            }
            fields.last = Some(Vec::new());
        } else {
            let field = field(cursor)?;
            fields.last.as_mut().unwrap_or(&mut fields.first).push(field);
        }
        if cursor.eat("]") {
            break;
        }
        cursor.expect(",", ", or ]")?;
    }
    cursor.skip_spaces();
    if cursor.peek().is_some() { Err(cursor.expected("the end")) } else { Ok(fields) }
}

fn field(cursor: &mut Cursor<'_>) -> Result<Field, PatternError> {
    cursor.skip_spaces();
    if let None | Some(',' | ']') = cursor.peek() {
        return Ok(Field::default());
    }
    let rest = cursor.rest();
    let opening = rest.find(|c: char| c != '(' && !c.is_whitespace()).unwrap_or(rest.len());
    let end = rest[opening..].find(|c: char| !is_name(c)).map_or(rest.len(), |at| opening + at);
    let name = Some(rest[opening..end].to_owned()).filter(|name| !name.is_empty());
    // A name alone says nothing about the word.
    let behind = rest[end..].trim_start();
    if opening == 0 && name.is_some() && (behind.starts_with(',') || behind.starts_with(']')) {
        cursor.take_while(is_name);
        return Ok(Field { name, condition: None });
    }
    any_of(cursor, 0).map(|condition| Field { name, condition: Some(condition) })
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

fn any_of(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut parts = vec![all_of(cursor, depth)?];
    while cursor.eat("||") {
        parts.push(all_of(cursor, depth)?);
    }
    Ok(Condition::Or(parts))
}

fn all_of(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    let mut parts = vec![one(cursor, depth)?];
    while cursor.eat("&&") {
        parts.push(one(cursor, depth)?);
    }
    Ok(Condition::And(parts))
}

/// `name = value`. The name is for people: a condition always concerns the word in whose place it stands.
fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Condition, PatternError> {
    if depth > DEPTH_MAX {
        return Err(PatternError::TooDeep);
    }
    if cursor.eat("(") {
        let inner = any_of(cursor, depth + 1)?;
        cursor.expect(")", ")")?;
        return Ok(inner);
    }
    cursor.skip_spaces();
    cursor.take_while(is_name);
    let operator = operator(cursor).ok_or_else(|| cursor.expected("a comparison"))?;
    let operand = operand(cursor)?;
    match operand.may_follow(operator) {
        true => Ok(Condition::Compare(operator, operand)),
        false => Err(cursor.expected("a number before this place")),
    }
}

impl Fields {
    pub(super) fn matches(&self, message: &str) -> bool {
        let words = words(message);
        let holds = |(field, word): (&Field, &str)| field.condition.as_ref().is_none_or(|one| one.holds(word));
        self.fits(&words) && self.placed(&words).all(holds)
    }

    fn fits(&self, words: &[&str]) -> bool {
        match &self.last {
            None => words.len() == self.first.len(),
            Some(last) => words.len() >= self.first.len() + last.len(),
        }
    }

    /// Each field and its word.
    fn placed<'a>(&'a self, words: &'a [&'a str]) -> impl Iterator<Item = (&'a Field, &'a str)> {
        let last = self.last.as_deref().unwrap_or_default();
        let behind = &words[words.len().saturating_sub(last.len())..];
        self.first.iter().zip(words).chain(last.iter().zip(behind)).map(|(field, word)| (field, *word))
    }

    /// Every word of a message that fits: by the name of its field, or by its place, counted from one.
    pub(super) fn values(&self, message: &str) -> Vec<(String, String)> {
        let words = words(message);
        if !self.fits(&words) {
            return Vec::new();
        }
        let places = words.len() - self.last.as_deref().unwrap_or_default().len();
        let name = |place: usize| {
            let field = match self.first.get(place) {
                Some(field) => Some(field),
                None => place.checked_sub(places).and_then(|place| self.last.as_deref()?.get(place)),
            };
            let named = field.and_then(|field| field.name.clone());
            named.unwrap_or_else(|| (place + 1).to_string())
        };
        words.iter().enumerate().map(|(place, word)| (format!("${}", name(place)), (*word).to_owned())).collect()
    }
}

impl Condition {
    fn holds(&self, word: &str) -> bool {
        match self {
            Condition::And(parts) => parts.iter().all(|part| part.holds(word)),
            Condition::Or(parts) => parts.iter().any(|part| part.holds(word)),
            Condition::Compare(operator, operand) => operand.test_text(*operator, word),
        }
    }
}

/// A line's words. What stands in quotation marks or brackets is one word, without them.
fn words(message: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = message.trim_start();
    // Where the last one closes: a line of brackets that nothing closes would else be searched to its end for each.
    let last_bracket = message.rfind(']');
    while let Some(first) = rest.chars().next() {
        let at = message.len() - rest.len();
        let closing = match first {
            '"' => Some('"'),
            '[' if last_bracket.is_some_and(|last| last > at) => Some(']'),
            _ => None,
        };
        let enclosed = closing.and_then(|closing| rest[1..].find(closing));
        let (word, behind) = match enclosed {
            Some(end) => (&rest[1..=end], &rest[end + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words
}
