//! From a text to an expression.

use std::str::FromStr;

use regex::RegexBuilder;

use super::check::{Comparison, Dated, Number, Text, Version, Versioned, date};
use super::scan::Scanner;
use super::{ConstraintError, Expression, Invalid, Test, Tree};

/// Source: Amazon ECS API Reference, `PlacementConstraint.expression`.
const EXPRESSION_CHARS_MAX: usize = 2000;
/// How deep parentheses and `not` may go: a longer text is no expression that a person wrote.
const DEPTH_MAX: u32 = 32;
/// What a compiled pattern may take. `[a-z]{0,100}` takes some kilobytes.
const PATTERN_BYTES_MAX: usize = 64 * 1024;

impl FromStr for Expression {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, ConstraintError> {
        let tree = whole(text).map_err(|why| ConstraintError { text: text.to_owned(), why })?;
        Ok(Expression { text: text.to_owned(), tree })
    }
}

fn whole(text: &str) -> Result<Tree, Invalid> {
    if text.len() > EXPRESSION_CHARS_MAX {
        return Err(Invalid::Long(EXPRESSION_CHARS_MAX));
    }
    let mut scanner = Scanner::new(text);
    let tree = or(&mut scanner, 0)?;
    if scanner.is_at_end() { Ok(tree) } else { Err(scanner.unexpected("`and`, `or` or the end")) }
}

fn or(scanner: &mut Scanner<'_>, depth: u32) -> Result<Tree, Invalid> {
    let mut parts = vec![and(scanner, depth)?];
    while scanner.word("or") || scanner.sign("||") {
        parts.push(and(scanner, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::Or(parts) })
}

fn and(scanner: &mut Scanner<'_>, depth: u32) -> Result<Tree, Invalid> {
    let mut parts = vec![term(scanner, depth)?];
    while scanner.word("and") || scanner.sign("&&") {
        parts.push(term(scanner, depth)?);
    }
    Ok(if parts.len() == 1 { parts.remove(0) } else { Tree::And(parts) })
}

fn term(scanner: &mut Scanner<'_>, depth: u32) -> Result<Tree, Invalid> {
    if depth > DEPTH_MAX {
        return Err(Invalid::Deep);
    }
    if scanner.word("not") || scanner.sign("!") {
        return Ok(Tree::Not(Box::new(term(scanner, depth + 1)?)));
    }
    if scanner.sign("(") {
        let inner = or(scanner, depth + 1)?;
        return if scanner.sign(")") { Ok(inner) } else { Err(scanner.unexpected("a closing parenthesis")) };
    }
    test(scanner).map(Tree::Test)
}

/// `subject operator [argument]`. Which operators a subject takes is in the guide, subject by subject.
fn test(scanner: &mut Scanner<'_>) -> Result<Test, Invalid> {
    match scanner.text("a subject")? {
        "agentConnected" => Ok(Test::AgentConnected(plain(scanner, "agentConnected")?)),
        "agentVersion" => {
            let (comparison, wanted) = comparison(scanner, "agentVersion", "a version")?;
            let version = Version::parse(wanted).ok_or_else(|| Invalid::Version(wanted.to_owned()))?;
            Ok(Test::AgentVersion(Versioned(comparison, version)))
        }
        "ec2InstanceId" => Ok(Test::Ec2InstanceId(plain(scanner, "ec2InstanceId")?)),
        "registeredAt" => {
            let (comparison, wanted) = comparison(scanner, "registeredAt", "a date")?;
            let at = date(wanted).ok_or_else(|| Invalid::Date(wanted.to_owned()))?;
            Ok(Test::RegisteredAt(Dated(comparison, at)))
        }
        "runningTasksCount" => {
            let (comparison, wanted) = comparison(scanner, "runningTasksCount", "a number of tasks")?;
            let count = wanted.parse().map_err(|_| Invalid::Count(wanted.to_owned()))?;
            Ok(Test::RunningTasksCount(Number(comparison, count)))
        }
        "task:group" => Ok(Test::TaskGroup(plain(scanner, "task:group")?)),
        other => match other.strip_prefix("attribute:") {
            Some(name) if !name.is_empty() => Ok(Test::Attribute { name: name.to_owned(), check: any(scanner)? }),
            _ => Err(Invalid::Subject(other.to_owned())),
        },
    }
}

/// Every operator is for attributes.
fn any(scanner: &mut Scanner<'_>) -> Result<Text, Invalid> {
    Ok(match operator(scanner)? {
        Operator::Compare(comparison) => Text::Compare(comparison, scanner.text("a value")?.to_owned()),
        Operator::Exists => Text::Exists,
        Operator::NotExists => Text::NotExists,
        Operator::In => Text::In(list(scanner)?),
        Operator::NotIn => Text::NotIn(list(scanner)?),
        Operator::Matches => Text::Matches(pattern(scanner)?),
        Operator::NotMatches => Text::NotMatches(pattern(scanner)?),
    })
}

/// For texts that are always there and have no order.
fn plain(scanner: &mut Scanner<'_>, subject: &'static str) -> Result<Text, Invalid> {
    let check = any(scanner)?;
    let operator = match &check {
        Text::Exists => "exists",
        Text::NotExists => "not_exists",
        Text::Compare(Comparison::Greater, _) => "greater_than",
        Text::Compare(Comparison::GreaterOrEqual, _) => "greater_than_equal",
        Text::Compare(Comparison::Less, _) => "less_than",
        Text::Compare(Comparison::LessOrEqual, _) => "less_than_equal",
        _ => return Ok(check),
    };
    Err(Invalid::Comparison { subject, operator })
}

/// For what has an order and nothing else.
fn comparison<'a>(
    scanner: &mut Scanner<'a>,
    subject: &'static str,
    argument: &'static str,
) -> Result<(Comparison, &'a str), Invalid> {
    let operator = match operator(scanner)? {
        Operator::Compare(comparison) => return Ok((comparison, scanner.text(argument)?)),
        Operator::Exists => "exists",
        Operator::NotExists => "not_exists",
        Operator::In => "in",
        Operator::NotIn => "not_in",
        Operator::Matches => "matches",
        Operator::NotMatches => "not_matches",
    };
    Err(Invalid::Comparison { subject, operator })
}

enum Operator {
    Compare(Comparison),
    Exists,
    NotExists,
    In,
    NotIn,
    Matches,
    NotMatches,
}

fn operator(scanner: &mut Scanner<'_>) -> Result<Operator, Invalid> {
    let written = scanner.operator()?;
    Ok(match written.to_ascii_lowercase().as_str() {
        "==" | "equals" => Operator::Compare(Comparison::Equal),
        "!=" | "not_equals" => Operator::Compare(Comparison::NotEqual),
        ">" | "greater_than" => Operator::Compare(Comparison::Greater),
        ">=" | "greater_than_equal" => Operator::Compare(Comparison::GreaterOrEqual),
        "<" | "less_than" => Operator::Compare(Comparison::Less),
        "<=" | "less_than_equal" => Operator::Compare(Comparison::LessOrEqual),
        "exists" => Operator::Exists,
        "!exists" | "not_exists" => Operator::NotExists,
        "in" => Operator::In,
        "!in" | "not_in" => Operator::NotIn,
        "=~" | "matches" => Operator::Matches,
        "!~" | "not_matches" => Operator::NotMatches,
        _ => return Err(Invalid::Operator(written.to_owned())),
    })
}

fn list(scanner: &mut Scanner<'_>) -> Result<Vec<String>, Invalid> {
    if !scanner.sign("[") {
        return Err(scanner.unexpected("a list as [a, b]"));
    }
    let mut items = vec![scanner.text("a value")?.to_owned()];
    while scanner.sign(",") {
        items.push(scanner.text("a value")?.to_owned());
    }
    if scanner.sign("]") { Ok(items) } else { Err(scanner.unexpected("a comma or a closing bracket")) }
}

/// Source: the guide says Java's syntax, and Java's `matches` is about the whole text.
fn pattern(scanner: &mut Scanner<'_>) -> Result<regex::Regex, Invalid> {
    let written = scanner.pattern()?;
    // By itself first: `a)|(b` would come to sense only inside the parentheses that are added.
    let compile = |pattern: &str| {
        let compiled =
            RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX).build();
        compiled.map_err(|_| Invalid::Pattern(written.to_owned()))
    };
    compile(written)?;
    compile(&format!("^(?:{written})$"))
}
