//! The `json-file` driver: a file in Docker's format beside the ring, for whoever reads such files.
//!
//! `entry.rs` is the format, `file.rs` the file and its rotation.

mod entry;
mod file;
mod options;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use async_trait::async_trait;
use runtime::{LogLine, LogPosition};

use crate::follow::{Carrier, Delivery};
use crate::limits::FILE_BATCH_BYTES_MAX;
use file::RotatedFile;
pub use options::JsonFileError;
pub(crate) use options::JsonFileOptions;

/// In the container's directory; older ones are `json.log.1` and so on.
pub const JSON_LOG_NAME: &str = "json.log";

/// Carries one container's lines into its JSON file.
pub(crate) struct JsonFile {
    file: RotatedFile,
    /// As each entry has them: JSON, or nothing.
    attributes: String,
    entries: Vec<u8>,
    /// Where each entry ends.
    ends: Vec<usize>,
}

impl JsonFile {
    pub fn new(container_dir: &Path, options: JsonFileOptions, attributes: &BTreeMap<String, String>) -> JsonFile {
        let file = RotatedFile::new(container_dir.join(JSON_LOG_NAME), options);
        let attributes = entry::attributes(attributes);
        JsonFile { file, attributes, entries: Vec::new(), ends: Vec::new() }
    }
}

/// A partial line is an entry without a newline at its end, as in Docker, whose pieces are 16 KiB like the shim's. So
/// nothing waits for its rest.
#[async_trait]
impl Carrier for JsonFile {
    fn take(&mut self, line: LogLine, _: LogPosition, _: Instant) {
        entry::encode(&line, &self.attributes, &mut self.entries);
        self.ends.push(self.entries.len());
    }

    fn rest(&mut self, _: Instant) {}

    fn finish(&mut self) {}

    fn is_full(&self) -> bool {
        self.entries.len() >= FILE_BATCH_BYTES_MAX
    }

    fn has_cargo(&self) -> bool {
        !self.ends.is_empty()
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn resume_at(&self, read: LogPosition) -> LogPosition {
        read
    }

    async fn deliver(&mut self, _: bool) -> Delivery {
        match self.file.append(&self.entries, &self.ends).await {
            Ok(()) => {
                self.forget();
                Delivery::Done
            }
            Err(error) => {
                let reason = format!("failed to write {}: {error}", self.file.path().display());
                Delivery::Later { reason, unsure: false }
            }
        }
    }

    fn forget(&mut self) {
        self.entries = Vec::new();
        self.ends = Vec::new();
    }
}
