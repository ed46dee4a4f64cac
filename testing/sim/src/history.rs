//! What happened, as a person can read it.

use std::fmt;
use std::time::Duration;

/// One line: when, who, what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub at: Duration,
    pub actor: String,
    pub what: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s  {:<10} {}", self.at.as_secs_f64(), self.actor, self.what)
    }
}

/// Lines are written only for somebody who reads them: most worlds end well, and nobody asks how.
#[derive(Clone, Debug, Default)]
pub struct History {
    lines: Option<Vec<Line>>,
}

impl History {
    pub fn kept() -> History {
        History { lines: Some(Vec::new()) }
    }

    pub fn is_kept(&self) -> bool {
        self.lines.is_some()
    }

    pub fn note(&mut self, at: Duration, actor: impl Into<String>, what: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(Line { at, actor: actor.into(), what: what() });
        }
    }

    pub fn lines(&self) -> &[Line] {
        self.lines.as_deref().unwrap_or_default()
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
