//! Text into commands.

mod command;
mod expression;
mod pattern;

use crate::ast::Command;
use crate::error::MalformedQuery;
use crate::limits::{COMMANDS_MAX, STATS_MAX};
use crate::scanner::{Scanner, Token};

/// Commands with `|` between them. No text at all is a query too: it shows every event.
pub(crate) fn parse(text: &str) -> Result<Vec<Command>, MalformedQuery> {
    let mut parser =
        Parser { scanner: Scanner::new(text), depth: 0, operators: 0, columns: Vec::new(), aggregates: None };
    let mut commands: Vec<Command> = Vec::new();
    if *parser.scanner.peek()? == Token::End {
        return Ok(commands);
    }
    loop {
        let place = parser.scanner.next_place()?;
        let command = parser.command()?;
        let stats = commands.iter().filter(|command| matches!(command, Command::Stats { .. })).count();
        if matches!(command, Command::Stats { .. }) && stats == STATS_MAX {
            let message = format!("at most {STATS_MAX} stats commands are allowed");
            return Err(parser.scanner.refused_since(place, message));
        }
        if let (Some(Command::Dedup(_)), false) = (commands.last(), matches!(command, Command::Limit(_))) {
            return Err(parser.scanner.refused_since(place, "only limit may follow dedup"));
        }
        commands.push(command);
        if *parser.scanner.peek()? == Token::End {
            return Ok(commands);
        }
        parser.scanner.expect("|")?;
        if commands.len() == COMMANDS_MAX {
            return Err(parser.scanner.refused(format!("at most {COMMANDS_MAX} commands are allowed")));
        }
    }
}

pub(crate) struct Parser<'t> {
    scanner: Scanner<'t>,
    depth: usize,
    operators: usize,
    /// What the last `stats` made: `sort count(*)` then means its column.
    columns: Vec<String>,
    /// Where aggregates go while a `stats` is read; anywhere else they are refused.
    aggregates: Option<Vec<crate::ast::Aggregate>>,
}
