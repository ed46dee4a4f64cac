//! The cluster query language, in which `memberOf` constraints and list filters are written.
//!
//! Source: Amazon ECS Developer Guide, "Create expressions to define container instances for tasks": `subject operator
//! [argument]`, joined by `and`, `or` and `not`, with parentheses.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Candidate;

/// A parsed expression, with the text it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    text: String,
    tree: Tree,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("Invalid expression: {0}")]
pub struct ConstraintError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tree {
    Or(Vec<Tree>),
    And(Vec<Tree>),
    Not(Box<Tree>),
    Test { subject: Subject, operator: Operator, arguments: Vec<String> },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Attribute(String),
    AgentConnected,
    AgentVersion,
    RegisteredAt,
    RunningTasksCount,
    Ec2InstanceId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equals,
    NotEquals,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Exists,
    NotExists,
    In,
    NotIn,
    Matches,
    NotMatches,
}

/// How deep parentheses and `not` may go: a longer text is no expression that a person wrote.
const DEPTH_MAX: u32 = 32;

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Expression {
    pub fn matches(&self, candidate: &Candidate) -> bool {
        eval(&self.tree, candidate)
    }
}

fn eval(tree: &Tree, candidate: &Candidate) -> bool {
    match tree {
        Tree::Or(parts) => parts.iter().any(|part| eval(part, candidate)),
        Tree::And(parts) => parts.iter().all(|part| eval(part, candidate)),
        Tree::Not(part) => !eval(part, candidate),
        Tree::Test { subject, operator, arguments } => test(value(subject, candidate), *operator, arguments),
    }
}

/// What the subject is on this instance: nothing when there is none; an attribute without a value is an empty text.
fn value(subject: &Subject, candidate: &Candidate) -> Option<String> {
    let instance = &candidate.instance;
    match subject {
        Subject::Attribute(name) => instance
            .attributes
            .iter()
            .find(|attribute| attribute.name == *name)
            .map(|attribute| attribute.value.clone().unwrap_or_default()),
        Subject::AgentConnected => Some(instance.agent_connected.to_string()),
        Subject::AgentVersion => Some(instance.version_info.agent_version.clone()),
        Subject::RegisteredAt => Some(instance.registered_at.to_string()),
        Subject::RunningTasksCount => Some(candidate.tasks.to_string()),
        Subject::Ec2InstanceId => instance.ec2_instance_id.clone(),
    }
}

fn test(value: Option<String>, operator: Operator, arguments: &[String]) -> bool {
    let first = arguments.first().map(String::as_str).unwrap_or_default();
    let compare = |value: &str| match (value.parse::<f64>(), first.parse::<f64>()) {
        (Ok(left), Ok(right)) => left.partial_cmp(&right),
        _ => Some(value.cmp(first)),
    };
    let holds = |wanted: &[std::cmp::Ordering]| {
        value.as_deref().and_then(compare).is_some_and(|ordering| wanted.contains(&ordering))
    };
    use std::cmp::Ordering::{Equal, Greater, Less};
    match operator {
        Operator::Equals => value.as_deref() == Some(first),
        Operator::NotEquals => value.as_deref() != Some(first),
        Operator::Greater => holds(&[Greater]),
        Operator::GreaterOrEqual => holds(&[Greater, Equal]),
        Operator::Less => holds(&[Less]),
        Operator::LessOrEqual => holds(&[Less, Equal]),
        Operator::Exists => value.is_some(),
        Operator::NotExists => value.is_none(),
        Operator::In => value.is_some_and(|value| arguments.contains(&value)),
        Operator::NotIn => !value.is_some_and(|value| arguments.contains(&value)),
        Operator::Matches => value.is_some_and(|value| glob(first, &value)),
        Operator::NotMatches => !value.is_some_and(|value| glob(first, &value)),
    }
}

/// `t2.*` and `us-east-1?`: a star is any text, a question mark one character.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

impl FromStr for Expression {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let tokens = tokens(text)?;
        let mut parser = Parser { text, tokens: &tokens, at: 0 };
        let tree = parser.or(0)?;
        if parser.at < tokens.len() {
            return Err(parser.error());
        }
        Ok(Expression { text: text.to_owned(), tree })
    }
}

/// Words, the operators made of signs, and brackets.
fn tokens(text: &str) -> Result<Vec<String>, ConstraintError> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(&c) = chars.peek() {
        match c {
            c if c.is_whitespace() => {
                chars.next();
            }
            '(' | ')' | '[' | ']' | ',' => {
                tokens.push(c.to_string());
                chars.next();
            }
            '=' | '!' | '<' | '>' | '~' | '&' | '|' => {
                let mut sign = String::new();
                while let Some(c) = chars.next_if(|c| "=!<>~&|".contains(*c)) {
                    sign.push(c);
                }
                tokens.push(sign);
            }
            '"' | '\'' => {
                chars.next();
                let mut word = String::new();
                loop {
                    match chars.next() {
                        Some(end) if end == c => break,
                        Some(inner) => word.push(inner),
                        None => return Err(ConstraintError(text.to_owned())),
                    }
                }
                tokens.push(word);
            }
            _ => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"()[],=!<>~&|\"'".contains(*c)) {
                    word.push(c);
                }
                tokens.push(word);
            }
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a [String],
    at: usize,
}

impl<'a> Parser<'a> {
    fn error(&self) -> ConstraintError {
        ConstraintError(self.text.to_owned())
    }

    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn next(&mut self) -> Result<&'a str, ConstraintError> {
        let token = self.peek().ok_or_else(|| self.error())?;
        self.at += 1;
        Ok(token)
    }

    fn accept(&mut self, words: &[&str]) -> bool {
        let found = self.peek().is_some_and(|token| words.iter().any(|word| token.eq_ignore_ascii_case(word)));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: u32) -> Result<Tree, ConstraintError> {
        let mut parts = vec![self.and(depth)?];
        while self.accept(&["or", "||"]) {
            parts.push(self.and(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Or(parts) })
    }

    fn and(&mut self, depth: u32) -> Result<Tree, ConstraintError> {
        let mut parts = vec![self.term(depth)?];
        while self.accept(&["and", "&&"]) {
            parts.push(self.term(depth)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::And(parts) })
    }

    fn term(&mut self, depth: u32) -> Result<Tree, ConstraintError> {
        if depth > DEPTH_MAX {
            return Err(self.error());
        }
        if self.accept(&["not", "!"]) {
            return Ok(Tree::Not(Box::new(self.term(depth + 1)?)));
        }
        if self.accept(&["("]) {
            let inner = self.or(depth + 1)?;
            return if self.accept(&[")"]) { Ok(inner) } else { Err(self.error()) };
        }
        self.test()
    }

    fn test(&mut self) -> Result<Tree, ConstraintError> {
        let subject = match self.next()? {
            "agentConnected" => Subject::AgentConnected,
            "agentVersion" => Subject::AgentVersion,
            "registeredAt" => Subject::RegisteredAt,
            "runningTasksCount" => Subject::RunningTasksCount,
            "ec2InstanceId" => Subject::Ec2InstanceId,
            other => match other.strip_prefix("attribute:") {
                Some(name) if !name.is_empty() => Subject::Attribute(name.to_owned()),
                _ => return Err(self.error()),
            },
        };
        let operator = match self.next()? {
            "==" | "equals" => Operator::Equals,
            "!=" | "not_equals" => Operator::NotEquals,
            ">" | "greater_than" => Operator::Greater,
            ">=" | "greater_than_equal" => Operator::GreaterOrEqual,
            "<" | "less_than" => Operator::Less,
            "<=" | "less_than_equal" => Operator::LessOrEqual,
            "exists" => Operator::Exists,
            "!exists" | "not_exists" => Operator::NotExists,
            "!" if self.accept(&["exists"]) => Operator::NotExists,
            "!" if self.accept(&["in"]) => Operator::NotIn,
            "in" => Operator::In,
            "!in" | "not_in" => Operator::NotIn,
            "=~" | "matches" => Operator::Matches,
            "!~" | "not_matches" => Operator::NotMatches,
            _ => return Err(self.error()),
        };
        let arguments = match operator {
            Operator::Exists | Operator::NotExists => Vec::new(),
            Operator::In | Operator::NotIn => self.list()?,
            _ => vec![self.next()?.to_owned()],
        };
        Ok(Tree::Test { subject, operator, arguments })
    }

    fn list(&mut self) -> Result<Vec<String>, ConstraintError> {
        if !self.accept(&["["]) {
            return Err(self.error());
        }
        let mut items = vec![self.next()?.to_owned()];
        while self.accept(&[","]) {
            items.push(self.next()?.to_owned());
        }
        if self.accept(&["]"]) { Ok(items) } else { Err(self.error()) }
    }
}
