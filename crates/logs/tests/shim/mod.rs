//! A container's directory as a shim writes it, without a container.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub mod node;

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use runtime::{Ring, WhenFull};
use shim_api::ExitRecord;
use shim_api::log::{Frame, LINE_TEXT_BYTES_MAX, SEGMENTS_KEPT, Stream, segment_name};
use tempfile::TempDir;

/// Far longer than anything here takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Shim {
    root: TempDir,
    segment: u64,
    length: u64,
    file: File,
    ring: Ring,
}

impl Shim {
    pub fn new() -> Shim {
        Shim::with(Ring::default())
    }

    pub fn with(ring: Ring) -> Shim {
        let root = TempDir::new().unwrap();
        let log = root.path().join("web").join(shim_api::LOG_NAME);
        fs::create_dir_all(&log).unwrap();
        let file = File::create(log.join(segment_name(0))).unwrap();
        Shim { root, segment: 0, length: 0, file, ring }
    }

    pub fn dir(&self) -> PathBuf {
        self.root.path().join("web")
    }

    pub fn say(&mut self, text: &str) {
        self.write(Stream::Stdout, text.as_bytes());
    }

    pub fn shout(&mut self, text: &str) {
        self.write(Stream::Stderr, text.as_bytes());
    }

    /// One line, cut into frames.
    pub fn write(&mut self, stream: Stream, text: &[u8]) {
        let mut rest = text;
        while rest.len() > LINE_TEXT_BYTES_MAX {
            let (piece, more) = rest.split_at(LINE_TEXT_BYTES_MAX);
            self.frame(stream, true, piece);
            rest = more;
        }
        self.frame(stream, false, rest);
    }

    pub fn frame(&mut self, stream: Stream, partial: bool, text: &[u8]) {
        let mut bytes = Vec::new();
        Frame { time: nanos(), stream, partial, text }.encode(&mut bytes);
        if self.length + bytes.len() as u64 > self.ring.segment_bytes() {
            self.rotate();
        }
        self.file.write_all(&bytes).unwrap();
        self.length += bytes.len() as u64;
    }

    /// The container ends.
    pub fn exit(&mut self) {
        let record = ExitRecord {
            pid: 42,
            exit_code: 0,
            signal: None,
            oom_killed: false,
            started_at: 1,
            finished_at: nanos(),
            lost: false,
        };
        fs::write(self.dir().join(shim_api::EXIT_NAME), record.to_json()).unwrap();
    }

    /// The container is removed.
    pub fn remove(&mut self) {
        fs::remove_dir_all(self.dir()).unwrap();
    }

    /// The segment before which everything is delivered.
    fn delivered(&self) -> u64 {
        let text = fs::read_to_string(self.dir().join(shim_api::log::POSITION_NAME)).unwrap_or_default();
        shim_api::log::decode_pair(&text).map_or(0, |(segment, _)| segment)
    }

    fn rotate(&mut self) {
        let log = self.dir().join(shim_api::LOG_NAME);
        while self.ring.full == WhenFull::Wait
            && (self.segment + 1).checked_sub(SEGMENTS_KEPT) >= Some(self.delivered())
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.segment += 1;
        self.length = 0;
        self.file = File::create(log.join(segment_name(self.segment))).unwrap();
        if let Some(oldest) = self.segment.checked_sub(SEGMENTS_KEPT) {
            fs::remove_file(log.join(segment_name(oldest))).unwrap();
        }
    }
}

fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits until all is delivered.
pub async fn drained(following: &logs::Following) {
    tokio::time::timeout(PATIENCE, following.drained()).await.expect("drained");
}
