//! What an expression says of a row.

use std::cmp::Ordering;

use crate::ast::{Arithmetic, Comparison, Expression};
use crate::row::Row;
use crate::value::Value;

/// What an expression may see.
pub(crate) struct Context<'r> {
    pub(crate) row: &'r Row,
    /// When the query began.
    pub(crate) now_ms: i64,
    /// The values of the aggregates of a `stats`.
    pub(crate) aggregates: &'r [Value],
}

impl Context<'_> {
    pub(crate) fn value(&self, expression: &Expression) -> Value {
        match expression {
            Expression::Literal(value) => value.clone(),
            Expression::Field(name) => self.row.get(name),
            Expression::Not(inner) => Value::Bool(!self.holds(inner)),
            Expression::All(parts) => Value::Bool(parts.iter().all(|part| self.holds(part))),
            Expression::Any(parts) => Value::Bool(parts.iter().any(|part| self.holds(part))),
            Expression::Compare(comparison, left, right) => {
                Value::Bool(compare(*comparison, self.value(left).compare(&self.value(right))))
            }
            Expression::Arithmetic(operator, left, right) => {
                calculate(*operator, self.value(left).number(), self.value(right).number())
            }
            Expression::In(one, many) => {
                let one = self.value(one);
                Value::Bool(many.iter().any(|other| one.compare(&self.value(other)) == Some(Ordering::Equal)))
            }
            Expression::Like(whole, part) => {
                let (whole, part) = (self.value(whole), self.value(part));
                let found = whole.as_text().zip(part.as_text()).is_some_and(|(whole, part)| whole.contains(&*part));
                Value::Bool(found)
            }
            Expression::Matches(text, regex) => {
                Value::Bool(self.value(text).as_text().is_some_and(|text| regex.is_match(&text)))
            }
            Expression::Call(function, arguments) => {
                let arguments: Vec<Value> = arguments.iter().map(|argument| self.value(argument)).collect();
                (function.run)(&arguments, self)
            }
            Expression::Aggregate(at) => self.aggregates.get(*at).cloned().unwrap_or(Value::Missing),
        }
    }

    pub(crate) fn holds(&self, expression: &Expression) -> bool {
        self.value(expression).is_true()
    }
}

/// What is missing is not equal to anything, and not less or more than anything.
fn compare(comparison: Comparison, order: Option<Ordering>) -> bool {
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn calculate(operator: Arithmetic, left: Option<f64>, right: Option<f64>) -> Value {
    let (Some(left), Some(right)) = (left, right) else { return Value::Missing };
    let result = match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
        Arithmetic::Power => left.powf(right),
    };
    // A division by zero has no value.
    if result.is_finite() { Value::Number(result) } else { Value::Missing }
}
