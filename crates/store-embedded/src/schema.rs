//! What is in the file, and how it is opened.
//!
//! `entries` is the present, `history` what watchers may still ask for, `leases` who promised to come back, and `head`
//! one row of counters. `application_id` says that the file is ours, `user_version` which format it has.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::OpenError;
use crate::fault::opening;

/// "Brth" in ASCII.
pub(crate) const APPLICATION_ID: i64 = 0x4272_7468;
/// The format this code writes. A format that older code would misread gets the next number and a migration here.
pub(crate) const FORMAT: i64 = 1;

const CREATE: &str = "
    CREATE TABLE head (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        compacted INTEGER NOT NULL,
        lease_last INTEGER NOT NULL
    ) STRICT;
    INSERT INTO head VALUES (1, 0, 0, 0);
    CREATE TABLE entries (
        key BLOB PRIMARY KEY,
        value BLOB NOT NULL,
        mod_revision INTEGER NOT NULL,
        lease INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entries_by_lease ON entries (lease) WHERE lease IS NOT NULL;
    CREATE TABLE history (revision INTEGER PRIMARY KEY, changes BLOB NOT NULL) STRICT;
    CREATE TABLE leases (id INTEGER PRIMARY KEY, ttl_seconds INTEGER NOT NULL) STRICT;
";

/// The counters of the store, as the last transaction left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) revision: u64,
    /// History up to here, inclusive, is gone.
    pub(crate) compacted: u64,
    pub(crate) lease_last: u64,
}

impl Head {
    pub(crate) fn read(connection: &Connection) -> rusqlite::Result<Head> {
        let mut select = connection.prepare_cached("SELECT revision, compacted, lease_last FROM head WHERE id = 1")?;
        select.query_row((), |row| Ok(Head { revision: row.get(0)?, compacted: row.get(1)?, lease_last: row.get(2)? }))
    }

    pub(crate) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        connection
            .prepare_cached("UPDATE head SET revision = ?1, compacted = ?2, lease_last = ?3 WHERE id = 1")?
            .execute((self.revision, self.compacted, self.lease_last))
            .map(drop)
    }
}

/// Opens the file for the writer, and makes it when it is not there.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(opening(path))?;
    let fresh = check_format(&connection, path)?;
    let journal: String =
        connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).map_err(opening(path))?;
    if journal != "wal" {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned() });
    }
    // FULL is the promise of this crate: in WAL mode it is an fsync for every transaction.
    // Checkpoints are made by `checkpoint`.
    let pragmas = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -16384;
         PRAGMA temp_store = MEMORY; PRAGMA journal_size_limit = 67108864;";
    connection.execute_batch(pragmas).map_err(opening(path))?;
    connection.set_prepared_statement_cache_capacity(32);
    if fresh {
        create(&mut connection).map_err(opening(path))?;
    }
    Ok(connection)
}

/// Opens the file for whoever moves the write-ahead log into it.
pub(crate) fn open_checkpointer(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;")?;
    Ok(connection)
}

pub(crate) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.execute_batch("PRAGMA cache_size = -2048; PRAGMA temp_store = MEMORY;")?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(connection)
}

/// Whether the file is empty; an error when it is somebody else's, or from a newer Berth.
fn check_format(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let number = |pragma| connection.query_row(pragma, (), |row| row.get::<_, i64>(0)).map_err(opening(path));
    let application = number("PRAGMA application_id")?;
    let format = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (application, format, tables) {
        (0, 0, 0) => Ok(true),
        (APPLICATION_ID, FORMAT, _) => Ok(false),
        (APPLICATION_ID, found, _) if found > FORMAT => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: FORMAT })
        }
        _ => Err(OpenError::NotAStore { path: path.to_owned() }),
    }
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(CREATE)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}
