//! One SQLite transaction: many commits, each with its own revision and its own look at its guards.
//!
//! Nothing here touches what the writer remembers. A turn works on copies, and the writer takes them over after the
//! transaction is durable; so a turn that fails leaves everything as it was.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension};
use store::engine::COMMIT_OPS_MAX;
use store::{Batch, Change, CommitError, Expect, Guard, LeaseId, Op, RawChanges, Revision};

use crate::codec;
use crate::schema::Head;

pub(crate) struct Turn<'c> {
    connection: &'c Connection,
    pub(crate) head: Head,
    pub(crate) batches: Vec<Arc<Batch>>,
    /// The size of each new row of history, in bytes.
    pub(crate) history_sizes: Vec<usize>,
}

/// What became of one commit in a turn that went well.
pub(crate) type Judged = Result<Revision, CommitError>;

impl<'c> Turn<'c> {
    pub(crate) fn begin(connection: &'c Connection, head: Head) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Turn { connection, head, batches: Vec::new(), history_sizes: Vec::new() })
    }

    /// Makes the turn durable.
    pub(crate) fn end(&mut self, before: Head) -> rusqlite::Result<()> {
        if self.head != before {
            self.head.write(self.connection)?;
        }
        failpoint::place("store.commit");
        self.connection.execute_batch("COMMIT")
    }

    /// The guards are judged before anything is written, so a refused commit needs no undoing.
    pub(crate) fn commit(&mut self, changes: RawChanges) -> rusqlite::Result<Judged> {
        for guard in &changes.guards {
            if !self.holds(guard)? {
                return Ok(Err(CommitError::Conflict { key: guard.key.clone() }));
            }
        }
        for op in &changes.ops {
            if let Op::Put { lease: Some(lease), .. } = op
                && !self.lease_exists(*lease)?
            {
                return Ok(Err(CommitError::LeaseNotFound { lease: *lease }));
            }
        }
        self.apply(changes.ops).map(Ok)
    }

    fn holds(&self, guard: &Guard) -> rusqlite::Result<bool> {
        let mut select = self.connection.prepare_cached("SELECT mod_revision FROM entries WHERE key = ?1")?;
        let found: Option<u64> = select.query_row((&guard.key[..],), |row| row.get(0)).optional()?;
        Ok(match guard.expect {
            Expect::Absent => found.is_none(),
            Expect::At(revision) => found == Some(revision.0),
        })
    }

    fn lease_exists(&self, lease: LeaseId) -> rusqlite::Result<bool> {
        self.connection.prepare_cached("SELECT 1 FROM leases WHERE id = ?1")?.exists((signed(lease),))
    }

    fn apply(&mut self, ops: Vec<Op>) -> rusqlite::Result<Revision> {
        let revision = self.head.revision + 1;
        let mut changes: Vec<Change> = Vec::with_capacity(ops.len());
        for op in ops {
            match op {
                Op::Put { key, value, lease } => {
                    self.put(&key, &value, revision, lease)?;
                    changes.push((key, Some(value)));
                }
                Op::Delete { key } => {
                    let mut delete = self.connection.prepare_cached("DELETE FROM entries WHERE key = ?1")?;
                    if delete.execute((&key[..],))? > 0 {
                        changes.push((key, None));
                    }
                }
            }
        }
        if !changes.is_empty() {
            let row = codec::encode(&changes);
            self.connection
                .prepare_cached("INSERT INTO history (revision, changes) VALUES (?1, ?2)")?
                .execute((revision, &row))?;
            self.history_sizes.push(row.len());
            self.head.revision = revision;
            self.batches.push(Arc::new(Batch { revision: Revision(revision), changes }));
        }
        Ok(Revision(self.head.revision))
    }

    fn put(&self, key: &[u8], value: &[u8], revision: u64, lease: Option<LeaseId>) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO entries (key, value, mod_revision, lease) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (key) DO UPDATE SET
                 value = excluded.value, mod_revision = excluded.mod_revision, lease = excluded.lease",
            )?
            .execute((key, value, revision, lease.map(signed)))
            .map(drop)
    }

    pub(crate) fn grant(&mut self, ttl: Duration) -> rusqlite::Result<LeaseId> {
        let lease = LeaseId(self.head.lease_last + 1);
        self.connection
            .prepare_cached("INSERT INTO leases (id, ttl_seconds) VALUES (?1, ?2)")?
            .execute((signed(lease), ttl.as_secs()))?;
        self.head.lease_last = lease.0;
        Ok(lease)
    }

    /// Deletes a lease and its keys.
    pub(crate) fn end_lease(&mut self, lease: LeaseId) -> rusqlite::Result<()> {
        let mut keys: Vec<Bytes> = Vec::new();
        {
            let mut select = self.connection.prepare_cached("SELECT key FROM entries WHERE lease = ?1 ORDER BY key")?;
            let mut rows = select.query((signed(lease),))?;
            while let Some(row) = rows.next()? {
                keys.push(Bytes::copy_from_slice(row.get_ref(0)?.as_blob()?));
            }
        }
        for chunk in keys.chunks(COMMIT_OPS_MAX) {
            self.apply(chunk.iter().map(|key| Op::Delete { key: key.clone() }).collect())?;
        }
        self.connection.prepare_cached("DELETE FROM leases WHERE id = ?1")?.execute((signed(lease),)).map(drop)
    }

    /// Forgets history through the given revision.
    pub(crate) fn compact(&mut self, through: u64) -> rusqlite::Result<()> {
        self.connection.prepare_cached("DELETE FROM history WHERE revision <= ?1")?.execute((through,))?;
        self.head.compacted = through;
        Ok(())
    }
}

/// SQLite knows signed numbers only. A lease id beyond them is not one we gave out, and neither is a negative one.
fn signed(lease: LeaseId) -> i64 {
    lease.0 as i64
}
