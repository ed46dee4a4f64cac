//! Where errors go: one line each, in the file the caller named, or on standard error.
//!
//! The last line with `"level":"error"` is why the command failed; a shim shows it to its user. What libcontainer notes
//! on the way goes in as warnings, because its own errors often lack the path or the value that was wrong.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::options::{Global, LogFormat};

pub struct Log {
    file: Option<Rc<File>>,
    format: LogFormat,
    /// Where this process's lines begin.
    begin: u64,
}

/// How much of the log is looked through for the first note.
const NOTES_BYTES_MAX: usize = 16 * 1024;

impl Log {
    /// A log that cannot be opened must not keep a container from starting: standard error then serves.
    pub fn open(global: &Global) -> Log {
        let file = global
            .log
            .as_ref()
            .and_then(|path| OpenOptions::new().create(true).append(true).read(true).open(path).ok());
        let begin = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |metadata| metadata.len());
        let format = global.log_format;
        if let Some(file) = file.as_ref().and_then(|file| file.try_clone().ok()) {
            let notes = Notes { file: Mutex::new(file), format };
            // It is the first and only subscriber of this process, so this cannot fail.
            let _ = tracing::subscriber::set_global_default(notes);
        }
        Log { file: file.map(Rc::new), format, begin }
    }

    /// Why the command failed.
    pub fn fatal(&self, message: &str) {
        match &self.file {
            // An error that cannot be logged leaves the exit status, which says as much as is left to say.
            Some(file) => drop(file.as_ref().write_all(line(self.format, "error", message).as_bytes())),
            None => eprintln!("berth-oci: {message}"),
        }
    }
}

impl Log {
    /// What libcontainer noted first, in this process or its children: that is closest to the cause.
    pub fn first_note(&self) -> Option<String> {
        let mut text = vec![0; NOTES_BYTES_MAX];
        let length = self.file.as_ref()?.read_at(&mut text, self.begin).ok()?;
        let text = String::from_utf8_lossy(&text[..length]);
        let note = serde_json::from_str::<serde_json::Value>(text.lines().next()?).ok()?;
        note["msg"].as_str().map(str::to_owned)
    }
}

fn line(format: LogFormat, level: &str, message: &str) -> String {
    match format {
        LogFormat::Text => format!("level={level} msg={message:?}\n"),
        LogFormat::Json => format!("{}\n", serde_json::json!({ "level": level, "msg": message })),
    }
}

/// What libcontainer reports at its error level, in this process and in the children it forks.
struct Notes {
    file: Mutex<File>,
    format: LogFormat,
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::ERROR
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all(line(self.format, "warning", text.0.trim()).as_bytes());
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?} "),
            name => write!(self.0, "{name}={value:?} "),
        };
    }
}
