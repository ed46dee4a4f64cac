//! How far a container's log is delivered: one short file in its directory, which its shim looks at as well.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use runtime::LogPosition;
use shim_api::log::{POSITION_NAME, decode_pair, encode_pair};

/// No pair of numbers, so the shim knows that nobody delivers any more, and holds up nobody. Should a later process deliver
/// after all, it begins at the head of the ring.
const NOBODY: &str = "nobody\n";

/// Says that a container's log will not be delivered.
pub fn give_up(container_dir: &Path) {
    let path = container_dir.join(POSITION_NAME);
    if let Err(error) = std::fs::write(&path, NOBODY) {
        tracing::error!(path = %path.display(), %error, "a container may wait for a log that nobody delivers");
    }
}

/// The position as it is on disk.
///
/// It is overwritten in place: the record is as long each time and far within a page, so that a process may die at any
/// moment. It is not flushed, for the log is not either. What cannot be read is the beginning: all of the ring is
/// delivered again, and nothing is missed.
pub(crate) struct SavedPosition {
    path: PathBuf,
    file: Option<File>,
    at: LogPosition,
}

impl SavedPosition {
    pub fn load(container_dir: &Path) -> SavedPosition {
        let path = container_dir.join(POSITION_NAME);
        let at = match std::fs::read_to_string(&path) {
            Ok(text) => decode(&text).unwrap_or_else(|| {
                tracing::warn!(path = %path.display(), "a log position cannot be read: delivering from the beginning");
                LogPosition::default()
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => LogPosition::default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a log position cannot be read: delivering from the beginning");
                LogPosition::default()
            }
        };
        SavedPosition { path, file: None, at }
    }

    pub fn at(&self) -> LogPosition {
        self.at
    }

    /// After an error the position still holds for this process; the next one begins further back.
    pub fn save(&mut self, at: LogPosition) -> io::Result<()> {
        if at == self.at {
            return Ok(());
        }
        self.at = at;
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let file = File::options().write(true).create(true).truncate(false).open(&self.path)?;
                none.insert(file)
            }
        };
        file.write_all_at(encode(at).as_bytes(), 0)
    }
}

fn encode(at: LogPosition) -> String {
    encode_pair(at.segment, at.offset)
}

pub(crate) fn decode(text: &str) -> Option<LogPosition> {
    decode_pair(text).map(|(segment, offset)| LogPosition { segment, offset })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_as_before() {
        let golden = "00000000000000000007 00000000000000004096\n";
        let at = LogPosition { segment: 7, offset: 4096 };
        assert_eq!(encode(at), golden);
        assert_eq!(decode(golden), Some(at));
        let far = LogPosition { segment: u64::MAX, offset: u64::MAX };
        assert_eq!(decode(&encode(far)), Some(far));
    }

    #[test]
    fn what_is_no_position_is_the_beginning() {
        let dir = tempfile::tempdir().unwrap();
        for text in
            ["", NOBODY, "7 4096\n", "00000000000000000007 0000", "00000000000000000007 0000000000000000409x\n", "\0\0"]
        {
            std::fs::write(dir.path().join(POSITION_NAME), text).unwrap();
            assert_eq!(SavedPosition::load(dir.path()).at(), LogPosition::default(), "{text:?}");
        }
        std::fs::write(dir.path().join(POSITION_NAME), b"\xff\xfe").unwrap();
        assert_eq!(SavedPosition::load(dir.path()).at(), LogPosition::default());
    }

    #[test]
    fn a_saved_position_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut saved = SavedPosition::load(dir.path());
        for offset in [100_000, 5, 70] {
            let at = LogPosition { segment: 1, offset };
            saved.save(at).unwrap();
            assert_eq!(SavedPosition::load(dir.path()).at(), at);
        }
        std::fs::remove_dir_all(dir.path()).unwrap();
        let mut orphan = SavedPosition::load(dir.path());
        assert!(orphan.save(LogPosition { segment: 2, offset: 0 }).is_err());
    }
}
