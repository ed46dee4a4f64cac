//! What is known of a stream without reading its events.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamStats {
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    pub(crate) ingestion_ms: i64,
    /// What AWS counts for its events.
    pub(crate) bytes: u64,
}

impl StreamStats {
    pub(crate) fn merge(into: &mut Option<StreamStats>, more: StreamStats) {
        *into = Some(match *into {
            None => more,
            Some(known) => StreamStats {
                first_ms: known.first_ms.min(more.first_ms),
                last_ms: known.last_ms.max(more.last_ms),
                ingestion_ms: known.ingestion_ms.max(more.ingestion_ms),
                bytes: known.bytes.saturating_add(more.bytes),
            },
        });
    }
}
