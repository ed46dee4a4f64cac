//! What a caller may set; the defaults are the limits.

use std::time::Duration;

use crate::limits::{
    SEGMENT_RAW_BYTES_MAX, WAL_AGE_MAX, WAL_FILE_BYTES_MAX, WAL_FILE_RECORDS_MAX, WAL_FILES_MAX, WAL_PATIENCE,
};

/// How a log store keeps its events.
#[derive(Clone, Debug)]
pub struct Options {
    /// A file of the write-ahead log is full at so many bytes
    pub wal_file_bytes_max: u64,
    /// or batches,
    pub wal_file_records_max: usize,
    /// and is sealed after this time in any case.
    pub wal_age_max: Duration,
    /// How many full ones may wait,
    pub wal_files_max: usize,
    /// and how long a batch waits for fewer of them before it is refused.
    pub wal_patience: Duration,
    /// Small segments are merged into one of so many bytes of events.
    pub segment_raw_bytes_max: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            wal_file_bytes_max: WAL_FILE_BYTES_MAX,
            wal_file_records_max: WAL_FILE_RECORDS_MAX,
            wal_age_max: WAL_AGE_MAX,
            wal_files_max: WAL_FILES_MAX,
            wal_patience: WAL_PATIENCE,
            segment_raw_bytes_max: SEGMENT_RAW_BYTES_MAX,
        }
    }
}
