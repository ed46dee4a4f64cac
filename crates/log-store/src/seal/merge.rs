//! Small segments become large ones: a quiet group leaves one an hour, and a busy machine many small ones at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Sealer;
use crate::error::StoreError;
use crate::event::RawEvent;
use crate::group::Group;
use crate::limits::{MERGE_MAX, MERGE_MIN, SEGMENT_SPAN_DAYS_MAX};
use crate::segment::index::Origin;
use crate::segment::{Sealed, block};

const DAY_MS: u64 = 24 * 3600 * 1000;

impl Sealer {
    /// Merges for as long as something is worth it. What fails is tried again after the next sealing.
    pub(super) fn merge_small(&mut self, group: &Group) {
        while !group.is_deleted() && !self.is_stopping() {
            let span_ms = u64::from(span_days(group.meta().retention_days)) * DAY_MS;
            let chosen = group.read(|state| choose(&state.sealed, self.options.segment_raw_bytes_max, span_ms));
            let merged = chosen.and_then(|chosen| match chosen.is_empty() {
                true => Ok(false),
                false => self.merge(group, &chosen).map(|()| true),
            });
            match merged {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    if let StoreError::Damaged { .. } = error {
                        self.damages.tell(error);
                    } else {
                        tracing::warn!(error = &error as &dyn std::error::Error, "failed to merge segments of logs");
                        return;
                    }
                }
            }
        }
    }

    /// Writes a segment without the deleted streams that have most of it. Says whether there was one.
    pub(super) fn rewrite_sparse(&mut self, group: &Group) -> Result<bool, StoreError> {
        if group.is_deleted() {
            return Ok(false);
        }
        let sparse = group.read(|state| {
            let is_sparse = |sealed: &&Arc<Sealed>| {
                let bytes = |dead: bool| {
                    let streams =
                        sealed.streams.iter().filter(|(stream, _)| !dead || !state.names.contains_key(stream));
                    streams.map(|(_, stats)| stats.bytes).sum::<u64>()
                };
                !sealed.damaged.load(Ordering::Relaxed) && bytes(true) * 2 > bytes(false)
            };
            state.sealed.iter().find(is_sparse).cloned()
        })?;
        match sparse {
            Some(sparse) => self.merge(group, &[sparse]).map(|()| true),
            None => Ok(false),
        }
    }

    fn merge(&mut self, group: &Group, chosen: &[Arc<Sealed>]) -> Result<(), StoreError> {
        let names = group.read(|state| state.names.clone())?;
        let mut blocks = Vec::new();
        for sealed in chosen {
            // Damaged ones stay as they are, and are not tried again.
            let damaged = |error| {
                sealed.damaged.store(true, Ordering::Relaxed);
                error
            };
            let index = sealed.read_index(&self.objects, group.number).map_err(damaged)?;
            for block in index.blocks() {
                blocks.push(sealed.read_block(&self.objects, group.number, block).map_err(damaged)?);
            }
        }
        let mut events: Vec<RawEvent<'_>> = Vec::new();
        for block in &blocks {
            let read = block::for_each_event(block, |event| {
                if names.contains_key(&event.stream) {
                    events.push(event);
                }
            });
            // They were unpacked soundly, so this is no damage of the disk; nothing is merged, and nothing lost.
            read.map_err(|_| chosen[0].damaged(group.number, 0, "a block does not hold events"))
                .inspect_err(|_| chosen.iter().for_each(|sealed| sealed.damaged.store(true, Ordering::Relaxed)))?;
        }
        let replaces: Vec<u64> = chosen.iter().map(|sealed| sealed.number).collect();
        let merged = self.store(group.number, Origin { wal: 0, replaces: replaces.clone() }, &mut events)?;
        self.replace(group, replaces, merged)
    }
}

fn span_days(retention_days: Option<u32>) -> u32 {
    retention_days.map_or(SEGMENT_SPAN_DAYS_MAX, |days| (days / 4).clamp(1, SEGMENT_SPAN_DAYS_MAX))
}

/// Neighbours that are worth merging: enough of one size or less, which are about the next size together. So an event is
/// written anew once for each size there is.
fn choose(sealed: &[Arc<Sealed>], raw_bytes_max: u64, span_ms: u64) -> Vec<Arc<Sealed>> {
    for size in [raw_bytes_max / 64, raw_bytes_max / 16, raw_bytes_max / 4] {
        let is_small = |sealed: &Arc<Sealed>| sealed.raw_bytes <= size && !sealed.damaged.load(Ordering::Relaxed);
        for run in sealed.chunk_by(|a, b| is_small(a) == is_small(b)).filter(|run| is_small(&run[0])) {
            for start in 0..run.len() {
                let chosen = fitting(&run[start..], raw_bytes_max, span_ms);
                let bytes: u64 = chosen.iter().map(|sealed| sealed.raw_bytes).sum();
                // Few large ones are as good as many small ones.
                if chosen.len() >= MERGE_MIN || (chosen.len() > 1 && bytes > raw_bytes_max / 4 * 3) {
                    return chosen.to_vec();
                }
            }
        }
    }
    Vec::new()
}

/// The longest beginning that may become one segment.
fn fitting(run: &[Arc<Sealed>], raw_bytes_max: u64, span_ms: u64) -> &[Arc<Sealed>] {
    let (mut bytes, mut first, mut last) = (0u64, u64::MAX, 0);
    let fit = run.iter().take(MERGE_MAX).take_while(|sealed| {
        bytes = bytes.saturating_add(sealed.raw_bytes);
        first = first.min(sealed.first.parts().0);
        last = last.max(sealed.last.parts().0);
        bytes <= raw_bytes_max && last.saturating_sub(first) <= span_ms
    });
    &run[..fit.count()]
}
