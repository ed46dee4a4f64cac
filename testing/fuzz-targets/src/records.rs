//! What is kept on disk: a crash or a bad disk may have changed any byte of it.

use bytes::Bytes;
use state::{Record, Revision, Snapshot};

use crate::{line, text};

/// The lines are keys and records in turn; all of them land in one snapshot.
pub(crate) fn state_records(bytes: &[u8]) {
    let mut snapshot = Snapshot::default();
    let mut rest = bytes;
    let mut revision = 0;
    while !rest.is_empty() {
        let (key, record);
        (key, rest) = line(rest);
        (record, rest) = line(rest);
        revision += 1;
        let value = (!record.is_empty()).then_some(record);
        let _ = snapshot.absorb(text(key), value, Revision(revision));
        written::<model::Cluster>(record);
        written::<model::TaskDefinition>(record);
        written::<model::ContainerInstance>(record);
        written::<model::Task>(record);
        written::<model::Service>(record);
    }
}

/// A record that is read is written, and read again as it was.
fn written<R: Record + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(record) = state::decode::<R>(bytes) {
        let _ = record.name();
        let read = state::decode::<R>(&state::encode(&record)).expect("what was written is read");
        assert_eq!(format!("{read:?}"), format!("{record:?}"));
    }
}

pub(crate) fn store_history(bytes: &[u8]) {
    if let Some(changes) = store_embedded::parsers::changes(Bytes::copy_from_slice(bytes)) {
        let length: usize =
            changes.iter().map(|(key, value)| 8 + key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
        assert_eq!(length, bytes.len());
    }
}

pub(crate) fn agent_records(bytes: &[u8]) {
    let _ = (agent::parsers::task_record(bytes), agent::parsers::instance_record(bytes));
}

/// Every file of the log store: what is behind a checksum is read without it as well, so that more than checksums is tried.
pub(crate) fn log_store(bytes: &[u8]) {
    use log_store::format;
    let (first, rest) = line(bytes);
    for read in [
        format::wal,
        format::block,
        format::columns,
        format::index,
        format::segment,
        format::manifest,
        format::streams,
        format::first_segment,
    ] {
        let _ = (read(bytes), read(rest));
    }
    let _ = (format::trailer(bytes), format::filter(rest, text(first)));
    if let Ok(position) = text(bytes).parse::<log_store::Position>() {
        assert_eq!(position.to_string(), text(bytes));
    }
}
