//! One command.

use std::sync::Arc;

use super::{Parser, pattern};
use crate::ast::{Column, Command, Direction, Expression, Name};
use crate::error::MalformedQuery;
use crate::event;
use crate::limits::{PARSED_FIELDS_MAX, ROWS_MAX};
use crate::scanner::Token;

/// What AWS has and Berth does not.
const NOT_SERVED: [&str; 9] =
    ["pattern", "diff", "anomaly", "join", "lookup", "source", "unmask", "filterindex", "addtotals"];

impl Parser<'_> {
    pub(crate) fn command(&mut self) -> Result<Command, MalformedQuery> {
        let Token::Name(word) = self.scanner.peek()?.clone() else { return Err(self.scanner.unexpected()) };
        let word = word.to_ascii_lowercase();
        match word.as_str() {
            "fields" => self.after_word().and_then(|()| self.column_list()).map(Command::Fields),
            "display" => self.after_word().and_then(|()| self.column_list()).map(Command::Display),
            "filter" => self.after_word().and_then(|()| self.expression()).map(Command::Filter),
            "parse" => self.after_word().and_then(|()| self.parse_command()),
            "unnest" => self.after_word().and_then(|()| self.unnest()),
            "stats" => self.after_word().and_then(|()| self.stats()),
            "sort" | "order" => self.after_word().and_then(|()| self.sort()),
            "limit" | "head" => self.after_word().and_then(|()| self.limit()),
            "dedup" => self.after_word().and_then(|()| self.list()).map(Command::Dedup),
            word if NOT_SERVED.contains(&word) => {
                self.scanner.next()?;
                Err(self.scanner.refused(format!("the command {word} is not supported")))
            }
            _ => Err(self.scanner.unexpected()),
        }
    }

    fn after_word(&mut self) -> Result<(), MalformedQuery> {
        self.scanner.next().map(drop)
    }

    fn list(&mut self) -> Result<Vec<Expression>, MalformedQuery> {
        let mut all = vec![self.expression()?];
        while self.scanner.eat(",")? {
            all.push(self.expression()?);
        }
        Ok(all)
    }

    fn column_list(&mut self) -> Result<Vec<Column>, MalformedQuery> {
        let mut columns = vec![self.column()?];
        while self.scanner.eat(",")? {
            columns.push(self.column()?);
        }
        Ok(columns)
    }

    /// `expression`, or `expression as name`. Without a name it is called what it is written as.
    fn column(&mut self) -> Result<Column, MalformedQuery> {
        let place = self.scanner.next_place()?;
        let expression = self.expression()?;
        let name = match self.scanner.eat_word("as")? {
            true => self.name()?,
            false => match &expression {
                Expression::Field(name) => name.clone(),
                _ => self.scanner.written_since(place).into(),
            },
        };
        Ok(Column { name, expression })
    }

    /// A name that a query may give.
    fn name(&mut self) -> Result<Name, MalformedQuery> {
        let name: Name = match self.scanner.peek()? {
            Token::Name(_) | Token::Quoted(_) => match self.scanner.next()? {
                Token::Name(name) | Token::Quoted(name) => name.into(),
                _ => return Err(self.scanner.unexpected()),
            },
            _ => return Err(self.scanner.unexpected()),
        };
        match event::is_system(&name) {
            true => Err(self.scanner.refused(format!("the field {name} cannot be replaced"))),
            false => Ok(name),
        }
    }

    /// `parse [field] "user=*, method=*" as user, method`, or `parse [field] /user=(?<user>\S+)/`.
    fn parse_command(&mut self) -> Result<Command, MalformedQuery> {
        let mut from = Expression::Field(event::MESSAGE.into());
        let mut regex = self.scanner.regex()?;
        if regex.is_none() && !matches!(self.scanner.peek()?, Token::Text(_)) {
            from = self.primary()?;
            regex = self.scanner.regex()?;
        }
        let place = self.scanner.next_place()?;
        if let Some(regex) = regex {
            let names: Vec<Name> = regex.capture_names().flatten().map(Name::from).collect();
            if names.is_empty() {
                return Err(self.scanner.refused("a regular expression of parse needs named groups: (?<name>...)"));
            }
            self.refuse_names(place, &names)?;
            return Ok(Command::Parse { from, pattern: regex, names });
        }
        let Token::Text(glob) = self.scanner.peek()?.clone() else { return Err(self.scanner.unexpected()) };
        self.scanner.next()?;
        if !self.scanner.eat_word("as")? {
            return Err(self.scanner.unexpected());
        }
        let mut names = vec![self.name()?];
        while self.scanner.eat(",")? {
            names.push(self.name()?);
        }
        let stars = glob.matches('*').count();
        if stars != names.len() {
            let message = format!("the pattern has {stars} wildcards and {} names", names.len());
            return Err(self.scanner.refused_since(place, message));
        }
        self.refuse_names(place, &names)?;
        let pattern = pattern::of_glob(&glob);
        let pattern = pattern.map_err(|_| self.scanner.refused_since(place, "the pattern is too large"))?;
        Ok(Command::Parse { from, pattern, names })
    }

    fn refuse_names(&self, place: usize, names: &[Name]) -> Result<(), MalformedQuery> {
        match names.len() > PARSED_FIELDS_MAX {
            true => {
                let message = format!("at most {PARSED_FIELDS_MAX} fields can be parsed at once");
                Err(self.scanner.refused_since(place, message))
            }
            false => Ok(()),
        }
    }

    fn unnest(&mut self) -> Result<Command, MalformedQuery> {
        let from = self.expression()?;
        if !self.scanner.eat_word("into")? && !self.scanner.eat_word("as")? {
            return Err(self.scanner.unexpected());
        }
        Ok(Command::Unnest { from, name: self.name()? })
    }

    fn stats(&mut self) -> Result<Command, MalformedQuery> {
        self.aggregates = Some(Vec::new());
        let place = self.scanner.next_place()?;
        let columns = self.column_list()?;
        let aggregates = self.aggregates.take().unwrap_or_default();
        if let Some(plain) = columns.iter().find(|column| !has_aggregate(&column.expression)) {
            let message = format!("{} is not an aggregation", plain.name);
            return Err(self.scanner.refused_since(place, message));
        }
        let by = if self.scanner.eat_word("by")? { self.column_list()? } else { Vec::new() };
        self.columns = by.iter().chain(&columns).map(|column| column.name.to_string()).collect();
        Ok(Command::Stats { columns, aggregates, by })
    }

    fn sort(&mut self) -> Result<Command, MalformedQuery> {
        // `sort by x` and `order by x` are written by many.
        self.scanner.eat_word("by")?;
        let mut keys = Vec::new();
        loop {
            let key = self.expression()?;
            let direction = if self.scanner.eat_word("desc")? {
                Direction::Descending
            } else {
                self.scanner.eat_word("asc")?;
                Direction::Ascending
            };
            keys.push((key, direction));
            if !self.scanner.eat(",")? {
                return Ok(Command::Sort(keys));
            }
        }
    }

    fn limit(&mut self) -> Result<Command, MalformedQuery> {
        match self.scanner.next()? {
            Token::Number(count) if count >= 1.0 && count.fract() == 0.0 && count <= ROWS_MAX as f64 => {
                Ok(Command::Limit(count as usize))
            }
            _ => Err(self.scanner.refused(format!("limit must be a whole number from 1 to {ROWS_MAX}"))),
        }
    }

    /// Files an aggregate of the `stats` that is being read.
    pub(super) fn aggregate(&mut self, aggregate: crate::ast::Aggregate) -> Option<Expression> {
        let aggregates = self.aggregates.as_mut()?;
        aggregates.push(aggregate);
        Some(Expression::Aggregate(aggregates.len() - 1))
    }

    pub(super) fn column_of_stats(&self, written: &str) -> Option<Name> {
        let same = |name: &&String| name.replace(' ', "") == written.replace(' ', "");
        self.columns.iter().find(same).map(|name| Arc::from(name.as_str()))
    }
}

fn has_aggregate(expression: &Expression) -> bool {
    match expression {
        Expression::Aggregate(_) => true,
        Expression::Literal(_) | Expression::Field(_) => false,
        Expression::Not(one) | Expression::Matches(one, _) => has_aggregate(one),
        Expression::All(parts) | Expression::Any(parts) => parts.iter().any(has_aggregate),
        Expression::Compare(_, left, right)
        | Expression::Arithmetic(_, left, right)
        | Expression::Like(left, right) => has_aggregate(left) || has_aggregate(right),
        Expression::In(one, many) => has_aggregate(one) || many.iter().any(has_aggregate),
        Expression::Call(_, arguments) => arguments.iter().any(has_aggregate),
    }
}
