//! Every limit of the store, and which events of a batch are accepted.

use std::time::Duration;

use stdx::Timestamp;

/// What AWS counts for an event beside its message. Source: CloudWatch Logs API Reference, PutLogEvents.
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// The largest event, overhead included. Source: CloudWatch Logs User Guide, quotas, "Event size".
pub const EVENT_BYTES_MAX: usize = 1_048_576;
/// The largest batch, overhead included. Source: PutLogEvents.
pub const BATCH_BYTES_MAX: usize = 1_048_576;
/// The most events in a batch. Source: PutLogEvents.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// The longest time between the first and the last event of a batch. Source: PutLogEvents.
pub const BATCH_SPAN_MAX: Duration = Duration::from_secs(24 * 3600);
/// How old an event may be. Source: PutLogEvents.
pub const EVENT_AGE_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// How far in the future an event may be. Source: PutLogEvents.
pub const EVENT_AHEAD_MAX: Duration = Duration::from_secs(2 * 3600);

/// The most events in a page. Source: GetLogEvents and FilterLogEvents, `limit`.
pub const PAGE_EVENTS_MAX: usize = 10_000;
/// The most bytes in a page, overhead included. Source: GetLogEvents ("as many log events as can fit in 1 MB").
pub const PAGE_BYTES_MAX: usize = 1_048_576;
/// How many bytes of events one page looks through before it answers with what it has and a place to go on.
pub const PAGE_SCAN_BYTES_MAX: u64 = 32 << 20;
/// Events that one page holds back because others may come before them, in bytes. Above this it keeps what fits the page.
pub const PAGE_HELD_BYTES_MAX: usize = 8 << 20;

/// Pages that are read at once; others wait. So reading takes half a gigabyte at the very most, and a few MiB as a rule.
pub const READS_MAX: usize = 32;

/// A file of the write-ahead log is full at this many bytes, or at this many batches (which bounds the memory of their
/// places: 4 MiB).
pub const WAL_FILE_BYTES_MAX: u64 = 8 << 20;
pub const WAL_FILE_RECORDS_MAX: usize = 65_536;
/// Events wait this long in the write-ahead log, and then they are sealed however few they are.
pub const WAL_AGE_MAX: Duration = Duration::from_secs(3600);
/// Full files that wait to be sealed. So the write-ahead log takes 40 MiB, and what one turn more may add.
pub const WAL_FILES_MAX: usize = 4;
/// How long the writer waits for one of them to be sealed before it refuses events.
pub const WAL_PATIENCE: Duration = Duration::from_secs(10);
/// Pauses between attempts to seal, when the disk is full or the object store is away; they double.
pub const SEAL_RETRY_MIN: Duration = Duration::from_millis(200);
pub const SEAL_RETRY_MAX: Duration = Duration::from_secs(30);

/// Small segments are merged until they hold this many bytes of events. It bounds the memory of a merge.
pub const SEGMENT_RAW_BYTES_MAX: u64 = 16 << 20;
/// This many small segments beside each other are worth merging.
pub const MERGE_MIN: usize = 8;
/// A merge reads this many at most.
pub const MERGE_MAX: usize = 64;
/// A merged segment spans this many days at most, and less where retention is short: a segment goes as a whole.
pub const SEGMENT_SPAN_DAYS_MAX: u32 = 30;

/// Events that share one filter of words, in bytes.
pub const STRIPE_RAW_BYTES: usize = 1 << 20;
/// Events that are compressed together, in bytes.
pub const BLOCK_RAW_BYTES: usize = 128 << 10;
/// A block with its last event, which may be as large as a batch, and its columns.
pub const BLOCK_RAW_BYTES_MAX: usize = 6 << 20;

/// Bytes of requests that may wait for the writer.
pub const QUEUE_KIB_MAX: u32 = 64 << 10;
/// Requests that share one `fdatasync` at most, and their bytes.
pub const TURN_REQUESTS_MAX: usize = 512;
pub const TURN_BYTES_MAX: usize = 4 << 20;
/// The largest record: a batch with its framing.
pub const RECORD_BYTES_MAX: usize = 4 << 20;
/// Damages that are remembered by name; all are in the log.
pub const DAMAGES_MAX: usize = 100;

/// What a batch of events may be refused for. Each text is what AWS answers in an InvalidParameterException.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RejectedReason {
    #[error("Log events in a single PutLogEvents request must be in chronological order.")]
    NotChronological,
    #[error("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")]
    SpanTooLong,
    #[error("Upload too large: {bytes} bytes exceeds limit of 1048576")]
    BatchTooLarge { bytes: usize },
    #[error("Log event too large: {bytes} bytes exceeds limit of 1048576")]
    EventTooLarge { bytes: usize },
    #[error("The number of log events in a single PutLogEvents request cannot exceed 10000.")]
    TooManyEvents,
}

/// The indexes of `rejectedLogEventsInfo`. Source: CloudWatch Logs API Reference, RejectedLogEventsInfo.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RejectedEvents {
    /// Events before this index are too old.
    pub too_old_end: Option<usize>,
    /// Events from this index on are too new.
    pub too_new_start: Option<usize>,
    /// Events before this index are older than the retention of the log group.
    pub expired_end: Option<usize>,
}

/// Which part of a batch is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    pub accepted: std::ops::Range<usize>,
    pub rejected: RejectedEvents,
}

/// Decides which events of a batch are stored: all those in the window that AWS accepts.
///
/// Errors: a batch that AWS refuses as a whole.
pub fn admit(
    events: &[(i64, usize)],
    now: Timestamp,
    retention: Option<Duration>,
) -> Result<Admission, RejectedReason> {
    refuse_malformed(events)?;
    let oldest = (now - EVENT_AGE_MAX).as_millis();
    let newest = (now + EVENT_AHEAD_MAX).as_millis();
    let kept_since = retention.map_or(i64::MIN, |kept| (now - kept).as_millis());

    let too_old = events.partition_point(|event| event.0 < oldest);
    let expired = events.partition_point(|event| event.0 < kept_since);
    let too_new = events.partition_point(|event| event.0 <= newest);
    let rejected = RejectedEvents {
        too_old_end: (too_old > 0).then_some(too_old),
        too_new_start: (too_new < events.len()).then_some(too_new),
        expired_end: (expired > too_old).then_some(expired),
    };
    let first = too_old.max(expired);
    Ok(Admission { accepted: first.min(too_new)..too_new, rejected })
}

/// Takes (timestamp, message length) pairs, as [`admit`] does.
fn refuse_malformed(events: &[(i64, usize)]) -> Result<(), RejectedReason> {
    if events.len() > BATCH_EVENTS_MAX {
        return Err(RejectedReason::TooManyEvents);
    }
    let mut total = 0;
    for &(_, length) in events {
        let bytes = length + EVENT_OVERHEAD_BYTES;
        if bytes > EVENT_BYTES_MAX {
            return Err(RejectedReason::EventTooLarge { bytes });
        }
        total += bytes;
    }
    if total > BATCH_BYTES_MAX {
        return Err(RejectedReason::BatchTooLarge { bytes: total });
    }
    if events.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        return Err(RejectedReason::NotChronological);
    }
    if let (Some(first), Some(last)) = (events.first(), events.last())
        && last.0.saturating_sub(first.0) > BATCH_SPAN_MAX.as_millis() as i64
    {
        return Err(RejectedReason::SpanTooLong);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn check(times: &[i64], retention_days: Option<u64>, accepted: std::ops::Range<usize>, rejected: RejectedEvents) {
        let events: Vec<_> = times.iter().map(|time| (NOW + time, 10)).collect();
        let retention = retention_days.map(|days| Duration::from_secs(days * 24 * 3600));
        let admission = admit(&events, Timestamp::from_millis(NOW), retention).expect("a sound batch");
        assert_eq!(admission, Admission { accepted, rejected });
    }

    #[test]
    fn the_window_of_aws() {
        let none = RejectedEvents::default();
        check(&[], None, 0..0, none);
        check(&[-HOUR, 0, HOUR], None, 0..3, none);
        check(&[-14 * DAY], None, 0..1, none);
        check(&[2 * HOUR], None, 0..1, none);
        let old = RejectedEvents { too_old_end: Some(1), ..none };
        check(&[-14 * DAY - 1, -14 * DAY], None, 1..2, old);
        let new = RejectedEvents { too_new_start: Some(1), ..none };
        check(&[0, 2 * HOUR + 1], None, 0..1, new);
        let expired = RejectedEvents { expired_end: Some(1), ..none };
        check(&[-DAY - 1, -HOUR], Some(1), 1..2, expired);
        let both = RejectedEvents { too_old_end: Some(1), expired_end: Some(2), ..none };
        check(&[-14 * DAY - 1, -14 * DAY + 1], Some(7), 2..2, both);
    }

    #[test]
    fn batches_that_are_refused() {
        let now = Timestamp::from_millis(NOW);
        let refused = |events: &[(i64, usize)]| admit(events, now, None).expect_err("refused");
        assert_eq!(refused(&[(NOW, 1), (NOW - 1, 1)]), RejectedReason::NotChronological);
        assert_eq!(refused(&[(NOW - DAY - 1, 1), (NOW, 1)]), RejectedReason::SpanTooLong);
        assert_eq!(refused(&vec![(NOW, 1); 10_001]), RejectedReason::TooManyEvents);
        assert_eq!(refused(&[(NOW, 1_048_551)]), RejectedReason::EventTooLarge { bytes: 1_048_577 });
        assert_eq!(refused(&[(NOW, 600_000), (NOW, 600_000)]), RejectedReason::BatchTooLarge { bytes: 1_200_052 });
        assert!(admit(&[(NOW, 1_048_550)], now, None).is_ok());
    }
}
