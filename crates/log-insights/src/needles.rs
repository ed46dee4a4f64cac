//! What a message must contain to get past the filters, so that a store need not show all others.

use crate::ast::{Command, Expression};
use crate::event::MESSAGE;
use crate::value::Value;

/// Texts of messages. They only save work: what has them may still be refused by the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needles {
    /// A message that counts contains each of these,
    pub all: Vec<String>,
    /// and one of these, unless there are none.
    pub any: Vec<String>,
}

/// Of the commands before anything is counted or left out. No command can replace `@message`.
pub(crate) fn of(commands: &[Command]) -> Needles {
    let mut needles = Needles::default();
    for command in commands {
        if let Command::Filter(condition) = command {
            add(condition, &mut needles);
        }
    }
    needles
}

fn add(condition: &Expression, needles: &mut Needles) {
    match condition {
        Expression::All(parts) => parts.iter().for_each(|part| add(part, needles)),
        Expression::Any(parts) if needles.any.is_empty() => {
            let texts: Option<Vec<&str>> = parts.iter().map(text).collect();
            needles.any = texts.unwrap_or_default().into_iter().map(str::to_owned).collect();
        }
        one => needles.all.extend(text(one).map(str::to_owned)),
    }
}

/// The text of `@message like "text"`.
fn text(condition: &Expression) -> Option<&str> {
    let Expression::Like(field, text) = condition else { return None };
    match (&**field, &**text) {
        (Expression::Field(name), Expression::Literal(Value::Text(text))) if &**name == MESSAGE && !text.is_empty() => {
            Some(text)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::Query;

    fn check(query: &str, all: &[&str], any: &[&str]) {
        let needles = Query::parse(query).unwrap().needles();
        assert_eq!(
            (needles.all, needles.any),
            (all.iter().map(|one| (*one).to_owned()).collect(), any.iter().map(|one| (*one).to_owned()).collect()),
            "{query}"
        );
    }

    #[test]
    fn only_what_must_be_there() {
        check("filter @message like 'a' and x = 1 | filter @message like \"b\" | stats count(*)", &["a", "b"], &[]);
        check("filter @message like 'a' or @message like 'b'", &[], &["a", "b"]);
        check("filter (@message like 'a' or @message like 'b') and @message like 'c'", &["c"], &["a", "b"]);
        check("filter @message like 'a' or x = 1", &[], &[]);
        check("filter @message not like 'a'", &[], &[]);
        check("filter @message like /a/", &[], &[]);
        check("filter x like 'a'", &[], &[]);
        check("stats count(*) as n | filter @message like 'a'", &[], &[]);
        check("limit 5 | filter @message like 'a'", &[], &[]);
        check("parse @message '*' as x | filter @message like 'a' | limit 5", &["a"], &[]);
    }
}
