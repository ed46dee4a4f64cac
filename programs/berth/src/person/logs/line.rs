//! Lines, as they are printed.

use api_logs::FilteredLogEvent;

use super::source::Plan;
use crate::person::output::{Output, OutputError};
use crate::person::paint::{Paint, of_name};

/// Whether lines of several streams can be mixed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    One,
    Several,
}

pub struct Printer {
    output: Output,
    streams: Streams,
    printed: bool,
}

impl Printer {
    pub fn new(output: Output, streams: Streams) -> Printer {
        Printer { output, streams, printed: false }
    }

    pub fn has_printed(&self) -> bool {
        self.printed
    }

    pub fn is_read(&self) -> bool {
        self.output.is_read()
    }

    /// All of them in one write, so that nothing comes between.
    pub fn print(&mut self, plan: &Plan, events: &[FilteredLogEvent]) -> Result<(), OutputError> {
        let lines: String = events.iter().map(|event| line(plan, event, self.streams, self.output.paint)).collect();
        self.printed |= !lines.is_empty();
        self.output.write(&lines)
    }
}

fn line(plan: &Plan, event: &FilteredLogEvent, streams: Streams, paint: Paint) -> String {
    let message = event.message.as_deref().unwrap_or_default();
    let message = message.trim_end_matches(['\n', '\r']);
    match streams {
        Streams::One => format!("{message}\n"),
        Streams::Several => {
            let label = plan.label(event.log_stream_name.as_deref().unwrap_or_default());
            format!("{} {message}\n", paint.text(&label, Some(of_name(&label))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::source::{Life, Wanted};
    use super::*;

    #[test]
    fn a_label_only_where_lines_can_be_mixed_up() {
        let plan = Plan { sources: BTreeSet::new(), wanted: Wanted::All, from: 0, life: Life::Endless };
        let event = |message: &str| FilteredLogEvent {
            log_stream_name: Some("web/app/0123456789abcdef0123456789abcdef".to_owned()),
            message: Some(message.to_owned()),
            ..FilteredLogEvent::default()
        };
        let check = |message, streams, paint, expected: &str| {
            assert_eq!(line(&plan, &event(message), streams, paint), expected);
        };
        check("hello", Streams::One, Paint::Coloured, "hello\n");
        check("hello\r\n", Streams::One, Paint::Plain, "hello\n");
        check("  indented ", Streams::One, Paint::Plain, "  indented \n");
        check("", Streams::Several, Paint::Plain, "01234567/app \n");
        check("hello", Streams::Several, Paint::Plain, "01234567/app hello\n");
        let coloured = line(&plan, &event("hello"), Streams::Several, Paint::Coloured);
        assert!(coloured.starts_with("\x1b[3") && coloured.ends_with("m01234567/app\x1b[0m hello\n"), "{coloured:?}");
    }
}
