//! What an error of SQLite means to the one who asked.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Error, ErrorCode, ffi};
use store::{CommitError, EngineError, LeaseError, WatchError};

use crate::error::OpenError;

/// One failure, shared by every commit that was in the same transaction.
#[derive(Clone, Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct Fault(Arc<Error>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Full,
    Damaged,
    Other,
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault(Arc::new(error))
    }
}

fn kind(error: &Error) -> Kind {
    match error {
        Error::SqliteFailure(failure, _) => match failure.code {
            ErrorCode::DiskFull => Kind::Full,
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Kind::Damaged,
            // The index of the write-ahead log is a file as well, and cannot grow on a full disk either.
            _ if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Kind::Full,
            _ => Kind::Other,
        },
        // A column holds what we never wrote there.
        Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::IntegralValueOutOfRange(..) => {
            Kind::Damaged
        }
        // A row that is always there is not.
        Error::QueryReturnedNoRows => Kind::Damaged,
        _ => Kind::Other,
    }
}

impl Fault {
    pub(crate) fn is_full(&self) -> bool {
        kind(&self.0) == Kind::Full
    }

    /// After a failed `fsync` the kernel may have dropped what it could not write, and the next `fsync` says that all is
    /// well. Nothing this process wrote can be trusted then; only opening the file again shows what is really there.
    pub(crate) fn forbids_going_on(&self) -> bool {
        let Error::SqliteFailure(failure, _) = &*self.0 else { return false };
        matches!(failure.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC)
    }

    pub(crate) fn commit(&self) -> CommitError {
        match kind(&self.0) {
            Kind::Full => CommitError::Full,
            Kind::Damaged => CommitError::Damaged(Box::new(self.clone())),
            Kind::Other => CommitError::Engine(Box::new(self.clone())),
        }
    }

    pub(crate) fn lease(&self) -> LeaseError {
        match kind(&self.0) {
            Kind::Full => LeaseError::Full,
            Kind::Damaged | Kind::Other => LeaseError::Engine(Box::new(self.clone())),
        }
    }

    pub(crate) fn read(self) -> EngineError {
        match kind(&self.0) {
            Kind::Damaged => EngineError::Damaged(Box::new(self)),
            Kind::Full | Kind::Other => EngineError::Engine(Box::new(self)),
        }
    }

    pub(crate) fn watch(self) -> WatchError {
        WatchError::Engine(Box::new(self))
    }
}

/// The same judgement for an error while the file is opened.
pub(crate) fn opening(path: &Path) -> impl Fn(Error) -> OpenError {
    let path = path.to_owned();
    move |source| {
        let path = path.clone();
        match kind(&source) {
            Kind::Full => OpenError::Full { path, source },
            Kind::Damaged => OpenError::Damaged { path, source },
            Kind::Other => OpenError::Sqlite { path, source },
        }
    }
}
