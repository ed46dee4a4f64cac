//! A container's log: segments, of which the oldest go, unless the container waits for them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use shim_api::log::{
    Frame, LOST_NAME, POSITION_NAME, Ring, SEGMENTS_KEPT, WhenFull, decode_pair, encode_pair, segment_name,
    segment_number,
};

/// Appends frames to the newest segment, and begins the next when it is full.
pub struct LogWriter {
    /// The container's directory.
    dir: PathBuf,
    ring: Ring,
    number: u64,
    length: u64,
    file: File,
    pending: Vec<u8>,
    /// Somebody is there who could deliver.
    attended: bool,
    /// The newest segment is full, and the oldest must not go yet. What was already read goes into the newest all the same.
    full: bool,
}

impl LogWriter {
    /// A container that runs again goes on in a new segment.
    pub fn open(dir: &Path, ring: Ring) -> io::Result<LogWriter> {
        let log = dir.join(shim_api::LOG_NAME);
        std::fs::create_dir_all(&log)?;
        let newest =
            std::fs::read_dir(&log)?.filter_map(|entry| segment_number(entry.ok()?.file_name().to_str()?)).max();
        let number = newest.map_or(0, |number| number + 1);
        let file = create_segment(&log, number)?;
        let dir = dir.to_owned();
        Ok(LogWriter { dir, ring, number, length: 0, file, pending: Vec::new(), attended: true, full: false })
    }

    pub fn frame(&mut self, frame: &Frame<'_>) {
        let before = self.pending.len();
        frame.encode(&mut self.pending);
        // A frame never spans segments, so a reader may start at the head of any.
        let is_over = self.length + self.pending.len() as u64 > self.ring.segment_bytes();
        if is_over && self.length + before as u64 > 0 && self.may_rotate() {
            let frame = self.pending.split_off(before);
            self.flush();
            self.rotate();
            self.pending = frame;
        }
    }

    /// A full disk must not stop the container: what does not fit is lost, whole frames at a time.
    pub fn flush(&mut self) {
        match self.file.write_all(&self.pending) {
            Ok(()) => self.length += self.pending.len() as u64,
            Err(err) => {
                eprintln!("berth-shim: lost {} bytes of output: {err}", self.pending.len());
                // The file is in append mode, so the next write begins where this cut ends.
                let _ = self.file.set_len(self.length);
            }
        }
        self.pending = Vec::new();
    }

    /// Nothing more may be taken now.
    pub fn is_full(&mut self, attended: bool) -> bool {
        self.attended = attended;
        self.full = self.full && self.waits() && !self.may_drop_oldest();
        self.full
    }

    fn waits(&self) -> bool {
        self.ring.full == WhenFull::Wait && self.attended
    }

    fn may_rotate(&mut self) -> bool {
        // Looked at once, and then only when the loop asks: a read may bring thousands of frames.
        self.full = self.full || (self.waits() && !self.may_drop_oldest());
        !self.full
    }

    /// The segment that goes when the next begins. It may be there no more.
    fn oldest(&self) -> Option<u64> {
        (self.number + 1).checked_sub(SEGMENTS_KEPT)
    }

    fn may_drop_oldest(&self) -> bool {
        let Some(oldest) = self.oldest() else { return true };
        match self.delivered() {
            Delivered::Until(segment, _) => segment > oldest,
            Delivered::ByNobody => true,
        }
    }

    fn delivered(&self) -> Delivered {
        match std::fs::read_to_string(self.dir.join(POSITION_NAME)) {
            Ok(text) => decode_pair(&text).map_or(Delivered::ByNobody, |(segment, at)| Delivered::Until(segment, at)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Delivered::Until(0, 0),
            Err(_) => Delivered::ByNobody,
        }
    }

    fn rotate(&mut self) {
        let (log, oldest) = (self.dir.join(shim_api::LOG_NAME), self.oldest());
        match create_segment(&log, self.number + 1) {
            Ok(file) => {
                self.file = file;
                self.number += 1;
                self.length = 0;
            }
            // Better a long segment than none.
            Err(err) => return eprintln!("berth-shim: cannot begin a log segment: {err}"),
        }
        let Some(oldest) = oldest else { return };
        let path = log.join(segment_name(oldest));
        if self.ring.full != WhenFull::Forget
            && let Err(err) = self.count_lost(oldest, &path)
        {
            eprintln!("berth-shim: cannot count lost lines: {err}");
        }
        let _ = std::fs::remove_file(path);
    }

    /// What of a segment that goes was not delivered is added to what went before.
    fn count_lost(&self, number: u64, path: &Path) -> io::Result<()> {
        let from = match self.delivered() {
            Delivered::Until(segment, _) if segment > number => return Ok(()),
            Delivered::Until(segment, offset) if segment == number => offset,
            _ => 0,
        };
        let (lines, bytes) = match count(path, from) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(()),
            counted => counted?,
        };
        if bytes == 0 {
            return Ok(());
        }
        let path = self.dir.join(LOST_NAME);
        let before = std::fs::read_to_string(&path).ok().and_then(|text| decode_pair(&text)).unwrap_or_default();
        let file = File::options().write(true).create(true).truncate(false).open(&path)?;
        file.write_all_at(encode_pair(before.0 + lines, before.1 + bytes).as_bytes(), 0)
    }
}

enum Delivered {
    /// Everything before this segment and this offset.
    Until(u64, u64),
    /// Whoever delivered has given up.
    ByNobody,
}

/// Lines and bytes behind an offset.
fn count(path: &Path, from: u64) -> io::Result<(u64, u64)> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let (mut lines, mut bytes, mut buffer) = (0, 0, [0; 8192]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((lines, bytes)),
            read => {
                lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
                bytes += read as u64;
            }
        }
    }
}

fn create_segment(log: &Path, number: u64) -> io::Result<File> {
    File::options().append(true).create(true).open(log.join(segment_name(number)))
}

#[cfg(test)]
mod tests {
    use shim_api::log::{SEGMENT_BYTES_MIN, Stream};

    use super::*;

    struct Bench {
        dir: PathBuf,
        log: LogWriter,
        said: u64,
    }

    /// Each frame is a quarter of a segment, so the fifth begins the next.
    const TEXT_BYTES: usize = SEGMENT_BYTES_MIN as usize / 4 - 7;

    impl Bench {
        fn new(full: WhenFull) -> Bench {
            let name = format!("berth-shim-{}-{full:?}", std::process::id());
            let dir = std::env::temp_dir().join(name);
            let _ = std::fs::remove_dir_all(&dir);
            let log = LogWriter::open(&dir, Ring { bytes: 1, full }).unwrap();
            Bench { dir, log, said: 0 }
        }

        fn say(&mut self) {
            let text = format!("{:0TEXT_BYTES$}", self.said);
            self.log.frame(&Frame { time: 1, stream: Stream::Stdout, partial: false, text: text.as_bytes() });
            self.log.flush();
            self.said += 1;
        }

        /// Until the log is full, or has taken this many.
        fn fill(&mut self, at_most: u64) -> u64 {
            (0..at_most)
                .find(|_| {
                    let full = self.log.is_full(true);
                    if !full {
                        self.say()
                    };
                    full
                })
                .unwrap_or(at_most)
        }

        fn deliver(&self, segment: u64, offset: u64) {
            std::fs::write(self.dir.join(POSITION_NAME), encode_pair(segment, offset)).unwrap();
        }

        fn lost(&self) -> Option<(u64, u64)> {
            decode_pair(&std::fs::read_to_string(self.dir.join(LOST_NAME)).ok()?)
        }

        fn segments(&self) -> Vec<u64> {
            let entries = std::fs::read_dir(self.dir.join(shim_api::LOG_NAME)).unwrap();
            let mut numbers: Vec<u64> =
                entries.map(|entry| segment_number(entry.unwrap().file_name().to_str().unwrap()).unwrap()).collect();
            numbers.sort_unstable();
            numbers
        }
    }

    impl Drop for Bench {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }

    const PER_SEGMENT: u64 = 4;

    #[test]
    fn one_that_waits_loses_nothing() {
        let mut bench = Bench::new(WhenFull::Wait);
        // One more than fits: it was read before anybody could know.
        assert_eq!(bench.fill(1000), SEGMENTS_KEPT * PER_SEGMENT + 1);
        assert_eq!(bench.segments(), (0..SEGMENTS_KEPT).collect::<Vec<_>>());
        bench.deliver(0, 4 * (TEXT_BYTES as u64 + 7));
        assert!(bench.log.is_full(true), "the next line is not delivered");
        bench.deliver(2, 0);
        // The newest has one too many; two new ones come.
        assert_eq!(bench.fill(1000), 2 * PER_SEGMENT + 1);
        assert_eq!(bench.segments(), (2..SEGMENTS_KEPT + 2).collect::<Vec<_>>());
        assert_eq!(bench.lost(), None);
    }

    #[test]
    fn nobody_waits_for_nobody() {
        let mut bench = Bench::new(WhenFull::Wait);
        bench.fill(1000);
        assert!(bench.log.is_full(true) && !bench.log.is_full(false));
        bench.say();
        assert_eq!(bench.segments(), (1..=SEGMENTS_KEPT).collect::<Vec<_>>());
        assert_eq!(bench.lost().unwrap().0, PER_SEGMENT);
        std::fs::write(bench.dir.join(POSITION_NAME), "nobody\n").unwrap();
        assert_eq!(bench.fill(1000), 1000, "whoever delivered has given up");
    }

    #[test]
    fn what_goes_undelivered_is_counted() {
        let mut bench = Bench::new(WhenFull::Drop);
        assert_eq!(bench.fill(SEGMENTS_KEPT * PER_SEGMENT), SEGMENTS_KEPT * PER_SEGMENT);
        bench.deliver(0, TEXT_BYTES as u64 + 7);
        bench.say();
        let bytes = 3 * (TEXT_BYTES as u64 + 7);
        assert_eq!(bench.lost(), Some((3, bytes)));
        bench.deliver(2, 0);
        bench.fill(2 * PER_SEGMENT - 1);
        assert_eq!(bench.lost(), Some((3, bytes)), "what was delivered is no loss");
        bench.say();
        assert_eq!(bench.lost().unwrap().0, 7);
    }

    #[test]
    fn nobody_counts_what_nobody_wants() {
        let mut bench = Bench::new(WhenFull::Forget);
        assert_eq!(bench.fill(200), 200);
        assert_eq!((bench.segments().len() as u64, bench.lost()), (SEGMENTS_KEPT, None));
    }
}
