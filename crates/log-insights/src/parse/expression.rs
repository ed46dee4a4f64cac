//! Expressions, by precedence: `or`, `and`, `not`, comparisons, sums, products, powers.

use super::Parser;
use crate::ast::{Aggregate, AggregateKind, Arithmetic, Comparison, Expression};
use crate::bins::Period;
use crate::error::MalformedQuery;
use crate::functions::{self, Function};
use crate::limits::{DEPTH_MAX, OPERATORS_MAX};
use crate::scanner::Token;
use crate::value::Value;

type Parsed = Result<Expression, MalformedQuery>;

fn boxed(
    make: impl FnOnce(Box<Expression>, Box<Expression>) -> Expression,
    left: Expression,
    right: Expression,
) -> Expression {
    make(Box::new(left), Box::new(right))
}

fn one_or(mut parts: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

impl Parser<'_> {
    pub(crate) fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            self.scanner.next()?;
            return Err(self.scanner.refused("the expression is nested too deep"));
        }
        let any = self.chain("or", Self::all_of)?;
        self.depth -= 1;
        Ok(one_or(any, Expression::Any))
    }

    fn all_of(&mut self) -> Parsed {
        self.chain("and", Self::negation).map(|all| one_or(all, Expression::All))
    }

    fn chain(&mut self, word: &str, part: fn(&mut Self) -> Parsed) -> Result<Vec<Expression>, MalformedQuery> {
        let mut parts = vec![part(self)?];
        while self.scanner.eat_word(word)? {
            parts.push(part(self)?);
        }
        Ok(parts)
    }

    fn negation(&mut self) -> Parsed {
        let mut negations = 0;
        while self.scanner.eat_word("not")? {
            negations += 1;
        }
        let inner = self.comparison()?;
        Ok(if negations % 2 == 1 { Expression::Not(Box::new(inner)) } else { inner })
    }

    fn comparison(&mut self) -> Parsed {
        let left = self.sum()?;
        let operators = [
            ("=", Comparison::Equal),
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<>", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        for (symbol, comparison) in operators {
            if self.scanner.eat(symbol)? {
                let right = self.sum()?;
                return Ok(boxed(|left, right| Expression::Compare(comparison, left, right), left, right));
            }
        }
        if self.scanner.eat("=~")? {
            return self.like(left);
        }
        let negated = self.scanner.eat_word("not")?;
        let test = if self.scanner.eat_word("like")? {
            self.like(left)?
        } else if self.scanner.eat_word("in")? {
            self.scanner.expect("[")?;
            let mut values = vec![self.sum()?];
            while self.scanner.eat(",")? {
                values.push(self.sum()?);
            }
            self.scanner.expect("]")?;
            Expression::In(Box::new(left), values)
        } else if negated {
            return Err(self.scanner.unexpected());
        } else {
            return Ok(left);
        };
        Ok(if negated { Expression::Not(Box::new(test)) } else { test })
    }

    fn like(&mut self, left: Expression) -> Parsed {
        if let Some(regex) = self.scanner.regex()? {
            return Ok(Expression::Matches(Box::new(left), regex));
        }
        let right = self.sum()?;
        Ok(boxed(Expression::Like, left, right))
    }

    fn sum(&mut self) -> Parsed {
        let mut left = self.product()?;
        loop {
            let operator = if self.scanner.eat("+")? {
                Arithmetic::Add
            } else if self.scanner.eat("-")? {
                Arithmetic::Subtract
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            self.count_operator()?;
            left = boxed(|left, right| Expression::Arithmetic(operator, left, right), left, right);
        }
    }

    /// Each makes the tree one deeper, whatever the parentheses say.
    fn count_operator(&mut self) -> Result<(), MalformedQuery> {
        self.operators += 1;
        match self.operators > OPERATORS_MAX {
            true => Err(self.scanner.refused(format!("at most {OPERATORS_MAX} calculations are allowed"))),
            false => Ok(()),
        }
    }

    fn product(&mut self) -> Parsed {
        let mut left = self.power()?;
        loop {
            let operator = if self.scanner.eat("*")? {
                Arithmetic::Multiply
            } else if self.scanner.eat("/")? {
                Arithmetic::Divide
            } else if self.scanner.eat("%")? {
                Arithmetic::Remainder
            } else {
                return Ok(left);
            };
            let right = self.power()?;
            self.count_operator()?;
            left = boxed(|left, right| Expression::Arithmetic(operator, left, right), left, right);
        }
    }

    fn power(&mut self) -> Parsed {
        let mut negations = 0;
        while self.scanner.eat("-")? {
            negations += 1;
        }
        let mut left = self.primary()?;
        if self.scanner.eat("^")? {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.scanner.refused("the expression is nested too deep"));
            }
            let right = self.power()?;
            self.depth -= 1;
            left = boxed(|left, right| Expression::Arithmetic(Arithmetic::Power, left, right), left, right);
        }
        Ok(match (negations % 2, left) {
            (0, left) => left,
            (_, Expression::Literal(Value::Number(value))) => Expression::Literal(Value::Number(-value)),
            (_, left) => {
                let zero = Expression::Literal(Value::Number(0.0));
                boxed(|zero, left| Expression::Arithmetic(Arithmetic::Subtract, zero, left), zero, left)
            }
        })
    }

    pub(super) fn primary(&mut self) -> Parsed {
        let place = self.scanner.next_place()?;
        match self.scanner.peek()?.clone() {
            Token::Number(value) => self.scanner.next().map(|_| Expression::Literal(Value::Number(value))),
            Token::Text(text) => self.scanner.next().map(|_| Expression::Literal(Value::text(text))),
            Token::Quoted(name) => self.scanner.next().map(|_| Expression::Field(name.into())),
            Token::Symbol("(") => {
                self.scanner.next()?;
                let inner = self.expression()?;
                self.scanner.expect(")")?;
                Ok(inner)
            }
            Token::Name(name) => {
                self.scanner.next()?;
                if self.scanner.eat("(")? {
                    return self.call(&name, place);
                }
                Ok(match name.as_str() {
                    "true" => Expression::Literal(Value::Bool(true)),
                    "false" => Expression::Literal(Value::Bool(false)),
                    // Words of the language are no fields; backticks make them.
                    "and" | "or" | "not" | "by" | "as" | "like" | "in" | "asc" | "desc" => {
                        return Err(self.scanner.refused(format!("unexpected symbol found {name}")));
                    }
                    _ => Expression::Field(name.into()),
                })
            }
            _ => Err(self.scanner.unexpected()),
        }
    }

    /// A function, behind its opening parenthesis.
    fn call(&mut self, name: &str, place: usize) -> Parsed {
        let lower = name.to_ascii_lowercase();
        if let Some(kind) = aggregate_of(&lower) {
            return self.call_aggregate(kind, &lower, place);
        }
        let Some(function) = functions::find(&lower) else {
            return Err(self.scanner.refused_since(place, format!("unknown function {name}")));
        };
        let arguments = self.arguments(function)?;
        let written = self.scanner.written_since(place);
        if let Some(column) = self.column_of_stats(&written) {
            return Ok(Expression::Field(column));
        }
        let period = matches!(arguments.last(), Some(Expression::Literal(Value::Period(_))));
        if function.takes_period && !period {
            return Err(self.scanner.refused_since(place, format!("{name} needs a period such as 5m")));
        }
        let count = arguments.len();
        if count < function.least || count > function.most {
            let message = format!("{name} takes {}, and {count} were given", function.arity());
            return Err(self.scanner.refused_since(place, message));
        }
        Ok(Expression::Call(function, arguments))
    }

    fn arguments(&mut self, function: &Function) -> Result<Vec<Expression>, MalformedQuery> {
        let mut arguments = Vec::new();
        if self.scanner.eat(")")? {
            return Ok(arguments);
        }
        loop {
            arguments.push(match self.scanner.peek()?.clone() {
                Token::Period(count, unit) if function.takes_period => {
                    self.scanner.next()?;
                    let period = Period::of(count, &unit);
                    let period = period.ok_or_else(|| self.scanner.refused(format!("invalid period {count}{unit}")))?;
                    Expression::Literal(Value::Period(period))
                }
                _ => self.expression()?,
            });
            if self.scanner.eat(")")? {
                return Ok(arguments);
            }
            self.scanner.expect(",")?;
        }
    }

    fn call_aggregate(&mut self, kind: AggregateKind, name: &str, place: usize) -> Parsed {
        // An aggregate inside an aggregate has no meaning.
        let outer = self.aggregates.take();
        let of = match kind {
            AggregateKind::Count if self.scanner.eat("*")? => None,
            AggregateKind::Count if *self.scanner.peek()? == Token::Symbol(")") => None,
            _ => Some(self.expression()?),
        };
        let kind = match kind {
            AggregateKind::Percentile(_) if name != "median" => {
                self.scanner.expect(",")?;
                match self.scanner.next()? {
                    Token::Number(percent) if (0.0..=100.0).contains(&percent) => AggregateKind::Percentile(percent),
                    _ => return Err(self.scanner.refused("a percentile must be a number from 0 to 100")),
                }
            }
            kind => kind,
        };
        self.scanner.expect(")")?;
        self.aggregates = outer;
        let written = self.scanner.written_since(place);
        match self.aggregate(Aggregate { kind, of }) {
            Some(expression) => Ok(expression),
            None => match self.column_of_stats(&written) {
                Some(column) => Ok(Expression::Field(column)),
                None => Err(self.scanner.refused_since(place, format!("{written} is only allowed in stats"))),
            },
        }
    }
}

fn aggregate_of(name: &str) -> Option<AggregateKind> {
    Some(match name {
        "count" => AggregateKind::Count,
        "count_distinct" | "countdistinct" => AggregateKind::CountDistinct,
        "sum" => AggregateKind::Sum,
        "avg" => AggregateKind::Average,
        "min" => AggregateKind::Min,
        "max" => AggregateKind::Max,
        "pct" | "percentile" => AggregateKind::Percentile(50.0),
        "median" => AggregateKind::Percentile(50.0),
        "stddev" => AggregateKind::StandardDeviation,
        "earliest" => AggregateKind::Earliest,
        "latest" => AggregateKind::Latest,
        "sortsfirst" => AggregateKind::SortsFirst,
        "sortslast" => AggregateKind::SortsLast,
        _ => return None,
    })
}
