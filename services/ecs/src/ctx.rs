//! What an operation is given beside its input.

use model::Scope;
use scheduler::Indexes;
use shape::Caller;
use state::{Changes, Snapshot};
use stdx::{Ids, Timestamp};

use crate::error::Error;

/// One attempt at one operation.
pub(crate) struct Ctx<'a> {
    pub caller: &'a Caller,
    pub scope: Scope,
    pub snapshot: &'a Snapshot,
    pub indexes: &'a Indexes,
    pub now: Timestamp,
    pub ids: &'a mut Ids,
}

/// Changes to commit, and the answer once they are. An operation that only reads has no changes.
pub(crate) type Applied<O> = Result<(Changes, O), Error>;

/// The answer of an operation that changes nothing.
pub(crate) fn unchanged<O>(output: O) -> Applied<O> {
    Ok((Changes::new(), output))
}
